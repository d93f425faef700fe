#include "apid/rest/online.h"

#include "common/err.h"

#include <event2/event.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum { BUCKETS = 1024, ID_MAX = 37 };

struct presence {
    LIST_ENTRY(presence) entry;
    struct online *online;
    char device[ID_MAX];
    size_t streams;
    struct event *grace; /* pending while there is none */
};

LIST_HEAD(presence_list, presence);

struct online {
    struct event_base *base;
    void (*set)(void *arg, const char *device, bool online);
    void *arg;
    size_t count;
    struct presence_list buckets[BUCKETS];
};

struct online *online_new(struct event_base *base, void (*set)(void *arg, const char *device, bool online),
                          void *arg)
{
    struct online *const online = calloc(1, sizeof(*online));
    if (online)
        *online = (struct online){.base = base, .set = set, .arg = arg};
    return online;
}

/* Ids are random, but they come from the store's own generator: no client chooses them. */
static struct presence_list *bucket_of(struct online *online, const char *device)
{
    uint32_t hash = 2166136261u;
    for (const char *at = device; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619u;
    return &online->buckets[hash % BUCKETS];
}

static void presence_free(struct presence *presence)
{
    LIST_REMOVE(presence, entry);
    presence->online->count--;
    event_free(presence->grace);
    free(presence);
}

void online_free(struct online *online)
{
    if (online == NULL)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (!LIST_EMPTY(&online->buckets[i]))
            presence_free(LIST_FIRST(&online->buckets[i]));
    free(online);
}

static void on_grace(evutil_socket_t unused, short what, void *arg)
{
    struct presence *const presence = arg;
    (void)unused;
    (void)what;
    presence->online->set(presence->online->arg, presence->device, false);
    presence_free(presence);
}

static struct presence *presence_find(struct online *online, const char *device)
{
    struct presence *presence;
    LIST_FOREACH (presence, bucket_of(online, device), entry)
        if (strcmp(presence->device, device) == 0)
            return presence;
    return NULL;
}

static struct presence *presence_new(struct online *online, const char *device)
{
    struct presence *const presence = calloc(1, sizeof(*presence));
    if (presence == NULL || strlen(device) >= ID_MAX) {
        free(presence);
        return NULL;
    }
    presence->online = online;
    memcpy(presence->device, device, strlen(device) + 1);
    presence->grace = evtimer_new(online->base, on_grace, presence);
    if (presence->grace == NULL) {
        free(presence);
        return NULL;
    }
    LIST_INSERT_HEAD(bucket_of(online, device), presence, entry);
    online->count++;
    return presence;
}

static void grace_start(struct presence *presence, unsigned ms)
{
    const struct timeval after = {ms / 1000, (suseconds_t)(ms % 1000) * 1000};
    event_add(presence->grace, &after);
}

int online_join(struct online *online, const char *device)
{
    struct presence *presence = presence_find(online, device);
    if (presence == NULL) {
        presence = presence_new(online, device);
        if (presence == NULL)
            return NX_ENOMEM;
        online->set(online->arg, device, true);
    }
    presence->streams++;
    event_del(presence->grace);
    return NX_OK;
}

void online_leave(struct online *online, const char *device)
{
    struct presence *const presence = presence_find(online, device);
    if (presence && --presence->streams == 0)
        grace_start(presence, ONLINE_GRACE_MS);
}

int online_expect(struct online *online, const char *device)
{
    struct presence *const presence = presence_new(online, device);
    if (presence == NULL)
        return NX_ENOMEM;
    grace_start(presence, ONLINE_START_GRACE_MS);
    return NX_OK;
}

size_t online_count(const struct online *online)
{
    return online->count;
}
