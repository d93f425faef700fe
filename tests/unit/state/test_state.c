/* The state folder: what is stored is there again; a call that fails, or a process that ends, at any step
 * leaves the old content or the new, whole. A shim counts the calls and lets one of them fail, or lets none
 * through from there on, as if the process had been killed. It also keeps the books of a disk that forgets at
 * a loss of power whatever was not flushed: content of files, and names in folders. */
#include "common/err.h"
#include "nexd/state/state.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STEPS_MAX = 64, TEXT_BYTES = 4096 };

/* -- The shim -- */

static struct {
    int step;    /* calls so far */
    int fail_at; /* this one fails with `cause`; 0 = none */
    int cause;
    bool killed;      /* … and so do all after it, since the process is dead */
    size_t write_max; /* bytes that one write takes */
} shim;

static bool shim_fails(void)
{
    shim.step++;
    if (shim.fail_at == 0 || shim.step < shim.fail_at || (shim.step > shim.fail_at && !shim.killed))
        return false;
    errno = shim.cause;
    return true;
}

/* What a loss of power would take at this moment. */
static struct {
    bool content;             /* of the new file */
    ino_t folders[STEPS_MAX]; /* that have new names in them */
    size_t folder_count;
} unflushed;

static void name_is_new_in(const struct stat *at)
{
    ck_assert_uint_lt(unflushed.folder_count, STEPS_MAX);
    unflushed.folders[unflushed.folder_count++] = at->st_ino;
}

static void is_flushed(const struct stat *status)
{
    size_t kept = 0;
    if (S_ISREG(status->st_mode))
        unflushed.content = false;
    for (size_t i = 0; i < unflushed.folder_count; i++)
        if (unflushed.folders[i] != status->st_ino)
            unflushed.folders[kept++] = unflushed.folders[i];
    unflushed.folder_count = kept;
}

static int shim_mkdir(const char *path, mode_t mode)
{
    char above[512];
    struct stat status;
    if (shim_fails() || mkdir(path, mode))
        return -1;
    snprintf(above, sizeof above, "%s/..", path);
    ck_assert_int_eq(stat(above, &status), 0);
    name_is_new_in(&status);
    return 0;
}
static int shim_openat(int folder, const char *name, int flags, mode_t mode)
{
    return shim_fails() ? -1 : openat(folder, name, flags, mode);
}
static int shim_flock(int fd, int operation)
{
    return shim_fails() ? -1 : flock(fd, operation);
}
static ssize_t shim_write(int fd, const void *data, size_t length)
{
    if (shim_fails())
        return -1;
    unflushed.content = true;
    return write(fd, data, length < shim.write_max ? length : shim.write_max);
}
static int shim_fsync(int fd)
{
    struct stat status;
    if (shim_fails() || fsync(fd))
        return -1;
    ck_assert_int_eq(fstat(fd, &status), 0);
    is_flushed(&status);
    return 0;
}
static int shim_renameat(int a, const char *from, int b, const char *to)
{
    struct stat status;
    if (shim_fails() || renameat(a, from, b, to))
        return -1;
    ck_assert(!unflushed.content); /* or a name with nothing behind it would replace what there was */
    ck_assert_int_eq(fstat(b, &status), 0);
    name_is_new_in(&status);
    return 0;
}
static int shim_unlinkat(int folder, const char *name, int flags)
{
    return shim_fails() ? -1 : unlinkat(folder, name, flags);
}
static const struct state_sys shim_sys = {.mkdir = shim_mkdir,
                                          .openat = shim_openat,
                                          .flock = shim_flock,
                                          .write = shim_write,
                                          .fsync = shim_fsync,
                                          .renameat = shim_renameat,
                                          .unlinkat = shim_unlinkat};

static void shim_set(int fail_at, int cause, bool killed)
{
    shim.step = 0;
    shim.fail_at = fail_at;
    shim.cause = cause;
    shim.killed = killed;
    shim.write_max = 40;
    unflushed.content = false;
    unflushed.folder_count = 0;
}

/* -- The folder -- */

static char base[256], folder[320], path[400];
static char error[STATE_ERROR_MAX];

static void set_up(void)
{
    snprintf(base, sizeof base, "%s/nexd-state-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(base));
    snprintf(folder, sizeof folder, "%s/a/b", base);
    snprintf(path, sizeof path, "%s/state.json", folder);
    shim_set(0, 0, false);
}

static void folder_remove(void)
{
    static const char *const names[] = {"a/b/state.json", "a/b/state.json.new", "a/b", "a"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[512];
        snprintf(name, sizeof name, "%s/%s", base, names[i]);
        if (unlink(name))
            rmdir(name);
    }
}

static void tear_down(void)
{
    folder_remove();
    rmdir(base);
}

static void folder_make(void)
{
    char parent[400];
    snprintf(parent, sizeof parent, "%s/a", base);
    mkdir(parent, 0700);
    mkdir(folder, 0700);
}

static void file_put(const char *text)
{
    folder_make();
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static const char *file_get(void)
{
    static char text[TEXT_BYTES];
    FILE *file = fopen(path, "r");
    if (!file)
        return NULL;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static struct state *open_well(void)
{
    struct state *state;
    ck_assert_msg(state_open(folder, &shim_sys, &state, error) == NX_OK, "%s", error);
    return state;
}

static struct rule rule_of(const char *text)
{
    struct rule rule;
    char why[RULE_ERROR_MAX];
    ck_assert_int_eq(rule_parse(RULE_EGRESS, text, &rule, why), NX_OK);
    return rule;
}

/* The number of rules that a program started now would find. */
static size_t stored_rules(void)
{
    struct state *state = NULL;
    size_t count;
    shim_set(0, 0, false);
    ck_assert_msg(state_open(folder, &shim_sys, &state, error) == NX_OK, "%s", error);
    state_rules(state, &count);
    state_close(state);
    return count;
}

/* -- The tests -- */

START_TEST(nothing_is_made_before_there_is_something_to_keep)
{
    struct state *state = open_well();
    size_t count;
    state_rules(state, &count);
    ck_assert_uint_eq(count, 0);
    state_close(state);
    ck_assert_int_ne(access(folder, F_OK), 0);
}
END_TEST

START_TEST(what_is_stored_is_there_again)
{
    struct stat status;
    struct state *state = open_well();
    const struct rule rules[] = {rule_of("tcp:1:h:2"), rule_of("udp:3:[::1]:4")};
    ck_assert_msg(state_store_rules(state, rules, 2, error) == NX_OK, "%s", error);
    state_close(state);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0600);
    ck_assert_int_eq(stat(folder, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0700);
    size_t count;
    state = open_well();
    const struct rule *stored = state_rules(state, &count);
    ck_assert_uint_eq(count, 2);
    ck_assert(rule_equal(&stored[0], &rules[0]) && rule_equal(&stored[1], &rules[1]));
    state_close(state);
}
END_TEST

START_TEST(what_others_have_put_there_stays)
{
    file_put(
        "{\n  \"private-key\": \"k\",\n  \"proxy-rules-config\": {\n    \"egress\": null,\n    \"ingress\": "
        "null\n  },\n  \"port\": 41641\n}\n");
    struct state *state = open_well();
    const struct rule rule = rule_of("tcp:1:h:2");
    ck_assert_int_eq(state_store_rules(state, &rule, 1, error), NX_OK);
    ck_assert_int_eq(state_store_rules(state, NULL, 0, error), NX_OK);
    state_close(state);
    ck_assert_str_eq(file_get(),
                     "{\n  \"private-key\": \"k\",\n  \"proxy-rules-config\": {\n    \"egress\": null,\n    "
                     "\"ingress\": null\n  },\n  \"port\": 41641\n}\n");
}
END_TEST

START_TEST(a_second_instance_is_refused)
{
    folder_make();
    struct state *first = open_well(), *second;
    ck_assert_int_eq(state_open(folder, &shim_sys, &second, error), NX_EEXIST);
    ck_assert_ptr_null(second);
    ck_assert_ptr_nonnull(strstr(error, folder));
    state_close(first);
    state_close(open_well());
}
END_TEST

START_TEST(two_that_started_before_the_folder_was_there_do_not_share_it)
{
    struct state *first = open_well(), *second = open_well();
    const struct rule rule = rule_of("tcp:1:h:2");
    ck_assert_int_eq(state_store_rules(first, &rule, 1, error), NX_OK);
    ck_assert_int_eq(state_store_rules(second, NULL, 0, error), NX_EEXIST); /* locked */
    state_close(first);
    ck_assert_int_eq(state_store_rules(second, NULL, 0, error), NX_EEXIST); /* another's content */
    state_close(second);
    ck_assert_uint_eq(stored_rules(), 1);
}
END_TEST

START_TEST(a_file_that_cannot_be_understood_is_named)
{
    static const char *const texts[] = {"", "{", "{\"proxy-rules-config\":{\"egress\":[\"bogus\"]}}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct state *state;
        file_put(texts[i]);
        ck_assert_int_eq(state_open(folder, &shim_sys, &state, error), NX_EINVAL);
        ck_assert_msg(strstr(error, path), "%s", error);
    }
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    struct state *state;
    ck_assert_int_eq(state_open(folder, &shim_sys, &state, error), NX_EINVAL);
    ck_assert_msg(strstr(error, "not a regular file"), "%s", error);
}
END_TEST

/* Stores a second rule beside a first, with step `at` going wrong; false when there was no such step. */
static bool store_with_failure(int at, int cause, bool killed, bool with_folder)
{
    folder_remove();
    size_t before = 0;
    const struct rule rules[] = {rule_of("tcp:1:h:2"), rule_of("tcp:3:h:4")};
    shim_set(0, 0, false);
    struct state *state = open_well();
    if (with_folder) {
        ck_assert_int_eq(state_store_rules(state, rules, 1, error), NX_OK);
        before = 1;
    }
    shim_set(at, cause, killed);
    error[0] = '\0';
    int err = state_store_rules(state, rules, 2, error);
    bool hit = shim.step >= at;
    size_t lost = unflushed.folder_count;
    state_close(state);
    size_t now = stored_rules();
    if (err == NX_OK) {
        ck_assert_uint_eq(now, 2);
        if (cause != EACCES) /* a folder that may not be read */
            ck_assert_msg(lost == 0, "step %d: a loss of power takes %zu names", at, lost);
    } else {
        ck_assert_msg(strstr(error, folder), "step %d: %s", at, error);
        ck_assert_msg(strstr(error, strerror(cause)) || err == NX_EEXIST, "step %d: %s", at, error);
        /* Only a dead process may leave what it had not confirmed. */
        ck_assert_msg(now == before || (killed && now == 2), "step %d: %zu rules", at, now);
    }
    /* Whatever was left behind does not hinder the next one. */
    state = open_well();
    ck_assert_int_eq(state_store_rules(state, rules, 2, error), NX_OK);
    state_close(state);
    ck_assert_uint_eq(stored_rules(), 2);
    return hit;
}

START_TEST(a_call_that_fails_at_any_step_changes_nothing)
{
    static const int causes[] = {ENOSPC, EROFS, EIO, EACCES};
    for (int with_folder = 0; with_folder < 2; with_folder++) {
        int at = 1;
        while (at < STEPS_MAX && store_with_failure(at, causes[at % 4], false, with_folder))
            at++;
        ck_assert_int_gt(at, 8); /* there were steps to fail at, and all were tried */
        ck_assert_int_lt(at, STEPS_MAX);
    }
}
END_TEST

START_TEST(an_end_at_any_step_leaves_the_old_or_the_new)
{
    for (int with_folder = 0; with_folder < 2; with_folder++) {
        int at = 1;
        while (at < STEPS_MAX && store_with_failure(at, EIO, true, with_folder))
            at++;
        ck_assert_int_gt(at, 8);
        ck_assert_int_lt(at, STEPS_MAX);
    }
}
END_TEST

/* From nothing, folders included, and again where there is something. */
START_TEST(what_was_confirmed_survives_a_loss_of_power)
{
    const struct rule rules[] = {rule_of("tcp:1:h:2"), rule_of("tcp:3:h:4")};
    struct state *state = open_well();
    for (size_t count = 1; count <= 2; count++) {
        ck_assert_int_eq(state_store_rules(state, rules, count, error), NX_OK);
        ck_assert(!unflushed.content);
        ck_assert_uint_eq(unflushed.folder_count, 0);
    }
    state_close(state);
}
END_TEST

START_TEST(an_interrupted_write_goes_on)
{
    struct state *state = open_well();
    const struct rule rule = rule_of("tcp:1:h:2");
    ck_assert_int_eq(state_store_rules(state, &rule, 1, error), NX_OK);
    shim_set(4, EINTR, false); /* open to read; unlink, open, write */
    ck_assert_int_eq(state_store_rules(state, NULL, 0, error), NX_OK);
    state_close(state);
    ck_assert_uint_eq(stored_rules(), 0);
}
END_TEST

START_TEST(without_a_folder_there_is_no_state)
{
    struct state *state;
    ck_assert_int_eq(state_open("", &state_sys_default, &state, error), NX_ESYS);
    ck_assert_ptr_nonnull(strstr(error, "--state-dir"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state");
    TCase *tests = tcase_create("state");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, nothing_is_made_before_there_is_something_to_keep);
    tcase_add_test(tests, what_is_stored_is_there_again);
    tcase_add_test(tests, what_others_have_put_there_stays);
    tcase_add_test(tests, a_second_instance_is_refused);
    tcase_add_test(tests, two_that_started_before_the_folder_was_there_do_not_share_it);
    tcase_add_test(tests, a_file_that_cannot_be_understood_is_named);
    tcase_add_test(tests, a_call_that_fails_at_any_step_changes_nothing);
    tcase_add_test(tests, an_end_at_any_step_leaves_the_old_or_the_new);
    tcase_add_test(tests, what_was_confirmed_survives_a_loss_of_power);
    tcase_add_test(tests, an_interrupted_write_goes_on);
    tcase_add_test(tests, without_a_folder_there_is_no_state);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
