/* Stricter than browsers: what is not plainly an https URL is refused, so that no two readers of one text can
 * differ on the host that it names. */
#include "ctld/nexodus/url.h"

#include "common/err.h"

#include <stdio.h>
#include <string.h>

static int refuse(char *error, const char *why)
{
    snprintf(error, URL_ERROR_MAX, "%s", why);
    return NX_EINVAL;
}

/* Characters that can stand somewhere in a URL, with whole escapes. */
static int characters_check(const char *text, size_t length, char *error)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] <= 0x20 || text[i] > 0x7e || strchr("\"<>\\^`{|}", text[i]))
            return refuse(error, "a character that cannot stand in a URL");
        if (text[i] == '%' && text_percent_value(text + i, length - i) < 0)
            return refuse(error, "invalid URL escape");
        if (text[i] == '#')
            return refuse(error, "a fragment ('#') has no place here");
    }
    return NX_OK;
}

/* "host", "host:port", "[v6]", "[v6]:port". */
static int authority_split(struct text_span authority, struct text_span *host, struct text_span *port)
{
    const char *const end = authority.start + authority.length;
    *host = authority;
    *port = (struct text_span){end, 0};
    if (authority.length > 0 && authority.start[0] == '[') {
        const char *const close = memchr(authority.start, ']', authority.length);
        if (!close)
            return NX_EINVAL;
        *host = (struct text_span){authority.start + 1, (size_t)(close - authority.start) - 1};
        if (close + 1 == end)
            return NX_OK;
        *port = (struct text_span){close + 2, (size_t)(end - close) - 2};
        return close[1] == ':' && memchr(host->start, ':', host->length) ? NX_OK : NX_EINVAL;
    }
    const char *const colon = memchr(authority.start, ':', authority.length);
    if (!colon)
        return NX_OK;
    *host = (struct text_span){authority.start, (size_t)(colon - authority.start)};
    *port = (struct text_span){colon + 1, (size_t)(end - colon) - 1};
    return memchr(port->start, ':', port->length) ? NX_EINVAL : NX_OK;
}

static int authority_read(struct text_span authority, struct url *out, char *error)
{
    struct text_span host, port;
    struct host_problem problem;
    uint64_t number = URL_PORT_HTTPS;
    if (authority.length == 0)
        return refuse(error, "no host in the URL");
    if (memchr(authority.start, '@', authority.length))
        return refuse(error, "a user name ('@') has no place in the URL");
    if (authority_split(authority, &host, &port) != NX_OK)
        return refuse(error, "host and port of the URL cannot be told apart");
    if (memchr(host.start, '%', host.length) || host_parse(host, out->host, &out->addr, &problem) != NX_OK)
        return refuse(error, "the URL's host is not valid");
    const bool brackets = authority.start[0] == '[';
    if (brackets != (memchr(host.start, ':', host.length) != NULL))
        return refuse(error, "brackets are for IPv6 addresses alone");
    if (port.length > 0 && text_to_u64(port.start, port.length, 1, UINT16_MAX, &number) != NX_OK)
        return refuse(error, "the URL's port is not a number from 1 to 65535");
    out->port = (uint16_t)number;
    for (char *c = out->host; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c | 0x20);
    return NX_OK;
}

int url_parse(const char *text, size_t length, struct url *out, char *error)
{
    static const char scheme[] = "https://";
    const size_t scheme_length = sizeof scheme - 1;
    memset(out, 0, sizeof *out);
    if (length < scheme_length || !text_equal_nocase(text, scheme_length, scheme))
        return refuse(error, "'https://' URL scheme is required");
    if (length >= URL_MAX)
        return refuse(error, "the URL is too long");
    int err = characters_check(text, length, error);
    if (err)
        return err;
    const char *const rest = text + scheme_length, *const end = text + length;
    const char *path = rest;
    while (path < end && *path != '/' && *path != '?')
        path++;
    err = authority_read((struct text_span){rest, (size_t)(path - rest)}, out, error);
    if (err) {
        memset(out, 0, sizeof *out);
        return err;
    }
    snprintf(out->path, sizeof out->path, "%s%.*s", path < end && *path == '/' ? "" : "/", (int)(end - path),
             path);
    return NX_OK;
}

char *url_authority(const struct url *url, char *out)
{
    const bool v6 = url->addr.family == NETADDR_V6;
    char port[8] = "";
    if (url->port != URL_PORT_HTTPS)
        snprintf(port, sizeof port, ":%u", url->port);
    snprintf(out, URL_AUTHORITY_MAX, "%s%s%s%s", v6 ? "[" : "", url->host, v6 ? "]" : "", port);
    return out;
}

int url_percent_decode(char *text, size_t *length)
{
    size_t written = 0;
    for (size_t i = 0; i < *length; i++) {
        char c = text[i];
        if (c == '%') {
            const int value = text_percent_value(text + i, *length - i);
            if (value <= 0)
                return NX_EINVAL;
            c = (char)value;
            i += 2;
        }
        text[written++] = c;
    }
    *length = written;
    return NX_OK;
}
