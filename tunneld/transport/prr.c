/* See prr.h. */
#include "tunneld/transport/prr.h"

void prr_begin(struct prr *prr, uint64_t inflight)
{
    *prr = (struct prr){.recover_fs = inflight > 0 ? inflight : 1};
}

uint64_t prr_ack(struct prr *prr, uint64_t delivered, uint64_t inflight, uint64_t ssthresh, uint32_t mss,
                 bool safe, bool first)
{
    prr->delivered += delivered;
    uint64_t send = 0;
    if (inflight > ssthresh) {
        uint64_t target = (uint64_t)((double)prr->delivered * (double)ssthresh / (double)prr->recover_fs);
        target = (target + mss - 1) / mss * mss;
        send = target > prr->out ? target - prr->out : 0;
    } else {
        uint64_t conserve = prr->delivered > prr->out ? prr->delivered - prr->out : 0;
        send = conserve > delivered ? conserve : delivered;
        if (safe)
            send += mss;
        if (send > ssthresh - inflight)
            send = ssthresh - inflight;
    }
    if (first && send < mss)
        send = mss;
    return inflight + send > mss ? inflight + send : mss;
}
