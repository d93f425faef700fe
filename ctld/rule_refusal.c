/* The grammar is read once more, as loosely and in the same order as the agent does: protocol, listen port,
 * destination, destination port. What it quotes is made safe to show. */
#include "ctld/rule_refusal.h"

#include "common/err.h"
#include "common/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { QUOTE_MAX = 160 };

/* Printable bytes of `part` as they are, all others escaped; without the quotes around. */
static const char *show(struct text_span part, char *out)
{
    text_quote_bytes(part.start, part.length, out, QUOTE_MAX);
    size_t length = strlen(out);
    memmove(out, out + 1, length);
    if (length > 1 && out[length - 2] == '"')
        out[length - 2] = '\0';
    return out;
}

static bool port_refused(struct text_span part, char *out)
{
    char shown[QUOTE_MAX];
    struct text_span digits = part;
    uint64_t port;
    show(part, shown);
    if (digits.length > 0 && (digits.start[0] == '+' || digits.start[0] == '-')) {
        digits.start++;
        digits.length--;
    }
    int err = text_to_u64(digits.start, digits.length, 0, INT64_MAX, &port);
    if (err == NX_OK && part.start[0] != '-' && port >= 1 && port <= UINT16_MAX)
        return false;
    if (err == NX_OK)
        snprintf(out, RULE_REFUSAL_MAX, "invalid port (%s): out of range 0-65535", shown);
    else
        snprintf(out, RULE_REFUSAL_MAX, "invalid port (%s): strconv.Atoi: parsing \"%s\": %s", shown, shown,
                 err == NX_ERANGE ? "value out of range" : "invalid syntax");
    return true;
}

static bool has(struct text_span part, char c)
{
    return part.length > 0 && memchr(part.start, c, part.length);
}

/* What is wrong with "host:port" or "[host]:port", or NULL; then `host` and `port` are its parts. */
static const char *destination_split(struct text_span text, struct text_span *host, struct text_span *port)
{
    const char *colon = text.length ? memrchr(text.start, ':', text.length) : NULL;
    const char *end = text.start + text.length;
    if (!colon)
        return "missing port in address";
    *host = (struct text_span){text.start, (size_t)(colon - text.start)};
    *port = (struct text_span){colon + 1, (size_t)(end - colon) - 1};
    if (text.start[0] != '[')
        return has(*host, ':')  ? "too many colons in address"
               : has(text, '[') ? "unexpected '[' in address"
               : has(text, ']') ? "unexpected ']' in address"
                                : NULL;
    const char *close = memchr(text.start, ']', text.length);
    if (!close)
        return "missing ']' in address";
    if (close + 1 != colon)
        return close + 1 < end && close[1] == ':' ? "too many colons in address" : "missing port in address";
    *host = (struct text_span){text.start + 1, (size_t)(close - text.start) - 1};
    if (has(*host, '['))
        return "unexpected '[' in address";
    return has(*port, ']') ? "unexpected ']' in address" : NULL;
}

static bool destination_refused(struct text_span text, char *out)
{
    char shown[QUOTE_MAX];
    struct text_span host, port;
    show(text, shown);
    const char *problem = destination_split(text, &host, &port);
    if (problem) {
        snprintf(out, RULE_REFUSAL_MAX, "invalid destination host:port (%s): address %s: %s", shown, shown,
                 problem);
        return true;
    }
    if (host.length == 0) {
        snprintf(out, RULE_REFUSAL_MAX, "invalid destination host:port (%s): host cannot be empty", shown);
        return true;
    }
    return port_refused(port, out);
}

/* The part up to the next colon, which `text` then is behind of; false if there is none. */
static bool part_take(struct text_span *text, struct text_span *part)
{
    const char *colon = text->length ? memchr(text->start, ':', text->length) : NULL;
    if (!colon)
        return false;
    *part = (struct text_span){text->start, (size_t)(colon - text->start)};
    text->length -= part->length + 1;
    text->start = colon + 1;
    return true;
}

const char *rule_refusal(const char *text, const char *own, char *out)
{
    char shown[QUOTE_MAX];
    struct text_span rest = {text, strlen(text)}, whole = rest, protocol, port;
    if (!part_take(&rest, &protocol) || !part_take(&rest, &port) || !has(rest, ':')) {
        snprintf(out, RULE_REFUSAL_MAX,
                 "invalid proxy rule format, must specify 4 colon-separated values (%s)", show(whole, shown));
        return out;
    }
    if (!text_equal_nocase(protocol.start, protocol.length, "tcp") &&
        !text_equal_nocase(protocol.start, protocol.length, "udp")) {
        snprintf(out, RULE_REFUSAL_MAX, "invalid protocol (%s)", show(protocol, shown));
        return out;
    }
    if (!port_refused(port, out) && !destination_refused(rest, out))
        snprintf(out, RULE_REFUSAL_MAX, "%s", own);
    return out;
}
