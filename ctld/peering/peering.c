/* One run:
 *
 *   what has changed is settled (keys, own device, claims) ─► the relay is picked ─► each device's path
 * chooses ─► what the tunnel shall have is compared with what it was given ─► removals, then changes
 *
 * One WireGuard relay serves: it gets the VPC's ranges, so that every address which no other peer has goes to
 * it, and the networks behind devices that are reached through it. A second relay is reached at its own
 * addresses only; so is a DERP relay, which forwards nothing inside the tunnel.
 *
 * Which method is used says nothing of flows: they live above WireGuard, and a changed endpoint keeps its
 * session. A move between an entry of one's own and the relay's changes the session, not the addresses. */
#include "ctld/peering/peering.h"

#include "common/array.h"
#include "common/err.h"
#include "common/log.h"
#include "ctld/peering/roster.h"

#include <stdlib.h>
#include <string.h>

struct peering {
    const struct peering_ops *ops;
    void *arg;
    char own_id[MEMBER_ID_MAX];
    uint8_t own_key[KEY_BYTES];
    struct method_self self;
    struct vpc_ranges vpc;
    bool self_known, vpc_known, complete, own_told;
    struct netaddr own_v4, own_v6; /* told to the owner */
    struct roster roster;
    char relay_id[MEMBER_ID_MAX]; /* of the relay that serves; "" = none */
    struct netprefix *prefixes;   /* memory for one peer's */
    size_t prefix_capacity;
    uint64_t revision;
};

struct peering *peering_new(const struct peering_ops *ops, void *arg)
{
    struct peering *peering = calloc(1, sizeof *peering);
    if (peering) {
        peering->ops = ops;
        peering->arg = arg;
    }
    return peering;
}

void peering_free(struct peering *peering)
{
    if (!peering)
        return;
    roster_destroy(&peering->roster);
    free(peering->prefixes);
    free(peering);
}

/* -- What is known -- */

void peering_set_self(struct peering *peering, const struct peering_self *self)
{
    const char *id = self->id ? self->id : "";
    const size_t length = strnlen(id, sizeof peering->own_id - 1);
    memset(peering->own_id, 0, sizeof peering->own_id);
    memcpy(peering->own_id, id, length);
    memcpy(peering->own_key, self->public_key, KEY_BYTES);
    peering->self = self->facts;
    peering->self_known = peering->roster.unsettled = true;
}

static int range_read(const char *text, enum netaddr_family family, struct netprefix *out)
{
    *out = (struct netprefix){0};
    if (!text || !*text)
        return NX_OK;
    if (netprefix_parse(text, true, out) != NX_OK || out->addr.family != family)
        return NX_EINVAL;
    const char *why = vpc_range_refusal(out);
    char range[NETPREFIX_TEXT_MAX];
    if (why)
        log_warn("%s cannot be the range of a VPC: %s", netprefix_format(out, range), why);
    return why ? NX_EINVAL : NX_OK;
}

int peering_set_vpc(struct peering *peering, const char *ipv4_cidr, const char *ipv6_cidr)
{
    struct vpc_ranges vpc;
    if (range_read(ipv4_cidr, NETADDR_V4, &vpc.v4) != NX_OK ||
        range_read(ipv6_cidr, NETADDR_V6, &vpc.v6) != NX_OK ||
        (vpc.v4.addr.family == NETADDR_NONE && vpc.v6.addr.family == NETADDR_NONE))
        return NX_EINVAL;
    peering->vpc = vpc;
    peering->vpc_known = peering->roster.unsettled = true;
    return NX_OK;
}

int peering_put(struct peering *peering, const struct peering_device *device)
{
    return roster_put(&peering->roster, device, PEERING_DEVICES_MAX);
}

void peering_remove(struct peering *peering, const char *id)
{
    roster_remove(&peering->roster, id);
}

void peering_list_begin(struct peering *peering)
{
    roster_list_begin(&peering->roster);
}

void peering_list_end(struct peering *peering)
{
    roster_list_end(&peering->roster);
    peering->complete = true;
}

void peering_report(struct peering *peering, const uint8_t public_key[KEY_BYTES], uint64_t handshake_ns,
                    uint64_t rx_bytes, const struct netsock *endpoint)
{
    struct entry *entry = roster_by_key(&peering->roster, public_key);
    if (entry)
        path_report(&entry->path, handshake_ns, rx_bytes, endpoint);
}

/* -- Relay -- */

static bool is_peer(const struct peering *peering, const struct entry *entry)
{
    return entry->holds_key && memcmp(entry->member.key, peering->own_key, KEY_BYTES) != 0;
}

static bool is_relay(const struct peering *peering, const struct entry *entry)
{
    return is_peer(peering, entry) && entry->member.relay && entry->member.relay_type == RELAY_WIREGUARD;
}

/* The one that served before; else the first. NULL: there is none. */
static struct entry *relay_find(const struct peering *peering)
{
    struct entry *first = NULL;
    for (size_t i = 0; i < peering->roster.count; i++) {
        struct entry *entry = peering->roster.items[i];
        if (!is_relay(peering, entry))
            continue;
        if (strcmp(entry->member.id, peering->relay_id) == 0)
            return entry;
        first = first ? first : entry;
    }
    return first;
}

static struct entry *relay_pick(struct peering *peering)
{
    struct entry *relay = relay_find(peering);
    if (relay)
        memcpy(peering->relay_id, relay->member.id, sizeof peering->relay_id);
    else
        peering->relay_id[0] = '\0';
    return relay;
}

static bool relay_healthy(const struct entry *relay, uint64_t now_ns)
{
    return relay && path_healthy(&relay->path, false, now_ns);
}

/* -- Choice -- */

static void path_log(const struct entry *entry, enum method before)
{
    char key[KEY_SHORT_MAX], endpoint[NETSOCK_TEXT_MAX] = "";
    const struct path *path = &entry->path;
    if (path->endpoint.addr.family != NETADDR_NONE)
        netsock_format(&path->endpoint, endpoint);
    log_debug("peer %s: %s%s%s (was %s)", key_short(entry->member.key, key), method_name(path->method),
              *endpoint ? ", " : "", endpoint, method_name(before));
}

static void choose(struct peering *peering, struct entry *entry, const struct entry *relay, uint64_t now_ns)
{
    const struct method_facts facts = {.self = &peering->self,
                                       .peer = &entry->member,
                                       .relay_exists = relay != NULL,
                                       .relay_healthy = relay_healthy(relay, now_ns)};
    const enum method before = entry->path.method;
    path_choose(&entry->path, &facts, now_ns);
    if (entry->path.method != before)
        path_log(entry, before);
}

/* The relay first: whether it is healthy decides on the others. */
static void choose_all(struct peering *peering, struct entry *relay, uint64_t now_ns)
{
    if (relay)
        choose(peering, relay, relay, now_ns);
    for (size_t i = 0; i < peering->roster.count; i++)
        if (is_peer(peering, peering->roster.items[i]) && peering->roster.items[i] != relay)
            choose(peering, peering->roster.items[i], relay, now_ns);
}

/* -- What the tunnel shall have -- */

static int prefix_add(struct peering *peering, size_t *count, const struct netprefix *prefix)
{
    struct netprefix *grown =
        array_reserve(peering->prefixes, &peering->prefix_capacity, *count + 1, sizeof *grown);
    if (!grown)
        return NX_ENOMEM;
    peering->prefixes = grown;
    grown[(*count)++] = *prefix;
    return NX_OK;
}

static int claims_add(struct peering *peering, size_t *count, const struct entry *entry, bool tunnel,
                      bool advertised)
{
    for (size_t i = 0; i < entry->member.claim_count; i++) {
        const struct claim *claim = &entry->member.claims[i];
        const bool wanted = claim->granted && (claim->kind == CLAIM_TUNNEL ? tunnel : advertised);
        if (wanted && prefix_add(peering, count, &claim->prefix) != NX_OK)
            return NX_ENOMEM;
    }
    return NX_OK;
}

static int relay_prefixes(struct peering *peering, size_t *count)
{
    const struct netprefix *const ranges[] = {&peering->vpc.v4, &peering->vpc.v6};
    for (size_t i = 0; i < 2; i++)
        if (ranges[i]->addr.family != NETADDR_NONE && prefix_add(peering, count, ranges[i]) != NX_OK)
            return NX_ENOMEM;
    for (size_t i = 0; i < peering->roster.count; i++) {
        const struct entry *entry = peering->roster.items[i];
        if (is_peer(peering, entry) && method_via(entry->path.method) == VIA_RELAY &&
            claims_add(peering, count, entry, false, true) != NX_OK)
            return NX_ENOMEM;
    }
    return NX_OK;
}

/* Into `peering->prefixes`. */
static int peer_prefixes(struct peering *peering, const struct entry *entry, const struct entry *relay,
                         size_t *count)
{
    *count = 0;
    if (entry == relay)
        return relay_prefixes(peering, count);
    return claims_add(peering, count, entry, true, !entry->member.relay);
}

static bool has_entry(const struct peering *peering, const struct entry *entry)
{
    const enum method_via via = method_via(entry->path.method);
    return is_peer(peering, entry) &&
           (via == VIA_TUNNEL || (via == VIA_DERP && peering->self.derp_available));
}

static bool same_as_given(const struct given *given, const struct peering_peer *peer)
{
    if (!given->there || given->via_derp != peer->via_derp || given->allowed_count != peer->allowed_count ||
        !netsock_equal(&given->endpoint, &peer->endpoint))
        return false;
    for (size_t i = 0; i < peer->allowed_count; i++)
        if (!prefix_equal(&given->allowed[i], &peer->allowed[i]))
            return false;
    return true;
}

static int given_remember(struct given *given, const struct peering_peer *peer)
{
    struct netprefix *copy = NULL;
    if (peer->allowed_count > 0) {
        copy = malloc(peer->allowed_count * sizeof *copy);
        if (!copy)
            return NX_ENOMEM;
        memcpy(copy, peer->allowed, peer->allowed_count * sizeof *copy);
    }
    free(given->allowed);
    *given = (struct given){.there = true,
                            .endpoint = peer->endpoint,
                            .via_derp = peer->via_derp,
                            .allowed = copy,
                            .allowed_count = peer->allowed_count};
    memcpy(given->key, peer->public_key, KEY_BYTES);
    return NX_OK;
}

/* Short of memory, the next run tries again; to set a peer twice changes nothing. */
static int hand_out(struct peering *peering, struct entry *entry, const struct entry *relay)
{
    struct peering_peer peer = {.public_key = entry->member.key,
                                .endpoint = entry->path.endpoint,
                                .via_derp = method_via(entry->path.method) == VIA_DERP,
                                .keepalive_s = PEERING_KEEPALIVE_S};
    if (peer_prefixes(peering, entry, relay, &peer.allowed_count) != NX_OK)
        return NX_ENOMEM;
    peer.allowed = peering->prefixes;
    if (same_as_given(&entry->given, &peer))
        return NX_OK;
    const int err = peering->ops->set(peering->arg, &peer);
    return err == NX_OK ? given_remember(&entry->given, &peer) : err;
}

static void take_back(struct peering *peering, struct entry *entry)
{
    /* Another device has come by the key since; the peer is now that one's, session and all. */
    struct entry *heir = roster_by_key(&peering->roster, entry->given.key);
    if (heir && heir != entry && has_entry(peering, heir) && !heir->given.there)
        heir->given = entry->given;
    else {
        peering->ops->remove(peering->arg, entry->given.key);
        free(entry->given.allowed);
    }
    entry->given = (struct given){.there = false};
}

static void hand_out_all(struct peering *peering, const struct entry *relay)
{
    struct roster *roster = &peering->roster;
    for (size_t i = 0; i < roster->count; i++) {
        struct entry *entry = roster->items[i];
        const bool other_key = memcmp(entry->given.key, entry->member.key, KEY_BYTES) != 0;
        if (entry->given.there && (other_key || !has_entry(peering, entry)))
            take_back(peering, entry);
    }
    roster_sweep(roster);
    for (size_t i = 0; i < roster->count; i++) {
        if (has_entry(peering, roster->items[i]) && hand_out(peering, roster->items[i], relay) != NX_OK) {
            log_error("the tunnel's peers are incomplete: out of memory");
            roster->unsettled = true;
            return;
        }
    }
}

static void own_addresses_tell(struct peering *peering)
{
    const struct entry *own = roster_by_key(&peering->roster, peering->own_key);
    if (!own || !own->own)
        return;
    const struct netaddr v4 = entry_address(own, NETADDR_V4), v6 = entry_address(own, NETADDR_V6);
    if (peering->own_told && netaddr_equal(&v4, &peering->own_v4) && netaddr_equal(&v6, &peering->own_v6))
        return;
    if (!peering->own_told && v4.family == NETADDR_NONE && v6.family == NETADDR_NONE)
        return;
    peering->own_v4 = v4;
    peering->own_v6 = v6;
    peering->own_told = true;
    peering->ops->own_addresses(peering->arg, &v4, &v6);
}

void peering_run(struct peering *peering, uint64_t now_ns)
{
    if (!peering->complete || !peering->self_known || !peering->vpc_known)
        return;
    if (peering->roster.unsettled) {
        if (roster_settle(&peering->roster, &peering->vpc, peering->own_id, peering->own_key) != NX_OK) {
            log_error("changes of the VPC's devices wait: out of memory");
            return;
        }
        peering->revision++;
    }
    struct entry *relay = relay_pick(peering);
    choose_all(peering, relay, now_ns);
    hand_out_all(peering, relay);
    own_addresses_tell(peering);
}

uint64_t peering_next_ns(const struct peering *peering, uint64_t now_ns)
{
    uint64_t next_ns = UINT64_MAX;
    if (!peering->complete || !peering->self_known || !peering->vpc_known)
        return next_ns;
    for (size_t i = 0; i < peering->roster.count; i++) {
        if (!is_peer(peering, peering->roster.items[i]))
            continue;
        const uint64_t path_ns = path_next_ns(&peering->roster.items[i]->path, now_ns);
        next_ns = path_ns < next_ns ? path_ns : next_ns;
    }
    return next_ns;
}

/* -- For operators -- */

static struct peering_status status_of(const struct peering *peering, const struct entry *entry,
                                       bool relay_up, uint64_t now_ns)
{
    const enum method_via via = method_via(entry->path.method);
    return (struct peering_status){.id = entry->member.id,
                                   .hostname = entry->member.hostname,
                                   .public_key = entry->member.key,
                                   .tunnel_v4 = entry_address(entry, NETADDR_V4),
                                   .tunnel_v6 = entry_address(entry, NETADDR_V6),
                                   .method = method_name(entry->path.method),
                                   .own = entry->own,
                                   .served = has_entry(peering, entry) || via == VIA_RELAY,
                                   .healthy = path_healthy(&entry->path, relay_up, now_ns)};
}

void peering_each(const struct peering *peering, uint64_t now_ns,
                  void (*each)(void *arg, const struct peering_status *status), void *arg)
{
    const bool relay_up = peering_relay_present(peering, now_ns);
    for (size_t i = 0; i < peering->roster.count; i++) {
        const struct entry *entry = peering->roster.items[i];
        if (!entry->own && !is_peer(peering, entry))
            continue;
        const struct peering_status status = status_of(peering, entry, relay_up, now_ns);
        each(arg, &status);
    }
}

bool peering_find(const struct peering *peering, const uint8_t public_key[KEY_BYTES], uint64_t now_ns,
                  struct peering_status *out)
{
    const struct entry *entry = roster_by_key(&peering->roster, public_key);
    if (!entry || entry->own || !is_peer(peering, entry))
        return false;
    *out = status_of(peering, entry, peering_relay_present(peering, now_ns), now_ns);
    return true;
}

bool peering_relay_present(const struct peering *peering, uint64_t now_ns)
{
    return relay_healthy(relay_find(peering), now_ns);
}

bool peering_relay_required(const struct peering *peering)
{
    return peering->self.symmetric_nat || peering->self.relay_only;
}

uint64_t peering_revision(const struct peering *peering)
{
    return peering->revision;
}
