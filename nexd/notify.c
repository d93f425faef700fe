/* The socket is connected once, at start, while socket(2) and paths are still open to us; later only send(2)
 * is needed. */
#include "nexd/notify.h"

#include "common/clock.h"
#include "common/log.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* "/path" or "@name"; the length of the address, 0 if malformed. */
static socklen_t address_make(const char *name, struct sockaddr_un *out)
{
    size_t length = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || length < 2 || length >= sizeof out->sun_path)
        return 0;
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(out->sun_path, name, length);
    if (name[0] == '@')
        out->sun_path[0] = '\0';
    /* An abstract name has no terminator: every byte counts. */
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (name[0] == '/' ? 1 : 0));
}

static int socket_connect(const char *name)
{
    struct sockaddr_un address;
    socklen_t length = address_make(name, &address);
    if (length == 0) {
        log_warn("NOTIFY_SOCKET=%s is neither a path nor an abstract name: readiness is not announced", name);
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, length) == 0)
        return fd;
    log_warn("NOTIFY_SOCKET=%s: %s: readiness is not announced", name, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Half the time in which the manager wants to hear from us, as sd_watchdog_enabled(3) recommends. */
static uint64_t watchdog_interval(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (!usec || (pid && strtoll(pid, NULL, 10) != (long long)getpid()))
        return 0;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(usec, &end, 10);
    if (errno || *end || end == usec || value == 0 || value > UINT64_MAX / NS_PER_US) {
        log_warn("WATCHDOG_USEC=%s is not a number of microseconds: ignored", usec);
        return 0;
    }
    return value * NS_PER_US / 2;
}

void notify_open(struct notify *notify)
{
    *notify = (struct notify){.fd = -1};
    const char *name = getenv("NOTIFY_SOCKET");
    if (name && name[0]) {
        notify->fd = socket_connect(name);
        if (notify->fd >= 0)
            notify->watchdog_interval_ns = watchdog_interval();
    }
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

void notify_send(const struct notify *notify, const char *state)
{
    if (notify->fd < 0)
        return;
    if (send(notify->fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        log_debug("notification \"%s\" not delivered: %s", state, strerror(errno));
}

void notify_close(struct notify *notify)
{
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
}
