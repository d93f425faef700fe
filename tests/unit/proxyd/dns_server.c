/* Questions are parsed only as far as a resolver's own questions need it. A name without any record is
 * NXDOMAIN, one with records of the other type only has no data. */
#include "dns_server.h"

#include "common/netaddr.h"

#include <arpa/inet.h>
#include <check.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <unistd.h>

enum { RECORDS_MAX = 256, QUESTIONS_MAX = 4096, TYPE_A = 1, TYPE_CNAME = 5, TYPE_AAAA = 28 };

struct record {
    char name[256], target[256];
    uint16_t type;
    uint32_t ttl_s;
    struct netaddr addr;
};

struct manner {
    char name[256];
    uint16_t type;
    enum dns_manner manner;
};

struct question {
    char name[256];
    uint16_t type;
    size_t length; /* of header and question */
};

struct dns_server {
    struct event_base *base;
    int udp, tcp;
    struct event *udp_event, *tcp_event;
    char text[32];
    unsigned seed;
    LIST_HEAD(, tcp_client) clients;
    size_t record_count, manner_count, question_count;
    struct record records[RECORDS_MAX];
    struct manner manners[RECORDS_MAX];
    struct question questions[QUESTIONS_MAX];
};

struct answer {
    uint8_t bytes[4096];
    size_t length;
};

static void put(struct answer *answer, const void *bytes, size_t length)
{
    ck_assert_uint_le(answer->length + length, sizeof(answer->bytes));
    memcpy(answer->bytes + answer->length, bytes, length);
    answer->length += length;
}

static void put16(struct answer *answer, uint16_t value)
{
    const uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    put(answer, bytes, 2);
}

static void put_name(struct answer *answer, const char *name)
{
    while (*name) {
        const size_t length = strcspn(name, ".");
        put(answer, &(uint8_t){(uint8_t)length}, 1);
        put(answer, name, length);
        name += length + (name[length] == '.');
    }
    put(answer, "", 1);
}

static void put_record(struct answer *answer, const struct record *record)
{
    put_name(answer, record->name);
    put16(answer, record->type);
    put16(answer, 1);
    put16(answer, (uint16_t)(record->ttl_s >> 16));
    put16(answer, (uint16_t)record->ttl_s);
    if (record->type == TYPE_CNAME) {
        put16(answer, (uint16_t)(strlen(record->target) + 2));
        put_name(answer, record->target);
    } else {
        const uint16_t length = record->type == TYPE_A ? 4 : 16;
        put16(answer, length);
        put(answer, record->addr.bytes, length);
    }
    answer->bytes[7]++; /* count of answers */
}

static bool question_read(const uint8_t *data, size_t length, struct question *out)
{
    size_t at = 12, text = 0;
    if (length < 17 || data[4] != 0 || data[5] != 1)
        return false;
    while (at < length && data[at] != 0) {
        const size_t label = data[at];
        if (label > 63 || at + 1 + label >= length || text + label + 1 >= sizeof(out->name))
            return false;
        if (text > 0)
            out->name[text++] = '.';
        memcpy(out->name + text, data + at + 1, label);
        text += label;
        at += label + 1;
    }
    if (at + 5 > length)
        return false;
    out->name[text] = '\0';
    out->type = (uint16_t)(data[at + 1] << 8 | data[at + 2]);
    out->length = at + 5;
    return true;
}

static enum dns_manner manner_of(const struct dns_server *server, const struct question *question)
{
    for (size_t i = server->manner_count; i > 0; i--) {
        const struct manner *const manner = &server->manners[i - 1];
        if (strcasecmp(manner->name, question->name) == 0 &&
            (manner->type == 0 || manner->type == question->type))
            return manner->manner;
    }
    return DNS_MANNER_ANSWER;
}

static bool put_records(const struct dns_server *server, struct answer *answer, const char *name,
                        uint16_t type)
{
    bool known = false;
    for (size_t i = 0; i < server->record_count; i++) {
        const struct record *const record = &server->records[i];
        if (strcasecmp(record->name, name) != 0)
            continue;
        known = true;
        if (record->type == type || record->type == TYPE_CNAME)
            put_record(answer, record);
        if (record->type == TYPE_CNAME)
            put_records(server, answer, record->target, type);
    }
    return known;
}

static void answer_make(struct dns_server *server, const uint8_t *data, const struct question *question,
                        bool tcp, enum dns_manner manner, struct answer *answer)
{
    static const uint8_t bad_record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 200, 1, 2};
    answer->length = 0;
    put(answer, data, question->length);
    answer->bytes[2] = 0x84 | (data[2] & 1); /* answer, authoritative */
    answer->bytes[3] = 0x80;
    memset(answer->bytes + 6, 0, 6);
    if (manner == DNS_MANNER_SERVFAIL) {
        answer->bytes[3] |= 2;
    } else if (manner == DNS_MANNER_TRUNCATED && !tcp) {
        answer->bytes[2] |= 2;
    } else if (manner == DNS_MANNER_CUT) {
        answer->bytes[7] = 1;
        put(answer, bad_record, sizeof(bad_record));
    } else if (manner == DNS_MANNER_LOOP) {
        answer->bytes[7] = 1;
        put16(answer, (uint16_t)(0xc000 | answer->length));
        put(answer, bad_record + 2, sizeof(bad_record) - 2);
    } else if (manner == DNS_MANNER_NOISE) {
        answer->bytes[7] = (uint8_t)(rand_r(&server->seed) % 8);
        for (int i = rand_r(&server->seed) % 300; i > 0; i--)
            put(answer, &(uint8_t){(uint8_t)rand_r(&server->seed)}, 1);
    } else if (!put_records(server, answer, question->name, question->type)) {
        answer->bytes[3] |= 3; /* NXDOMAIN */
    }
    if (manner == DNS_MANNER_WRONG_ID)
        answer->bytes[1] ^= 0x55;
    if (manner == DNS_MANNER_WRONG_QUESTION)
        answer->bytes[13] ^= 1;
}

/* False: no answer is to be sent. */
static bool question_treat(struct dns_server *server, const uint8_t *data, size_t length, bool tcp,
                           enum dns_manner *manner, struct answer *answer)
{
    struct question question;
    if (!question_read(data, length, &question))
        return false;
    ck_assert_uint_lt(server->question_count, QUESTIONS_MAX);
    server->questions[server->question_count++] = question;
    *manner = manner_of(server, &question);
    if (*manner == DNS_MANNER_SILENT)
        return false;
    answer_make(server, data, &question, tcp, *manner, answer);
    return true;
}

static void on_udp(evutil_socket_t fd, short what, void *arg)
{
    struct dns_server *const server = arg;
    uint8_t data[1024];
    struct sockaddr_storage from;
    socklen_t from_length = sizeof(from);
    struct answer answer;
    enum dns_manner manner;
    (void)what;
    const ssize_t length = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &from_length);
    if (length <= 0 || !question_treat(server, data, (size_t)length, false, &manner, &answer))
        return;
    if (manner == DNS_MANNER_EMPTY)
        sendto(fd, data, 0, 0, (struct sockaddr *)&from, from_length);
    sendto(fd, answer.bytes, answer.length, 0, (struct sockaddr *)&from, from_length);
}

struct tcp_client {
    LIST_ENTRY(tcp_client) entry;
    struct dns_server *server;
    struct event *event;
    uint8_t data[4096];
    size_t length;
};

static void tcp_client_free(struct tcp_client *client)
{
    LIST_REMOVE(client, entry);
    close(event_get_fd(client->event));
    event_free(client->event);
    free(client);
}

/* Takes one question out of what has come; false: it is not whole. */
static bool tcp_client_question(struct tcp_client *client, int fd)
{
    const size_t length = client->length < 2 ? 0 : (size_t)(client->data[0] << 8 | client->data[1]) + 2;
    struct answer answer;
    enum dns_manner manner;
    if (length == 0 || client->length < length)
        return false;
    if (question_treat(client->server, client->data + 2, length - 2, true, &manner, &answer)) {
        const uint8_t prefix[2] = {(uint8_t)(answer.length >> 8), (uint8_t)answer.length};
        send(fd, prefix, 2, MSG_NOSIGNAL | MSG_MORE);
        send(fd, answer.bytes, answer.length, MSG_NOSIGNAL);
    }
    client->length -= length;
    memmove(client->data, client->data + length, client->length);
    return true;
}

static void on_tcp_client(evutil_socket_t fd, short what, void *arg)
{
    struct tcp_client *const client = arg;
    (void)what;
    const ssize_t length = recv(fd, client->data + client->length, sizeof(client->data) - client->length, 0);
    if (length <= 0) {
        tcp_client_free(client);
        return;
    }
    client->length += (size_t)length;
    while (tcp_client_question(client, fd))
        ;
}

static void on_tcp(evutil_socket_t fd, short what, void *arg)
{
    struct tcp_client *const client = calloc(1, sizeof(*client));
    (void)what;
    ck_assert_ptr_nonnull(client);
    client->server = arg;
    const int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(accepted, 0);
    client->event = event_new(client->server->base, accepted, EV_READ | EV_PERSIST, on_tcp_client, client);
    event_add(client->event, NULL);
    LIST_INSERT_HEAD(&client->server->clients, client, entry);
}

static int socket_make(int type, struct sockaddr_in *address)
{
    const int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1;
    socklen_t length = sizeof(*address);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)address, length) ||
        getsockname(fd, (struct sockaddr *)address, &length)) {
        close(fd);
        return -1;
    }
    return fd;
}

struct dns_server *dns_server_new(struct event_base *base)
{
    struct dns_server *const server = calloc(1, sizeof(*server));
    ck_assert_ptr_nonnull(server);
    struct sockaddr_in address;
    server->base = base;
    server->udp = server->tcp = -1;
    for (int i = 0; i < 50 && server->tcp < 0; i++) {
        if (server->udp >= 0)
            close(server->udp);
        address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        server->udp = socket_make(SOCK_DGRAM, &address);
        server->tcp = socket_make(SOCK_STREAM, &address);
    }
    ck_assert_int_ge(server->tcp, 0);
    ck_assert_int_eq(listen(server->tcp, 16), 0);
    snprintf(server->text, sizeof(server->text), "127.0.0.1:%u", ntohs(address.sin_port));
    server->udp_event = event_new(base, server->udp, EV_READ | EV_PERSIST, on_udp, server);
    server->tcp_event = event_new(base, server->tcp, EV_READ | EV_PERSIST, on_tcp, server);
    event_add(server->udp_event, NULL);
    event_add(server->tcp_event, NULL);
    return server;
}

void dns_server_free(struct dns_server *server)
{
    while (!LIST_EMPTY(&server->clients))
        tcp_client_free(LIST_FIRST(&server->clients));
    event_free(server->udp_event);
    event_free(server->tcp_event);
    close(server->udp);
    close(server->tcp);
    free(server);
}

const char *dns_server_text(const struct dns_server *server)
{
    return server->text;
}

static struct record *record_new(struct dns_server *server, const char *name, uint32_t ttl_s)
{
    ck_assert_uint_lt(server->record_count, RECORDS_MAX);
    struct record *const record = &server->records[server->record_count++];
    *record = (struct record){.ttl_s = ttl_s};
    snprintf(record->name, sizeof(record->name), "%s", name);
    return record;
}

void dns_server_add(struct dns_server *server, const char *name, const char *address, uint32_t ttl_s)
{
    struct record *const record = record_new(server, name, ttl_s);
    ck_assert_int_eq(netaddr_parse(address, &record->addr), 0);
    record->type = record->addr.family == NETADDR_V4 ? TYPE_A : TYPE_AAAA;
}

void dns_server_alias(struct dns_server *server, const char *name, const char *target, uint32_t ttl_s)
{
    struct record *const record = record_new(server, name, ttl_s);
    record->type = TYPE_CNAME;
    snprintf(record->target, sizeof(record->target), "%s", target);
}

void dns_server_manner(struct dns_server *server, const char *name, uint16_t type, enum dns_manner manner)
{
    ck_assert_uint_lt(server->manner_count, RECORDS_MAX);
    struct manner *const entry = &server->manners[server->manner_count++];
    *entry = (struct manner){.type = type, .manner = manner};
    snprintf(entry->name, sizeof(entry->name), "%s", name);
}

void dns_server_clear(struct dns_server *server)
{
    server->record_count = server->manner_count = 0;
}

void dns_server_seed(struct dns_server *server, unsigned seed)
{
    server->seed = seed;
}

unsigned dns_server_questions(const struct dns_server *server, const char *name, uint16_t type)
{
    unsigned count = 0;
    for (size_t i = 0; i < server->question_count; i++)
        if ((!name || strcasecmp(server->questions[i].name, name) == 0) &&
            (type == 0 || type == server->questions[i].type))
            count++;
    return count;
}
