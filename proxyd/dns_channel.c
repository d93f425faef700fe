/* c-ares owns the sockets and the protocol (retries, truncation, matching of answers to questions); this file
 * feeds it with readiness and time from libevent, and turns its answers into addresses.
 *
 * c-ares would also read files while it runs (hosts, services, aliases); only its question-and-answer
 * interface is used here, which does not. resolv.conf is read when the channel is made. */
#include "proxyd/dns_channel.h"

#include "common/err.h"
#include "common/log.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <event2/event.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum { DNS_TIMEOUT_MS = 2000, DNS_TRIES = 2 };

/* A socket of c-ares and what it waits for. */
struct dns_socket {
    LIST_ENTRY(dns_socket) entry;
    struct event *event;
    int fd;
};

struct dns_question {
    LIST_ENTRY(dns_question) entry;
    struct dns_channel *channel;
    enum netaddr_family family;
    dns_fn fn;
    void *arg;
};

struct dns_channel {
    ares_channel ares;
    struct event_base *base;
    struct event *timer;
    bool closing;
    struct dns_search search;
    LIST_HEAD(, dns_socket) sockets;
    LIST_HEAD(, dns_question) questions;
};

static void timer_set(struct dns_channel *channel)
{
    struct timeval wait;
    if (ares_timeout(channel->ares, NULL, &wait))
        event_add(channel->timer, &wait);
    else
        event_del(channel->timer);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct dns_channel *const channel = arg;
    (void)fd, (void)what;
    ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    timer_set(channel);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct dns_channel *const channel = arg;
    ares_process_fd(channel->ares, what & EV_READ ? fd : ARES_SOCKET_BAD,
                    what & EV_WRITE ? fd : ARES_SOCKET_BAD);
    timer_set(channel);
}

static void socket_forget(struct dns_socket *socket)
{
    LIST_REMOVE(socket, entry);
    event_free(socket->event);
    free(socket);
}

/* c-ares opens, changes or is about to close a socket. */
static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct dns_channel *const channel = arg;
    struct dns_socket *socket;
    LIST_FOREACH (socket, &channel->sockets, entry)
        if (socket->fd == fd)
            break;
    if (socket)
        socket_forget(socket);
    if (!readable && !writable)
        return;
    socket = calloc(1, sizeof(*socket));
    const short what = (short)(EV_PERSIST | (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
    if (socket)
        socket->event = event_new(channel->base, fd, what, on_ready, channel);
    if (!socket || !socket->event || event_add(socket->event, NULL)) { /* the question times out */
        log_warn("a name server's answers cannot be waited for: out of memory");
        if (socket && socket->event)
            event_free(socket->event);
        free(socket);
        return;
    }
    socket->fd = fd;
    LIST_INSERT_HEAD(&channel->sockets, socket, entry);
}

static int error_from_ares(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return NX_OK;
    case ARES_ENODATA:
    case ARES_ENOTFOUND:
    case ARES_EBADNAME:
        return NX_ENOENT;
    case ARES_ETIMEOUT:
        return NX_ETIMEDOUT;
    case ARES_ENOMEM:
        return NX_ENOMEM;
    default: /* ARES_ECONNREFUSED among them, which stands for SERVFAIL of all servers too */
        return NX_EPROTO;
    }
}

static void records_add(struct dns_records *out, enum netaddr_family family, const void *bytes, int ttl)
{
    struct netaddr *const addr = &out->addrs[out->count];
    const uint32_t ttl_s = ttl > 0 ? (uint32_t)ttl : 0;
    *addr = (struct netaddr){.family = (uint8_t)family};
    memcpy(addr->bytes, bytes, family == NETADDR_V4 ? 4 : 16);
    netaddr_unmap(addr);
    out->ttl_s = out->count == 0 || ttl_s < out->ttl_s ? ttl_s : out->ttl_s;
    out->count++;
}

void dns_answer_parse(const uint8_t *answer, size_t length, enum netaddr_family family,
                      struct dns_records *out)
{
    struct ares_addrttl v4[DNS_ADDRS_MAX];
    struct ares_addr6ttl v6[DNS_ADDRS_MAX];
    int count = DNS_ADDRS_MAX, status;
    *out = (struct dns_records){.err = NX_EPROTO};
    if (length > INT_MAX)
        return;
    if (family == NETADDR_V4)
        status = ares_parse_a_reply(answer, (int)length, NULL, v4, &count);
    else
        status = ares_parse_aaaa_reply(answer, (int)length, NULL, v6, &count);
    out->err = error_from_ares(status);
    if (out->err != NX_OK)
        return;
    for (int i = 0; i < count && i < DNS_ADDRS_MAX; i++) {
        if (family == NETADDR_V4)
            records_add(out, family, &v4[i].ipaddr, v4[i].ttl);
        else
            records_add(out, family, &v6[i].ip6addr, v6[i].ttl);
    }
    if (out->count == 0)
        out->err = NX_ENOENT;
}

static void on_answer(void *arg, int status, int timeouts, unsigned char *answer, int length)
{
    struct dns_question *const question = arg;
    (void)timeouts;
    LIST_REMOVE(question, entry);
    if (!question->channel->closing) {
        struct dns_records records = {.err = error_from_ares(status)};
        if (status == ARES_SUCCESS)
            dns_answer_parse(answer, (size_t)length, question->family, &records);
        question->fn(&records, question->arg);
    }
    free(question);
}

void dns_query(struct dns_channel *channel, const char *name, enum netaddr_family family, dns_fn fn,
               void *arg)
{
    struct dns_question *const question = malloc(sizeof(*question));
    if (!question) {
        fn(&(struct dns_records){.err = NX_ENOMEM}, arg);
        return;
    }
    *question = (struct dns_question){.channel = channel, .family = family, .fn = fn, .arg = arg};
    LIST_INSERT_HEAD(&channel->questions, question, entry);
    ares_query(channel->ares, name, ns_c_in, family == NETADDR_V4 ? ns_t_a : ns_t_aaaa, on_answer, question);
    timer_set(channel);
}

static int search_read(struct dns_channel *channel)
{
    struct ares_options options;
    int mask;
    const int status = ares_save_options(channel->ares, &options, &mask);
    if (status != ARES_SUCCESS)
        return status;
    struct dns_search *const search = &channel->search;
    search->ndots = options.ndots > 0 ? (unsigned)options.ndots : 0;
    for (int i = 0; i < options.ndomains && search->count < DNS_DOMAINS_MAX; i++) {
        if (hostname_valid(options.domains[i]))
            strcpy(search->domains[search->count++], options.domains[i]);
        else
            log_warn("search domain of /etc/resolv.conf left out: it is no domain name");
    }
    ares_destroy_options(&options);
    return ARES_SUCCESS;
}

static int channel_set_up(struct dns_channel *channel, const char *servers)
{
    static char lookups[] = "b"; /* no files: hosts.c has read them */
    struct ares_options options = {
        .flags = ARES_FLAG_NOALIASES,
        .timeout = DNS_TIMEOUT_MS,
        .tries = DNS_TRIES,
        .lookups = lookups,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = channel,
    };
    const int mask =
        ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;
    int status = ares_library_init(ARES_LIB_INIT_ALL);
    if (status == ARES_SUCCESS)
        status = ares_init_options(&channel->ares, &options, mask);
    if (status == ARES_SUCCESS && servers)
        status = ares_set_servers_ports_csv(channel->ares, servers);
    if (status == ARES_SUCCESS)
        status = search_read(channel);
    return status;
}

struct dns_channel *dns_channel_new(struct event_base *base, const char *servers)
{
    struct dns_channel *const channel = calloc(1, sizeof(*channel));
    if (!channel)
        return NULL;
    channel->base = base;
    LIST_INIT(&channel->sockets);
    LIST_INIT(&channel->questions);
    channel->timer = evtimer_new(base, on_timer, channel);
    int status = channel->timer ? channel_set_up(channel, servers) : ARES_ENOMEM;
    if (status == ARES_SUCCESS)
        return channel;
    log_error("names cannot be resolved: %s", ares_strerror(status));
    dns_channel_free(channel);
    return NULL;
}

void dns_channel_free(struct dns_channel *channel)
{
    if (!channel)
        return;
    channel->closing = true;
    if (channel->ares)
        ares_destroy(channel->ares);
    while (!LIST_EMPTY(&channel->sockets))
        socket_forget(LIST_FIRST(&channel->sockets));
    if (channel->timer)
        event_free(channel->timer);
    ares_library_cleanup();
    free(channel);
}

const struct dns_search *dns_channel_search(const struct dns_channel *channel)
{
    return &channel->search;
}
