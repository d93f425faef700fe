/* One timer a connection, in place of lwIP's walks over all of them every 50 ms: loss recovery, pace, delayed
 * ACK, probes of a closed window, keepalive, and the ends of states that a silent peer would leave open. The
 * timer is moved only forwards in time when it has to fire earlier; when it fires too early it looks again.
 * So an active connection rarely touches the queue, and an idle one costs its keepalive. */
#include "common/clock.h"
#include "tunneld/netstack/internal.h"
#include "tunneld/netstack/tcp_conn.h"

#define DELAYED_ACK_NS    (40 * NS_PER_MS)
#define TICK_NS           (TCP_SLOW_INTERVAL * NS_PER_MS)
#define PERSIST_MIN_NS    (200 * NS_PER_MS)
#define PERSIST_MAX_NS    (60 * NS_PER_S)
#define GIVE_UP_NS        (600 * NS_PER_S) /* RFC 9293, 3.8.3: R2 at least 100 s */
#define ORPHAN_GIVE_UP_NS (120 * NS_PER_S)
#define SYN_GIVE_UP_NS    (20 * NS_PER_S)
#define TIME_WAIT_STEP_NS (500 * NS_PER_MS)
#define CLOSE_RETRY_NS    NS_PER_S
enum {
    PERSIST_PROBES_MAX = 60,
    ORPHAN_BACKOFF_MAX = 9, /* an orphan's window may stay closed for some 100 s */
};

static struct timerq *timers;
static struct timerq_timer time_wait_timer;

/* lwIP stamps what it receives with tcp_ticks. */
void tcp_conn_ticks_update(uint64_t now_ns)
{
    tcp_ticks = (u32_t)(now_ns / TICK_NS);
}

/* When `ticks` have passed since the last segment came. */
static uint64_t since_heard_ns(const struct tcp_pcb *pcb, uint64_t after_ns, uint64_t now_ns)
{
    uint64_t silent_ns = (uint64_t)(u32_t)((u32_t)(now_ns / TICK_NS) - pcb->tmr) * TICK_NS;
    return silent_ns >= after_ns ? now_ns : now_ns + after_ns - silent_ns;
}

/* Where nothing of ours is on the way that would tell. */
static bool keepalive_on(const struct tcp_pcb *pcb)
{
    return ip_get_option(pcb, SOF_KEEPALIVE) &&
           (pcb->state == ESTABLISHED || pcb->state == CLOSE_WAIT || pcb->state == FIN_WAIT_2);
}

static uint64_t keepalive_ns(const struct tcp_pcb *pcb, uint64_t now_ns)
{
    uint64_t after_ms = pcb->keep_idle + (uint64_t)pcb->keep_cnt_sent * pcb->keep_intvl;
    return since_heard_ns(pcb, after_ms * NS_PER_MS + TICK_NS, now_ns);
}

/* When a connection that we have closed wholly ends though the peer says nothing; UINT64_MAX = it does not.
 */
static uint64_t state_end_ns(const struct tcp_pcb *pcb, uint64_t now_ns)
{
    if (pcb->state != FIN_WAIT_2 || !(pcb->flags & TF_RXCLOSED))
        return UINT64_MAX;
    return since_heard_ns(pcb, TCP_FIN_WAIT_TIMEOUT * NS_PER_MS, now_ns);
}

/* How long a peer that answers nothing is tried. */
static uint64_t give_up_ns(const struct tcp_conn *conn)
{
    if (conn->sender.first_timeout_ns == 0)
        return UINT64_MAX;
    uint64_t after_ns = conn->orphan ? ORPHAN_GIVE_UP_NS : conn->established ? GIVE_UP_NS : SYN_GIVE_UP_NS;
    return conn->sender.first_timeout_ns + after_ns;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t deadline_ns(const struct tcp_conn *conn, uint64_t now_ns)
{
    const struct tcp_pcb *pcb = conn->pcb;
    uint64_t at_ns = state_end_ns(pcb, now_ns);
    if (conn->started)
        at_ns = least(at_ns, least(sender_deadline_ns(&conn->sender), give_up_ns(conn)));
    at_ns = least(least(at_ns, conn->pace_ns), least(conn->delayed_ack_ns, conn->persist_ns));
    if (keepalive_on(pcb))
        at_ns = least(at_ns, keepalive_ns(pcb, now_ns));
    return pcb->flags & TF_CLOSEPEND ? least(at_ns, now_ns + CLOSE_RETRY_NS) : at_ns;
}

static void delayed_ack_update(struct tcp_conn *conn, uint64_t now_ns)
{
    if (!(conn->pcb->flags & TF_ACK_DELAY))
        conn->delayed_ack_ns = UINT64_MAX;
    else if (conn->delayed_ack_ns == UINT64_MAX)
        conn->delayed_ack_ns = now_ns + DELAYED_ACK_NS;
}

/* lwIP has marked the pcb when the window had no room and nothing was on the way. */
static void persist_update(struct tcp_conn *conn, uint64_t now_ns)
{
    const struct tcp_pcb *pcb = conn->pcb;
    if (pcb->persist_backoff == 0 || pcb->unsent == NULL || pcb->unacked != NULL) {
        conn->persist_ns = UINT64_MAX;
    } else if (conn->persist_ns == UINT64_MAX) {
        uint64_t wait_ns = PERSIST_MIN_NS << LWIP_MIN(pcb->persist_backoff - 1, 16);
        conn->persist_ns = now_ns + least(wait_ns, PERSIST_MAX_NS);
    }
}

void tcp_conn_timer_update(struct tcp_conn *conn, uint64_t now_ns)
{
    delayed_ack_update(conn, now_ns);
    persist_update(conn, now_ns);
    uint64_t at_ns = deadline_ns(conn, now_ns);
    if (at_ns == UINT64_MAX || (timer_armed(&conn->timer) && conn->timer.deadline_ns <= at_ns))
        return;
    (void)timer_arm(timers, &conn->timer, at_ns);
}

/* -- Firing ---------------------------------------------------------------------------------- */

static void persist_probe(struct tcp_conn *conn)
{
    struct tcp_pcb *pcb = conn->pcb;
    conn->persist_ns = UINT64_MAX;
    if (pcb->persist_backoff < UINT8_MAX)
        pcb->persist_backoff++;
    if (pcb->snd_wnd == 0)
        (void)tcp_zero_window_probe(pcb);
    else if (tcp_split_unsent_seg(pcb, (u16_t)LWIP_MIN(pcb->snd_wnd, UINT16_MAX)) == ERR_OK)
        netstack_output_later(pcb);
}

/* True if the connection is gone. */
static bool given_up(struct tcp_conn *conn, uint64_t now_ns)
{
    struct tcp_pcb *pcb = conn->pcb;
    bool silent =
        keepalive_on(pcb) && pcb->keep_cnt_sent >= pcb->keep_cnt && keepalive_ns(pcb, now_ns) <= now_ns;
    if (state_end_ns(pcb, now_ns) <= now_ns) {
        tcp_abandon(pcb, 0);
        return true;
    }
    /* The peer answers, so it is told. */
    if (conn->orphan && pcb->persist_backoff > ORPHAN_BACKOFF_MAX) {
        tcp_abandon(pcb, 1);
        return true;
    }
    if (!silent && give_up_ns(conn) > now_ns && pcb->persist_probe < PERSIST_PROBES_MAX)
        return false;
    tcp_abandon(pcb, silent);
    return true;
}

static void fire(struct timerq_timer *timer, void *arg, uint64_t now_ns)
{
    struct tcp_conn *conn = arg;
    struct tcp_pcb *pcb = conn->pcb;
    (void)timer;
    tcp_conn_ticks_update(now_ns);
    if (given_up(conn, now_ns))
        return;
    if (conn->delayed_ack_ns <= now_ns)
        tcp_ack_now(pcb);
    if (conn->persist_ns <= now_ns)
        persist_probe(conn);
    if (keepalive_on(pcb) && keepalive_ns(pcb, now_ns) <= now_ns) {
        (void)tcp_keepalive(pcb);
        pcb->keep_cnt_sent++;
    }
    if (conn->started)
        sender_timer(&conn->sender, now_ns);
    if (pcb->flags & TF_CLOSEPEND) {
        tcp_clear_flags(pcb, TF_CLOSEPEND);
        (void)tcp_close(pcb);
    }
    netstack_output_later(pcb); /* sends what may go, and sets the timer again */
}

/* Connections in TIME-WAIT are many and small: one timer for all. */
static void time_wait_fire(struct timerq_timer *timer, void *arg, uint64_t now_ns)
{
    (void)arg;
    tcp_conn_ticks_update(now_ns);
    struct tcp_pcb *pcb = tcp_tw_pcbs;
    while (pcb != NULL) {
        struct tcp_pcb *next = pcb->next;
        if (since_heard_ns(pcb, 2 * TCP_MSL * NS_PER_MS, now_ns) <= now_ns)
            tcp_abandon(pcb, 0);
        pcb = next;
    }
    if (tcp_tw_pcbs != NULL)
        (void)timer_arm(timers, timer, now_ns + TIME_WAIT_STEP_NS);
}

void tcp_conn_time_wait(struct tcp_pcb *pcb)
{
    tcp_conn_detach(pcb);
    if (!timer_armed(&time_wait_timer))
        (void)timer_arm(timers, &time_wait_timer, clock_now_ns() + TIME_WAIT_STEP_NS);
}

void tcp_conn_timer_init(struct timerq *queue)
{
    timers = queue;
    timer_setup(&time_wait_timer, time_wait_fire, NULL);
}

void tcp_conn_timer_setup(struct tcp_conn *conn)
{
    timer_setup(&conn->timer, fire, conn);
}

void tcp_conn_timer_stop(struct tcp_conn *conn)
{
    timer_disarm(timers, &conn->timer);
}
