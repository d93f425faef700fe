/* Configurations read from files: what cannot be read, what is too large, pipes, and rights that are too
 * wide. */
#include "common/err.h"
#include "common/wgconf.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/common/wgconf_samples.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], path[96], error[WGCONF_ERROR_MAX], warning[WGCONF_ERROR_MAX];
static unsigned warning_count;
static struct wgconf conf;

static void collect(void *arg, const char *message)
{
    (void)arg;
    warning_count++;
    strncpy(warning, message, sizeof(warning) - 1);
}

static void set_up(void)
{
    strcpy(folder, "/tmp/test_wgconf.XXXXXX");
    ck_assert_ptr_ne(mkdtemp(folder), NULL);
    snprintf(path, sizeof(path), "%s/wg0.conf", folder);
}

static void tear_down(void)
{
    unlink(path);
    rmdir(folder);
}

static void write_file(const char *text, size_t repeat, mode_t mode)
{
    FILE *const file = fopen(path, "w");
    ck_assert_ptr_ne(file, NULL);
    for (size_t i = 0; i < repeat; i++)
        fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(path, mode), 0);
}

static int load(const char *name)
{
    warning_count = 0;
    error[0] = '\0';
    return wgconf_load(name, &conf, collect, NULL, error);
}

START_TEST(a_private_file_loads_in_silence)
{
    write_file(INTERFACE PEER(PEER_A), 1, 0640);
    ck_assert_msg(load(path) == NX_OK, "%s", error);
    ck_assert_uint_eq(warning_count, 0);
    ck_assert_uint_eq(conf.peer_count, 1);
    wgconf_free(&conf);
}
END_TEST

START_TEST(a_file_that_everyone_reads_loads_with_a_warning)
{
    write_file(INTERFACE PEER(PEER_A), 1, 0644);
    ck_assert_int_eq(load(path), NX_OK);
    ck_assert_uint_eq(warning_count, 1);
    ck_assert_ptr_ne(strstr(warning, "every user"), NULL);
    ck_assert_ptr_ne(strstr(warning, path), NULL);
    wgconf_free(&conf);
}
END_TEST

START_TEST(what_cannot_be_read_is_named)
{
    ck_assert_int_eq(load(path), NX_ESYS);
    ck_assert_ptr_ne(strstr(error, path), NULL);
    ck_assert_ptr_ne(strstr(error, "No such file"), NULL);
    ck_assert_int_eq(load(folder), NX_ESYS);
    ck_assert_ptr_ne(strstr(error, "directory"), NULL);
    ck_assert_int_eq(load(""), NX_ESYS);
    ck_assert_uint_eq(conf.peer_count, 0);
}
END_TEST

START_TEST(an_endless_file_is_refused)
{
    ck_assert_int_eq(load("/dev/zero"), NX_ERANGE);
    ck_assert_ptr_ne(strstr(error, "larger than"), NULL);
    write_file(INTERFACE "# a long comment ------------------------------------------\n", 50000, 0600);
    ck_assert_int_eq(load(path), NX_ERANGE);
}
END_TEST

START_TEST(an_error_names_the_line_of_the_file)
{
    write_file(INTERFACE "Listenport = x\n", 1, 0600);
    ck_assert_int_eq(load(path), NX_EINVAL);
    char expected[128];
    snprintf(expected, sizeof(expected), "%s:4: ListenPort", path);
    ck_assert_msg(strncmp(error, expected, strlen(expected)) == 0, "%s", error);
}
END_TEST

START_TEST(a_pipe_serves_as_well)
{
    int fds[2];
    char name[32];
    ck_assert_int_eq(pipe(fds), 0);
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fds[0]);
    ck_assert_int_eq((int)write(fds[1], INTERFACE, sizeof(INTERFACE) - 1), (int)sizeof(INTERFACE) - 1);
    close(fds[1]);
    ck_assert_msg(load(name) == NX_OK, "%s", error);
    ck_assert_uint_eq(conf.address_count, 1);
    wgconf_free(&conf);
    close(fds[0]);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_private_file_loads_in_silence);
    tcase_add_test(tcase, a_file_that_everyone_reads_loads_with_a_warning);
    tcase_add_test(tcase, what_cannot_be_read_is_named);
    tcase_add_test(tcase, an_endless_file_is_refused);
    tcase_add_test(tcase, an_error_names_the_line_of_the_file);
    tcase_add_test(tcase, a_pipe_serves_as_well);
}

int main(void)
{
    return unit_run("wgconf_file", fill);
}
