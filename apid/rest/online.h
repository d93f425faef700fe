/* Which devices are online: those with an event stream of their own, and those whose last one ended less than
 * five seconds ago, so that a stream that is made anew is no news to the others. apid only. */
#ifndef NEXD_APID_ONLINE_H
#define NEXD_APID_ONLINE_H

#include <stdbool.h>
#include <stddef.h>

struct event_base;
struct online;

enum { ONLINE_GRACE_MS = 5000, ONLINE_START_GRACE_MS = 40000 };

/* `set` records a change in the store. NULL when out of memory. */
struct online *online_new(struct event_base *base, void (*set)(void *arg, const char *device, bool online),
                          void *arg);
void online_free(struct online *online);

/* A stream of the device begins or ends. NX_ENOMEM. */
int online_join(struct online *online, const char *device);
void online_leave(struct online *online, const char *device);
/* At start: the store says that the device is online; it is given ONLINE_START_GRACE_MS to come back. */
int online_expect(struct online *online, const char *device);

size_t online_count(const struct online *online);

#endif
