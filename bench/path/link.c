#include "bench/path/link.h"
#include <string.h>

enum { HEADER_BYTES = 28, NS_PER_S = 1000000000, WARM_UP = 16 };

static uint64_t random_state[2];

/* xorshift128+: fast, and good enough to toss coins. */
static double coin(void)
{
    uint64_t a = random_state[0], b = random_state[1];
    random_state[0] = b;
    a ^= a << 23;
    random_state[1] = a ^ b ^ (a >> 17) ^ (b >> 26);
    return (double)((random_state[1] + b) >> 11) * 0x1.0p-53;
}

void link_seed(uint64_t seed)
{
    random_state[0] = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    random_state[1] = seed ^ UINT64_C(0xD1B54A32D192ED03);
    for (int i = 0; i < WARM_UP; i++)
        (void)coin();
}

/* False: the queue is full. */
static bool rate_pass(const struct link_model *model, struct link_state *link, size_t length,
                      uint64_t *due_ns)
{
    if (model->rate == 0)
        return true;
    if (link->free_ns < *due_ns)
        link->free_ns = *due_ns;
    if (link->free_ns - *due_ns > model->queue_ns)
        return false;
    link->free_ns += (length + HEADER_BYTES) * 8 * NS_PER_S / model->rate;
    *due_ns = link->free_ns;
    return true;
}

void link_admit(const struct link_model *model, struct link_state *link, struct datagram *datagram,
                uint64_t now_ns)
{
    uint64_t due_ns = now_ns;
    link->counters.in++;
    link->counters.in_bytes += datagram->length;
    bool lost = model->loss > 0 && coin() < model->loss;
    link->counters.lost += lost;
    bool full = !lost && !rate_pass(model, link, datagram->length, &due_ns);
    link->counters.queue_drop += full;
    if (lost || full) {
        datagram_put(datagram);
        return;
    }
    due_ns += model->delay_ns;
    if (model->jitter_ns > 0)
        due_ns += (uint64_t)(coin() * (double)model->jitter_ns);
    if (model->reorder > 0 && coin() < model->reorder) {
        link->counters.reordered += due_ns < link->last_due_ns;
    } else if (due_ns < link->last_due_ns) {
        due_ns = link->last_due_ns;
    }
    if (due_ns > link->last_due_ns)
        link->last_due_ns = due_ns;
    datagram->due_ns = due_ns;
    struct datagram *twin;
    if (model->duplicate > 0 && coin() < model->duplicate && (twin = datagram_get()) != NULL) {
        memcpy(twin, datagram, offsetof(struct datagram, data) + datagram->length);
        wheel_add(twin);
        link->counters.duplicated++;
    }
    wheel_add(datagram);
}
