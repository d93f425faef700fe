/* See udp_io.h. One receive batch a turn of the loop: up to RX_BUFFERS coalesced buffers, so that what it
 * causes (ACKs, writes to sockets) is sent before more is taken in, and no queue of our own grows. */
#include "tunneld/udp/udp_io.h"
#include "common/err.h"
#include "common/log.h"
#include "common/stun.h"
#include "tunneld/rxbuf.h"
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    RX_BUFFERS = 8,
    RX_SEGMENTS_MAX = 128,
    TX_MESSAGES = 64,
    CONTROL_MAX = 64,
    KEEP_FREE_BUFFERS = RX_BUFFERS
};

struct udp_socket {
    struct event event;
    int fd;
};

static struct udp_socket socket4 = {.fd = -1}, socket6 = {.fd = -1};
static struct event_base *loop;
static udp_io_receive_fn receiver;
static void *receiver_arg;
static udp_io_stun_fn stun_receiver;
static void *stun_receiver_arg;
static struct udp_io_counters counters;
static bool segmentation = true;

static void segment_size(struct msghdr *message, size_t *size)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        int value;
        if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO)
            continue;
        memcpy(&value, CMSG_DATA(c), sizeof value);
        if (value > 0)
            *size = (size_t)value;
    }
}

/* Cuts a coalesced buffer into its datagrams; STUN's go their own way. */
static size_t buffer_split(struct rxbuf *buffer, size_t length, size_t segment, const struct netsock *from,
                           struct wg_datagram *out)
{
    size_t n = 0;
    for (size_t at = 0; at < length && n < RX_SEGMENTS_MAX; at += segment) {
        size_t size = length - at < segment ? length - at : segment;
        if (stun_receiver != NULL && stun_is_answer(buffer->data + at, size)) {
            stun_receiver(stun_receiver_arg, buffer->data + at, size, from);
            counters.rx_stun++;
            continue;
        }
        out[n++] =
            (struct wg_datagram){.data = buffer->data + at, .length = size, .from = *from, .owner = buffer};
    }
    counters.rx_datagrams += n;
    counters.rx_bytes += length;
    return n;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    static struct wg_datagram datagrams[RX_BUFFERS * RX_SEGMENTS_MAX];
    struct rxbuf *buffers[RX_BUFFERS];
    struct mmsghdr messages[RX_BUFFERS];
    struct iovec iov[RX_BUFFERS];
    struct sockaddr_storage names[RX_BUFFERS];
    union {
        struct cmsghdr align;
        uint8_t bytes[CONTROL_MAX];
    } controls[RX_BUFFERS];
    unsigned count = 0;
    (void)what;
    (void)arg;

    memset(messages, 0, sizeof messages);
    for (; count < RX_BUFFERS && (buffers[count] = rxbuf_get()) != NULL; count++) {
        struct msghdr *m = &messages[count].msg_hdr;
        iov[count] = (struct iovec){.iov_base = buffers[count]->data, .iov_len = RXBUF_BYTES};
        m->msg_iov = &iov[count];
        m->msg_iovlen = 1;
        m->msg_name = &names[count];
        m->msg_namelen = sizeof names[count];
        m->msg_control = &controls[count];
        m->msg_controllen = sizeof controls[count];
    }
    int n = count > 0 ? recvmmsg(fd, messages, count, MSG_DONTWAIT, NULL) : 0;
    size_t total = 0;
    for (int i = 0; i < n && i < (int)count; i++) {
        struct netsock from;
        size_t segment = messages[i].msg_len;
        if (segment == 0 || messages[i].msg_hdr.msg_flags & MSG_TRUNC ||
            netsock_from_sockaddr((struct sockaddr *)&names[i], messages[i].msg_hdr.msg_namelen, &from) !=
                NX_OK)
            continue;
        segment_size(&messages[i].msg_hdr, &segment);
        total += buffer_split(buffers[i], messages[i].msg_len, segment, &from, datagrams + total);
    }
    if (total > 0) {
        counters.rx_batches++;
        receiver(receiver_arg, datagrams, total);
    }
    for (unsigned i = 0; i < count; i++)
        rxbuf_unref(buffers[i]);
    rxbuf_trim(KEEP_FREE_BUFFERS);
}

/* -- Sending -----------------------------------------------------------------------------------------------
 */

struct tx_batch {
    struct mmsghdr messages[TX_MESSAGES];
    struct sockaddr_storage names[TX_MESSAGES];
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
    } controls[TX_MESSAGES];
    const struct wg_out *outs[TX_MESSAGES];
    unsigned count;
};

static void message_fill(struct tx_batch *batch, const struct wg_out *out)
{
    unsigned i = batch->count++;
    struct msghdr *m = &batch->messages[i].msg_hdr;
    memset(m, 0, sizeof *m);
    m->msg_name = &batch->names[i];
    m->msg_namelen = netsock_to_sockaddr(&out->to, &batch->names[i]);
    m->msg_iov = (struct iovec *)(uintptr_t)out->iov;
    m->msg_iovlen = out->iov_count;
    batch->outs[i] = out;
    if (out->datagrams <= 1)
        return;
    m->msg_control = &batch->controls[i];
    m->msg_controllen = sizeof batch->controls[i];
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    c->cmsg_level = SOL_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    memcpy(CMSG_DATA(c), &out->segment, sizeof out->segment);
}

/* Without segmentation: each datagram by itself. */
static void transmit_singly(int fd, const struct wg_out *out)
{
    static uint8_t flat[65536];
    struct sockaddr_storage name;
    socklen_t name_length = netsock_to_sockaddr(&out->to, &name);
    size_t total = 0;
    for (unsigned i = 0; i < out->iov_count; i++) {
        if (total + out->iov[i].iov_len > sizeof flat)
            break;
        memcpy(flat + total, out->iov[i].iov_base, out->iov[i].iov_len);
        total += out->iov[i].iov_len;
    }
    for (size_t at = 0; at < total; at += out->segment) {
        struct iovec iov = {.iov_base = flat + at,
                            .iov_len = total - at < out->segment ? total - at : out->segment};
        struct msghdr m = {.msg_name = &name, .msg_namelen = name_length, .msg_iov = &iov, .msg_iovlen = 1};
        if (sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
            counters.tx_dropped++;
        else
            counters.tx_unsegmented++;
    }
}

static void message_failed(int fd, const struct wg_out *out, int err)
{
    if (out->datagrams <= 1 || (err != EINVAL && err != EIO && err != EMSGSIZE && err != ENOPROTOOPT)) {
        counters.tx_dropped += out->datagrams;
        return;
    }
    if (segmentation && (err == EIO || err == ENOPROTOOPT)) {
        segmentation = false; /* the kernel or the card cannot; EINVAL may be this path's MTU alone */
        log_info("UDP segmentation is not available here (%s): datagrams are sent one by one", strerror(err));
    }
    transmit_singly(fd, out);
}

static void batch_send(struct tx_batch *batch, int fd)
{
    unsigned at = 0;
    while (fd >= 0 && at < batch->count) {
        int n = sendmmsg(fd, batch->messages + at, batch->count - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        for (int i = 0; i < n; i++, at++) {
            counters.tx_datagrams += batch->outs[at]->datagrams;
            counters.tx_bytes += batch->messages[at].msg_len;
        }
        if (n <= 0)
            message_failed(fd, batch->outs[at++], errno);
    }
    for (; at < batch->count; at++)
        counters.tx_dropped += batch->outs[at]->datagrams;
    batch->count = 0;
}

void udp_io_transmit(const struct wg_out *out, size_t count)
{
    static struct tx_batch batch;
    int fd = -1;
    for (size_t i = 0; i < count; i++) {
        int needed = out[i].to.addr.family == NETADDR_V6 ? socket6.fd : socket4.fd;
        if (batch.count == TX_MESSAGES || (batch.count > 0 && needed != fd))
            batch_send(&batch, fd);
        fd = needed;
        if (!segmentation && out[i].datagrams > 1 && fd >= 0) {
            batch_send(&batch, fd);
            transmit_singly(fd, &out[i]);
        } else {
            message_fill(&batch, &out[i]);
        }
    }
    batch_send(&batch, fd);
}

/* -- Sockets -----------------------------------------------------------------------------------------------
 */

static void socket_close(struct udp_socket *s)
{
    if (s->fd < 0)
        return;
    event_del(&s->event);
    close(s->fd);
    s->fd = -1;
}

static int socket_set(struct udp_socket *s, int fd)
{
    socket_close(s);
    if (fd < 0)
        return NX_OK;
    if (event_assign(&s->event, loop, fd, EV_READ | EV_PERSIST, on_readable, NULL) != 0 ||
        event_add(&s->event, NULL) != 0) {
        close(fd);
        return NX_ENOMEM;
    }
    s->fd = fd;
    return NX_OK;
}

void udp_io_init(struct event_base *base, udp_io_receive_fn receive, void *arg)
{
    loop = base;
    receiver = receive;
    receiver_arg = arg;
}

void udp_io_set_stun(udp_io_stun_fn receive, void *arg)
{
    stun_receiver = receive;
    stun_receiver_arg = arg;
}

int udp_io_set_sockets(int fd4, int fd6)
{
    int err4 = socket_set(&socket4, fd4);
    int err6 = socket_set(&socket6, fd6);
    return err4 != NX_OK ? err4 : err6;
}

void udp_io_close(void)
{
    socket_close(&socket4);
    socket_close(&socket6);
}

const struct udp_io_counters *udp_io_counters_get(void)
{
    return &counters;
}
