/* Loading the configuration that the options name: the port's precedence, and warnings only when it is
 * usable. */
#include "common/err.h"
#include "nexd/options.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/common/wgconf_samples.h"

#include <string.h>
#include <unistd.h>

static struct options options;
static struct wgconf conf;
static char error[OPTIONS_ERROR_MAX], last_warning[OPTIONS_ERROR_MAX];
static unsigned warnings;

static void collect(void *arg, const char *message)
{
    ck_assert_ptr_eq(arg, &options);
    warnings++;
    snprintf(last_warning, sizeof(last_warning), "%s", message);
}

static void set_up(void)
{
    options = (struct options){.listen_port = -1};
    strcpy(options.wireguard_config, "/tmp/test_options.XXXXXX");
}

static void tear_down(void)
{
    unlink(options.wireguard_config);
}

static int load(const char *text, unsigned repeat, const char *end)
{
    const int fd = mkstemp(options.wireguard_config);
    ck_assert_int_ge(fd, 0);
    FILE *const file = fdopen(fd, "w");
    fputs(INTERFACE, file);
    for (unsigned i = 0; i < repeat; i++)
        fputs(text, file);
    fputs(end, file);
    ck_assert_int_eq(fclose(file), 0);
    return options_load_config(&options, &conf, collect, &options, error);
}

START_TEST(the_files_port_counts_without_a_flag)
{
    ck_assert_msg(load("ListenPort = 7\n", 1, PEER(PEER_A)) == NX_OK, "%s", error);
    ck_assert_uint_eq(conf.listen_port, 7);
    ck_assert_uint_eq(warnings, 0);
    wgconf_free(&conf);
}
END_TEST

START_TEST(the_flags_port_wins_even_when_zero)
{
    options.listen_port = _i;
    ck_assert_int_eq(load("ListenPort = 7\n", 1, PEER(PEER_A)), NX_OK);
    ck_assert_int_eq(conf.listen_port, _i);
    wgconf_free(&conf);
}
END_TEST

START_TEST(warnings_come_after_success_and_are_bounded)
{
    ck_assert_int_eq(load("MTU = 1400\n", 101, PEER(PEER_A)), NX_OK);
    ck_assert_uint_eq(warnings, 17);
    ck_assert_str_eq(last_warning, "84 more warnings about the WireGuard configuration");
    wgconf_free(&conf);
}
END_TEST

START_TEST(a_failure_is_a_single_message)
{
    ck_assert_int_eq(load("DNS = 1.1.1.1\nMTU = 1400\n", 3, "MTU = x\n"), NX_EINVAL);
    ck_assert_uint_eq(warnings, 0);
    ck_assert_ptr_ne(strstr(error, ":10: MTU: must be a number"), NULL);
    ck_assert_ptr_eq(conf.peers, NULL);
}
END_TEST

START_TEST(a_missing_file_is_named)
{
    strcpy(options.wireguard_config, "/nonexistent/wg0.conf");
    ck_assert_int_eq(options_load_config(&options, &conf, NULL, NULL, error), NX_ESYS);
    ck_assert_ptr_ne(strstr(error, "/nonexistent/wg0.conf: cannot read"), NULL);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, the_files_port_counts_without_a_flag);
    tcase_add_loop_test(tcase, the_flags_port_wins_even_when_zero, 0, 2);
    tcase_add_test(tcase, warnings_come_after_success_and_are_bounded);
    tcase_add_test(tcase, a_failure_is_a_single_message);
    tcase_add_test(tcase, a_missing_file_is_named);
}

int main(void)
{
    return unit_run("options_config", fill);
}
