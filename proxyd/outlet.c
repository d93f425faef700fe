/* ctld talks to a control plane that may be hostile, and might be taken over by it. So where it may be
 * connected is not its own choice: the parent names the API's host and the operator's HTTP proxy. The login
 * server is known only once the control plane has said where it is; the first that it names is taken, and no
 * name that comes from there leads to this host or its link, unless the control plane itself is here: by its
 * name, or by what its name leads to, which is asked for when it matters.
 *
 *   name → addresses → race (happy_eyeballs.c) → OPENED        all within 30 s, otherwise RESULT
 *
 * The addresses that were judged are those that are connected to.
 */
#include "proxyd/outlet.h"

#include "common/err.h"
#include "common/log.h"
#include "common/text.h"
#include "policy/special.h"
#include "proxyd/failure.h"
#include "proxyd/happy_eyeballs.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct place {
    char host[IPC_NAME_MAX + 1];
    uint16_t port;
    bool is_service;
};

struct opening {
    LIST_ENTRY(opening) entry;
    struct outlets *outlets;
    uint32_t request;
    struct place place;
    bool is_issuer;
    struct event *timer;
    struct resolver_wait *wait; /* at most one of these two */
    struct eyeballs_race *race;
    struct resolver_answer answer; /* the issuer's, while the service's addresses are asked for */
};

struct outlets {
    struct event_base *base;
    struct resolver *resolver;
    struct outbox *answers;
    size_t place_count, pending;
    struct place places[OUTLETS_MAX];
    struct place issuer; /* host "" = none yet */
    bool service_is_here;
    uint64_t refused;
    LIST_HEAD(, opening) openings;
};

struct outlets *outlets_new(struct event_base *base, struct resolver *resolver, struct outbox *answers)
{
    struct outlets *const outlets = calloc(1, sizeof(*outlets));
    if (!outlets)
        return NULL;
    outlets->base = base;
    outlets->resolver = resolver;
    outlets->answers = answers;
    LIST_INIT(&outlets->openings);
    return outlets;
}

static void opening_free(struct opening *opening)
{
    resolver_cancel(opening->wait);
    eyeballs_cancel(opening->race);
    event_free(opening->timer);
    LIST_REMOVE(opening, entry);
    opening->outlets->pending--;
    free(opening);
}

void outlets_cancel_all(struct outlets *outlets)
{
    while (!LIST_EMPTY(&outlets->openings))
        opening_free(LIST_FIRST(&outlets->openings));
}

void outlets_free(struct outlets *outlets)
{
    if (!outlets)
        return;
    outlets_cancel_all(outlets);
    free(outlets);
}

/* -- Which places there are -- */

bool outlet_address_is_inside(const struct netaddr *address)
{
    return special_range(address, false) != NULL;
}

/* localhost and what ends in it (RFC 6761), or such an address as text. */
static bool name_is_here(const char *host)
{
    static const char localhost[] = "localhost";
    const size_t length = strlen(host), suffix = sizeof(localhost) - 1;
    struct netaddr address;
    if (netaddr_parse(host, &address) == NX_OK)
        return outlet_address_is_inside(&address);
    return length >= suffix && text_equal_nocase(host + length - suffix, suffix, localhost) &&
           (length == suffix || host[length - suffix - 1] == '.');
}

static bool place_is(const struct place *place, const char *host, uint16_t port)
{
    return place->port == port && text_compare_nocase(place->host, host) == 0;
}

int outlet_add(struct outlets *outlets, const struct ipc_outlet *message)
{
    for (size_t i = 0; i < outlets->place_count; i++)
        if (place_is(&outlets->places[i], message->host, message->port))
            return NX_OK;
    if (outlets->place_count == OUTLETS_MAX)
        return NX_ENOMEM;
    struct place *const place = &outlets->places[outlets->place_count++];
    strcpy(place->host, message->host);
    place->port = message->port;
    place->is_service = message->kind == IPC_OUTLET_SERVICE;
    outlets->service_is_here |= message->kind == IPC_OUTLET_SERVICE && name_is_here(message->host);
    return NX_OK;
}

void outlet_issuer(struct outlets *outlets, uint32_t request, const struct ipc_outlet_issuer *message)
{
    struct failure failure = {.result = IPC_OK};
    struct place *const issuer = &outlets->issuer;
    if (name_is_here(message->host) && !outlets->service_is_here) {
        failure_set(&failure, IPC_NOT_PERMITTED, "login server %s: it would be this host itself",
                    message->host);
    } else if (issuer->host[0] && !place_is(issuer, message->host, message->port)) {
        failure_set(
            &failure, IPC_NOT_PERMITTED,
            "login server %s port %u: there is another one already, %s port %u; restart nexd if it has moved",
            message->host, message->port, issuer->host, issuer->port);
    } else if (!issuer->host[0]) {
        strcpy(issuer->host, message->host);
        issuer->port = message->port;
        log_info("the control plane's login server is %s, port %u", issuer->host, issuer->port);
    }
    outbox_send_result(outlets->answers, request, &failure);
}

/* -- Connections -- */

static void opening_fail(struct opening *opening, const struct failure *failure)
{
    outbox_send_result(opening->outlets->answers, opening->request, failure);
    opening_free(opening);
}

/* A server that vanished is noticed within a minute, be it silent or written to. */
static void dead_after_set(int fd)
{
    static const unsigned after_ms = OUTLET_DEAD_AFTER_MS;
    if (setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &after_ms, sizeof(after_ms)))
        log_debug("TCP_USER_TIMEOUT: %s", strerror(errno));
}

static void opening_done(struct opening *opening, const struct eyeballs_outcome *outcome)
{
    if (outcome->fd < 0) {
        struct failure failure;
        char remote[NETSOCK_TEXT_MAX];
        failure_set(&failure, failure_from_errno(outcome->error), "%s (%s): %s", opening->place.host,
                    netsock_format(&outcome->dest, remote), strerror(outcome->error));
        opening_fail(opening, &failure);
        return;
    }
    dead_after_set(outcome->fd);
    const struct ipc_opened body = {.remote = outcome->dest, .fd = outcome->fd};
    outbox_send(opening->outlets->answers, IPC_MSG_OPENED, opening->request, &body, sizeof(body),
                outcome->fd);
    opening_free(opening);
}

static void on_race(const struct eyeballs_outcome *outcome, void *arg)
{
    struct opening *const opening = arg;
    opening->race = NULL;
    opening_done(opening, outcome);
}

/* The addresses that may be tried, in the order in which they are. */
static size_t addresses_admitted(const struct opening *opening, const struct resolver_answer *answer,
                                 struct netaddr ordered[EYEBALLS_ADDRS_MAX])
{
    struct netaddr admitted[RESOLVER_ADDRS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < answer->count; i++)
        if (!opening->is_issuer || opening->outlets->service_is_here ||
            !outlet_address_is_inside(&answer->addrs[i]))
            admitted[count++] = answer->addrs[i];
    return eyeballs_order(admitted, count, ordered);
}

static void opening_race(struct opening *opening, const struct resolver_answer *answer);

/* Both answers are there. */
static void issuer_judge(struct opening *opening, const struct resolver_answer *service)
{
    struct failure failure;
    for (size_t i = 0; service->err == NX_OK && i < service->count; i++)
        opening->outlets->service_is_here |= outlet_address_is_inside(&service->addrs[i]);
    if (opening->outlets->service_is_here) {
        opening_race(opening, &opening->answer);
        return;
    }
    failure_set(&failure, IPC_NOT_PERMITTED, "login server %s: its address is this host or its link",
                opening->place.host);
    log_warn("%s", failure.text);
    opening->outlets->refused++;
    opening_fail(opening, &failure);
}

static void on_service_resolved(const struct resolver_answer *answer, void *arg)
{
    struct opening *const opening = arg;
    opening->wait = NULL;
    issuer_judge(opening, answer);
}

/* The login server has no address but those of this host: right if the service is here too. */
static void issuer_is_here(struct opening *opening, const struct resolver_answer *answer)
{
    const struct outlets *const outlets = opening->outlets;
    const struct place *service = NULL;
    struct resolver_answer answer_of_service = {.err = NX_ENOENT};
    for (size_t i = 0; i < outlets->place_count && !service; i++)
        if (outlets->places[i].is_service)
            service = &outlets->places[i];
    opening->answer = *answer;
    if (!service || resolver_lookup(outlets->resolver, service->host, &answer_of_service, on_service_resolved,
                                    opening, &opening->wait) == NX_OK)
        issuer_judge(opening, &answer_of_service);
}

static void opening_race(struct opening *opening, const struct resolver_answer *answer)
{
    struct netaddr ordered[EYEBALLS_ADDRS_MAX];
    struct eyeballs_outcome outcome;
    struct failure failure;
    if (answer->err != NX_OK) {
        failure_set(&failure, failure_from_resolver(answer->err), "%s: %s", opening->place.host,
                    resolver_strerror(answer->err));
        opening_fail(opening, &failure);
        return;
    }
    const size_t count = addresses_admitted(opening, answer, ordered);
    if (count == 0) {
        issuer_is_here(opening, answer);
        return;
    }
    const int err = eyeballs_start(opening->outlets->base, RULE_TCP, ordered, count, opening->place.port, 0,
                                   on_race, opening, &outcome, &opening->race);
    if (err == NX_OK) {
        opening_done(opening, &outcome);
    } else if (err != NX_EAGAIN) {
        failure_set(&failure, IPC_LIMIT, "out of memory");
        opening_fail(opening, &failure);
    }
}

static void on_resolved(const struct resolver_answer *answer, void *arg)
{
    struct opening *const opening = arg;
    opening->wait = NULL;
    opening_race(opening, answer);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    struct opening *const opening = arg;
    struct failure failure;
    (void)fd, (void)what;
    failure_set(&failure, IPC_TIMED_OUT, "%s port %u: no answer within %d s", opening->place.host,
                opening->place.port, OUTLET_TIMEOUT_MS / 1000);
    opening_fail(opening, &failure);
}

static struct opening *opening_new(struct outlets *outlets, uint32_t request, const struct place *place,
                                   bool is_issuer)
{
    static const struct timeval timeout = {OUTLET_TIMEOUT_MS / 1000, 0};
    struct opening *const opening = calloc(1, sizeof(*opening));
    if (!opening)
        return NULL;
    *opening =
        (struct opening){.outlets = outlets, .request = request, .place = *place, .is_issuer = is_issuer};
    opening->timer = evtimer_new(outlets->base, on_timeout, opening);
    if (!opening->timer || event_add(opening->timer, &timeout) != 0) {
        if (opening->timer)
            event_free(opening->timer);
        free(opening);
        return NULL;
    }
    LIST_INSERT_HEAD(&outlets->openings, opening, entry);
    outlets->pending++;
    return opening;
}

/* NULL: nothing like that was named. */
static const struct place *place_find(const struct outlets *outlets, const char *host, uint16_t port,
                                      bool *is_issuer)
{
    *is_issuer = false;
    for (size_t i = 0; i < outlets->place_count; i++)
        if (place_is(&outlets->places[i], host, port))
            return &outlets->places[i];
    *is_issuer = true;
    return outlets->issuer.host[0] && place_is(&outlets->issuer, host, port) ? &outlets->issuer : NULL;
}

static void open_refuse(struct outlets *outlets, uint32_t request, const struct ipc_open *message)
{
    static struct log_ratelimit limit = {.per_second = 1, .burst = 5};
    struct failure failure;
    failure_set(&failure, IPC_NOT_PERMITTED, "%s port %u is not a place that ctld may be connected to",
                message->host, message->port);
    outlets->refused++;
    if (log_ratelimit_ok(&limit))
        log_warn("%s", failure.text);
    outbox_send_result(outlets->answers, request, &failure);
}

uint64_t outlets_refused(const struct outlets *outlets)
{
    return outlets->refused;
}

void outlet_open(struct outlets *outlets, uint32_t request, const struct ipc_open *message)
{
    bool is_issuer;
    const struct place *const place = place_find(outlets, message->host, message->port, &is_issuer);
    if (!place) {
        open_refuse(outlets, request, message);
        return;
    }
    struct opening *const opening =
        outlets->pending < OUTLET_PENDING_MAX ? opening_new(outlets, request, place, is_issuer) : NULL;
    if (!opening) {
        struct failure failure;
        failure_set(&failure, IPC_LIMIT, "%zu connections are being made already", outlets->pending);
        outbox_send_result(outlets->answers, request, &failure);
        return;
    }
    struct resolver_answer answer;
    if (resolver_lookup(outlets->resolver, place->host, &answer, on_resolved, opening, &opening->wait) ==
        NX_OK)
        opening_race(opening, &answer);
}

void outlet_cancel(struct outlets *outlets, uint32_t request)
{
    struct opening *opening;
    LIST_FOREACH (opening, &outlets->openings, entry)
        if (opening->request == request)
            break;
    if (opening)
        opening_free(opening);
}
