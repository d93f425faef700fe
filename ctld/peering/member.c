/* "Local" is the endpoint whose source is "local"; "reflexive" the last one of any other source. That is how
 * the other programs of such a network choose, and both sides must choose alike. */
#include "ctld/peering/member.h"

#include "common/err.h"

#include <stdlib.h>
#include <string.h>

static bool text_copy(const char *text, char *out, size_t size)
{
    const size_t length = text ? strnlen(text, size) : 0;
    if (length == 0 || length == size)
        return false;
    memcpy(out, text, length + 1);
    return true;
}

/* No device can have an all-zero key. Other points of low order are known to who does the arithmetic. */
static bool key_read(const char *text, uint8_t out[KEY_BYTES])
{
    static const uint8_t zero[KEY_BYTES];
    return text && key_parse(text, out) == NX_OK && memcmp(out, zero, KEY_BYTES) != 0;
}

static struct netaddr address_first(const struct peering_texts *texts, enum netaddr_family family)
{
    struct netaddr addr;
    if (texts->count > 0 && texts->item[0] && netaddr_parse(texts->item[0], &addr) == NX_OK &&
        addr.family == family)
        return addr;
    return (struct netaddr){0};
}

static void endpoints_read(const struct peering_device *device, struct member *out)
{
    for (size_t i = 0; i < device->endpoint_count && i < MEMBER_ENDPOINTS_MAX; i++) {
        const struct peering_endpoint *endpoint = &device->endpoints[i];
        struct netsock sock;
        if (!endpoint->source || !endpoint->address || netsock_parse(endpoint->address, &sock) != NX_OK)
            continue;
        netaddr_unmap(&sock.addr);
        if (strcmp(endpoint->source, "local") != 0)
            out->reflexive = sock;
        else if (out->local.addr.family == NETADDR_NONE)
            out->local = sock;
    }
}

static void claims_read(struct member *out, enum claim_kind kind, const struct peering_texts *texts,
                        size_t max)
{
    for (size_t i = 0; i < texts->count && i < max; i++) {
        struct claim claim = {.kind = kind};
        if (texts->item[i] && netprefix_parse(texts->item[i], true, &claim.prefix) == NX_OK)
            out->claims[out->claim_count++] = claim;
    }
}

int member_read(const struct peering_device *device, struct member *out)
{
    *out = (struct member){
        .relay = device->relay, .symmetric_nat = device->symmetric_nat, .relay_type = device->relay_type};
    if (!text_copy(device->id, out->id, sizeof out->id) || !key_read(device->public_key, out->key)) {
        *out = (struct member){0};
        return NX_EINVAL;
    }
    out->claims = calloc(MEMBER_TUNNEL_CLAIMS + MEMBER_ADVERTISED_MAX, sizeof *out->claims);
    if (!out->claims)
        return NX_ENOMEM;
    if (!text_copy(device->hostname, out->hostname, sizeof out->hostname) || !hostname_valid(out->hostname))
        out->hostname[0] = '\0';
    out->tunnel_v4 = address_first(&device->tunnel_ipv4, NETADDR_V4);
    out->tunnel_v6 = address_first(&device->tunnel_ipv6, NETADDR_V6);
    endpoints_read(device, out);
    claims_read(out, CLAIM_TUNNEL, &device->allowed_ips, MEMBER_TUNNEL_CLAIMS);
    claims_read(out, CLAIM_ADVERTISED, &device->advertise_cidrs, MEMBER_ADVERTISED_MAX);
    /* A thousand devices with two claims each should not hold room for seventy. */
    struct claim *fitting = realloc(out->claims, (out->claim_count ? out->claim_count : 1) * sizeof *fitting);
    if (fitting)
        out->claims = fitting;
    return NX_OK;
}

void member_free(struct member *member)
{
    free(member->claims);
    *member = (struct member){0};
}

bool member_same_path(const struct member *a, const struct member *b)
{
    if (memcmp(a->key, b->key, KEY_BYTES) != 0 || a->relay != b->relay || a->relay_type != b->relay_type ||
        a->symmetric_nat != b->symmetric_nat || a->claim_count != b->claim_count ||
        !netsock_equal(&a->local, &b->local) || !netsock_equal(&a->reflexive, &b->reflexive))
        return false;
    for (size_t i = 0; i < a->claim_count; i++)
        if (a->claims[i].kind != b->claims[i].kind ||
            !prefix_equal(&a->claims[i].prefix, &b->claims[i].prefix))
            return false;
    return true;
}
