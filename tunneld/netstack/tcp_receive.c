/* The receiving half: segments that come ahead of a gap are kept (reassembly.h) as copies, so that they pin
 * no receive buffer; SACK options, in and out; a receive window that follows what the sender uses; and what
 * is not taken in when memory is short.
 *
 * The window: what counts is how far the sender gets in a round trip, gaps included, for on a lossy path the
 * application gets nothing until a gap is filled, one or two round trips later. So the window holds four
 * times that, and while the sender still accelerates as much more as two further round trips will bring: one
 * until the new window is known to it, one until it is measured again. An application that does not take what
 * is there stops the growth. It never shrinks; what all windows have grown by is bounded, and each step takes
 * a quarter of what is left at most. */
#include "common/clock.h"
#include "lwip_hooks.h"
#include "tunneld/netstack/internal.h"
#include "tunneld/netstack/tcp_conn.h"
#include <stdlib.h>
#include <string.h>

enum {
    RECEIVE_WINDOW_MAX = 32 << 20,
    WINDOW_FACTOR = 4,
    WINDOW_FACTOR_GROWTH = 8,
    OPTION_BYTES_MAX = 40,
    SACK_BLOCK_BYTES = 8,
    UNREAD_MIN = 16 * 1024, /* each connection may have so much that its application has not taken, */
    HELD_UP_MIN = 4 * 1024, /* or so much, where that takes none */
    QUICK_ACKS = 16,
    FULL_SEGMENT_MIN = 536, /* RFC 9293, 3.7.1: what every path carries */
};
#define WINDOW_ROUND_MIN_NS (2 * NS_PER_MS)
/* Of the memory for all connections, so much is for what waits behind gaps. */
#define GAP_MEMORY_SHARE 2

/* A kept segment: lwIP's buffer, its place in the sequence, its bytes. */
struct kept {
    struct pbuf_custom custom; /* first: lwIP's view */
    struct reassembly_item item;
    uint32_t capacity;
    uint8_t data[];
};

static struct kept *kept_of(struct reassembly_item *item)
{
    return (struct kept *)(void *)((char *)item - offsetof(struct kept, item));
}

static void kept_free(struct kept *kept)
{
    netstack.gap_bytes -= kept->capacity;
    free(kept);
}

static void item_free(struct reassembly_item *item)
{
    kept_free(kept_of(item));
}

static void pbuf_kept_free(struct pbuf *p)
{
    kept_free((struct kept *)(void *)p);
}

void tcp_conn_receive_init(struct tcp_conn *conn)
{
    reassembly_init(&conn->reassembly, item_free);
    conn->receive_window = TCP_WND;
    conn->full_segment = FULL_SEGMENT_MIN;
    conn->quick_acks = QUICK_ACKS;
}

void tcp_conn_receive_end(struct tcp_conn *conn)
{
    reassembly_clear(&conn->reassembly);
    netstack.window_bytes -= conn->receive_window - TCP_WND;
}

static void window_measure(struct tcp_conn *conn);

/* -- Gaps ------------------------------------------------------------------------------------ */

/* Returns 1 if an ACK should leave at once. */
int netstack_tcp_out_of_order(struct tcp_pcb *pcb, const struct tcp_seg *seg, uint32_t start)
{
    struct tcp_conn *conn = tcp_conn_of(pcb);
    if (conn == NULL)
        return 1;
    bool fin = (TCPH_FLAGS(seg->tcphdr) & TCP_FIN) != 0;
    uint32_t length = seg->len, room = pcb->rcv_nxt + pcb->rcv_wnd - start; /* > 0, lwIP has checked */
    if (length + fin > room) {
        length = LWIP_MIN(length, room);
        fin = false;
    }
    if (length + fin == 0 || netstack.gap_bytes + length > netstack_memory_limit() / GAP_MEMORY_SHARE)
        return 1;
    struct kept *kept = malloc(sizeof *kept + length);
    if (kept == NULL)
        return 1;
    kept->item = (struct reassembly_item){.start = start, .end = start + length + fin, .fin = fin};
    kept->capacity = length;
    netstack.gap_bytes += length;
    pbuf_copy_partial(seg->p, kept->data, (u16_t)length, 0);
    (void)reassembly_insert(&conn->reassembly, &kept->item);
    window_measure(conn);
    return reassembly_urgent(&conn->reassembly);
}

void netstack_tcp_duplicate(struct tcp_pcb *pcb, uint32_t start, uint32_t length)
{
    struct tcp_conn *conn = tcp_conn_of(pcb);
    if (conn != NULL && (pcb->flags & TF_SACK))
        reassembly_duplicate(&conn->reassembly, start, start + length);
}

/* The window's edge never moves back, so what was kept within it still is. */
static struct pbuf *pbuf_of(struct reassembly_item *item, bool *fin)
{
    struct kept *kept = kept_of(item);
    uint32_t length = item->end - item->start - item->fin;
    *fin |= item->fin;
    if (length == 0) {
        item_free(item);
        return NULL;
    }
    kept->custom.custom_free_function = pbuf_kept_free;
    return pbuf_alloced_custom(PBUF_RAW, (u16_t)length, PBUF_REF, &kept->custom, kept->data + item->offset,
                               (u16_t)length);
}

/* A sender that opens its window has little on the way and waits for each acknowledgement: the first full
 * segments do not wait for a second one, nor for the timer. Short ones, as requests are, do: the answer takes
 * their acknowledgement along. */
static void acknowledge_quickly(struct tcp_conn *conn, size_t length)
{
    if (conn->quick_acks == 0 || length < conn->full_segment)
        return;
    conn->full_segment = (uint16_t)LWIP_MIN(length, UINT16_MAX);
    conn->quick_acks--;
    tcp_ack_now(conn->pcb);
}

/* What is in order now joins the chain *data. Returns 1 if a FIN is the last of it. */
int netstack_tcp_in_order(struct tcp_pcb *pcb, struct pbuf **data)
{
    struct tcp_conn *conn = tcp_conn_of(pcb);
    if (conn == NULL)
        return 0;
    if (*data != NULL)
        acknowledge_quickly(conn, (*data)->tot_len);
    if (conn->reassembly.count == 0)
        return 0;
    struct pbuf **link = data;
    while (*link != NULL)
        link = &(*link)->next;
    struct reassembly_item *item;
    bool fin = false;
    while ((item = reassembly_take(&conn->reassembly, pcb->rcv_nxt)) != NULL) {
        uint32_t length = item->end - item->start;
        if (length > pcb->rcv_wnd) {
            item_free(item);
            reassembly_clear(&conn->reassembly);
            break;
        }
        pcb->rcv_nxt += length;
        pcb->rcv_wnd -= length;
        *link = pbuf_of(item, &fin);
        if (*link != NULL)
            link = &(*link)->next;
    }
    tcp_update_rcv_ann_wnd(pcb);
    tcp_ack_now(pcb); /* RFC 5681, 4.2: what fills a gap is acknowledged at once */
    return fin;
}

/* -- SACK options ---------------------------------------------------------------------------- */

void netstack_tcp_fill_sacks(struct tcp_pcb *pcb)
{
    struct tcp_conn *conn = tcp_conn_of(pcb);
    struct reassembly_block blocks[LWIP_TCP_MAX_SACK_NUM];
    size_t count = 0;
    if (conn != NULL && (pcb->flags & TF_SACK))
        count = reassembly_blocks(&conn->reassembly, blocks, LWIP_TCP_MAX_SACK_NUM);
    for (size_t i = 0; i < LWIP_TCP_MAX_SACK_NUM; i++) {
        pcb->rcv_sacks[i].left = i < count ? blocks[i].start : 0;
        pcb->rcv_sacks[i].right = i < count ? blocks[i].end : 0;
    }
}

static uint32_t read32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void sack_take(struct sender_ack *incoming, const uint8_t *blocks, size_t length)
{
    if (length % SACK_BLOCK_BYTES != 0)
        return;
    for (; length > 0 && incoming->sack_count < SENDER_SACKS_MAX; length -= SACK_BLOCK_BYTES) {
        incoming->sacks[incoming->sack_count++] =
            (struct sack_block){.start = read32(blocks), .end = read32(blocks + 4)};
        blocks += SACK_BLOCK_BYTES;
    }
}

static void options_parse(struct sender_ack *incoming, const uint8_t *options, size_t length)
{
    enum { END = 0, NOP = 1, SACK = 5 };
    size_t at = 0;
    while (at < length && options[at] != END) {
        if (options[at] == NOP) {
            at++;
            continue;
        }
        size_t size = at + 1 < length ? options[at + 1] : 0;
        if (size < 2 || size > length - at)
            return;
        if (options[at] == SACK)
            sack_take(incoming, options + at + 2, size - 2);
        at += size;
    }
}

void tcp_conn_take_options(struct tcp_pcb *pcb, const struct tcp_hdr *hdr, uint16_t length,
                           uint16_t first_length, const uint8_t *second)
{
    struct tcp_conn *conn = tcp_conn_of(pcb);
    if (conn == NULL)
        return;
    conn->incoming.sack_count = 0;
    if (length == 0 || length > OPTION_BYTES_MAX || !(pcb->flags & TF_SACK))
        return;
    uint8_t options[OPTION_BYTES_MAX];
    memcpy(options, (const uint8_t *)hdr + TCP_HLEN, first_length);
    if (length > first_length)
        memcpy(options + first_length, second, (size_t)(length - first_length));
    options_parse(&conn->incoming, options, length);
}

/* -- The receive window ---------------------------------------------------------------------- */

static void window_grow(struct tcp_conn *conn, uint64_t wanted)
{
    struct tcp_pcb *pcb = conn->pcb;
    size_t granted = LWIP_MIN(netstack.window_bytes, netstack_memory_limit());
    uint64_t most = conn->receive_window + (netstack_memory_limit() - granted) / 4;
    if (wanted > RECEIVE_WINDOW_MAX)
        wanted = RECEIVE_WINDOW_MAX;
    if (wanted > most)
        wanted = most;
    if (wanted <= conn->receive_window)
        return;
    pcb->rcv_wnd += (tcpwnd_size_t)wanted - conn->receive_window;
    netstack.window_bytes += wanted - conn->receive_window;
    conn->receive_window = (uint32_t)wanted;
    tcp_update_rcv_ann_wnd(pcb);
}

/* The sender has got `advanced` further in a round trip. */
static void window_follow(struct tcp_conn *conn, uint64_t advanced, uint32_t untaken)
{
    uint64_t more = advanced > conn->window_advanced ? advanced - conn->window_advanced : 0;
    conn->window_advanced = (uint32_t)LWIP_MIN(advanced, UINT32_MAX);
    if (untaken <= advanced / 2)
        window_grow(conn, WINDOW_FACTOR * advanced + WINDOW_FACTOR_GROWTH * more);
}

uint32_t netstack_tcp_window_max(struct tcp_pcb *pcb)
{
    struct tcp_conn *conn = tcp_conn_of(pcb);
    return conn != NULL ? conn->receive_window : TCP_WND;
}

/* Called where bytes have come or gone; looks once a round trip. */
static void window_measure(struct tcp_conn *conn)
{
    const struct tcp_pcb *pcb = conn->pcb;
    if (!(pcb->flags & TF_WND_SCALE))
        return;
    uint64_t now_ns = clock_now_ns(), round_ns = rtt_min_ns(&conn->sender.rtt);
    if (round_ns < WINDOW_ROUND_MIN_NS)
        round_ns = WINDOW_ROUND_MIN_NS;
    uint64_t passed_ns = now_ns - conn->window_since_ns;
    if (conn->window_since_ns != 0 && passed_ns < round_ns)
        return;
    uint32_t reached = reassembly_end(&conn->reassembly, pcb->rcv_nxt);
    if (conn->window_since_ns != 0) {
        double share = (double)round_ns / (double)passed_ns;
        uint32_t untaken = conn->receive_window - pcb->rcv_wnd;
        window_follow(conn, (uint64_t)((double)(reached - conn->window_mark) * share), untaken);
    }
    conn->window_since_ns = now_ns;
    conn->window_mark = reached;
}

void netstack_window_measure(struct tcp_pcb *pcb, size_t left_bytes)
{
    struct tcp_conn *conn = tcp_conn_of(pcb);
    if (conn == NULL)
        return;
    conn->held_up = left_bytes > 0;
    window_measure(conn);
}

/* -- Short of memory ------------------------------------------------------------------------- */

/* Windows were promised when there was memory, and cannot be taken back. What comes within them when there is
 * none is dropped as if the path had lost it, but for a little of each connection: its sender slows down and
 * tries again. So thousands of connections whose applications do not read hold no more than that little each.
 */
bool tcp_conn_no_room(struct tcp_pcb *pcb, size_t length)
{
    const struct tcp_conn *conn = tcp_conn_of(pcb);
    if (conn == NULL || length == 0 || netstack_memory_left() > 0)
        return false;
    uint32_t unread = TCP_WND_MAX(pcb) - pcb->rcv_wnd;
    return unread >= (conn->held_up ? HELD_UP_MIN : UNREAD_MIN);
}
