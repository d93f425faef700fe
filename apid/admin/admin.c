/* From the command line to the exit status. What went wrong is kept as one line in struct admin and printed
 * here, at one place. */
#include "apid/admin/admin.h"

#include "apid/admin/commands.h"
#include "common/err.h"
#include "common/log.h"
#include "common/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_MISTAKE = 2 };

int admin_fail(struct admin *admin, int err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(admin->error, sizeof admin->error, format, args);
    va_end(args);
    return err;
}

int admin_fail_store(struct admin *admin, int err, const char *what, const struct store_error *error)
{
    static const struct store_error nothing;
    const struct store_error *told = error ? error : &nothing;
    const char *why = told->reason[0] ? told->reason : told->error;
    switch (err) {
    case NX_EINVAL:
        return admin_fail(admin, err, "%s: %s%s%s", what, told->field, told->field[0] ? ": " : "", why);
    case NX_EPERM:
        return admin_fail(admin, err, "%s: %s", what, why);
    case NX_EEXIST:
        if (told->reason[0])
            return admin_fail(admin, err, "%s: %s", what, why);
        return admin_fail(admin, err, "%s: there is one already%s%s", what,
                          told->id[0] ? ", with the id " : "", told->id);
    case NX_ENOENT:
        return admin_fail(admin, err, "%s: there is none; apid --data %s %s list shows those that are", what,
                          admin_value(admin, ADMIN_DATA), admin->arguments.group);
    case NX_ERANGE:
        return admin_fail(admin, err, "%s: %s", what, why[0] ? why : "no address is left");
    case NX_EAGAIN:
        return admin_fail(admin, err, "%s: the database is held by another process; try again", what);
    default:
        return admin_fail(admin, err, "%s: %s", what, nx_strerror(err));
    }
}

const char *admin_value(const struct admin *admin, enum admin_flag flag)
{
    const char *value = admin->arguments.values[flag];
    return value ? value : "";
}

/* A mistyped folder must not become a new, empty one. */
static int database_check(struct admin *admin)
{
    const char *folder = admin_value(admin, ADMIN_DATA);
    char path[4096 + 16];
    if (admin->arguments.command->makes_database)
        return NX_OK;
    if ((size_t)snprintf(path, sizeof path, "%s/apid.db", folder) >= sizeof path)
        return admin_fail(admin, NX_EINVAL, "--data: the path is too long");
    if (access(path, F_OK) == 0)
        return NX_OK;
    if (errno == ENOENT || errno == ENOTDIR)
        return admin_fail(admin, NX_EINVAL,
                          "--data %s: no control plane has its data there; start apid with it, or add a user",
                          folder);
    return admin_fail(admin, NX_ESYS, "--data %s: %s", folder, strerror(errno));
}

static int command_run(struct admin *admin)
{
    char error[STORE_TEXT_MAX];
    int err = database_check(admin);
    if (err)
        return err;
    err = store_open(admin_value(admin, ADMIN_DATA), &admin->store, error);
    if (err) /* the command line is well formed: this is the folder's state */
        return admin_fail(admin, NX_ESYS, "%s", error);
    err = admin->arguments.command->run(admin);
    store_close(admin->store);
    return err;
}

/* One line, whatever is in it: paths and ids in messages are as they were written. */
static void line_print(const char *text)
{
    fputs("apid: ", stderr);
    for (size_t left = strlen(text); left > 0;) {
        const size_t one = text_printable(text, left), taken = one ? one : 1;
        fwrite(one ? text : "?", 1, taken, stderr);
        text += taken;
        left -= taken;
    }
    fputc('\n', stderr);
}

static int told(const struct admin *admin, int err)
{
    if (err == NX_OK)
        return EXIT_SUCCESS;
    line_print(admin->error[0] ? admin->error : nx_strerror(err));
    return err == NX_EINVAL ? EXIT_MISTAKE : EXIT_FAILURE;
}

int apid_admin_main(int argc, char **argv)
{
    static struct admin admin;
    admin = (struct admin){0};
    log_init("apid", LOG_LEVEL_WARN);
    int err = admin_parse(argc, argv, &admin.arguments, admin.error);
    if (err)
        return told(&admin, err);
    if (admin.arguments.help) {
        admin_help(stdout, &admin.arguments);
        return EXIT_SUCCESS;
    }
    return told(&admin, command_run(&admin));
}
