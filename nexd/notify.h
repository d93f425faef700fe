/* The service manager's notification socket, sd_notify(3)'s protocol: one datagram of VARIABLE=VALUE lines to
 * the AF_UNIX socket that $NOTIFY_SOCKET names, a path or (after '@') an abstract name. Only the parent
 * process. */
#ifndef NEXD_NEXD_NOTIFY_H
#define NEXD_NEXD_NOTIFY_H

#include <stdint.h>

struct notify {
    int fd;                        /* connected datagram socket, -1 = nobody wants to know */
    uint64_t watchdog_interval_ns; /* send WATCHDOG=1 this often; 0 = not asked for */
};

/* Reads $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID and removes them from the environment. A socket that
 * is malformed or not there is logged as a warning and leaves `fd` -1: readiness is then merely not
 * announced. */
void notify_open(struct notify *notify);
/* `state` is e.g. "READY=1". Never blocks; a lost datagram is logged at level debug. */
void notify_send(const struct notify *notify, const char *state);
void notify_close(struct notify *notify);

#endif
