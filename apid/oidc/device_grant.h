/* Device authorization (RFC 8628): codes that are waiting for somebody to approve or deny them in a browser.
 *
 *   start ─> pending ─┬─ approve ─> approved ─ poll ─> gone (the tokens are given once)
 *                     ├─ deny ────> denied
 *                     └─ time ────> expired ─> gone
 *
 * Kept in memory only: a restart makes clients start over, which they do on their own. apid only. */
#ifndef NEXD_APID_DEVICE_GRANT_H
#define NEXD_APID_DEVICE_GRANT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

enum {
    DEVICE_GRANTS_MAX = 1024, /* pending at once; then the oldest goes */
    DEVICE_CODE_MAX = 44,
    DEVICE_USER_CODE_MAX = 10, /* "XXXX-XXXX" */
    DEVICE_SCOPE_MAX = 512,
    DEVICE_USER_MAX = 37,
    DEVICE_EXPIRES_S = 600,
    DEVICE_EXPIRED_KEPT_S = 60, /* so that a late poll hears of the expiry */
    DEVICE_INTERVAL_S = 5,
};

enum device_grant_state { DEVICE_PENDING = 0, DEVICE_APPROVED, DEVICE_DENIED };

struct device_grant {
    TAILQ_ENTRY(device_grant) entry;
    char device_code[DEVICE_CODE_MAX], user_code[DEVICE_USER_CODE_MAX];
    char scope[DEVICE_SCOPE_MAX];
    char user[DEVICE_USER_MAX]; /* id of who approved */
    enum device_grant_state state;
    uint64_t expires_ns, polled_ns; /* monotonic */
};

struct device_grants {
    TAILQ_HEAD(, device_grant) all; /* oldest first */
    size_t count;
};

enum device_poll {
    DEVICE_POLL_GRANTED,
    DEVICE_POLL_PENDING,
    DEVICE_POLL_SLOW_DOWN,
    DEVICE_POLL_DENIED,
    DEVICE_POLL_EXPIRED,
    DEVICE_POLL_UNKNOWN
};

void device_grants_init(struct device_grants *grants);
void device_grants_free(struct device_grants *grants);

/* A new pending code. NULL: out of memory, or the scope is too long. */
const struct device_grant *device_grant_start(struct device_grants *grants, const char *scope,
                                              uint64_t now_ns);

/* The client asks. DEVICE_POLL_GRANTED: user and scope are copied out, and the code is used up. */
enum device_poll device_grant_poll(struct device_grants *grants, const char *device_code, uint64_t now_ns,
                                   char user[DEVICE_USER_MAX], char scope[DEVICE_SCOPE_MAX]);

/* The pending code that a person has typed, whatever the case, with or without the hyphen; NULL if there is
 * none. */
struct device_grant *device_grant_find(struct device_grants *grants, const char *user_code, uint64_t now_ns);
void device_grant_approve(struct device_grant *grant, const char *user);
void device_grant_deny(struct device_grant *grant);

#endif
