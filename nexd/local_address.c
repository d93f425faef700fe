/* The routing table as text: a line of names, then one line a route, numbers in hexadecimal:
 *   Iface Destination Gateway Flags RefCnt Use Metric Mask … */
#include "nexd/local_address.h"

#include "common/err.h"
#include "common/fd.h"

#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TABLE_BYTES_MAX = 16 << 10 };

_Static_assert((int)LOCAL_ADDRESS_INTERFACE_MAX == (int)IFNAMSIZ, "room for an interface's name");

/* A default route's interface into `name`. */
static bool default_route_read(const char *line, char *name, bool *gateway)
{
    unsigned destination, through, flags, mask;
    if (sscanf(line, "%15s %x %x %x %*s %*s %*s %x", name, &destination, &through, &flags, &mask) != 5)
        return false;
    *gateway = through != 0 && (flags & RTF_GATEWAY) != 0;
    return destination == 0 && mask == 0 && (flags & RTF_UP) != 0 && (flags & RTF_REJECT) == 0;
}

int local_address_interface(const char *table, char *name)
{
    char candidate[LOCAL_ADDRESS_INTERFACE_MAX];
    bool gateway;
    name[0] = '\0';
    for (const char *line = strchr(table, '\n'); line && line[1]; line = strchr(line + 1, '\n')) {
        if (!default_route_read(line + 1, candidate, &gateway))
            continue;
        if (gateway || name[0] == '\0')
            memcpy(name, candidate, sizeof candidate);
        if (gateway)
            return NX_OK;
    }
    return name[0] ? NX_OK : NX_ENOENT;
}

static int table_read(char *out)
{
    FD_AUTO int fd = open("/proc/net/route", O_RDONLY | O_CLOEXEC);
    size_t length = 0;
    ssize_t got = 0;
    if (fd < 0)
        return NX_ESYS;
    while (length < TABLE_BYTES_MAX - 1 && (got = read(fd, out + length, TABLE_BYTES_MAX - 1 - length)) > 0)
        length += (size_t)got;
    out[length] = '\0';
    return got < 0 ? NX_ESYS : NX_OK;
}

static bool usable(const struct ifaddrs *address, const char *name)
{
    if (strcmp(address->ifa_name, name) != 0 || !address->ifa_addr || address->ifa_addr->sa_family != AF_INET)
        return false;
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address->ifa_addr;
    return ntohl(in->sin_addr.s_addr) >> 16 != 0xa9fe; /* 169.254.0.0/16 */
}

int local_address_find(struct netaddr *out)
{
    char table[TABLE_BYTES_MAX], name[LOCAL_ADDRESS_INTERFACE_MAX];
    struct ifaddrs *addresses;
    *out = (struct netaddr){0};
    int err = table_read(table);
    if (!err)
        err = local_address_interface(table, name);
    if (err)
        return err;
    if (getifaddrs(&addresses))
        return NX_ESYS;
    const struct ifaddrs *at = addresses;
    while (at && !usable(at, name))
        at = at->ifa_next;
    if (at) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)at->ifa_addr;
        out->family = NETADDR_V4;
        memcpy(out->bytes, &in->sin_addr, 4);
    }
    freeifaddrs(addresses);
    return at ? NX_OK : NX_ENOENT;
}
