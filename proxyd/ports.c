/* Two lists of numbers. */
#include "proxyd/ports.h"

#include "common/err.h"
#include "common/text.h"

#include <string.h>

/* Numbers with commas, or nothing, up to `end`. */
static int list_parse(const char *text, const char *end, uint16_t *ports, size_t *count)
{
    *count = 0;
    while (text < end) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        const char *next = comma ? comma : end;
        uint64_t port;
        if (*count == PROXYD_PORTS_MAX || (comma && comma + 1 == end) ||
            text_to_u64(text, (size_t)(next - text), 1, UINT16_MAX, &port))
            return NX_EINVAL;
        ports[(*count)++] = (uint16_t)port;
        text = comma ? comma + 1 : end;
    }
    return NX_OK;
}

int proxyd_ports_parse(const char *text, struct proxyd_ports *out)
{
    static const char bind_word[] = "bind:", connect_word[] = ";connect:";
    const char *end = text + strlen(text), *semicolon = strchr(text, ';');
    *out = (struct proxyd_ports){0};
    out->bind.ports = out->bind_ports;
    out->connect.ports = out->connect_ports;
    if (strncmp(text, bind_word, sizeof bind_word - 1) != 0 ||
        list_parse(text + sizeof bind_word - 1, semicolon ? semicolon : end, out->bind_ports,
                   &out->bind.count))
        return NX_EINVAL;
    out->bind_limited = true;
    if (!semicolon)
        return NX_OK;
    if (strncmp(semicolon, connect_word, sizeof connect_word - 1) != 0 ||
        list_parse(semicolon + sizeof connect_word - 1, end, out->connect_ports, &out->connect.count))
        return NX_EINVAL;
    out->connect_limited = true;
    return NX_OK;
}
