/* Which files are taken for a policy: by owner, rights and kind of the file and of every folder above it. */
#include "common/err.h"
#include "nexd/policy_file.h"
#include "tests/unit/common/unit.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[PATH_MAX], file[PATH_MAX + 16], error[POLICY_ERROR_MAX];
static unsigned warnings;

static void write_file(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    fputs(text, out);
    ck_assert_int_eq(fclose(out), 0);
    ck_assert_int_eq(chmod(path, 0644), 0);
}

static void set_up(void)
{
    snprintf(folder, sizeof folder, "/tmp/nexd-policy-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chmod(folder, 0755), 0);
    snprintf(file, sizeof file, "%s/policy", folder);
    write_file(file, "limit flows 5\n");
    warnings = 0;
}

static void tear_down(void)
{
    char other[PATH_MAX + 16];
    chmod(folder, 0700);
    snprintf(other, sizeof other, "%s/other", folder);
    unlink(other);
    rmdir(other);
    unlink(file);
    rmdir(file);
    rmdir(folder);
}

static void on_warning(void *arg, const char *message)
{
    (void)arg;
    ck_assert_ptr_nonnull(strstr(message, "policy"));
    warnings++;
}

static int load_as(const char *path, uid_t user)
{
    struct policy *policy = NULL;
    error[0] = '\0';
    int err = policy_file_load(path, user, on_warning, NULL, &policy, error);
    ck_assert((err == NX_OK) == (policy != NULL));
    if (policy)
        ck_assert_uint_eq(policy_limits(policy).flows.value, 5);
    policy_free(policy);
    return err;
}

static void refused(const char *path, uid_t user, const char *says)
{
    ck_assert_msg(load_as(path, user) == NX_EINVAL, "it was taken");
    ck_assert_msg(strstr(error, says) != NULL, "%s", error);
    ck_assert_msg(strstr(error, "policy") != NULL, "%s", error);
}

START_TEST(a_file_of_ones_own_is_taken_with_a_warning_unless_one_is_root)
{
    ck_assert_msg(load_as(file, geteuid()) == NX_OK, "%s", error);
    ck_assert_uint_eq(warnings, geteuid() != 0);
}
END_TEST

START_TEST(a_relative_path_is_the_same_file)
{
    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_msg(load_as("policy", geteuid()) == NX_OK, "%s", error);
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

START_TEST(others_rights_to_write_are_refused)
{
    static const mode_t wrong[] = {0664, 0646, 0666, 0622};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_int_eq(chmod(file, wrong[i]), 0);
        refused(file, geteuid(), "others may write policy");
    }
    ck_assert_int_eq(chmod(file, 0400), 0);
    ck_assert_int_eq(load_as(file, geteuid()), NX_OK);
    static const mode_t wrong_folder[] = {0775, 0757, 0777};
    for (size_t i = 0; i < sizeof wrong_folder / sizeof *wrong_folder; i++) {
        ck_assert_int_eq(chmod(folder, wrong_folder[i]), 0);
        refused(file, geteuid(), "others may write nexd-policy-");
    }
    ck_assert_int_eq(chmod(folder, 01777), 0); /* who may add files there cannot replace ours */
    ck_assert_int_eq(load_as(file, geteuid()), NX_OK);
}
END_TEST

START_TEST(another_users_file_or_folder_is_refused)
{
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(file, 4242, 4242), 0);
        refused(file, 0, "belongs to user 4242");
        refused(file, 1000, "belongs to user 4242");
        ck_assert_int_eq(load_as(file, 4242), NX_OK);
        ck_assert_uint_eq(warnings, 1);
        ck_assert_int_eq(chown(file, 0, 0), 0);
        ck_assert_int_eq(chown(folder, 4242, 4242), 0);
        refused(file, 0, "belongs to user 4242");
        ck_assert_int_eq(load_as(file, 4242), NX_OK);
        ck_assert_uint_eq(warnings, 2);
        ck_assert_int_eq(chown(folder, 0, 0), 0);
    } else {
        refused(file, geteuid() + 1, "belongs to user");
    }
}
END_TEST

START_TEST(what_is_no_regular_file_is_refused)
{
    char other[PATH_MAX + 16];
    snprintf(other, sizeof other, "%s/other", folder);
    ck_assert_int_eq(symlink("policy", other), 0);
    refused(other, geteuid(), "other is a symbolic link");
    unlink(other);
    ck_assert_int_eq(mkfifo(other, 0600), 0);
    refused(other, geteuid(), "no regular file"); /* and it does not wait for a writer */
    unlink(other);
    ck_assert_int_eq(mkdir(other, 0700), 0);
    refused(other, geteuid(), "no regular file");
    strcat(other, "/");
    refused(other, geteuid(), "a folder is no policy");
    refused("/dev/null", geteuid(), "no regular file");
    refused("/", geteuid(), "a folder is no policy");
    refused("", geteuid(), "policy");
}
END_TEST

START_TEST(a_folder_that_is_a_link_is_refused)
{
    char link[PATH_MAX + 32], path[PATH_MAX + 64];
    snprintf(link, sizeof link, "%s-link", folder);
    snprintf(path, sizeof path, "%s/policy", link);
    ck_assert_int_eq(symlink(folder, link), 0);
    refused(path, geteuid(), "is a symbolic link");
    unlink(link);
}
END_TEST

START_TEST(what_is_missing_or_too_long_or_wrong_is_named)
{
    char other[PATH_MAX + 16];
    snprintf(other, sizeof other, "%s/other", folder);
    refused(other, geteuid(), "cannot open other: No such file");
    snprintf(other, sizeof other, "%s/none/policy", folder);
    refused(other, geteuid(), "cannot open none: No such file");
    ck_assert_int_eq(truncate(file, POLICY_FILE_BYTES_MAX + 1), 0);
    refused(file, geteuid(), "longer than");
    write_file(file, "limit flows 5\nlimit nothing 5\n");
    refused(file, geteuid(), "policy:2: limits are");
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_file_of_ones_own_is_taken_with_a_warning_unless_one_is_root);
    tcase_add_test(tcase, a_relative_path_is_the_same_file);
    tcase_add_test(tcase, others_rights_to_write_are_refused);
    tcase_add_test(tcase, another_users_file_or_folder_is_refused);
    tcase_add_test(tcase, what_is_no_regular_file_is_refused);
    tcase_add_test(tcase, a_folder_that_is_a_link_is_refused);
    tcase_add_test(tcase, what_is_missing_or_too_long_or_wrong_is_named);
}

int main(void)
{
    return unit_run("policy_file", fill);
}
