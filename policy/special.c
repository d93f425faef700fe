/* A short list, looked through from its beginning: it is asked once for each address of a name of a new flow.
 * The unspecified addresses are there because connecting to them leads to this host; broadcast, multicast and
 * reserved ones because nobody has them. */
#include "policy/special.h"

#include <string.h>

static const struct range {
    struct netprefix prefix;
    bool in_mesh; /* there, too */
} ranges[] = {
    {{{NETADDR_V4, {0}}, 8}, true},                       /* this host */
    {{{NETADDR_V4, {127}}, 8}, true},                     /* loopback */
    {{{NETADDR_V4, {169, 254}}, 16}, true},               /* link-local; metadata of most clouds */
    {{{NETADDR_V4, {224}}, 3}, true},                     /* multicast, reserved, broadcast */
    {{{NETADDR_V4, {100, 100, 100, 200}}, 32}, false},    /* metadata: Alibaba */
    {{{NETADDR_V4, {168, 63, 129, 16}}, 32}, false},      /* wire server: Azure */
    {{{NETADDR_V4, {192, 0, 0, 192}}, 32}, false},        /* metadata: Oracle */
    {{{NETADDR_V6, {0}}, 127}, true},                     /* unspecified, loopback */
    {{{NETADDR_V6, {0xfe, 0x80}}, 10}, true},             /* link-local */
    {{{NETADDR_V6, {0xff}}, 8}, true},                    /* multicast */
    {{{NETADDR_V6, {0xfd, 0x00, 0x0e, 0xc2}}, 32}, true}, /* metadata and credentials: Amazon */
    {{{NETADDR_V6, {0xfd, 0x20, 0x00, 0xce, [14] = 0x02, [15] = 0x54}}, 128}, true}, /* metadata: Google */
};

struct netaddr special_plain(const struct netaddr *address)
{
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b}, compatible[12];
    static const uint8_t nat64_local[6] = {0x00, 0x64, 0xff, 0x9b, 0x00, 0x01};
    struct netaddr plain = *address;
    netaddr_unmap(&plain);
    if (plain.family != NETADDR_V6)
        return plain;
    const bool embeds = memcmp(plain.bytes, nat64, sizeof nat64) == 0 ||
                        memcmp(plain.bytes, nat64_local, sizeof nat64_local) == 0 ||
                        (memcmp(plain.bytes, compatible, sizeof compatible) == 0 &&
                         (plain.bytes[12] | plain.bytes[13] | plain.bytes[14]) != 0);
    if (!embeds)
        return plain;
    struct netaddr inside = {.family = NETADDR_V4};
    memcpy(inside.bytes, plain.bytes + 12, 4);
    return inside;
}

const struct netprefix *special_range(const struct netaddr *address, bool in_mesh)
{
    const struct netaddr plain = special_plain(address);
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if ((!in_mesh || ranges[i].in_mesh) && netprefix_contains(&ranges[i].prefix, &plain))
            return &ranges[i].prefix;
    return NULL;
}

bool special_is_loopback(const struct netaddr *address)
{
    static const struct netaddr loopback6 = {NETADDR_V6, {[15] = 1}};
    const struct netaddr plain = special_plain(address);
    return (plain.family == NETADDR_V4 && plain.bytes[0] == 127) || netaddr_equal(&plain, &loopback6);
}
