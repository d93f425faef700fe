/* Both record types are asked for at the same time, and as a pair: a candidate that has either ends the
 * search, so that addresses of two different hosts are never mixed. When one type is answered and the other
 * is not 50 ms later, the answer goes out as it is (RFC 8305 section 3) and is completed when the rest comes:
 * a name server that drops questions for AAAA then costs one name 50 ms, not the time-out.
 *
 *   candidate → ask A and AAAA → both have none    → next candidate
 *                              → one failed, none  → the failure
 *                              → one has, one open → wait 50 ms → early answer → … → final answer
 *                              → otherwise         → final answer */
#include "proxyd/lookup.h"

#include "common/err.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HALF_V6 = 0, HALF_V4, HALVES };

struct lookup {
    struct dns_channel *channel;
    struct event *timer; /* the 50 ms, or 0 for an outcome known at once */
    lookup_fn fn;
    void *arg;
    size_t candidate; /* the next one */
    unsigned open;    /* questions without an answer */
    bool starting, ended;
    struct dns_records half[HALVES];
    char name[DNS_NAME_MAX + 1];
};

static size_t dots_count(const char *name)
{
    size_t dots = 0;
    for (; *name; name++)
        dots += *name == '.';
    return dots;
}

int lookup_candidate(const struct dns_search *search, const char *name, size_t index, char *out)
{
    const size_t length = strlen(name);
    const bool absolute = length > 0 && name[length - 1] == '.';
    const size_t total = absolute ? 1 : search->count + 1;
    const size_t as_is = absolute || dots_count(name) >= search->ndots ? 0 : search->count;
    if (index >= total)
        return NX_ENOENT;
    int written;
    if (index == as_is)
        written = snprintf(out, DNS_NAME_MAX + 1, "%s", name);
    else
        written =
            snprintf(out, DNS_NAME_MAX + 1, "%s.%s", name, search->domains[index - (as_is == 0 ? 1 : 0)]);
    return written > DNS_NAME_MAX ? NX_ERANGE : NX_OK;
}

static bool half_has(const struct lookup *lookup, int half)
{
    return lookup->half[half].err == NX_OK && lookup->half[half].count > 0;
}

static void answer_add(struct resolver_answer *answer, const struct dns_records *records)
{
    for (size_t i = 0; i < records->count && answer->count < RESOLVER_ADDRS_MAX; i++)
        answer->addrs[answer->count++] = records->addrs[i];
}

/* The smaller TTL counts: the addresses are cached as one. */
static void lookup_answer(const struct lookup *lookup, struct resolver_answer *answer)
{
    struct dns_records sorted[HALVES];
    *answer = (struct resolver_answer){.err = NX_ENOENT, .ttl_s = UINT32_MAX};
    for (int half = 0; half < HALVES; half++) {
        const int err = lookup->half[half].err;
        sorted[half] = lookup->half[half];
        if (half_has(lookup, half)) {
            /* Room for both families, however many addresses the other has. */
            if (half_has(lookup, 1 - half) && sorted[half].count > RESOLVER_ADDRS_MAX / 2)
                sorted[half].count = RESOLVER_ADDRS_MAX / 2;
            answer_add(answer, &sorted[half]);
            if (sorted[half].ttl_s < answer->ttl_s)
                answer->ttl_s = sorted[half].ttl_s;
        } else if (err != NX_ENOENT && err != NX_EAGAIN) {
            answer->err = err;
        }
    }
    if (answer->count > 0)
        answer->err = NX_OK;
}

static void lookup_end(struct lookup *lookup)
{
    lookup->ended = true;
    if (lookup->starting) { /* c-ares failed at once: tell it from the loop */
        event_add(lookup->timer, &(struct timeval){0, 0});
        return;
    }
    struct resolver_answer answer;
    lookup_answer(lookup, &answer);
    const lookup_fn fn = lookup->fn;
    void *const arg = lookup->arg;
    lookup_free(lookup);
    fn(&answer, true, arg);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct lookup *const lookup = arg;
    (void)fd, (void)what;
    if (lookup->ended) {
        lookup_end(lookup);
        return;
    }
    struct resolver_answer answer;
    lookup_answer(lookup, &answer);
    lookup->fn(&answer, false, lookup->arg);
}

static void on_v6(const struct dns_records *records, void *arg);
static void on_v4(const struct dns_records *records, void *arg);

static void lookup_ask(struct lookup *lookup)
{
    char name[DNS_NAME_MAX + 1];
    int err;
    do
        err = lookup_candidate(dns_channel_search(lookup->channel), lookup->name, lookup->candidate++, name);
    while (err == NX_ERANGE);
    if (err != NX_OK) {
        lookup_end(lookup);
        return;
    }
    lookup->open = HALVES;
    lookup->half[HALF_V6].err = lookup->half[HALF_V4].err = NX_EAGAIN;
    dns_query(lookup->channel, name, NETADDR_V6, on_v6, lookup);
    dns_query(lookup->channel, name, NETADDR_V4, on_v4, lookup);
}

static void half_done(struct lookup *lookup, int half, const struct dns_records *records)
{
    lookup->half[half] = *records;
    lookup->open--;
    const bool has = half_has(lookup, HALF_V4) || half_has(lookup, HALF_V6);
    if (lookup->open > 0) {
        if (has)
            event_add(lookup->timer, &(struct timeval){0, RESOLVER_SECOND_FAMILY_MS * 1000});
        return;
    }
    const bool failed = lookup->half[HALF_V4].err != NX_ENOENT || lookup->half[HALF_V6].err != NX_ENOENT;
    if (has || failed) {
        event_del(lookup->timer);
        lookup_end(lookup);
    } else {
        lookup_ask(lookup);
    }
}

static void on_v6(const struct dns_records *records, void *arg)
{
    half_done(arg, HALF_V6, records);
}

static void on_v4(const struct dns_records *records, void *arg)
{
    half_done(arg, HALF_V4, records);
}

struct lookup *lookup_start(struct event_base *base, struct dns_channel *channel, const char *name,
                            lookup_fn fn, void *arg)
{
    struct lookup *const lookup = calloc(1, sizeof(*lookup));
    if (!lookup)
        return NULL;
    lookup->channel = channel;
    lookup->fn = fn;
    lookup->arg = arg;
    lookup->timer = evtimer_new(base, on_timer, lookup);
    if (!lookup->timer || strlen(name) > DNS_NAME_MAX) {
        lookup_free(lookup);
        return NULL;
    }
    strcpy(lookup->name, name);
    lookup->half[HALF_V6].err = lookup->half[HALF_V4].err = NX_ENOENT;
    lookup->starting = true;
    lookup_ask(lookup);
    lookup->starting = false;
    return lookup;
}

void lookup_free(struct lookup *lookup)
{
    if (!lookup)
        return;
    if (lookup->timer)
        event_free(lookup->timer);
    free(lookup);
}
