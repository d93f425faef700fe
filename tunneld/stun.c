/* See stun.h. */
#include "tunneld/stun.h"
#include "common/clock.h"
#include "common/err.h"
#include "tunneld/udp/stun_probe.h"
#include "tunneld/udp/udp_io.h"
#include <sodium.h>
#include <stdio.h>

static struct child **self;
static struct stun_probe probe;

static void transmit(void *arg, const struct netsock *to, const uint8_t *data, size_t length)
{
    (void)arg;
    const struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = length};
    const struct wg_out out = {
        .to = *to, .iov = &iov, .iov_count = 1, .datagrams = 1, .segment = (uint16_t)length};
    udp_io_transmit(&out, 1);
}

static void random_fill(void *arg, uint8_t *out, size_t length)
{
    (void)arg;
    randombytes_buf(out, length);
}

static void answered(void *arg, uint32_t request, const struct netsock *server, int err,
                     const struct netsock *mapped)
{
    (void)arg;
    struct ipc_link *ctld = child_link(*self, IPC_CTLD);
    if (err == NX_OK) {
        const struct ipc_stun_answer body = {.server = *server, .mapped = *mapped};
        (void)ipc_send(ctld, IPC_MSG_STUN_ANSWER, request, &body);
        return;
    }
    const struct ipc_result body = {.result = IPC_REFUSED, .text = "the STUN server refused"};
    (void)ipc_send(ctld, IPC_MSG_RESULT, request, &body);
}

static const struct stun_probe_ops ops = {.transmit = transmit, .random = random_fill, .answered = answered};

static void on_answer(void *arg, const uint8_t *data, size_t length, const struct netsock *from)
{
    (void)arg;
    stun_probe_receive(&probe, data, length, from, clock_now_ns());
}

void stun_setup(struct child **child)
{
    self = child;
    stun_probe_init(&probe, &ops, NULL);
    udp_io_set_stun(on_answer, NULL);
}

int stun_send(uint32_t request, const struct ipc_stun_send *body)
{
    return stun_probe_send(&probe, request, &body->server, clock_now_ns());
}

void stun_forget(void)
{
    stun_probe_forget(&probe);
}
