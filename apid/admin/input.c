/* Files and times. */
#include "apid/admin/input.h"

#include "apid/rest/field.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXPIRY_MAX_S = 10 * 366 * 24 * 3600 };

static int fail(const char *path, const char *why, char *error)
{
    char quoted[256];
    snprintf(error, INPUT_ERROR_MAX, "%s: %s", text_quote(path, quoted, sizeof quoted), why);
    return NX_EINVAL;
}

static int file_open(const char *path, int *fd, char *error)
{
    struct stat status;
    if (strcmp(path, "-") == 0) {
        *fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
        return *fd < 0 ? fail(path, strerror(errno), error) : NX_OK;
    }
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (*fd < 0 || fstat(*fd, &status))
        return fail(path, strerror(errno), error);
    return S_ISDIR(status.st_mode) ? fail(path, "a folder; a file is needed", error) : NX_OK;
}

int input_file(const char *path, char **out, size_t *length, char error[INPUT_ERROR_MAX])
{
    FD_AUTO int fd = -1;
    char *text = NULL;
    ssize_t got = 0;
    *out = NULL;
    *length = 0;
    int err = file_open(path, &fd, error);
    if (err)
        return err;
    text = malloc(INPUT_FILE_MAX + 1);
    if (!text)
        return fail(path, "out of memory", error);
    while (*length <= INPUT_FILE_MAX && ((got = read(fd, text + *length, INPUT_FILE_MAX + 1 - *length)) > 0 ||
                                         (got < 0 && errno == EINTR)))
        *length += got > 0 ? (size_t)got : 0;
    if (got < 0)
        err = fail(path, strerror(errno), error);
    else if (*length > INPUT_FILE_MAX)
        err = fail(path, "more than a megabyte", error);
    if (err) {
        sodium_memzero(text, *length);
        free(text);
        return err;
    }
    text[*length] = '\0';
    *out = text;
    return NX_OK;
}

static void exposure_warn(const char *path)
{
    struct stat status;
    char quoted[256];
    if (strcmp(path, "-") != 0 && stat(path, &status) == 0 && S_ISREG(status.st_mode) &&
        status.st_mode & S_IROTH)
        fprintf(stderr,
                "apid: warning: %s: every local user can read this secret; mode 0600 keeps it to its owner\n",
                text_quote(path, quoted, sizeof quoted));
}

int input_secret(const char *path, char *out, size_t size, char error[INPUT_ERROR_MAX])
{
    char *text;
    size_t length;
    int err = input_file(path, &text, &length, error);
    if (err)
        return err;
    const char *const end = memchr(text, '\n', length);
    const struct text_span line = text_trim(text, end ? (size_t)(end - text) : length);
    if (line.length == 0)
        err = fail(path, "its first line is empty; the password has to be there", error);
    else if (line.length >= size)
        err = fail(path, "its first line is too long for a password", error);
    else if (memchr(line.start, '\0', line.length))
        err = fail(path, "its first line is no text", error);
    else {
        memcpy(out, line.start, line.length);
        out[line.length] = '\0';
        exposure_warn(path);
    }
    sodium_memzero(text, length);
    free(text);
    return err;
}

/* Digits and a unit, as often as there are some. */
static bool duration_parse(const char *text, uint64_t *out)
{
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    *out = 0;
    if (!*text)
        return false;
    while (*text) {
        const size_t digits = strspn(text, "0123456789");
        uint64_t number, seconds = 0;
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
            if (text[digits] == units[i].unit)
                seconds = units[i].seconds;
        if (!seconds || text_to_u64(text, digits, 0, EXPIRY_MAX_S, &number))
            return false;
        *out += number * seconds;
        if (*out > EXPIRY_MAX_S)
            return false;
        text += digits + 1;
    }
    return *out > 0;
}

int input_expiry(const char *text, uint64_t now_s, uint64_t *out, char error[INPUT_ERROR_MAX])
{
    char quoted[TEXT_QUOTE_MAX];
    uint64_t seconds, time;
    if (duration_parse(text, &seconds)) {
        *out = now_s + seconds;
        return NX_OK;
    }
    text_quote(text, quoted, sizeof quoted);
    if (!field_time_parse(text, &time)) {
        snprintf(error, INPUT_ERROR_MAX,
                 "--expires %s: a duration up to ten years is needed, as in 30m, 24h or 7d, or a time as in "
                 "2030-01-31T12:00:00Z",
                 quoted);
        return NX_EINVAL;
    }
    if (time <= now_s || time - now_s > EXPIRY_MAX_S) {
        snprintf(error, INPUT_ERROR_MAX, "--expires %s: %s", quoted,
                 time <= now_s ? "that time is over; a later one is needed"
                               : "more than ten years away; leave it out for a key that does not expire");
        return NX_EINVAL;
    }
    *out = time;
    return NX_OK;
}
