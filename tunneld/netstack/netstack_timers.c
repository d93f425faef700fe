/* lwIP's clock of IP reassembly on our timer queue, running for as long as fragments live after the last one
 * came. TCP's are in tcp_timer.c. */
#include "common/clock.h"
#include "common/err.h"
#include "lwip/ip4_frag.h"
#include "lwip/ip6_frag.h"
#include "lwip/priv/tcp_priv.h"
#include "tunneld/netstack/internal.h"

static struct timerq *timers;
static struct timerq_timer fragment_timer;
static unsigned fragment_seconds;

static void fragment_tick(struct timerq_timer *timer, void *arg, uint64_t now_ns)
{
    (void)arg;
    ip_reass_tmr();
    ip6_reass_tmr();
    if (--fragment_seconds > 0)
        (void)timer_arm(timers, timer, now_ns + NS_PER_S);
}

/* lwIP asks for its walks over all connections; each has its own timer instead (tcp_timer.c). */
void tcp_timer_needed(void)
{
}

void netstack_timers_fragment_seen(void)
{
    fragment_seconds = IP_REASS_MAXAGE + 2;
    if (!timer_armed(&fragment_timer))
        (void)timer_arm(timers, &fragment_timer, clock_now_ns() + NS_PER_S);
}

int netstack_timers_init(struct timerq *queue)
{
    timers = queue;
    timer_setup(&fragment_timer, fragment_tick, NULL);
    return NX_OK;
}
