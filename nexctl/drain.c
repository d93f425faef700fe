/* Live flows are asked for twice a second: nexd tells nobody when one ends. */
#include "nexctl/drain.h"

#include "common/clock.h"
#include "common/err.h"
#include "nexctl/human.h"
#include "nexctl/json.h"
#include "nexctl/printable.h"
#include "nexctl/rpc.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum { POLL_MS = 500 };

/* The sum over all rules, removed ones included. */
static int live_count(const char *json, uint64_t *out)
{
    static const char *rules_path[] = {"rules", NULL}, *live_path[] = {"live", NULL};
    yajl_val tree = json_tree_parse(json);
    yajl_val rules = tree ? yajl_tree_get(tree, rules_path, yajl_t_array) : NULL;
    *out = 0;
    for (size_t i = 0; rules && i < rules->u.array.len; i++) {
        yajl_val live = yajl_tree_get(rules->u.array.values[i], live_path, yajl_t_number);
        *out += live ? strtoull(YAJL_GET_NUMBER(live), NULL, 10) : 0;
    }
    int err = rules ? NX_OK : NX_EPROTO;
    yajl_tree_free(tree);
    return err;
}

static int live_ask(top_call_fn call, const void *arg, uint64_t *out, char *error)
{
    char *rules = NULL;
    int err = call(arg, "ListRuleStats", &rules, error);
    if (!err) {
        err = live_count(rules, out);
        if (err)
            snprintf(error, RPC_ERROR_MAX, "the answer cannot be understood: %s", nx_strerror(err));
    }
    free(rules);
    return err;
}

static void poll_wait(void)
{
    struct timespec left = {.tv_nsec = POLL_MS * (long)NS_PER_MS};
    while (nanosleep(&left, &left) && errno == EINTR)
        ;
}

int drain_wait(FILE *out, unsigned wait_s, top_call_fn call, const void *arg, char *error)
{
    char *answer = NULL, count[HUMAN_MAX];
    int err = call(arg, "Drain", &answer, error);
    if (err)
        return err;
    printable_make(answer, true);
    fputs(answer, out);
    free(answer);
    uint64_t deadline_ns = clock_now_ns() + wait_s * NS_PER_S, live = 0, shown = UINT64_MAX;
    while (wait_s) {
        err = live_ask(call, arg, &live, error);
        if (err)
            return err;
        if (live != shown)
            fprintf(out, "%s\n", human_count(live, "live flow", count));
        fflush(out);
        shown = live;
        if (live == 0)
            return NX_OK;
        if (clock_now_ns() >= deadline_ns) {
            snprintf(error, RPC_ERROR_MAX, "%s left after %u s", human_count(live, "live flow", count),
                     wait_s);
            return NX_ETIMEDOUT;
        }
        poll_wait();
    }
    return NX_OK;
}
