/* hosts(5) text, and a look-up of what it may hold. */
#include "proxyd/hosts.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first line is the name that is looked up; the rest is the file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *const newline = size ? memchr(data, '\n', size) : NULL;
    const size_t name_length = newline ? (size_t)(newline - data) : 0;
    const char *const text = (const char *)data + (newline ? name_length + 1 : 0);
    const size_t length = size - (newline ? name_length + 1 : 0);
    char name[256] = "localhost";
    if (newline && name_length < sizeof(name)) {
        memcpy(name, data, name_length);
        name[name_length] = '\0';
    }
    struct hosts *const hosts = hosts_parse(text, length);
    if (!hosts)
        return 0;
    struct netaddr addrs[4];
    const size_t count = hosts_lookup(hosts, name, addrs, 4);
    if (count > 4)
        abort();
    for (size_t i = 0; i < count; i++)
        if (addrs[i].family != NETADDR_V4 && addrs[i].family != NETADDR_V6)
            abort();
    hosts_free(hosts);
    return 0;
}
