#include "sim.h"

#include "common/err.h"
#include "tunneld/aead/engines.h"
#include <check.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { PACKET_MIN_V4 = 24, PACKET_MIN_V6 = 44, ROUNDS_MAX = 64 };

struct netaddr sim_addr(const char *text)
{
    struct netaddr addr;

    ck_assert_int_eq(netaddr_parse(text, &addr), NX_OK);
    return addr;
}

struct netprefix sim_prefix(const char *text)
{
    struct netprefix prefix;

    ck_assert_int_eq(netprefix_parse(text, false, &prefix), NX_OK);
    return prefix;
}

uint32_t sim_message_type(const struct sim_datagram *datagram)
{
    struct message_header header;

    memcpy(&header, datagram->data, sizeof(header));
    return le32toh(header.type);
}

void sim_packet_v4(uint8_t *out, size_t length, const struct netaddr *src, const struct netaddr *dst,
                   uint32_t tag)
{
    ck_assert_uint_ge(length, PACKET_MIN_V4);
    memset(out, 0xaa, length);
    memset(out, 0, 20);
    out[0] = 0x45;
    out[2] = (uint8_t)(length >> 8);
    out[3] = (uint8_t)length;
    out[8] = 64;
    out[9] = 17;
    memcpy(out + 12, src->bytes, 4);
    memcpy(out + 16, dst->bytes, 4);
    memcpy(out + 20, &tag, sizeof(tag));
}

void sim_packet_v6(uint8_t *out, size_t length, const struct netaddr *src, const struct netaddr *dst,
                   uint32_t tag)
{
    ck_assert_uint_ge(length, PACKET_MIN_V6);
    memset(out, 0xaa, length);
    memset(out, 0, 40);
    out[0] = 0x60;
    out[4] = (uint8_t)((length - 40) >> 8);
    out[5] = (uint8_t)(length - 40);
    out[6] = 17;
    out[7] = 64;
    memcpy(out + 8, src->bytes, 16);
    memcpy(out + 24, dst->bytes, 16);
    memcpy(out + 40, &tag, sizeof(tag));
}

static void sim_deliver(void *arg, const struct wg_inner *packets, size_t count)
{
    struct sim_node *node = arg;

    node->deliveries++;
    for (size_t i = 0; i < count; i++) {
        const struct wg_inner *inner = &packets[i];
        size_t header = inner->data[0] >> 4 == 4 ? 20 : 40;
        struct sim_received *received = &node->received[node->received_count % SIM_RECEIVED_MAX];

        ck_assert_uint_ge(inner->length, header + sizeof(received->tag));
        for (size_t k = header + sizeof(received->tag); k < inner->length; k++)
            if (inner->data[k] != 0xaa) /* not an assertion a byte: each costs a system call */
                ck_abort_msg("byte %zu of a packet arrived changed", k);
        memcpy(&received->tag, inner->data + header, sizeof(received->tag));
        received->length = inner->length;
        memcpy(received->from, wg_peer_key(inner->peer), sizeof(received->from));
        node->received_count++;
    }
    if (node->on_deliver)
        node->on_deliver(node, packets, count);
}

static void wire_put(struct sim_node *node, const struct wg_out *out, const uint8_t *data, size_t length)
{
    struct sim *sim = node->sim;
    struct sim_datagram *datagram = malloc(sizeof(*datagram));

    ck_assert_ptr_nonnull(datagram);
    ck_assert_uint_le(length, SIM_DATAGRAM_MAX);
    datagram->from = node->address;
    datagram->to = out->to;
    datagram->length = length;
    memcpy(datagram->data, data, length);
    ck_assert_uint_lt(sim_message_type(datagram), SIM_TYPES);
    node->sent[sim_message_type(datagram)]++;
    sim->filter_count++;
    if (sim->filter && !sim->filter(sim, datagram)) {
        free(datagram);
        return;
    }
    ck_assert_uint_lt(sim->wire_count, SIM_WIRE_MAX);
    sim->wire[sim->wire_count++] = datagram;
}

/* Cuts a group into its datagrams as the kernel would. */
static void sim_transmit(void *arg, const struct wg_out *outs, size_t count)
{
    struct sim_node *node = arg;
    static uint8_t flat[TX_GROUP_BYTES_MAX];

    node->transmits++;
    for (size_t i = 0; i < count; i++) {
        size_t total = 0, cut = 0;

        for (unsigned k = 0; k < outs[i].iov_count; k++) {
            ck_assert_uint_gt(outs[i].iov[k].iov_len, 0);
            ck_assert_uint_le(total + outs[i].iov[k].iov_len, sizeof(flat));
            memcpy(flat + total, outs[i].iov[k].iov_base, outs[i].iov[k].iov_len);
            total += outs[i].iov[k].iov_len;
        }
        ck_assert_uint_gt(outs[i].segment, 0);
        ck_assert_uint_eq(outs[i].datagrams, (total + outs[i].segment - 1) / outs[i].segment);
        ck_assert_uint_le(outs[i].datagrams, TX_GROUP_DATAGRAMS_MAX);
        for (; cut < total; cut += outs[i].segment)
            wire_put(node, &outs[i], flat + cut,
                     total - cut < outs[i].segment ? total - cut : outs[i].segment);
        node->groups++;
    }
    if (node->on_transmit)
        node->on_transmit(node);
}

static uint64_t sim_wall(void *arg)
{
    const struct sim_node *node = arg;

    return node->sim->now_ns + node->sim->wall_offset_ns;
}

struct sim *sim_new(size_t node_count)
{
    static const struct wg_ops ops = {.deliver = sim_deliver, .transmit = sim_transmit, .wall_ns = sim_wall};
    struct sim *sim = calloc(1, sizeof(*sim));

    ck_assert_ptr_nonnull(sim);
    ck_assert_int_ge(sodium_init(), 0);
    sim->now_ns = 1000 * NS_PER_S;
    sim->wall_offset_ns = 1700000000 * NS_PER_S;
    sim->node_count = node_count;
    for (size_t i = 0; i < node_count; i++) {
        struct sim_node *node = &sim->nodes[i];

        node->sim = sim;
        timerq_init(&node->queue);
        node->address = (struct netsock){.addr = sim_addr("192.0.2.1"), .port = 51820};
        node->address.addr.bytes[3] = (uint8_t)(i + 1);
        node->tunnel_v4 = sim_addr("10.0.0.1");
        node->tunnel_v4.bytes[3] = (uint8_t)(i + 1);
        node->tunnel_v6 = sim_addr("fd00::1");
        node->tunnel_v6.bytes[15] = (uint8_t)(i + 1);
        memset(node->private_key, (int)i + 0x41, sizeof(node->private_key));
        node->identity = wg_identity_new();
        ck_assert_ptr_nonnull(node->identity);
        node->device =
            wg_new(node->identity, node->private_key, aead_engine_select(NULL), &node->queue, &ops, node);
        ck_assert_ptr_nonnull(node->device);
        memcpy(node->public_key, wg_public_key(node->device), sizeof(node->public_key));
    }
    return sim;
}

void sim_free(struct sim *sim)
{
    for (size_t i = 0; i < sim->node_count; i++) {
        wg_free(sim->nodes[i].device);
        ck_assert(
            sodium_is_zero((const unsigned char *)sim->nodes[i].identity, sizeof(*sim->nodes[i].identity)));
        wg_identity_free(sim->nodes[i].identity);
        ck_assert_uint_eq(sim->nodes[i].queue.count, 0);
        timerq_destroy(&sim->nodes[i].queue);
    }
    for (size_t i = 0; i < sim->wire_count; i++)
        free(sim->wire[i]);
    free(sim);
}

void sim_peer_add(struct sim *sim, size_t from, size_t to, bool with_endpoint, uint16_t keepalive_s)
{
    const struct sim_node *other = &sim->nodes[to];
    struct netprefix allowed[2] = {{.addr = other->tunnel_v4, .length = 32},
                                   {.addr = other->tunnel_v6, .length = 128}};
    struct wg_peer_config config = {
        .keepalive_s = keepalive_s, .allowed = allowed, .allowed_count = 2, .replace_allowed = true};

    memcpy(config.public_key, other->public_key, sizeof(config.public_key));
    if (with_endpoint)
        config.endpoint = other->address;
    ck_assert_int_eq(wg_peer_set(sim->nodes[from].device, &config, sim->now_ns), NX_OK);
}

struct sim *sim_pair_new(void)
{
    struct sim *sim = sim_new(2);

    sim_peer_add(sim, 0, 1, true, 0);
    sim_peer_add(sim, 1, 0, false, 0);
    return sim;
}

struct wg_peer *sim_peer(struct sim *sim, size_t node, size_t of)
{
    return peer_lookup(sim->nodes[node].device, sim->nodes[of].public_key);
}

int sim_send(struct sim *sim, size_t from, size_t to, size_t length, uint32_t tag)
{
    struct sim_node *node = &sim->nodes[from];
    uint8_t *slot;
    int err = wg_tx_begin(node->device, &sim->nodes[to].tunnel_v4, length, sim->now_ns, &slot);

    if (err == NX_OK) {
        sim_packet_v4(slot, length, &node->tunnel_v4, &sim->nodes[to].tunnel_v4, tag);
        wg_tx_end(node->device);
    }
    return err;
}

int sim_send_v6(struct sim *sim, size_t from, size_t to, size_t length, uint32_t tag)
{
    struct sim_node *node = &sim->nodes[from];
    uint8_t *slot;
    int err = wg_tx_begin(node->device, &sim->nodes[to].tunnel_v6, length, sim->now_ns, &slot);

    if (err == NX_OK) {
        sim_packet_v6(slot, length, &node->tunnel_v6, &sim->nodes[to].tunnel_v6, tag);
        wg_tx_end(node->device);
    }
    return err;
}

void sim_inject(struct sim *sim, size_t to, const struct sim_datagram *datagrams, size_t count)
{
    struct wg_datagram *batch = calloc(count, sizeof(*batch));

    ck_assert_ptr_nonnull(batch);
    for (size_t i = 0; i < count; i++) {
        /* An allocation of exactly that size, so that a sanitizer sees any step beyond it. */
        batch[i].data = malloc(datagrams[i].length);
        memcpy(batch[i].data, datagrams[i].data, datagrams[i].length);
        batch[i].length = datagrams[i].length;
        batch[i].from = datagrams[i].from;
    }
    wg_receive(sim->nodes[to].device, batch, count, sim->now_ns);
    for (size_t i = 0; i < count; i++)
        free(batch[i].data);
    free(batch);
}

/* Delivers what is on the wire for one node as one batch. */
static void node_receive(struct sim *sim, size_t index)
{
    const struct sim_node *node = &sim->nodes[index];
    struct sim_datagram *batch = malloc(sim->wire_count * sizeof(*batch));
    size_t count = 0, kept = 0;

    ck_assert_ptr_nonnull(batch);
    for (size_t i = 0; i < sim->wire_count; i++) {
        if (netsock_equal(&sim->wire[i]->to, &node->address)) {
            batch[count++] = *sim->wire[i];
            free(sim->wire[i]);
        } else {
            sim->wire[kept++] = sim->wire[i];
        }
    }
    sim->wire_count = kept;
    if (count > 0)
        sim_inject(sim, index, batch, count);
    free(batch);
}

static void wire_discard(struct sim *sim)
{
    for (size_t i = 0; i < sim->wire_count; i++)
        free(sim->wire[i]);
    sim->wire_count = 0;
}

void sim_settle(struct sim *sim)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        for (size_t i = 0; i < sim->node_count; i++)
            wg_tx_flush(sim->nodes[i].device, sim->now_ns);
        if (sim->wire_count == 0)
            return;
        for (size_t i = 0; i < sim->node_count && sim->wire_count > 0; i++)
            node_receive(sim, i);
        /* What is left was sent to where nobody is. */
        for (size_t i = 0; i < sim->wire_count; i++) {
            bool known = false;

            for (size_t k = 0; k < sim->node_count; k++)
                known |= netsock_equal(&sim->wire[i]->to, &sim->nodes[k].address);
            if (!known) {
                wire_discard(sim);
                break;
            }
        }
    }
    ck_abort_msg("the devices never stop sending");
}

void sim_advance(struct sim *sim, uint64_t ns)
{
    uint64_t end = sim->now_ns + ns;

    sim_settle(sim);
    for (;;) {
        uint64_t next = UINT64_MAX;

        for (size_t i = 0; i < sim->node_count; i++) {
            uint64_t due = timerq_next_ns(&sim->nodes[i].queue);

            next = due < next ? due : next;
        }
        if (next > end)
            break;
        if (next > sim->now_ns)
            sim->now_ns = next;
        for (size_t i = 0; i < sim->node_count; i++)
            timerq_run(&sim->nodes[i].queue, sim->now_ns);
        sim_settle(sim);
    }
    sim->now_ns = end;
}

bool sim_reaches(struct sim *sim, size_t from, size_t to)
{
    size_t before = sim->nodes[to].received_count;

    ck_assert_int_eq(sim_send(sim, from, to, 100, 7777), NX_OK);
    sim_settle(sim);
    return sim->nodes[to].received_count == before + 1;
}
