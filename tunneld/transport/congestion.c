/* What all algorithms share: choosing one, starting it, and its random numbers. */
#include "tunneld/transport/congestion.h"
#include <string.h>

static const struct cc_ops *const all[] = {&cc_bbr, &cc_cubic};

const struct cc_ops *cc_find(const char *name)
{
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    return NULL;
}

void cc_init(struct cc *cc, const struct cc_ops *ops, uint32_t mss, uint32_t seed, uint64_t now_ns)
{
    memset(cc, 0, sizeof *cc);
    cc->ops = ops;
    cc->mss = mss;
    cc->random = seed | 1;
    cc->cwnd = (uint64_t)CC_INITIAL_SEGMENTS * mss;
    cc->ssthresh = CC_UNLIMITED;
    cc->quantum = 2 * (uint64_t)mss;
    ops->init(cc, now_ns);
}

/* xorshift32: enough to keep flows from probing in step. */
uint32_t cc_random(struct cc *cc)
{
    uint32_t x = cc->random;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    cc->random = x;
    return x;
}
