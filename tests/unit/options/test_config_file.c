/* The configuration file: what counts before what, mistakes with their line, secrets by reference. */
#include "common/err.h"
#include "nexd/config_file.h"
#include "nexd/options.h"
#include "tests/unit/common/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/nexd-config-XXXXXX", path[64], secret_path[64];
static struct options options;
static char error[OPTIONS_ERROR_MAX];

static void file_write(const char *name, const char *text, mode_t mode)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(fchmod(fd, mode), 0);
    close(fd);
}

static void set_up(void)
{
    strcpy(folder, "/tmp/nexd-config-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/nexd.conf", folder);
    snprintf(secret_path, sizeof secret_path, "%s/secret", folder);
}

static void tear_down(void)
{
    unlink(path);
    unlink(secret_path);
    ck_assert_int_eq(rmdir(folder), 0);
}

/* `nexd --config PATH [extra …] proxy`, with one environment variable. */
static int parse(const char *text, const char *flag, const char *value, const char *variable)
{
    char *argv[] = {"nexd", "--config", path, "proxy", (char *)flag, (char *)value, NULL};
    char *envp[] = {(char *)variable, NULL};
    file_write(path, text, 0644);
    return options_parse(flag ? 6 : 4, argv, envp, &options, error);
}

START_TEST(every_line_is_a_flag)
{
    ck_assert_msg(parse("# nexd\n\n ; also a comment\n\twireguard-config =  /etc/wg 0.conf  \r\n"
                        "ingress=tcp:1:a:2\ningress = tcp:3:a:4, udp:5:a:6\negress = tcp:7:h:8\n"
                        "log-level = WARN\nunix-socket = /run/x#y\nlisten-port = 7",
                        NULL, NULL, NULL) == NX_OK,
                  "%s", error);
    ck_assert_str_eq(options.wireguard_config, "/etc/wg 0.conf");
    ck_assert_uint_eq(options.rule_count, 4);
    ck_assert_int_eq((int)options.rules[0].direction, (int)RULE_EGRESS);
    ck_assert_int_eq((int)options.log_level, (int)LOG_LEVEL_WARN);
    ck_assert_str_eq(options.unix_socket, "/run/x#y");
    ck_assert(options.unix_socket_given);
    ck_assert_int_eq(options.listen_port, 7);
    options_free(&options);
}
END_TEST

START_TEST(flags_count_before_variables_and_both_before_the_file)
{
    static const char text[] = "wireguard-config = w\nlisten-port = 1\ningress = tcp:1:a:2\n";
    ck_assert_int_eq(parse(text, NULL, NULL, NULL), NX_OK);
    ck_assert_int_eq(options.listen_port, 1);
    options_free(&options);
    ck_assert_int_eq(parse(text, NULL, NULL, "NEXD_LISTEN_PORT=2"), NX_OK);
    ck_assert_int_eq(options.listen_port, 2);
    options_free(&options);
    ck_assert_int_eq(parse(text, "--listen-port", "3", "NEXD_LISTEN_PORT=2"), NX_OK);
    ck_assert_int_eq(options.listen_port, 3);
    options_free(&options);
    ck_assert_int_eq(parse(text, "--ingress", "tcp:9:a:9", NULL), NX_OK); /* a list as a whole */
    ck_assert_uint_eq(options.rule_count, 1);
    ck_assert_uint_eq(options.rules[0].listen_port, 9);
    options_free(&options);
}
END_TEST

START_TEST(the_file_can_be_named_by_a_variable)
{
    char *argv[] = {"nexd", "check", NULL}, variable[96], *envp[] = {variable, NULL};
    snprintf(variable, sizeof variable, "NEXD_CONFIG=%s", path);
    file_write(path, "wireguard-config = w\n", 0600);
    ck_assert_int_eq(options_parse(2, argv, envp, &options, error), NX_OK);
    ck_assert_int_eq((int)options.command, (int)OPTIONS_CHECK);
    ck_assert_str_eq(options.wireguard_config, "w");
    options_free(&options);
}
END_TEST

static const struct {
    const char *text, *line, *says;
} mistakes[] = {
    {"listen-prot = 1\n",
     ":1: ", "unknown name \"listen-prot\", did you mean listen-port? example: listen-port = 51820"},
    {"\n\nxyzzyxyzzyxyzzy = 1\n", ":3: ", "unknown name \"xyzzyxyzzyxyzzy\""},
    {"--listen-port = 1\n", ":1: ", "unknown name"},
    {"listen-port = x\n",
     ":1: ", "listen-port \"x\": must be a number from 0 to 65535; example: listen-port = 51820"},
    {"listen-port\n", ":1: ", "listen-port needs a value; example: listen-port = 51820"},
    {"listen-port = 1\n#\nlisten-port = 2\n", ":3: ", "listen-port is given twice, first in line 1"},
    {"ingress = tcp:1:a:2\ningress = tcp:0:a:2\n", ":2: ", "ingress rule \"tcp:0:a:2\""},
    {"log-level = loud\n", ":1: ", "must be debug, info"},
    {"wireguard-config =\n", ":1: ", "must not be empty"},
    {"config = other\n", ":1: ", "config has no meaning in a configuration file"},
    {"[proxy]\n", ":1: ", "there are no sections"},
    {"= 1\n", ":1: ", "unknown name \"\""},
    {"listen-port = \x1b[2J\n", ":1: ", "\\x1b[2J"},
};

START_TEST(mistakes_name_file_and_line)
{
    char place[96];
    ck_assert_int_eq(parse(mistakes[_i].text, NULL, NULL, NULL), NX_EINVAL);
    snprintf(place, sizeof place, "%s%s", path, mistakes[_i].line);
    ck_assert_ptr_eq(strstr(error, place), error);
    ck_assert_msg(strstr(error, mistakes[_i].says) != NULL, "%s", error);
    ck_assert_ptr_null(strchr(error, '\n'));
}
END_TEST

START_TEST(files_that_cannot_be_read)
{
    char *argv[] = {"nexd", "--config", path, "proxy", NULL}, *envp[] = {NULL};
    ck_assert_int_eq(options_parse(4, argv, envp, &options, error), NX_EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "No such file"));
    argv[2] = folder;
    ck_assert_int_eq(options_parse(4, argv, envp, &options, error), NX_EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "is no regular file"));
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    argv[2] = path; /* must not wait for a writer */
    ck_assert_int_eq(options_parse(4, argv, envp, &options, error), NX_EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "is no regular file"));
    unlink(path);
    file_write(path, "", 0600);
    ck_assert_int_eq(truncate(path, CONFIG_FILE_BYTES_MAX + 1), 0);
    ck_assert_int_eq(options_parse(4, argv, envp, &options, error), NX_EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "is longer than"));
    ck_assert_int_eq(truncate(path, 10), 0);
    ck_assert_int_eq(options_parse(4, argv, envp, &options, error), NX_EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "NUL byte"));
}
END_TEST

/* -- Secrets: a table with a flag that takes one -- */

struct target {
    char secret[16];
};
static const struct flag secret_flags[] = {{.name = "reg-key",
                                            .is_secret = true,
                                            .read = flag_read_path,
                                            .offset = offsetof(struct target, secret),
                                            .max = sizeof((struct target *)0)->secret,
                                            .example = "RK:x"}};

static int secret_parse(struct target *target, const char *name)
{
    char text[128];
    struct flag_scan scan = {.flags = secret_flags, .count = 1, .result = target, .error = error};
    int length = snprintf(text, sizeof text, "%s = %s\n", name, secret_path);
    memset(target, 0, sizeof *target);
    return config_file_read(&scan, "c", text, (size_t)length);
}

START_TEST(a_secret_stands_in_a_file_of_its_own)
{
    struct target target;
    file_write(secret_path, "  RK:secret \nmore\n", 0600);
    ck_assert_msg(secret_parse(&target, "reg-key-file") == NX_OK, "%s", error);
    ck_assert_str_eq(target.secret, "RK:secret");
    ck_assert_int_eq(secret_parse(&target, "reg-key"), NX_EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "c:1: a secret does not stand here"));
    ck_assert_ptr_nonnull(strstr(error, "reg-key-file = PATH"));
    file_write(secret_path, "RK:secret", 0640);
    ck_assert_int_eq(secret_parse(&target, "reg-key-file"), NX_EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "make its mode 0600"));
    ck_assert_str_eq(target.secret, "");
    file_write(secret_path, "\nRK:secret", 0600);
    ck_assert_int_eq(secret_parse(&target, "reg-key-file"), NX_EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "holds no line of text"));
    file_write(secret_path, "RK:a-very-long-secret", 0600);
    ck_assert_int_eq(secret_parse(&target, "reg-key-file"), NX_EINVAL);
    ck_assert_ptr_null(strstr(error, "RK:"));
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, every_line_is_a_flag);
    tcase_add_test(tcase, flags_count_before_variables_and_both_before_the_file);
    tcase_add_test(tcase, the_file_can_be_named_by_a_variable);
    tcase_add_loop_test(tcase, mistakes_name_file_and_line, 0, sizeof mistakes / sizeof *mistakes);
    tcase_add_test(tcase, files_that_cannot_be_read);
    tcase_add_test(tcase, a_secret_stands_in_a_file_of_its_own);
}

int main(void)
{
    return unit_run("config_file", fill);
}
