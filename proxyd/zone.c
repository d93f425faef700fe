/* A zone is turned into an interface index when its rule is added, with a socket of a family that proxyd may
 * make anyway and one ioctl; if_nametoindex(3) would want a socket of the Unix family. */
#include "proxyd/zone.h"

#include "common/err.h"
#include "common/fd.h"
#include "common/text.h"

#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>

static int zone_index_by_name(const char *name, uint32_t *index)
{
    struct ifreq request = {0};
    if (strlen(name) == 0 || strlen(name) >= sizeof(request.ifr_name))
        return NX_ENOENT;
    strcpy(request.ifr_name, name);
    FD_AUTO int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return NX_ESYS;
    if (ioctl(fd, SIOCGIFINDEX, &request))
        return errno == ENODEV || errno == ENXIO ? NX_ENOENT : NX_ESYS;
    *index = (uint32_t)request.ifr_ifindex;
    return NX_OK;
}

int zone_index(const char *zone, uint32_t *index)
{
    uint64_t number;
    if (text_to_u64(zone, strlen(zone), 1, INT32_MAX, &number) == NX_OK) {
        *index = (uint32_t)number;
        return NX_OK;
    }
    return zone_index_by_name(zone, index);
}

int zone_address_parse(const char *host, struct netsock *out)
{
    char text[NETADDR_TEXT_MAX];
    const char *const percent = strchr(host, '%');
    const size_t length = percent ? (size_t)(percent - host) : strlen(host);
    if (length >= sizeof(text))
        return NX_EINVAL;
    memcpy(text, host, length);
    text[length] = '\0';
    struct netaddr addr;
    uint32_t index = 0;
    if (netaddr_parse(text, &addr) != NX_OK)
        return NX_EINVAL;
    if (percent && addr.family != NETADDR_V6)
        return NX_EINVAL;
    netaddr_unmap(&addr);
    if (percent) {
        const int err = zone_index(percent + 1, &index);
        if (err != NX_OK)
            return err;
    }
    out->addr = addr;
    out->scope_id = index;
    return NX_OK;
}
