/* The index is read from /sys/class/net: unlike if_nametoindex(3), that needs no socket. */
#include "nexd/zone.h"

#include "common/fd.h"
#include "common/log.h"
#include "common/text.h"

#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

/* 0: there is no such interface. */
static unsigned interface_index(const char *name)
{
    char path[64], text[16];
    if (strlen(name) >= IF_NAMESIZE || strchr(name, '/') || name[0] == '.')
        return 0;
    snprintf(path, sizeof path, "/sys/class/net/%s/ifindex", name);
    FD_AUTO int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text);
    uint64_t index = 0;
    if (length < 2 || text_to_u64(text, (size_t)length - 1, 1, UINT32_MAX, &index))
        return 0;
    return (unsigned)index;
}

void zones_number(struct wgconf *conf)
{
    for (size_t i = 0; i < conf->peer_count; i++) {
        struct wgconf_peer *peer = &conf->peers[i];
        char *percent = strchr(peer->endpoint_host, '%');
        uint64_t number;
        if (!percent || text_to_u64(percent + 1, strlen(percent + 1), 1, UINT32_MAX, &number) == 0)
            continue;
        unsigned index = interface_index(percent + 1);
        size_t room = sizeof peer->endpoint_host - (size_t)(percent + 1 - peer->endpoint_host);
        if (index)
            snprintf(percent + 1, room, "%u", index);
        else
            log_warn("endpoint \"%s\": there is no interface of that name", peer->endpoint_host);
    }
}
