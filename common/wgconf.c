/* Three steps, a file each: lines and sections here, the meaning of the keys in wgconf_keys.c, what only the
 * whole can tell in wgconf_check.c.
 *
 * The text is never modified nor terminated; every part is a span of it. Memory that held a secret is wiped
 * before it is freed: the file's bytes, and the array of peers when it moves. Messages never quote what could
 * be a key, not even when it stands in the wrong place. */
#include "common/wgconf_parser.h"

#include "common/array.h"
#include "common/err.h"
#include "common/fd.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void __attribute__((format(printf, 4, 0)))
format_message(const struct wgconf_parser *parser, unsigned line, char *out, const char *format,
               va_list arguments)
{
    const int head = line == 0 ? snprintf(out, WGCONF_ERROR_MAX, "%s: ", parser->name)
                               : snprintf(out, WGCONF_ERROR_MAX, "%s:%u: ", parser->name, line);
    if (head > 0 && head < WGCONF_ERROR_MAX)
        vsnprintf(out + head, (size_t)(WGCONF_ERROR_MAX - head), format, arguments);
}

int wgconf_fail(const struct wgconf_parser *parser, unsigned line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    format_message(parser, line, parser->error, format, arguments);
    va_end(arguments);
    return NX_EINVAL;
}

void wgconf_warn(const struct wgconf_parser *parser, unsigned line, const char *format, ...)
{
    char message[WGCONF_ERROR_MAX];
    if (parser->warn == NULL)
        return;
    va_list arguments;
    va_start(arguments, format);
    format_message(parser, line, message, format, arguments);
    va_end(arguments);
    parser->warn(parser->warn_arg, message);
}

int wgconf_out_of_memory(const struct wgconf_parser *parser)
{
    wgconf_fail(parser, parser->line, "out of memory");
    return NX_ENOMEM;
}

char *wgconf_quote(struct text_span text, char *out)
{
    /* Only what addresses and host names are made of ends a run: a damaged key is still not for showing. */
    enum { SUSPICIOUS_RUN = 20 };
    size_t run = 0;
    for (size_t i = 0; i < text.length; i++) {
        const char c = text.start[i];
        if (c == '.' || c == ':' || c == ',' || c == '%' || c == '[' || c == ']')
            run = 0;
        else if (text_is_alpha(c) || text_is_digit(c) || strchr("+/=-_", c) != NULL)
            run++;
        if (run >= SUSPICIOUS_RUN)
            return strcpy(out, "(not shown, it may be a key)");
    }
    return text_quote_bytes(text.start, text.length, out, TEXT_QUOTE_MAX);
}

static int add_peer(struct wgconf_parser *parser)
{
    struct wgconf *const conf = parser->conf;
    struct wgconf_peer *const peers =
        array_reserve_secret(conf->peers, &parser->peer_capacity, conf->peer_count + 1, sizeof(*peers));
    if (peers == NULL)
        return wgconf_out_of_memory(parser);
    conf->peers = peers;
    peers[conf->peer_count++] = (struct wgconf_peer){.line = parser->line};
    parser->allowed_capacity = 0;
    return NX_OK;
}

static int read_section(struct wgconf_parser *parser, struct text_span line)
{
    char quoted[TEXT_QUOTE_MAX];
    if (text_equal_nocase(line.start, line.length, "[Interface]")) {
        parser->section = WGCONF_INTERFACE;
        return NX_OK;
    }
    if (text_equal_nocase(line.start, line.length, "[Peer]")) {
        parser->section = WGCONF_PEER;
        return add_peer(parser);
    }
    return wgconf_fail(parser, parser->line, "unknown section %s; sections are [Interface] and [Peer]",
                       wgconf_quote(line, quoted));
}

static int read_line(struct wgconf_parser *parser, struct text_span line)
{
    char quoted[TEXT_QUOTE_MAX];
    if (memchr(line.start, '\0', line.length) != NULL)
        return wgconf_fail(parser, parser->line, "a NUL byte; the file must be plain text");
    const char *const comment = memchr(line.start, '#', line.length);
    if (comment != NULL)
        line.length = (size_t)(comment - line.start);
    line = text_trim(line.start, line.length);
    if (line.length == 0)
        return NX_OK;
    if (line.start[0] == '[')
        return read_section(parser, line);
    const char *const equals = memchr(line.start, '=', line.length);
    if (equals == NULL || equals == line.start)
        return wgconf_fail(parser, parser->line,
                           "expected \"Key = value\", found %s; example: ListenPort = 51820",
                           wgconf_quote(line, quoted));
    const struct text_span key = text_trim(line.start, (size_t)(equals - line.start));
    const struct text_span value = text_trim(equals + 1, (size_t)(line.start + line.length - equals) - 1);
    if (parser->section == WGCONF_NO_SECTION)
        return wgconf_fail(parser, parser->line, "%s stands before any section; begin with [Interface]",
                           wgconf_quote(key, quoted));
    return wgconf_read_setting(parser, key, value);
}

/* The file's name without its quotes, so that it cannot break the line. */
static void set_name(struct wgconf_parser *parser, const char *name)
{
    char quoted[WGCONF_NAME_SHOWN_MAX];
    text_quote(name, quoted, sizeof(quoted));
    const size_t length = strlen(quoted) - 2;
    memcpy(parser->name, quoted + 1, length);
    parser->name[length] = '\0';
}

int wgconf_parse(const char *name, const char *text, size_t length, struct wgconf *out, wgconf_warn_fn warn,
                 void *warn_arg, char *error)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    struct wgconf_parser parser = {.conf = out, .warn = warn, .warn_arg = warn_arg, .error = error};
    const char *at = text, *const end = text + length;
    int err = NX_OK;
    error[0] = '\0';
    *out = (struct wgconf){.mtu = WGCONF_MTU_DEFAULT};
    set_name(&parser, name);
    if (length >= 3 && memcmp(text, byte_order_mark, 3) == 0)
        at += 3;
    while (err == NX_OK && at < end) {
        const char *const newline = memchr(at, '\n', (size_t)(end - at));
        const char *const line_end = newline == NULL ? end : newline;
        parser.line++;
        err = read_line(&parser, (struct text_span){at, (size_t)(line_end - at)});
        at = newline == NULL ? end : newline + 1;
    }
    if (err == NX_OK)
        err = wgconf_check(&parser);
    if (err != NX_OK)
        wgconf_free(out);
    return err;
}

/* A whole file in memory that is wiped when it goes. */
struct file_bytes {
    char *bytes;
    size_t length, capacity;
};

static void file_bytes_free(struct file_bytes *file)
{
    if (file->bytes != NULL)
        explicit_bzero(file->bytes, file->capacity);
    free(file->bytes);
}

static int file_bytes_read(int fd, struct file_bytes *file)
{
    for (;;) {
        char *const bytes = array_reserve_secret(file->bytes, &file->capacity, file->length + 4096, 1);
        if (bytes == NULL)
            return NX_ENOMEM;
        file->bytes = bytes;
        const ssize_t got = read(fd, bytes + file->length, file->capacity - file->length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return NX_ESYS;
        if (got == 0)
            return NX_OK;
        file->length += (size_t)got;
        if (file->length > WGCONF_FILE_MAX)
            return NX_ERANGE;
    }
}

int wgconf_load(const char *path, struct wgconf *out, wgconf_warn_fn warn, void *warn_arg, char *error)
{
    struct wgconf_parser parser = {.warn = warn, .warn_arg = warn_arg, .error = error};
    struct file_bytes file = {0};
    struct stat status;
    *out = (struct wgconf){0};
    set_name(&parser, path);
    FD_AUTO int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    int err = fd < 0 || fstat(fd, &status) != 0 ? NX_ESYS : file_bytes_read(fd, &file);
    if (err == NX_ESYS)
        wgconf_fail(&parser, 0, "cannot read the WireGuard configuration: %s", strerror(errno));
    else if (err == NX_ERANGE)
        wgconf_fail(&parser, 0, "larger than %d bytes: not a WireGuard configuration?", WGCONF_FILE_MAX);
    else if (err == NX_ENOMEM)
        wgconf_out_of_memory(&parser);
    if (err != NX_OK)
        goto out;
    if (S_ISREG(status.st_mode) && (status.st_mode & S_IROTH) != 0)
        wgconf_warn(&parser, 0,
                    "every user of this host may read the private key; protect it with: chmod o= FILE");
    err = wgconf_parse(path, file.bytes, file.length, out, warn, warn_arg, error);
out:
    file_bytes_free(&file);
    return err;
}

void wgconf_peer_clear(struct wgconf_peer *peer)
{
    free(peer->allowed);
    explicit_bzero(peer, sizeof(*peer));
}

void wgconf_free(struct wgconf *conf)
{
    for (size_t i = 0; i < conf->peer_count; i++)
        wgconf_peer_clear(&conf->peers[i]);
    free(conf->peers);
    free(conf->addresses);
    explicit_bzero(conf, sizeof(*conf));
}
