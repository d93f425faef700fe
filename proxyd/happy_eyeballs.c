/* A race holds one event for each attempt in flight and one timer for the next start.
 *
 * Most destinations are on this host. There the kernel finishes the handshake inside connect(2), but reports
 * it only to the next call; asking a second time at once saves the round through the event loop, for one
 * system call more where that was in vain. So nothing is allocated before an attempt really has to wait. */
#include "proxyd/happy_eyeballs.h"

#include "common/err.h"
#include "common/fd.h"
#include "proxyd/tcp_options.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

struct eyeballs_attempt {
    struct eyeballs_race *race;
    struct event *event;
    struct netsock dest;
    int fd; /* -1 once it has failed */
};

struct eyeballs_race {
    struct event_base *base;
    enum rule_protocol protocol;
    uint16_t port;
    uint32_t scope_id;
    struct event *stagger;
    eyeballs_fn fn;
    void *arg;
    size_t count, next, in_flight;
    struct netaddr addrs[EYEBALLS_ADDRS_MAX];
    struct eyeballs_attempt attempts[EYEBALLS_ADDRS_MAX];
    struct eyeballs_outcome outcome;
};

static size_t order_append(struct netaddr *out, size_t filled, const struct netaddr *addr)
{
    for (size_t i = 0; i < filled; i++)
        if (netaddr_equal(&out[i], addr))
            return filled;
    out[filled] = *addr;
    return filled + 1;
}

static size_t next_of_family(const struct netaddr *addrs, size_t count, size_t from, bool v6)
{
    while (from < count && (addrs[from].family == NETADDR_V6) != v6)
        from++;
    return from;
}

size_t eyeballs_order(const struct netaddr *addrs, size_t count, struct netaddr *out)
{
    size_t at[2] = {next_of_family(addrs, count, 0, false), next_of_family(addrs, count, 0, true)};
    size_t filled = 0;
    bool v6 = true;
    while (filled < EYEBALLS_ADDRS_MAX && (at[0] < count || at[1] < count)) {
        if (at[v6] >= count)
            v6 = !v6;
        filled = order_append(out, filled, &addrs[at[v6]]);
        at[v6] = next_of_family(addrs, count, at[v6] + 1, v6);
        v6 = !v6;
    }
    return filled;
}

/* A refusal says most: somebody is there. A lack of our own comes next, then whatever came last. */
static int error_rank(int error)
{
    switch (error) {
    case 0:
        return 0;
    case ECONNREFUSED:
        return 3;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return 2;
    default:
        return 1;
    }
}

static void race_note_failure(struct eyeballs_race *race, const struct netsock *dest, int error)
{
    struct eyeballs_outcome *const outcome = &race->outcome;
    if (error_rank(error) >= error_rank(outcome->error)) {
        outcome->error = error;
        outcome->dest = *dest;
    }
}

static bool is_loopback(const struct netaddr *addr)
{
    static const struct netaddr loopback6 = {.family = NETADDR_V6, .bytes = {[15] = 1}};
    return addr->family == NETADDR_V4 ? addr->bytes[0] == 127 : netaddr_equal(addr, &loopback6);
}

/* To a port of this host that nobody listens on the kernel may give the very same port: the socket is then
 * connected to itself, and whoever uses it would hear what he says. */
static bool connected_to_itself(int fd, const struct netsock *dest)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    struct netsock local;
    return getsockname(fd, (struct sockaddr *)&address, &length) == 0 &&
           netsock_from_sockaddr((const struct sockaddr *)&address, length, &local) == NX_OK &&
           local.port == dest->port && netaddr_equal(&local.addr, &dest->addr);
}

/* NX_OK: *fd is connected. NX_EAGAIN: *fd is on its way. NX_ESYS: errno. */
static int socket_connect(enum rule_protocol protocol, const struct netsock *dest, int *out)
{
    struct sockaddr_storage address;
    const socklen_t length = netsock_to_sockaddr(dest, &address);
    const int type = protocol == RULE_TCP ? SOCK_STREAM : SOCK_DGRAM;
    FD_AUTO int fd = socket(address.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || (protocol == RULE_TCP && tcp_options_set(fd) != NX_OK))
        return NX_ESYS;
    int result = connect(fd, (const struct sockaddr *)&address, length);
    if (result && errno == EINPROGRESS && is_loopback(&dest->addr))
        result = connect(fd, (const struct sockaddr *)&address, length);
    if (result && errno != EINPROGRESS && errno != EALREADY && errno != EISCONN)
        return NX_ESYS;
    const bool waits = result && errno != EISCONN;
    if (!waits && connected_to_itself(fd, dest)) {
        errno = ECONNREFUSED;
        return NX_ESYS;
    }
    *out = fd_release(&fd);
    return waits ? NX_EAGAIN : NX_OK;
}

static void attempt_drop(struct eyeballs_attempt *attempt)
{
    if (attempt->event)
        event_free(attempt->event);
    attempt->event = NULL;
    if (attempt->fd >= 0)
        attempt->race->in_flight--;
    fd_close(&attempt->fd);
}

void eyeballs_cancel(struct eyeballs_race *race)
{
    if (!race)
        return;
    for (size_t i = 0; i < race->next; i++)
        attempt_drop(&race->attempts[i]);
    if (race->stagger)
        event_free(race->stagger);
    free(race);
}

static void race_end(struct eyeballs_race *race)
{
    const struct eyeballs_outcome outcome = race->outcome;
    const eyeballs_fn fn = race->fn;
    void *const arg = race->arg;
    eyeballs_cancel(race);
    fn(&outcome, arg);
}

static int race_advance(struct eyeballs_race *race);

static void on_stagger(evutil_socket_t fd, short what, void *arg)
{
    struct eyeballs_race *const race = arg;
    (void)fd, (void)what;
    if (race_advance(race) == NX_OK)
        race_end(race);
}

static void on_attempt(evutil_socket_t fd, short what, void *arg)
{
    struct eyeballs_attempt *const attempt = arg;
    struct eyeballs_race *const race = attempt->race;
    int error = 0;
    socklen_t length = sizeof(error);
    (void)what;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length))
        error = errno;
    if (error == 0 && connected_to_itself(fd, &attempt->dest))
        error = ECONNREFUSED;
    if (error == 0) {
        event_free(attempt->event); /* before the descriptor goes to another owner */
        attempt->event = NULL;
        race->in_flight--;
        race->outcome = (struct eyeballs_outcome){.fd = fd_release(&attempt->fd), .dest = attempt->dest};
        race_end(race);
        return;
    }
    attempt_drop(attempt);
    race_note_failure(race, &attempt->dest, error);
    if (race_advance(race) == NX_OK)
        race_end(race);
}

/* Waits for an attempt that is on its way; the descriptor becomes the attempt's. */
static int attempt_wait(struct eyeballs_attempt *attempt, int *fd)
{
    struct eyeballs_race *const race = attempt->race;
    attempt->event = event_new(race->base, *fd, EV_WRITE, on_attempt, attempt);
    if (!attempt->event || event_add(attempt->event, NULL)) {
        errno = ENOMEM;
        return NX_ESYS;
    }
    attempt->fd = fd_release(fd);
    race->in_flight++;
    return NX_OK;
}

/* Starts attempts until one has to wait. NX_OK: the race is over; NX_EAGAIN: an attempt is on its way. */
static int race_advance(struct eyeballs_race *race)
{
    while (race->next < race->count) {
        struct eyeballs_attempt *const attempt = &race->attempts[race->next];
        FD_AUTO int fd = -1;
        *attempt = (struct eyeballs_attempt){.race = race, .fd = -1};
        attempt->dest = (struct netsock){.addr = race->addrs[race->next], .port = race->port};
        attempt->dest.scope_id = attempt->dest.addr.family == NETADDR_V6 ? race->scope_id : 0;
        race->next++;
        int err = socket_connect(race->protocol, &attempt->dest, &fd);
        if (err == NX_OK) {
            race->outcome = (struct eyeballs_outcome){.fd = fd_release(&fd), .dest = attempt->dest};
            return NX_OK;
        }
        if (err == NX_EAGAIN)
            err = attempt_wait(attempt, &fd);
        if (err == NX_OK) {
            if (race->next < race->count)
                event_add(race->stagger, &(struct timeval){0, EYEBALLS_STAGGER_MS * 1000});
            return NX_EAGAIN;
        }
        race_note_failure(race, &attempt->dest, errno);
        attempt_drop(attempt);
    }
    return race->in_flight > 0 ? NX_EAGAIN : NX_OK;
}

int eyeballs_start(struct event_base *base, enum rule_protocol protocol, const struct netaddr *addrs,
                   size_t count, uint16_t port, uint32_t scope_id, eyeballs_fn fn, void *arg,
                   struct eyeballs_outcome *outcome, struct eyeballs_race **out)
{
    struct eyeballs_race *const race = malloc(sizeof(*race));
    *out = NULL;
    if (!race)
        return NX_ENOMEM;
    race->base = base;
    race->protocol = protocol;
    race->port = port;
    race->scope_id = scope_id;
    race->fn = fn;
    race->arg = arg;
    race->count = count < EYEBALLS_ADDRS_MAX ? count : EYEBALLS_ADDRS_MAX;
    race->next = race->in_flight = 0;
    race->stagger = NULL;
    race->outcome = (struct eyeballs_outcome){.fd = -1};
    memcpy(race->addrs, addrs, race->count * sizeof(*addrs));
    if (race->count > 1)
        race->stagger = evtimer_new(base, on_stagger, race);
    int err = race->count > 1 && !race->stagger ? NX_ENOMEM : race_advance(race);
    if (err == NX_EAGAIN) {
        *out = race;
        return err;
    }
    *outcome = race->outcome;
    eyeballs_cancel(race);
    return err;
}
