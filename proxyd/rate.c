/* Each event takes its share of a second; whoever is a whole second ahead waits. */
#include "proxyd/rate.h"

#include "common/clock.h"

bool rate_take(struct rate *rate, uint64_t now_ns, bool take)
{
    if (rate->per_second == 0)
        return true;
    const uint64_t share_ns = NS_PER_S / rate->per_second;
    const uint64_t due_ns = rate->due_ns > now_ns ? rate->due_ns : now_ns;
    if (due_ns - now_ns > NS_PER_S - share_ns)
        return false;
    if (take)
        rate->due_ns = due_ns + share_ns;
    return true;
}
