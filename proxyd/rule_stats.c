/* The numbers live with the rule and go with it. Flows and their bytes are counted by tunneld, which has
 * them.
 */
#include "proxyd/rule_stats.h"

#include "common/clock.h"

#include <stdio.h>

void rule_stats_note(struct rule_entry *entry, const struct failure *failure)
{
    entry->failures.count[failure->result]++;
    entry->failures.last_unix_s = clock_wall_ns() / NS_PER_S;
    snprintf(entry->failures.last, sizeof(entry->failures.last), "%.*s", IPC_LAST_ERROR_MAX, failure->text);
}

static void answer_one(const struct rule_entry *entry, struct outbox *ctld, uint32_t request)
{
    const uint64_t *const count = entry->failures.count;
    struct ipc_rule_stats body = {
        .rule_id = entry->id,
        .refused = count[IPC_REFUSED],
        .timed_out = count[IPC_TIMED_OUT],
        .unreachable = count[IPC_UNREACHABLE],
        .limited = count[IPC_LIMIT],
        .policy = count[IPC_POLICY],
        .failed = count[IPC_FAILED] + count[IPC_NOT_FOUND] + count[IPC_IN_USE] + count[IPC_NOT_PERMITTED],
        .last_error_unix_s = entry->failures.last_unix_s,
    };
    snprintf(body.last_error, sizeof(body.last_error), "%s", entry->failures.last);
    outbox_send(ctld, IPC_MSG_RULE_STATS, request, &body, sizeof(body), -1);
}

void rule_stats_answer(const struct rule_table *rules, struct outbox *ctld, uint32_t request)
{
    for (size_t i = 0; i < RULE_BUCKETS; i++) {
        const struct rule_entry *entry;
        LIST_FOREACH (entry, &rules->by_id[i], by_id)
            if (entry->failures.last_unix_s != 0 && ctld->count < OUTBOX_MAX - 1)
                answer_one(entry, ctld, request);
    }
    outbox_send_ok(ctld, request);
}
