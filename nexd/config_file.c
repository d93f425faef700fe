/* Each line goes the way of a flag: the table's reader checks and stores the value. */
#include "nexd/config_file.h"

#include "common/err.h"
#include "common/fd.h"
#include "common/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_MAX_BYTES = 64 };

struct reader {
    struct flag_scan *scan;
    const char *path;
    unsigned line;
    unsigned first[FLAGS_MAX]; /* line that a flag was first given in; 0 = none */
};

static int __attribute__((format(printf, 2, 3))) fail(const struct reader *reader, const char *format, ...)
{
    char text[FLAG_ERROR_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (reader->line != 0)
        snprintf(reader->scan->error, FLAG_ERROR_MAX, "%.200s:%u: %.290s", reader->path, reader->line, text);
    else
        snprintf(reader->scan->error, FLAG_ERROR_MAX, "%.200s: %.290s", reader->path, text);
    /* A path can hold anything, and this goes to a terminal. */
    for (char *c = reader->scan->error; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    return NX_EINVAL;
}

/* Puts the place in front of what a flag's reader has written. */
static int place_add(const struct reader *reader, int err)
{
    char text[FLAG_ERROR_MAX];
    snprintf(text, sizeof(text), "%s", reader->scan->error);
    fail(reader, "%s", text);
    return err;
}

static int fail_unknown(const struct reader *reader, const char *name)
{
    const struct flag *nearest = NULL;
    size_t best = SIZE_MAX;
    char quoted[TEXT_QUOTE_MAX];
    text_quote(name, quoted, sizeof(quoted));
    for (size_t i = 0; i < reader->scan->count; i++) {
        const size_t errors = text_typing_errors(name, reader->scan->flags[i].name);
        if (errors < best) {
            best = errors;
            nearest = &reader->scan->flags[i];
        }
    }
    if (nearest == NULL)
        return fail(reader, "unknown name %s; names are those of the flags: nexd help proxy", quoted);
    return fail(reader, "unknown name %s, did you mean %s? example: %s = %s", quoted, nearest->name,
                nearest->name, nearest->example);
}

/* -- Files -- */

/* A regular file's bytes into memory that the caller frees; `max` bytes at most. With `is_secret` nobody but
 * its owner, and nobody else's group, may read it. */
static int file_read(const struct reader *reader, const char *path, size_t max, bool is_secret, char **out,
                     size_t *length)
{
    struct stat status;
    FD_AUTO int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status))
        return fail(reader, "cannot read %.128s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return fail(reader, "%.128s is no regular file", path);
    if (is_secret && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return fail(reader, "%.128s holds a secret and others may read it; make its mode 0600", path);
    if ((size_t)status.st_size > max)
        return fail(reader, "%.128s is longer than %zu bytes", path, max);
    char *const text = malloc(max + 1);
    size_t got = 0;
    if (text == NULL) {
        fail(reader, "out of memory");
        return NX_ENOMEM;
    }
    for (ssize_t n = 1; n > 0 && got <= max;) {
        n = read(fd, text + got, max + 1 - got);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n > 0)
            got += (size_t)n;
        else if (n < 0) {
            fail(reader, "cannot read %.128s: %s", path, strerror(errno));
            sodium_memzero(text, got);
            free(text);
            return NX_EINVAL;
        }
    }
    *out = text;
    *length = got;
    return NX_OK;
}

/* -- Lines -- */

/* The secret is the first line of the file that is named. */
static int secret_read(const struct reader *reader, size_t id, const char *path)
{
    char *text;
    size_t length;
    int err = file_read(reader, path, CONFIG_SECRET_BYTES_MAX, true, &text, &length);
    if (err != NX_OK)
        return err;
    const char *const line_end = memchr(text, '\n', length);
    const struct text_span secret = text_trim(text, line_end == NULL ? length : (size_t)(line_end - text));
    if (secret.length == 0 || memchr(secret.start, '\0', secret.length) != NULL) {
        err = fail(reader, "%.128s holds no line of text", path);
    } else {
        text[(size_t)(secret.start - text) + secret.length] = '\0';
        err = flag_scan_file(reader->scan, id, secret.start);
        /* The reader's message would quote the secret. */
        if (err != NX_OK)
            fail(reader, "what %.128s holds is not valid for --%s", path, reader->scan->flags[id].name);
    }
    sodium_memzero(text, CONFIG_SECRET_BYTES_MAX + 1);
    free(text);
    return err;
}

/* The flag of that name; else the one whose secret stands in a file that the name is for (*in_file). Returns
 * scan->count if there is none. */
static size_t flag_find(const struct flag_scan *scan, const char *name, bool *in_file)
{
    *in_file = false;
    for (size_t id = 0; id < scan->count; id++)
        if (strcmp(name, scan->flags[id].name) == 0)
            return id;
    *in_file = true;
    for (size_t id = 0; id < scan->count; id++) {
        const size_t length = strlen(scan->flags[id].name);
        if (scan->flags[id].is_secret && strncmp(name, scan->flags[id].name, length) == 0 &&
            strcmp(name + length, "-file") == 0)
            return id;
    }
    return scan->count;
}

static int entry_read(struct reader *reader, const char *name, const char *value)
{
    const struct flag *const flags = reader->scan->flags;
    bool in_file = false;
    size_t id = flag_find(reader->scan, name, &in_file);
    if (id == reader->scan->count)
        return fail_unknown(reader, name);
    if (flags[id].is_only_flag)
        return fail(reader, "%s has no meaning in a configuration file", name);
    if (flags[id].is_secret && !in_file)
        return fail(
            reader,
            "a secret does not stand here; a file that only its owner can read may hold it: %s-file = PATH",
            name);
    if (reader->first[id] != 0 && !flags[id].is_list)
        return fail(reader, "%s is given twice, first in line %u", name, reader->first[id]);
    reader->first[id] = reader->line;
    if (flag_scan_has(reader->scan, id))
        return NX_OK; /* the command line or the environment says otherwise */
    if (value == NULL && !flags[id].is_switch)
        return fail(reader, "%s needs a value; example: %s = %s", name, name, flags[id].example);
    if (in_file)
        return secret_read(reader, id, value);
    int err = flag_scan_file(reader->scan, id, value == NULL ? "true" : value);
    return err == NX_OK ? NX_OK : place_add(reader, err);
}

/* `line` is not terminated. */
static int line_read(struct reader *reader, const char *line, size_t length)
{
    const struct text_span all = text_trim(line, length);
    if (all.length == 0 || all.start[0] == '#' || all.start[0] == ';')
        return NX_OK;
    if (memchr(all.start, '\0', all.length) != NULL)
        return fail(reader, "a NUL byte: this is no text");
    const char *const equals = memchr(all.start, '=', all.length);
    const struct text_span name =
        text_trim(all.start, equals == NULL ? all.length : (size_t)(equals - all.start));
    char *const copy = strndup(all.start, all.length), written[NAME_MAX_BYTES];
    if (copy == NULL) {
        fail(reader, "out of memory");
        return NX_ENOMEM;
    }
    const size_t shown = name.length < sizeof(written) ? name.length : sizeof(written) - 1;
    memcpy(written, name.start, shown);
    written[shown] = '\0';
    const char *value = NULL;
    if (equals != NULL) {
        value = copy + (equals + 1 - all.start);
        value += strspn(value, " \t");
    }
    int err;
    if (all.start[0] == '[')
        err = fail(reader, "there are no sections: a line is \"name = value\"");
    else
        err = entry_read(reader, written, value);
    free(copy);
    return err;
}

int config_file_read(struct flag_scan *scan, const char *path, const char *text, size_t length)
{
    struct reader reader = {.scan = scan, .path = path};
    int err = NX_OK;
    for (size_t at = 0; err == NX_OK && at < length;) {
        const char *const end = memchr(text + at, '\n', length - at);
        const size_t size = end == NULL ? length - at : (size_t)(end - (text + at));
        reader.line++;
        err = line_read(&reader, text + at, size);
        at += size + 1;
    }
    return err;
}

int config_file_load(struct flag_scan *scan, const char *path)
{
    const struct reader reader = {.scan = scan, .path = path};
    char *text;
    size_t length;
    int err = file_read(&reader, path, CONFIG_FILE_BYTES_MAX, false, &text, &length);
    if (err != NX_OK)
        return err;
    err = config_file_read(scan, path, text, length);
    free(text);
    return err;
}
