/* What only the whole configuration can tell. Peers named more than once are found by sorting, so that a file
 * of a hundred thousand lines stays cheap; they are merged as wg(8) does when it applies one section after
 * the other. */
#include "common/wgconf_parser.h"

#include "common/err.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static bool given(const struct wgconf_peer *peer, enum wgconf_key_id id)
{
    return (peer->given & 1U << id) != 0;
}

static int check_required(const struct wgconf_parser *parser)
{
    const struct wgconf *const conf = parser->conf;
    if ((parser->interface_given & 1U << WGCONF_PRIVATE_KEY) == 0)
        return wgconf_fail(parser, 0, "no PrivateKey in [Interface]; make one with: wg genkey");
    if (conf->address_count == 0)
        return wgconf_fail(parser, 0,
                           "no Address in [Interface]; example: Address = 100.64.0.7/32, 200::7/128");
    for (size_t i = 0; i < conf->peer_count; i++) {
        if (!given(&conf->peers[i], WGCONF_PUBLIC_KEY))
            return wgconf_fail(parser, conf->peers[i].line,
                               "this [Peer] has no PublicKey; "
                               "the peer shows its own with: wg pubkey");
    }
    return NX_OK;
}

/* What the later section says replaces what `peer` has; the list of prefixes always, as wg(8) sets it whole.
 */
static void merge_peer(struct wgconf_peer *peer, struct wgconf_peer *later)
{
    if (given(later, WGCONF_PRESHARED_KEY)) {
        memcpy(peer->preshared_key, later->preshared_key, KEY_BYTES);
        peer->has_preshared_key = later->has_preshared_key;
    }
    if (given(later, WGCONF_ENDPOINT)) {
        memcpy(peer->endpoint_host, later->endpoint_host, sizeof(peer->endpoint_host));
        peer->endpoint_port = later->endpoint_port;
    }
    if (given(later, WGCONF_KEEPALIVE))
        peer->keepalive_s = later->keepalive_s;
    free(peer->allowed);
    peer->allowed = later->allowed;
    peer->allowed_count = later->allowed_count;
    later->allowed = NULL;
    later->given = 0; /* marks it as gone */
}

static int compare_peers(const void *left, const void *right)
{
    const struct wgconf_peer *const a = *(struct wgconf_peer *const *)left;
    const struct wgconf_peer *const b = *(struct wgconf_peer *const *)right;
    const int order = memcmp(a->public_key, b->public_key, KEY_BYTES);
    return order != 0 ? order : a < b ? -1 : a > b;
}

static int merge_duplicates(const struct wgconf_parser *parser)
{
    const struct wgconf *const conf = parser->conf;
    if (conf->peer_count < 2)
        return NX_OK;
    struct wgconf_peer **const sorted = calloc(conf->peer_count, sizeof(struct wgconf_peer *));
    if (sorted == NULL)
        return wgconf_out_of_memory(parser);
    for (size_t i = 0; i < conf->peer_count; i++)
        sorted[i] = &conf->peers[i];
    qsort(sorted, conf->peer_count, sizeof(struct wgconf_peer *), compare_peers);
    struct wgconf_peer *first = sorted[0];
    for (size_t i = 1; i < conf->peer_count; i++) {
        if (memcmp(first->public_key, sorted[i]->public_key, KEY_BYTES) != 0) {
            first = sorted[i];
            continue;
        }
        wgconf_warn(parser, sorted[i]->line,
                    "this [Peer] has the PublicKey of the one in line %u; merged, "
                    "with the AllowedIPs given here",
                    first->line);
        merge_peer(first, sorted[i]);
    }
    free((void *)sorted);
    return NX_OK;
}

/* A file shared by all devices of a mesh names ourselves too; wg(8) skips that peer as well. */
static void leave_out_self(const struct wgconf_parser *parser)
{
    uint8_t own_key[KEY_BYTES];
    struct wgconf *const conf = parser->conf;
    crypto_scalarmult_base(own_key, conf->private_key);
    for (size_t i = 0; i < conf->peer_count; i++) {
        struct wgconf_peer *const peer = &conf->peers[i];
        if (given(peer, WGCONF_PUBLIC_KEY) && sodium_memcmp(peer->public_key, own_key, KEY_BYTES) == 0) {
            wgconf_warn(parser, peer->line, "this [Peer] has our own PublicKey and is left out");
            peer->given = 0;
        }
    }
}

/* Closes the gaps left by peers that are gone; the order of the others stays. */
static void compact_peers(struct wgconf *conf)
{
    size_t kept = 0;
    for (size_t i = 0; i < conf->peer_count; i++) {
        struct wgconf_peer *const peer = &conf->peers[i];
        if (peer->given == 0) {
            wgconf_peer_clear(peer);
        } else if (kept++ != i) {
            conf->peers[kept - 1] = *peer;
            explicit_bzero(peer, sizeof(*peer));
        }
    }
    conf->peer_count = kept;
}

int wgconf_check(struct wgconf_parser *parser)
{
    int err = check_required(parser);
    if (err == NX_OK)
        err = merge_duplicates(parser);
    if (err != NX_OK)
        return err;
    leave_out_self(parser);
    compact_peers(parser->conf);
    if (parser->conf->peer_count == 0)
        wgconf_warn(parser, 0, "no [Peer]: nothing can be reached through the tunnel");
    return NX_OK;
}
