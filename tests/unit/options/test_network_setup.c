/* From options to what network mode runs with: files of secrets in all their shapes, what comes first, what
 * is kept where, and the key pair's first start. */
#include "common/err.h"
#include "nexd/network_setup.h"
#include "nexd/secret_file.h"

#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[200], path[256], fifo[256], state_folder_path[256];
static char error[OPTIONS_ERROR_MAX], warnings[1024];
static struct options options;
static struct network_setup setup;

static void note(void *arg, const char *message)
{
    (void)arg;
    size_t used = strlen(warnings);
    snprintf(warnings + used, sizeof warnings - used, "%s\n", message);
}

static void set_up(void)
{
    ck_assert_int_ge(sodium_init(), 0);
    snprintf(folder, sizeof folder, "%s/nexd-setup-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/secret", folder);
    snprintf(fifo, sizeof fifo, "%s/fifo", folder);
    snprintf(state_folder_path, sizeof state_folder_path, "%s/state", folder);
    warnings[0] = '\0';
}

static void tear_down(void)
{
    char state_json[300];
    options_free(&options);
    network_setup_wipe(&setup);
    snprintf(state_json, sizeof state_json, "%s/state.json", state_folder_path);
    unlink(state_json);
    rmdir(state_folder_path);
    unlink(path);
    unlink(fifo);
    ck_assert_int_eq(rmdir(folder), 0);
}

static void put(const char *text, size_t length, mode_t mode)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, length, file), length);
    fclose(file);
    ck_assert_int_eq(chmod(path, mode), 0);
}

/* Splits `line` at blanks; "@" stands for the file. */
static int make(const char *line)
{
    static char copy[1024];
    char *argv[32] = {"nexd"}, *save = NULL;
    int argc = 1;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        argv[argc++] = strcmp(word, "@") == 0 ? path : word;
    ck_assert_msg(options_parse(argc, argv, NULL, &options, error) == NX_OK, "%s", error);
    return network_setup_make(&options, false, &setup, note, NULL, error);
}

/* -- Files of secrets -- */

static const struct {
    const char *text;
    size_t length; /* 0: strlen */
    const char *secret;
} files[] = {
    {"RK:a", 0, "RK:a"},
    {"RK:a\n", 0, "RK:a"},
    {"  RK:a \r\nmore\n", 0, "RK:a"},
    {"pass word\n", 0, "pass word"},
    {"p\xc3\xa4ss\n", 0, "p\xc3\xa4ss"},
    {"0123456789", 0, "0123456789"},
    {"01234567890", 0, NULL}, /* longer than there is room for */
    {"", 0, NULL},
    {"\nRK:a\n", 0, NULL},
    {"   \n", 0, NULL},
    {"a\0b\n", 4, NULL},
    {"a\x1b[2J\n", 0, NULL},
};

START_TEST(secret_files)
{
    char secret[11];
    put(files[_i].text, files[_i].length ? files[_i].length : strlen(files[_i].text), 0600);
    int err = secret_file_read(path, secret, sizeof secret, note, NULL, error);
    ck_assert_int_eq(err, files[_i].secret ? NX_OK : NX_EINVAL);
    if (files[_i].secret)
        ck_assert_str_eq(secret, files[_i].secret);
    else
        ck_assert_ptr_nonnull(strstr(error, "/secret"));
    ck_assert_str_eq(warnings, "");
}
END_TEST

START_TEST(a_secret_that_everybody_may_read_is_told)
{
    char secret[16];
    put("RK:a", 4, 0644);
    ck_assert_int_eq(secret_file_read(path, secret, sizeof secret, note, NULL, error), NX_OK);
    ck_assert_ptr_nonnull(strstr(warnings, "every local user"));
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
    char secret[16];
    ck_assert_int_eq(secret_file_read(folder, secret, sizeof secret, note, NULL, error), NX_EINVAL);
    ck_assert_int_eq(secret_file_read("/dev/zero", secret, sizeof secret, note, NULL, error), NX_EINVAL);
    ck_assert_int_eq(secret_file_read("/nowhere/at/all", secret, sizeof secret, note, NULL, error),
                     NX_EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "No such file"));
}
END_TEST

static void *fifo_write(void *arg)
{
    FILE *file = fopen(arg, "w");
    if (file) {
        fputs("RK:from-a-pipe\n", file);
        fclose(file);
    }
    return NULL;
}

START_TEST(a_pipe_is_read)
{
    char secret[32];
    pthread_t writer;
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    /* As a shell's <(…) does: both ends are open before we come. */
    int both = open(fifo, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(both, 0);
    ck_assert_int_eq(pthread_create(&writer, NULL, fifo_write, fifo), 0);
    ck_assert_msg(secret_file_read(fifo, secret, sizeof secret, note, NULL, error) == NX_OK, "%s", error);
    ck_assert_str_eq(secret, "RK:from-a-pipe");
    pthread_join(writer, NULL);
    close(both);
}
END_TEST

/* -- The whole -- */

START_TEST(a_key_with_its_url_from_a_file)
{
    put("https://nexodus.example:8443#RK:a%2Bb\n", 38, 0600);
    ck_assert_msg(make("--reg-key-file @ --listen-port 7 --ca-file /ca proxy") == NX_OK, "%s", error);
    ck_assert_str_eq(setup.config.network.service_url, "https://nexodus.example:8443");
    ck_assert_str_eq(setup.service.key, "RK:a+b");
    ck_assert_uint_eq(setup.config.outlet_count, 1);
    ck_assert_str_eq(setup.config.outlets[0].host, "api.nexodus.example");
    ck_assert_uint_eq(setup.config.outlets[0].port, 8443);
    ck_assert_uint_eq(setup.config.stun_server_count, 5);
    ck_assert_uint_eq(setup.config.listen_port, 7);
    ck_assert_str_eq(setup.config.ca_file, "/ca");
    ck_assert_str_ne(setup.config.network.hostname, "");
    ck_assert_str_eq(setup.config.network.os, "linux");
}
END_TEST

START_TEST(a_key_in_a_file_excludes_what_a_key_excludes)
{
    put("https://nexodus.example#RK:a", 28, 0600);
    ck_assert_int_eq(make("--reg-key-file @ --service-url https://other.example proxy"), NX_EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "mutually exclusive"));
    put("RK:a b", 6, 0600);
    ck_assert_int_eq(make("--reg-key-file @ proxy"), NX_EINVAL);
    ck_assert_ptr_null(strstr(error, "RK:a b"));
}
END_TEST

START_TEST(a_key_comes_before_a_password)
{
    put("secret", 6, 0600);
    ck_assert_int_eq(make("--reg-key RK:a --username u --password-file @ proxy"), NX_OK);
    ck_assert_str_eq(setup.username, "");
    ck_assert_str_eq(setup.password, "");
    ck_assert_int_eq(make("--username u --password-file @ --service-url https://a.example proxy"), NX_OK);
    ck_assert_str_eq(setup.username, "u");
    ck_assert_str_eq(setup.password, "secret");
}
END_TEST

START_TEST(credentials_go_to_the_vault)
{
    struct wgconf conf = {.mtu = 1420};
    struct vault *vault = NULL;
    struct ipc_credential credential;
    randombytes_buf(conf.private_key, sizeof conf.private_key);
    ck_assert_int_eq(vault_take(&conf, &vault), NX_OK);
    ck_assert_int_eq(make("--username u --password p --service-url https://a.example proxy"), NX_OK);
    ck_assert_ptr_nonnull(strstr(warnings, "--password-file"));
    network_setup_keep(&setup, vault);
    ck_assert_str_eq(setup.password, "");
    ck_assert(!vault_credential(vault, IPC_CREDENTIAL_REG_KEY, &credential));
    ck_assert(!vault_credential(vault, IPC_CREDENTIAL_PROXY, &credential));
    ck_assert(vault_credential(vault, IPC_CREDENTIAL_PASSWORD, &credential));
    ck_assert_uint_eq(credential.value.length, 1);
    ck_assert_int_eq(credential.value.data[0], 'p');
    vault_free(vault);
}
END_TEST

START_TEST(the_first_start_makes_a_key_pair_that_stays)
{
    struct state *state = NULL;
    struct wgconf first = {0}, second = {0};
    ck_assert_int_eq(state_open(state_folder_path, &state_sys_default, &state, error), NX_OK);
    ck_assert_msg(network_setup_key(state, &first, error) == NX_OK, "%s", error);
    ck_assert(!sodium_is_zero(first.private_key, KEY_BYTES));
    ck_assert_uint_eq(first.private_key[0] & 7, 0); /* as WireGuard's tools make them */
    ck_assert_uint_eq(first.private_key[31] & 0xc0, 0x40);
    state_close(state);
    ck_assert_int_eq(state_open(state_folder_path, &state_sys_default, &state, error), NX_OK);
    ck_assert_int_eq(network_setup_key(state, &second, error), NX_OK);
    ck_assert_mem_eq(first.private_key, second.private_key, KEY_BYTES);
    state_close(state);
}
END_TEST

START_TEST(a_key_pair_that_cannot_be_stored_is_not_used)
{
    struct state *state = NULL;
    struct wgconf conf = {0};
    put("in the way", 10, 0600);
    char below[300];
    snprintf(below, sizeof below, "%s/below", path);
    int err = state_open(below, &state_sys_default, &state, error);
    if (!err)
        err = network_setup_key(state, &conf, error);
    ck_assert_int_ne(err, NX_OK);
    ck_assert_ptr_nonnull(strstr(error, "/secret/below"));
    ck_assert(sodium_is_zero(conf.private_key, KEY_BYTES));
    state_close(state);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("network setup");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, secret_files, 0, sizeof files / sizeof *files);
    tcase_add_test(tests, a_secret_that_everybody_may_read_is_told);
    tcase_add_test(tests, what_is_no_file_is_refused);
    tcase_add_test(tests, a_pipe_is_read);
    tcase_add_test(tests, a_key_with_its_url_from_a_file);
    tcase_add_test(tests, a_key_in_a_file_excludes_what_a_key_excludes);
    tcase_add_test(tests, a_key_comes_before_a_password);
    tcase_add_test(tests, credentials_go_to_the_vault);
    tcase_add_test(tests, the_first_start_makes_a_key_pair_that_stays);
    tcase_add_test(tests, a_key_pair_that_cannot_be_stored_is_not_used);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
