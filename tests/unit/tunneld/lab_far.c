#include "lab_far.h"
#include "common/err.h"
#include "tunneld/netstack/netstack.h"
#include <string.h>

enum { HEADS = 40, MSS_OPTION = 4, PACKET_MAX = 2048 };

struct lab_far lab_far_end;
static uint8_t leaving[PACKET_MAX];

static uint32_t get32(const uint8_t *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

static void put32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (24 - 8 * i));
}

static int mesh_begin(const struct netaddr *dst, size_t length, uint8_t **slot)
{
    (void)dst;
    ck_assert_uint_le(length, sizeof leaving);
    memset(leaving, 0, sizeof leaving);
    *slot = leaving;
    return NX_OK;
}

static void mesh_end(void)
{
    struct lab_far *far = &lab_far_end;
    const uint8_t *tcp = leaving + 20;
    size_t total = (size_t)leaving[2] << 8 | leaving[3], data = total - 20 - (size_t)(tcp[12] >> 4) * 4;
    far->port = (uint16_t)(tcp[0] << 8 | tcp[1]);
    far->resets += (tcp[13] & FAR_RST) != 0;
    far->fins += (tcp[13] & FAR_FIN) != 0;
    if (data > far->longest)
        far->longest = data;
    uint32_t end = get32(tcp + 4) + (uint32_t)data + ((tcp[13] & (FAR_SYN | FAR_FIN)) != 0);
    if (tcp[13] & FAR_SYN || (int32_t)(end - far->ack) > 0)
        far->ack = end;
}

static void say(uint8_t flags, uint32_t seq, const uint8_t *option, const char *text, size_t data)
{
    uint8_t packet[HEADS + MSS_OPTION + FAR_WORDS] = {
        0x45, [8] = 64, [9] = 6, [12] = 100, [13] = 64, [15] = 9};
    struct netaddr own = lab_own(NETADDR_V4);
    size_t heads = HEADS + (option != NULL ? MSS_OPTION : 0);
    ck_assert_uint_le(data, FAR_WORDS);
    packet[3] = (uint8_t)(heads + data);
    memcpy(packet + 16, own.bytes, 4);
    packet[21] = LAB_PORT;
    packet[22] = (uint8_t)(lab_far_end.port >> 8);
    packet[23] = (uint8_t)lab_far_end.port;
    put32(packet + 24, seq);
    put32(packet + 28, lab_far_end.ack);
    packet[32] = (uint8_t)((heads - 20) / 4 << 4);
    packet[33] = flags;
    packet[34] = (uint8_t)(lab_far_end.window >> 8);
    packet[35] = (uint8_t)lab_far_end.window;
    if (option != NULL)
        memcpy(packet + HEADS, option, MSS_OPTION);
    memcpy(packet + heads, text, data);
    netstack_input(packet, heads + data, NULL);
}

void lab_far_says(uint8_t flags, uint32_t seq, size_t data)
{
    say(flags, seq, NULL, "adieu", data);
}

void lab_far_says_mss(uint16_t mss)
{
    say(FAR_ACK, lab_far_end.seq, (uint8_t[]){2, 4, (uint8_t)(mss >> 8), (uint8_t)mss}, "", 0);
}

int lab_far_connected(void)
{
    struct netaddr addr;
    lab_mesh_begin = mesh_begin;
    lab_mesh_end = mesh_end;
    ck_assert_int_eq(netaddr_parse("100.64.0.9", &addr), NX_OK);
    int client = lab_client_to(&addr, LAB_PORT);
    for (unsigned i = 0; i < LAB_TURNS && lab_far_end.ack == 0; i++)
        lab_turns(1);
    ck_assert_uint_ne(lab_far_end.ack, 0);
    lab_far_end.seq = 5000;
    lab_far_says(FAR_SYN | FAR_ACK, lab_far_end.seq++, 0);
    lab_turns(10);
    return client;
}
