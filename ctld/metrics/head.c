/* The request line is read strictly: a method in capitals, one blank, a path that begins with "/", one blank,
 * HTTP/1.x. Fields are passed over, since nothing in them changes the answer; but what cannot be a field, a
 * control character, ends the request. Lines may end with a bare LF, as RFC 9112 section 2.2 lets them. */
#include "ctld/metrics/head.h"

#include "common/err.h"
#include "common/text.h"

#include <string.h>

/* Length of the head with its empty line; 0: it is not there yet. */
static size_t head_length(const char *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (data[i] != '\n')
            continue;
        if (i + 1 < length && data[i + 1] == '\n')
            return i + 2;
        if (i + 2 < length && data[i + 1] == '\r' && data[i + 2] == '\n')
            return i + 3;
    }
    return 0;
}

/* Tabs and line ends are the only control characters of a head. */
static bool head_is_text(const char *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)data[i];
        bool line_end = c == '\n' || (c == '\r' && i + 1 < length && data[i + 1] == '\n');
        if ((c < 0x20 && c != '\t' && !line_end && !(c == '\r' && i + 1 == length)) || c == 0x7f)
            return false;
    }
    return true;
}

static int version_check(const char *text, size_t length)
{
    bool fits = length == 8 && memcmp(text, "HTTP/1.", 7) == 0 && text_is_digit(text[7]);
    return fits ? NX_OK : NX_EPROTO;
}

static int line_parse(const char *line, size_t length, struct head *out)
{
    const char *const blank = memchr(line, ' ', length);
    if (blank == NULL || blank == line)
        return NX_EPROTO;
    const size_t method = (size_t)(blank - line);
    for (size_t i = 0; i < method; i++)
        if (line[i] < 'A' || line[i] > 'Z')
            return NX_EPROTO;
    const char *const path = blank + 1;
    const char *const end = memchr(path, ' ', length - method - 1);
    if (end == NULL || *path != '/')
        return NX_EPROTO;
    int err = version_check(end + 1, length - (size_t)(end + 1 - line));
    if (err != NX_OK)
        return err;
    const size_t target = (size_t)(end - path);
    const char *const query = memchr(path, '?', target);
    const size_t size = query == NULL ? target : (size_t)(query - path);
    if (size >= HEAD_PATH_MAX)
        return NX_ERANGE;
    memcpy(out->path, path, size);
    out->path[size] = '\0';
    out->method = method == 3 && memcmp(line, "GET", 3) == 0    ? HEAD_GET
                  : method == 4 && memcmp(line, "HEAD", 4) == 0 ? HEAD_HEAD
                                                                : HEAD_OTHER;
    return NX_OK;
}

int head_parse(const char *data, size_t length, struct head *out)
{
    const size_t whole = head_length(data, length);
    if (!head_is_text(data, whole != 0 ? whole : length))
        return NX_EPROTO;
    if (whole > HEAD_BYTES_MAX || (whole == 0 && length >= HEAD_BYTES_MAX))
        return NX_ERANGE;
    if (whole == 0)
        return NX_EAGAIN;
    size_t line = (size_t)((const char *)memchr(data, '\n', whole) - data);
    if (line > 0 && data[line - 1] == '\r')
        line--;
    return line_parse(data, line, out);
}
