/* Datagrams, as an attacker and as a peer with the right keys could send them, through wg_receive().
 *
 * The input is a list of records: an operation, a length, and that many bytes. Some records are taken as
 * datagrams as they are; others change a genuine message and then set its MACs, or seal the input as an inner
 * packet, so that what stands behind the cryptography is reached too. Time, timers, sending and a peer's
 * removal are operations like others. All randomness is a counter's, so that an input always does the same.
 */
#include "common/err.h"
#include "tunneld/aead/engines.h"
#include "tunneld/wireguard/device.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum operation {
    RAW_DATAGRAM,
    SEALED_INNER,
    CHANGED_INITIATION,
    CHANGED_RESPONSE,
    CHANGED_COOKIE,
    PASS_TIME,
    SEND_PACKET,
    RECEIVE,
    REMOVE_PEER,
    OPERATIONS,
};
enum { BATCH_MAX = 8, RECORDS_MAX = 64, RECORD_MAX = 2048 };

static uint8_t random_counter;

static const char *counted_name(void)
{
    return "counter";
}

static void counted_buf(void *buf, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)buf)[i] = (uint8_t)(random_counter + 31 * i);
    random_counter++;
}

static uint32_t counted_random(void)
{
    static uint32_t state;

    state = state * 1664525 + 1013904223;
    return state;
}

static struct randombytes_implementation counted = {
    .implementation_name = counted_name, .random = counted_random, .buf = counted_buf};

static struct {
    struct wg_device *device;
    struct timerq queue;
    struct noise_identity peer_identity; /* the far end, which has no device of its own */
    struct noise_remote peer_view;       /* the device, as the far end sees it */
    uint64_t now_ns;
    uint32_t session_index;
    uint64_t session_counter;
    struct message_handshake_initiation last_initiation; /* that the device sent */
    bool has_initiation;
    struct wg_datagram batch[BATCH_MAX];
    size_t batch_count;
} world;

static const uint8_t session_key[32] = {42};
static const struct netsock peer_address = {.addr = {NETADDR_V4, {192, 0, 2, 1}}, .port = 51820};
static const struct netprefix peer_allowed[2] = {
    {.addr = {NETADDR_V4, {10, 0, 0, 1}}, .length = 32},
    {.addr = {NETADDR_V6, {0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}, .length = 64},
};

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void deliver(void *arg, const struct wg_inner *packets, size_t count)
{
    (void)arg;
    for (size_t i = 0; i < count; i++) {
        struct netaddr source = {0};
        volatile uint8_t sum = 0;

        for (size_t k = 0; k < packets[i].length; k++)
            sum = (uint8_t)(sum + packets[i].data[k]);
        if (packets[i].data[0] >> 4 == 4) {
            source.family = NETADDR_V4;
            memcpy(source.bytes, packets[i].data + 12, 4);
            must(packets[i].length >= 20 && netprefix_contains(&peer_allowed[0], &source));
        } else {
            source.family = NETADDR_V6;
            memcpy(source.bytes, packets[i].data + 8, 16);
            must(packets[i].length >= 40 && netprefix_contains(&peer_allowed[1], &source));
        }
    }
}

static void transmit(void *arg, const struct wg_out *outs, size_t count)
{
    (void)arg;
    for (size_t i = 0; i < count; i++) {
        const struct iovec *iov = outs[i].iov;

        must(outs[i].datagrams > 0 && outs[i].iov_count > 0 && outs[i].to.addr.family != NETADDR_NONE);
        if (outs[i].segment == MESSAGE_INITIATION_LEN && outs[i].datagrams == 1 &&
            iov->iov_len == MESSAGE_INITIATION_LEN &&
            *(const uint8_t *)iov->iov_base == MESSAGE_HANDSHAKE_INITIATION) {
            memcpy(&world.last_initiation, iov->iov_base, sizeof(world.last_initiation));
            world.has_initiation = true;
        }
    }
}

static uint64_t wall(void *arg)
{
    (void)arg;
    return world.now_ns;
}

/* The peer and a session with it, without a handshake. */
static void peer_add(void)
{
    struct wg_peer_config config = {.endpoint = peer_address, .allowed = peer_allowed, .allowed_count = 2};
    struct wg_peer *peer;
    struct keypair *keypair;

    memcpy(config.public_key, world.peer_identity.public_key, 32);
    must(wg_peer_set(world.device, &config, world.now_ns) == NX_OK);
    peer = peer_lookup(world.device, world.peer_identity.public_key);
    keypair = keypair_new(world.device, peer, 77, false, world.now_ns);
    must(keypair != NULL);
    memcpy(keypair->keys.receive, session_key, 32);
    memcpy(keypair->keys.send, session_key, 32);
    keypairs_add(world.device, &peer->keypairs, keypair);
    world.session_index = keypair->local_index;
    world.session_counter = 0;
}

static void batch_receive(void)
{
    wg_receive(world.device, world.batch, world.batch_count, world.now_ns);
    for (size_t i = 0; i < world.batch_count; i++)
        free(world.batch[i].data);
    world.batch_count = 0;
}

static void batch_add(const void *data, size_t length, uint16_t port)
{
    struct wg_datagram *datagram = &world.batch[world.batch_count++];

    *datagram = (struct wg_datagram){.data = malloc(length), .length = length, .from = peer_address};
    must(datagram->data != NULL || length == 0);
    datagram->from.port = port;
    if (length > 0)
        memcpy(datagram->data, data, length);
    if (world.batch_count == BATCH_MAX)
        batch_receive();
}

/* Changes a message where the record says: pairs of a position and a value. */
static void change(uint8_t *message, size_t length, const uint8_t *record, size_t record_length)
{
    for (size_t i = 0; i + 1 < record_length; i += 2)
        message[record[i] % length] ^= record[i + 1];
}

static void macs_set(void *message, size_t length)
{
    struct cookie_jar jar;

    cookie_jar_init(&jar, wg_public_key(world.device));
    cookie_add_macs(&jar, message, length, world.now_ns);
}

static void initiation_add(const uint8_t *record, size_t length)
{
    struct message_handshake_initiation message;
    struct noise_initiator state;
    uint8_t timestamp[NOISE_TIMESTAMP_LEN] = {0x40};

    for (int i = 0; i < 8; i++)
        timestamp[4 + i] = (uint8_t)(world.now_ns >> (56 - 8 * i));
    if (noise_initiation_create(&state, &world.peer_identity, &world.peer_view, 1, timestamp, &message) !=
        NX_OK)
        return;
    change((uint8_t *)&message, sizeof(message), record, length);
    macs_set(&message, sizeof(message));
    batch_add(&message, sizeof(message), 1);
}

static void response_add(const uint8_t *record, size_t length)
{
    struct message_handshake_response message;
    struct noise_responder state;
    struct noise_session_keys keys;

    memset(world.peer_view.latest_timestamp, 0, NOISE_TIMESTAMP_LEN);
    world.peer_view.last_initiation_ns = 0;
    if (!world.has_initiation ||
        noise_initiation_identify(&state, &world.peer_identity, &world.last_initiation) != NX_OK ||
        noise_initiation_authenticate(&state, &world.peer_view, &world.last_initiation, world.now_ns) !=
            NX_OK ||
        noise_response_create(&state, &world.peer_view, 5, le32toh(world.last_initiation.sender_index),
                              &message, &keys) != NX_OK)
        return;
    change((uint8_t *)&message, sizeof(message), record, length);
    macs_set(&message, sizeof(message));
    batch_add(&message, sizeof(message), 2);
}

static void cookie_add(const uint8_t *record, size_t length)
{
    struct message_handshake_cookie message;
    struct cookie_checker checker;

    if (!world.has_initiation)
        return;
    cookie_checker_init(&checker, world.peer_identity.public_key);
    cookie_reply_create(&checker, &world.last_initiation, sizeof(world.last_initiation),
                        le32toh(world.last_initiation.sender_index), &peer_address, world.now_ns, &message);
    change((uint8_t *)&message, sizeof(message), record, length);
    batch_add(&message, sizeof(message), 3);
}

/* The record is an inner packet; its first byte also moves the counter. */
static void inner_add(const uint8_t *record, size_t length)
{
    uint8_t message[RECORD_MAX + WG_DATA_OVERHEAD];
    struct message_data header = {.header.type = htole32(MESSAGE_DATA),
                                  .receiver_index = htole32(world.session_index)};
    struct aead_job job = {.key = session_key, .data = message + sizeof(header)};

    if (length > 0) {
        world.session_counter += record[0] % 16 == 15 ? 1 << (record[0] / 16) : record[0] % 16 != 0;
        record++;
        length--;
        memcpy(job.data, record, length);
    }
    job.length = (uint32_t)length;
    job.counter = world.session_counter;
    header.counter = htole64(job.counter);
    memcpy(message, &header, sizeof(header));
    aead_sodium.seal(&job, 1);
    batch_add(message, length + WG_DATA_OVERHEAD, 4);
}

static void packet_send(size_t length)
{
    uint8_t *slot;

    if (wg_tx_begin(world.device, &peer_allowed[0].addr, length, world.now_ns, &slot) == NX_OK) {
        memset(slot, 0x45, length);
        wg_tx_end(world.device);
    }
}

static void record_do(enum operation operation, const uint8_t *record, size_t length)
{
    switch (operation) {
    case RAW_DATAGRAM:
        batch_add(record, length, 5);
        break;
    case SEALED_INNER:
        inner_add(record, length);
        break;
    case CHANGED_INITIATION:
        initiation_add(record, length);
        break;
    case CHANGED_RESPONSE:
        response_add(record, length);
        break;
    case CHANGED_COOKIE:
        cookie_add(record, length);
        break;
    case PASS_TIME:
        world.now_ns += length > 0 ? (uint64_t)record[0] * NS_PER_S : 100 * NS_PER_MS;
        timerq_run(&world.queue, world.now_ns);
        wg_tx_flush(world.device, world.now_ns);
        break;
    case SEND_PACKET:
        packet_send(length > 0 ? (size_t)record[0] * 36 : 1);
        break;
    case RECEIVE:
        batch_receive();
        wg_tx_flush(world.device, world.now_ns);
        break;
    case REMOVE_PEER:
        (void)wg_peer_remove(world.device, world.peer_identity.public_key);
        peer_add();
        break;
    case OPERATIONS:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct wg_ops ops = {.deliver = deliver, .transmit = transmit, .wall_ns = wall};
    static const uint8_t device_key[32] = {8}, peer_key[32] = {16};
    static struct noise_identity *identity;
    static bool ready;

    if (!ready) {
        randombytes_set_implementation(&counted);
        must(sodium_init() >= 0);
        identity = wg_identity_new();
        must(identity != NULL);
        ready = true;
    }
    random_counter = 0;
    memset(&world, 0, sizeof(world));
    world.now_ns = 1000 * NS_PER_S;
    timerq_init(&world.queue);
    world.device = wg_new(identity, device_key, aead_engine_select(NULL), &world.queue, &ops, NULL);
    must(world.device != NULL);
    noise_identity_init(&world.peer_identity, peer_key);
    must(noise_remote_init(&world.peer_view, &world.peer_identity, wg_public_key(world.device)) == NX_OK);
    peer_add();
    for (unsigned i = 0; i < RECORDS_MAX && size >= 3; i++) {
        size_t length = ((size_t)data[1] << 8 | data[2]) % RECORD_MAX;
        enum operation operation = data[0] % OPERATIONS;

        data += 3;
        size -= 3;
        length = length < size ? length : size;
        record_do(operation, data, length);
        data += length;
        size -= length;
    }
    batch_receive();
    wg_tx_flush(world.device, world.now_ns);
    wg_free(world.device);
    must(world.queue.count == 0);
    timerq_destroy(&world.queue);
    return 0;
}
