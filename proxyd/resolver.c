/* What needs no name server is answered at once. The rest goes through a cache of names: an entry is fresh
 * until its time is up, and while its name is being asked for, further requests wait on it, so that a burst
 * of connections costs one question.
 *
 * `localhost` and what ends in it never leave this host (RFC 6761 section 6.3). */
#include "proxyd/resolver.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/text.h"
#include "proxyd/hosts.h"
#include "proxyd/lookup.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum { CACHE_BUCKETS = 512, RESOLVER_TTL_FAILED_S = 1 };

struct resolver_wait {
    TAILQ_ENTRY(resolver_wait) next;
    struct cache_entry *entry;
    resolver_fn fn;
    void *arg;
};

struct cache_entry {
    LIST_ENTRY(cache_entry) bucket;
    TAILQ_ENTRY(cache_entry) used;
    struct resolver *resolver;
    struct lookup *lookup; /* under way, or NULL */
    bool answered;         /* `answer` and `expires_ns` are set */
    uint64_t expires_ns;
    struct resolver_answer answer;
    TAILQ_HEAD(, resolver_wait) waits;
    char name[DNS_NAME_MAX + 1]; /* lower case, as asked for (a trailing dot matters to the search list) */
};

struct resolver {
    struct event_base *base;
    struct hosts *hosts;
    struct dns_channel *channel;
    size_t count, pending;
    LIST_HEAD(, cache_entry) buckets[CACHE_BUCKETS];
    TAILQ_HEAD(cache_order, cache_entry) order; /* least recently used first */
};

const char *resolver_strerror(int err)
{
    switch (err) {
    case NX_ENOENT:
        return "no such name";
    case NX_EINVAL:
        return "not a host name";
    case NX_ETIMEDOUT:
        return "no name server answers";
    case NX_ENOMEM:
        return "too many names are being resolved";
    default:
        return "the name servers fail or refuse";
    }
}

/* FNV-1a. */
static size_t name_bucket(const char *name)
{
    uint32_t hash = 2166136261u;
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    return hash % CACHE_BUCKETS;
}

static struct cache_entry *cache_find(struct resolver *resolver, const char *name)
{
    struct cache_entry *entry;
    LIST_FOREACH (entry, &resolver->buckets[name_bucket(name)], bucket)
        if (strcmp(entry->name, name) == 0)
            return entry;
    return NULL;
}

static void cache_remove(struct cache_entry *entry)
{
    LIST_REMOVE(entry, bucket);
    TAILQ_REMOVE(&entry->resolver->order, entry, used);
    entry->resolver->count--;
    free(entry);
}

static void cache_make_room(struct resolver *resolver)
{
    struct cache_entry *entry = TAILQ_FIRST(&resolver->order);
    while (entry && resolver->count >= RESOLVER_CACHE_MAX) {
        struct cache_entry *const next = TAILQ_NEXT(entry, used);
        if (!entry->lookup)
            cache_remove(entry);
        entry = next;
    }
}

static struct cache_entry *cache_get(struct resolver *resolver, const char *name)
{
    struct cache_entry *entry = cache_find(resolver, name);
    if (entry) {
        TAILQ_REMOVE(&resolver->order, entry, used);
        TAILQ_INSERT_TAIL(&resolver->order, entry, used);
        return entry;
    }
    cache_make_room(resolver);
    entry = calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    entry->resolver = resolver;
    strcpy(entry->name, name);
    TAILQ_INIT(&entry->waits);
    LIST_INSERT_HEAD(&resolver->buckets[name_bucket(name)], entry, bucket);
    TAILQ_INSERT_TAIL(&resolver->order, entry, used);
    resolver->count++;
    return entry;
}

static uint32_t ttl_bounded(const struct resolver_answer *answer)
{
    if (answer->err == NX_ENOENT)
        return RESOLVER_TTL_NEGATIVE_S;
    if (answer->err != NX_OK)
        return RESOLVER_TTL_FAILED_S;
    if (answer->ttl_s < RESOLVER_TTL_MIN_S)
        return RESOLVER_TTL_MIN_S;
    return answer->ttl_s > RESOLVER_TTL_MAX_S ? RESOLVER_TTL_MAX_S : answer->ttl_s;
}

/* A callback may cancel other waits and look up names. */
static void waits_answer(struct cache_entry *entry)
{
    const struct resolver_answer answer = entry->answer;
    struct resolver_wait *wait;
    while ((wait = TAILQ_FIRST(&entry->waits)) != NULL) {
        const resolver_fn fn = wait->fn;
        void *const arg = wait->arg;
        resolver_cancel(wait);
        fn(&answer, arg);
    }
}

static void on_lookup(const struct resolver_answer *found, bool final, void *arg)
{
    struct cache_entry *const entry = arg;
    entry->answer = *found;
    entry->answer.ttl_s = ttl_bounded(found);
    entry->answered = true;
    entry->expires_ns = clock_now_ns() + entry->answer.ttl_s * NS_PER_S;
    waits_answer(entry);
    if (final) { /* only now: an entry with a lookup is not evicted by what a callback looks up */
        entry->lookup = NULL;
        entry->resolver->pending--;
    }
}

/* Answers from what is known without asking; false: a name server has to be asked. */
static bool answer_from_names(struct resolver *resolver, const char *name, struct resolver_answer *answer)
{
    static const struct netaddr loopback[] = {{.family = NETADDR_V6, .bytes = {[15] = 1}},
                                              {.family = NETADDR_V4, .bytes = {127, 0, 0, 1}}};
    static const char localhost[] = "localhost";
    const size_t suffix = sizeof(localhost) - 1;
    size_t length = strlen(name);
    if (name[length - 1] == '.')
        length--;
    *answer = (struct resolver_answer){.err = NX_OK, .ttl_s = RESOLVER_TTL_STATIC_S, .from_host = true};
    if (length >= suffix && strncmp(name + length - suffix, localhost, suffix) == 0 &&
        (length == suffix || name[length - suffix - 1] == '.')) {
        memcpy(answer->addrs, loopback, sizeof(loopback));
        answer->count = 2;
        return true;
    }
    answer->count = hosts_lookup(resolver->hosts, name, answer->addrs, RESOLVER_ADDRS_MAX);
    return answer->count > 0;
}

static int answer_failed(struct resolver_answer *answer, int err)
{
    *answer = (struct resolver_answer){.err = err, .ttl_s = RESOLVER_TTL_FAILED_S};
    return NX_OK;
}

/* `entry` has no fresh answer: joins the question under way, or asks. */
static int resolver_ask(struct cache_entry *entry, struct resolver_answer *answer, resolver_fn fn, void *arg,
                        struct resolver_wait **out)
{
    struct resolver *const resolver = entry->resolver;
    struct resolver_wait *const wait = malloc(sizeof(*wait));
    if (!wait || (!entry->lookup && resolver->pending >= RESOLVER_PENDING_MAX))
        goto fail;
    if (!entry->lookup) {
        entry->lookup = lookup_start(resolver->base, resolver->channel, entry->name, on_lookup, entry);
        if (!entry->lookup)
            goto fail;
        resolver->pending++;
    }
    entry->answered = false;
    *wait = (struct resolver_wait){.entry = entry, .fn = fn, .arg = arg};
    TAILQ_INSERT_TAIL(&entry->waits, wait, next);
    *out = wait;
    return NX_EAGAIN;
fail:
    free(wait);
    return answer_failed(answer, NX_ENOMEM);
}

int resolver_lookup(struct resolver *resolver, const char *name, struct resolver_answer *answer,
                    resolver_fn fn, void *arg, struct resolver_wait **wait)
{
    char lower[DNS_NAME_MAX + 1];
    struct netaddr addr;
    *wait = NULL;
    if (netaddr_parse(name, &addr) == NX_OK) {
        netaddr_unmap(&addr);
        *answer = (struct resolver_answer){.ttl_s = RESOLVER_TTL_STATIC_S, .count = 1, .addrs = {addr}};
        return NX_OK;
    }
    const size_t length = strlen(name);
    if (length > DNS_NAME_MAX || !hostname_valid(name))
        return answer_failed(answer, NX_EINVAL);
    for (size_t i = 0; i <= length; i++)
        lower[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] - 'A' + 'a') : name[i];
    if (answer_from_names(resolver, lower, answer))
        return NX_OK;
    struct cache_entry *const entry = cache_get(resolver, lower);
    if (!entry)
        return answer_failed(answer, NX_ENOMEM);
    const uint64_t now_ns = clock_now_ns();
    if (entry->answered && now_ns < entry->expires_ns) {
        *answer = entry->answer;
        answer->ttl_s = (uint32_t)((entry->expires_ns - now_ns) / NS_PER_S);
        return NX_OK;
    }
    return resolver_ask(entry, answer, fn, arg, wait);
}

void resolver_cancel(struct resolver_wait *wait)
{
    if (!wait)
        return;
    TAILQ_REMOVE(&wait->entry->waits, wait, next);
    free(wait);
}

struct resolver *resolver_new(struct event_base *base, const struct resolver_config *config)
{
    struct resolver *const resolver = calloc(1, sizeof(*resolver));
    if (!resolver)
        return NULL;
    resolver->base = base;
    TAILQ_INIT(&resolver->order);
    resolver->hosts = hosts_load(config->hosts_path ? config->hosts_path : "/etc/hosts");
    resolver->channel = dns_channel_new(base, config->name_servers);
    if (resolver->hosts && resolver->channel)
        return resolver;
    log_error("the resolver cannot be set up");
    resolver_free(resolver);
    return NULL;
}

void resolver_free(struct resolver *resolver)
{
    if (!resolver)
        return;
    dns_channel_free(resolver->channel); /* no lookup calls back from here on */
    struct cache_entry *entry;
    while ((entry = TAILQ_FIRST(&resolver->order)) != NULL) {
        lookup_free(entry->lookup);
        while (!TAILQ_EMPTY(&entry->waits))
            resolver_cancel(TAILQ_FIRST(&entry->waits));
        cache_remove(entry);
    }
    hosts_free(resolver->hosts);
    free(resolver);
}
