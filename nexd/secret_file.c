/* O_NONBLOCK only for opening: a FIFO that nobody writes must not stop us for ever, one with a writer is read
 * to its end or for a second. */
#include "nexd/secret_file.h"

#include "common/err.h"
#include "common/fd.h"
#include "common/text.h"
#include "nexd/options.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WRITER_WAIT_MS = 1000 };

static int fail(const char *path, const char *why, char *error)
{
    char quoted[256];
    snprintf(error, OPTIONS_ERROR_MAX, "cannot take a secret from %s: %s",
             text_quote(path, quoted, sizeof quoted), why);
    return NX_EINVAL;
}

/* Up to a line's end, `size` bytes or the file's end. Returns how many bytes, or -1: errno. */
static ssize_t line_read(int fd, char *out, size_t size)
{
    size_t used = 0;
    while (used < size && !memchr(out, '\n', used)) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (poll(&ready, 1, WRITER_WAIT_MS) == 0) {
            errno = ETIMEDOUT;
            return -1;
        }
        ssize_t got = read(fd, out + used, size - used);
        if (got < 0 && errno != EINTR && errno != EAGAIN)
            return -1;
        if (got == 0)
            break;
        used += got > 0 ? (size_t)got : 0;
    }
    return (ssize_t)used;
}

static int line_take(const char *path, char *text, size_t length, char *out, size_t size, char *error)
{
    const char *const end = memchr(text, '\n', length);
    const struct text_span line = text_trim(text, end ? (size_t)(end - text) : length);
    if (line.length == 0)
        return fail(path, "its first line is empty", error);
    if (line.length >= size)
        return fail(path, "its first line is too long", error);
    for (size_t i = 0; i < line.length; i++)
        if ((unsigned char)line.start[i] < ' ' || line.start[i] == 0x7f)
            return fail(path, "its first line is no text", error);
    memcpy(out, line.start, line.length);
    out[line.length] = '\0';
    return NX_OK;
}

static void exposure_warn(const char *path, wgconf_warn_fn warn, void *arg)
{
    char quoted[TEXT_QUOTE_MAX], message[TEXT_QUOTE_MAX + 96];
    snprintf(message, sizeof message,
             "%s: every local user can read this secret; mode 0600 keeps it to its owner",
             text_quote(path, quoted, sizeof quoted));
    warn(arg, message);
}

int secret_file_read(const char *path, char *out, size_t size, wgconf_warn_fn warn, void *arg, char *error)
{
    char text[OPTIONS_REG_KEY_MAX + 2];
    struct stat status;
    FD_AUTO int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &status))
        return fail(path, strerror(errno), error);
    if (!S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode))
        return fail(path, "neither a file nor a pipe", error);
    if (S_ISREG(status.st_mode) && status.st_mode & S_IROTH)
        exposure_warn(path, warn, arg);
    ssize_t length = line_read(fd, text, sizeof text);
    int err = length < 0 ? fail(path, strerror(errno), error)
                         : line_take(path, text, (size_t)length, out, size, error);
    sodium_memzero(text, sizeof text);
    return err;
}
