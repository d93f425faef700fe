/* See pcb_table.h. The table doubles when it is full; it never shrinks (a pointer a slot). */
#include "tunneld/netstack/pcb_table.h"
#include "common/err.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip_hooks.h"
#include "tunneld/netstack/tcp_conn.h"
#include <sodium.h>
#include <stdlib.h>

enum { PCB_TABLE_INITIAL = 256 };

static struct tcp_pcb **slots;
static size_t slot_count, pcb_count;
static uint64_t secret[2];

static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)(a ^ secret[0]) * (b ^ secret[1]);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_address(const ip_addr_t *addr)
{
    if (IP_IS_V4(addr))
        return ip_2_ip4(addr)->addr;
    const u32_t *w = ip_2_ip6(addr)->addr;
    return mix(w[0] | (uint64_t)w[1] << 32, w[2] | (uint64_t)w[3] << 32);
}

static size_t slot_of(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip,
                      u16_t remote_port)
{
    uint64_t h =
        mix(hash_address(remote_ip) ^ hash_address(local_ip) << 1, remote_port | (uint64_t)local_port << 16);
    return (size_t)h & (slot_count - 1);
}

int pcb_table_init(void)
{
    randombytes_buf(secret, sizeof secret);
    secret[0] |= 1;
    secret[1] |= 1;
    slots = calloc(PCB_TABLE_INITIAL, sizeof *slots);
    if (slots == NULL)
        return NX_ENOMEM;
    slot_count = PCB_TABLE_INITIAL;
    return NX_OK;
}

static void table_grow(void)
{
    size_t old_count = slot_count;
    struct tcp_pcb **old = slots;
    struct tcp_pcb **bigger = calloc(old_count * 2, sizeof *bigger);
    if (bigger == NULL)
        return; /* longer chains, no harm */
    slots = bigger;
    slot_count = old_count * 2;
    for (size_t i = 0; i < old_count; i++) {
        struct tcp_pcb *pcb = old[i];
        while (pcb != NULL) {
            struct tcp_pcb *next = pcb->lookup_next;
            size_t slot = slot_of(&pcb->local_ip, pcb->local_port, &pcb->remote_ip, pcb->remote_port);
            pcb->lookup_next = slots[slot];
            slots[slot] = pcb;
            pcb = next;
        }
    }
    free(old);
}

struct tcp_pcb *netstack_pcb_find(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip,
                                  u16_t remote_port)
{
    struct tcp_pcb *pcb = slots[slot_of(local_ip, local_port, remote_ip, remote_port)];
    while (pcb != NULL && !(pcb->remote_port == remote_port && pcb->local_port == local_port &&
                            ip_addr_eq(&pcb->remote_ip, remote_ip) && ip_addr_eq(&pcb->local_ip, local_ip)))
        pcb = pcb->lookup_next;
    return pcb;
}

void netstack_pcb_listed(struct tcp_pcb *pcb)
{
    if (pcb_count >= slot_count)
        table_grow();
    size_t slot = slot_of(&pcb->local_ip, pcb->local_port, &pcb->remote_ip, pcb->remote_port);
    pcb->lookup_next = slots[slot];
    slots[slot] = pcb;
    pcb_count++;
    if (pcb->state == TIME_WAIT)
        tcp_conn_time_wait(pcb);
    else
        netstack_tcp_output_later(pcb); /* its timer is to be set */
}

/* lwIP ends a TIME-WAIT without a word: when it is over, when its port is needed, when the peer begins anew
 * or resets what is over. The flow that is still to be serviced after the last FIN must not keep a connection
 * that is about to be freed, so it is told here, where they all come by. */
static void time_wait_tell(struct tcp_pcb *pcb)
{
    tcp_err_fn tell = pcb->errf;
    pcb->errf = NULL;
    if (tell != NULL)
        tell(pcb->callback_arg, ERR_CLSD);
}

void netstack_pcb_unlisted(struct tcp_pcb *pcb)
{
    struct tcp_pcb **link =
        &slots[slot_of(&pcb->local_ip, pcb->local_port, &pcb->remote_ip, pcb->remote_port)];
    while (*link != NULL && *link != pcb)
        link = &(*link)->lookup_next;
    if (*link == pcb) {
        *link = pcb->lookup_next;
        pcb_count--;
    }
    pcb->lookup_next = NULL;
    if (pcb->output_link != NULL) {
        *pcb->output_link = pcb->output_next;
        if (pcb->output_next != NULL)
            pcb->output_next->output_link = pcb->output_link;
        pcb->output_link = NULL;
    }
    if (pcb->state == TIME_WAIT)
        time_wait_tell(pcb);
}

size_t pcb_table_count(void)
{
    return pcb_count;
}
