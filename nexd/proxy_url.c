/* The last '@' before the path ends user and password: a password may hold one, a host cannot. */
#include "nexd/proxy_url.h"

#include "common/err.h"
#include "common/host.h"
#include "common/text.h"

#include <stdio.h>
#include <string.h>

struct proxy_parts {
    const char *scheme;
    uint64_t port;
    struct text_span user; /* with its '@' */
    bool brackets;
};

static bool scheme_take(const char **text, struct proxy_parts *parts)
{
    static const struct {
        const char *name;
        uint16_t port;
    } schemes[] = {{"http", 80}, {"https", 443}};
    const char *const end = strstr(*text, "://");
    parts->scheme = schemes[0].name;
    parts->port = schemes[0].port;
    if (!end)
        return true;
    for (size_t i = 0; i < 2; i++)
        if (text_equal_nocase(*text, (size_t)(end - *text), schemes[i].name)) {
            parts->scheme = schemes[i].name;
            parts->port = schemes[i].port;
            *text = end + 3;
            return true;
        }
    return false;
}

static struct text_span user_take(const char *text, size_t length)
{
    for (size_t i = length; i > 0; i--)
        if (text[i - 1] == '@')
            return (struct text_span){text, i};
    return (struct text_span){text, 0};
}

/* "host", "host:port", "[v6]", "[v6]:port" */
static int place_take(struct text_span place, struct proxy_parts *parts, struct ipc_outlet *outlet)
{
    const char *const end = place.start + place.length;
    struct text_span host = place, port;
    struct host_problem problem;
    struct netaddr addr;
    parts->brackets = place.length > 0 && place.start[0] == '[';
    const bool has_port = memchr(place.start, ':', place.length) && (!parts->brackets || end[-1] != ']');
    if (has_port && (host_split_port(place, &host, &port, &problem) != NX_OK ||
                     text_to_u64(port.start, port.length, 1, UINT16_MAX, &parts->port) != NX_OK))
        return NX_EINVAL;
    if (!has_port && parts->brackets)
        host = (struct text_span){place.start + 1, place.length - 2};
    outlet->port = (uint16_t)parts->port;
    return host_parse(host, outlet->host, &addr, &problem);
}

const char *proxy_url_parse(const char *text, char *out, size_t size, struct ipc_outlet *outlet)
{
    struct proxy_parts parts;
    *outlet = (struct ipc_outlet){.kind = IPC_OUTLET_PROXY};
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c > '~')
            return "a character that cannot stand in a URL";
    if (!scheme_take(&text, &parts))
        return "the proxy must be an http:// or https:// one";
    const size_t length = strcspn(text, "/?#");
    if (text[length] != '\0' && strcmp(text + length, "/") != 0)
        return "a path has no place in a proxy's URL";
    parts.user = user_take(text, length);
    const struct text_span place = {text + parts.user.length, length - parts.user.length};
    if (place.length == 0 || place_take(place, &parts, outlet) != NX_OK)
        return "the proxy's host or port is not valid";
    const int written =
        snprintf(out, size, "%s://%.*s%s%s%s:%u", parts.scheme, (int)parts.user.length, parts.user.start,
                 parts.brackets ? "[" : "", outlet->host, parts.brackets ? "]" : "", outlet->port);
    return written > 0 && (size_t)written < size ? NULL : "the URL is too long";
}
