/* The trie of allowed IPs against a plain list: any order of inserts, removals and lookups must agree.
 *
 * The input is a list of operations: one byte that says what and for which peer, a prefix length, and an
 * address. */
#include "common/err.h"
#include "tunneld/wireguard/allowedips.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PEERS = 4, MODEL_MAX = 256 };

static char peer_memory[PEERS];

static struct {
    struct netprefix prefix;
    unsigned peer;
} model[MODEL_MAX];
static size_t model_count;

static struct wg_peer *peer_of(unsigned number)
{
    return (struct wg_peer *)(void *)&peer_memory[number];
}

static void model_set(const struct netprefix *prefix, unsigned peer)
{
    size_t i = 0;

    while (i < model_count &&
           !(model[i].prefix.length == prefix->length && netaddr_equal(&model[i].prefix.addr, &prefix->addr)))
        i++;
    model[i].prefix = *prefix;
    model[i].peer = peer;
    if (i == model_count)
        model_count++;
}

static void model_remove(unsigned peer)
{
    for (size_t i = 0; i < model_count;)
        if (model[i].peer == peer)
            model[i] = model[--model_count];
        else
            i++;
}

static const struct wg_peer *model_lookup(const struct netaddr *addr)
{
    const struct wg_peer *found = NULL;
    int length = -1;

    for (size_t i = 0; i < model_count; i++)
        if (model[i].prefix.length > length && netprefix_contains(&model[i].prefix, addr)) {
            found = peer_of(model[i].peer);
            length = model[i].prefix.length;
        }
    return found;
}

static void host_bits_clear(struct netprefix *prefix, unsigned bits)
{
    for (unsigned i = prefix->length; i < bits; i++)
        prefix->addr.bytes[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct allowedips table;
    struct allowedips_list lists[PEERS] = {0};

    allowedips_init(&table);
    model_count = 0;
    while (size >= 2 && model_count < MODEL_MAX - 1) {
        unsigned what = data[0], peer = what >> 2 & 3;
        struct netprefix prefix = {.addr.family = what & 1 ? NETADDR_V6 : NETADDR_V4};
        unsigned bits = what & 1 ? 128 : 32;
        size_t taken = bits / 8 < size - 2 ? bits / 8 : size - 2;

        prefix.length = (uint8_t)(data[1] % (bits + 1));
        memcpy(prefix.addr.bytes, data + 2, taken);
        data += 2 + taken;
        size -= 2 + taken;
        if (allowedips_lookup(&table, &prefix.addr) != model_lookup(&prefix.addr))
            abort();
        if (what & 0x40) {
            allowedips_remove_all(&table, &lists[peer]);
            model_remove(peer);
        } else if (what & 2) {
            if (allowedips_reserve(&table, 1) != NX_OK)
                abort();
            allowedips_insert(&table, &prefix, peer_of(peer), &lists[peer]);
            host_bits_clear(&prefix, bits);
            model_set(&prefix, peer);
        }
    }
    for (size_t i = 0; i < model_count; i++)
        if (allowedips_lookup(&table, &model[i].prefix.addr) != model_lookup(&model[i].prefix.addr))
            abort();
    for (unsigned peer = 0; peer < PEERS; peer++)
        allowedips_remove_all(&table, &lists[peer]);
    if (table.root_v4 || table.root_v6)
        abort();
    allowedips_destroy(&table);
    return 0;
}
