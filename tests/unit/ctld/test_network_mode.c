/* Network mode by its messages: a control plane that is a handful of answers, and the other processes played
 * by the test. */
#include "common/clock.h"
#include "common/err.h"
#include "ctld/documents.h"
#include "ctld/http/client.h"
#include "ctld/network_mode.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/nexodus_session/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VPC    "9ca40621-edb0-476f-8e30-727f4703ff80"
#define DEVICE "8ab599fb-462e-4181-8238-bad87dac8eb9"
#define PEER   "da810ad8-f258-4a30-a92d-c6592d28f188"

enum { REQUESTS = 16, SENT = 256 };

/* -- HTTP -- */

struct http_exchange {
    bool live;
    struct http_events events;
    void *arg;
    enum http_method method;
    char path[160], body[2048];
    bool stream;
};

static struct http_exchange exchanges[REQUESTS];
static unsigned asked;
static bool refuses, device_gone, key_unknown;
static char last_device_body[2048];

static struct http_exchange *submit(struct http *http, const struct http_request *request,
                                    const struct http_events *events, void *arg)
{
    (void)http;
    struct http_exchange *exchange = exchanges;
    while (exchange->live)
        exchange++;
    ck_assert(exchange < exchanges + REQUESTS);
    *exchange = (struct http_exchange){
        .live = true, .events = *events, .arg = arg, .method = request->method, .stream = request->stream};
    snprintf(exchange->path, sizeof exchange->path, "%s", strchr(request->url + 8, '/'));
    snprintf(exchange->body, sizeof exchange->body, "%.*s", (int)request->body_bytes,
             request->body ? (const char *)request->body : "");
    asked++;
    return exchange;
}

static void cancel(struct http *http, struct http_exchange *exchange)
{
    (void)http;
    if (exchange)
        exchange->live = false;
}

static struct http http = {.submit = submit, .cancel = cancel};

/* -- The world -- */

static struct network_mode *mode;
static struct peers *peers;
static struct device device;
static struct {
    enum ipc_role to;
    enum ipc_type type;
    uint32_t request;
    union ipc_body body;
} sent[SENT];
static size_t sent_count;
static unsigned tunnel_ups, routes;
static bool room = true;

static size_t body_bytes(enum ipc_type type)
{
    switch (type) {
#define BYTES(NAME, name, number, ways)                                                                      \
    case IPC_MSG_##NAME:                                                                                     \
        return sizeof(struct ipc_##name);
        IPC_MESSAGES(BYTES)
    }
    return 0;
}

static int op_send(void *arg, enum ipc_role to, enum ipc_type type, uint32_t request, const void *body)
{
    (void)arg;
    ck_assert_uint_lt(sent_count, SENT);
    sent[sent_count].to = to;
    sent[sent_count].type = type;
    sent[sent_count].request = request;
    memcpy(&sent[sent_count].body, body, body_bytes(type));
    sent_count++;
    return NX_OK;
}

static bool op_room(void *arg)
{
    (void)arg;
    return room;
}

static int op_route(void *arg, const struct http_route *route)
{
    (void)arg;
    ck_assert_str_eq(route->no_proxy, "localhost");
    routes++;
    return NX_OK;
}

static void op_tunnel_up(void *arg)
{
    (void)arg;
    tunnel_ups++;
}

static const struct network_mode_ops mode_ops = {
    .send = op_send, .room = op_room, .route = op_route, .tunnel_up = op_tunnel_up};

static int peers_send(void *arg, enum ipc_type type, uint32_t request, const void *body)
{
    (void)arg, (void)type, (void)request, (void)body;
    return NX_OK;
}
static void peers_status(void *arg, const struct peer *peer, uint64_t now_ns)
{
    (void)arg, (void)peer, (void)now_ns;
}
static void peers_synced_told(void *arg)
{
    (void)arg;
}
static const struct peers_ops peers_ops = {
    .send = peers_send, .on_status = peers_status, .on_synced = peers_synced_told};

/* -- Answers -- */

static void device_json(char *out, size_t size, const char *id, const uint8_t *key, unsigned number, bool own)
{
    char text[KEY_TEXT_MAX], sealed[SEAL_TEXT_MAX] = "";
    key_format(key, text);
    if (own)
        seal(key, "DT:token", sealed);
    snprintf(
        out, size,
        "{\"id\":\"%s\",\"vpc_id\":\"" VPC "\",\"public_key\":\"%s\",\"allowed_ips\":[\"100.64.0.%u/32\"],"
        "\"ipv4_tunnel_ips\":[{\"address\":\"100.64.0.%u\",\"cidr\":\"100.64.0.0/10\"}],\"hostname\":\"h%u\","
        "\"endpoints\":[{\"source\":\"local\",\"address\":\"192.0.2.%u:7\"},{\"source\":\"stun:\","
        "\"address\":"
        "\"192.0.2.%u:7\"}],\"revision\":%u,\"bearer_token\":\"%s\"}",
        id, text, number, number, number, number, number, number, sealed);
}

static void end_exchange(struct http_exchange *exchange, enum http_failure failure, unsigned status,
                         const char *body)
{
    const struct http_answer answer = {.failure = failure,
                                       .error = failure ? "connection refused" : "",
                                       .status = status,
                                       .content_type = "application/json",
                                       .location = "",
                                       .retry_after = "",
                                       .body = body,
                                       .body_bytes = strlen(body)};
    exchange->live = false;
    exchange->events.on_end(exchange->arg, &answer);
}

static void stream_answer(struct http_exchange *exchange)
{
    static const uint8_t peer_key[KEY_BYTES] = {7, 7, 7};
    char own[1024], peer[1024], text[4096];
    const struct http_answer opened = {
        .error = "", .status = 200, .content_type = "", .location = "", .retry_after = "", .body = ""};
    device_json(own, sizeof own, DEVICE, device.public.public_key, 2, false);
    device_json(peer, sizeof peer, PEER, peer_key, 3, false);
    exchange->events.on_open(exchange->arg, &opened);
    snprintf(text, sizeof text,
             "{\"kind\":\"device\",\"type\":\"change\",\"value\":%s}{\"kind\":\"device\",\"type\":\"change\","
             "\"value\":%s}"
             "{\"kind\":\"device\",\"type\":\"tail\"}{\"kind\":\"security-group\",\"type\":\"tail\"}"
             "{\"kind\":\"device-metadata\",\"type\":\"tail\"}",
             own, peer);
    exchange->stream = false; /* answered; it stays open */
    exchange->events.on_data(exchange->arg, text, strlen(text));
}

static void serve_one(struct http_exchange *exchange)
{
    char own[1024];
    device_json(own, sizeof own, DEVICE, device.public.public_key, 2, true);
    if (refuses)
        end_exchange(exchange, HTTP_CONNECT, 0, "");
    else if (key_unknown)
        end_exchange(exchange, HTTP_DONE, 401, "{\"error\":\"invalid reg key\"}");
    else if (strcmp(exchange->path, "/api/reg-keys/me") == 0)
        end_exchange(exchange, HTTP_DONE, 200, "{\"id\":\"" VPC "\",\"vpc_id\":\"" VPC "\"}");
    else if (strncmp(exchange->path, "/api/vpcs/", 10) == 0)
        end_exchange(exchange, HTTP_DONE, 200, "{\"id\":\"" VPC "\",\"ipv4_cidr\":\"100.64.0.0/10\"}");
    else if (strcmp(exchange->path, "/device/login/start") == 0)
        end_exchange(
            exchange, HTTP_DONE, 200,
            "{\"issuer\":\"https://auth.mesh.test/r\",\"client_id\":\"c\",\"device_authorization_endpoint\":"
            "\"https://auth.mesh.test/r/code\"}");
    else if (strcmp(exchange->path, "/r/.well-known/openid-configuration") == 0)
        end_exchange(
            exchange, HTTP_DONE, 200,
            "{\"issuer\":\"https://auth.mesh.test/r\",\"token_endpoint\":\"https://auth.mesh.test/r/token\","
            "\"jwks_uri\":\"https://auth.mesh.test/r/certs\"}");
    else if (strcmp(exchange->path, "/r/code") == 0)
        end_exchange(exchange, HTTP_DONE, 200,
                     "{\"device_code\":\"d\",\"user_code\":\"WXYZ\",\"verification_uri\":\"https://"
                     "auth.mesh.test/go\","
                     "\"expires_in\":600}");
    else if (exchange->stream && device_gone)
        end_exchange(exchange, HTTP_DONE, 401, "{\"error\":\"invalid device token\"}");
    else if (exchange->stream)
        stream_answer(exchange);
    else if (exchange->method == HTTP_POST) {
        snprintf(last_device_body, sizeof last_device_body, "%s", exchange->body);
        device_gone = false;
        end_exchange(exchange, HTTP_DONE, 201, own);
    } else if (device_gone)
        end_exchange(exchange, HTTP_DONE, 404, "{\"error\":\"not found\",\"resource\":\"device\"}");
    else {
        snprintf(last_device_body, sizeof last_device_body, "%s", exchange->body);
        end_exchange(exchange, HTTP_DONE, 200, own);
    }
}

/* A turn of the loop: answers, then everybody acts. */
static void turn(void)
{
    for (size_t i = 0; i < REQUESTS; i++)
        if (exchanges[i].live && (exchanges[i].stream || !exchanges[i].events.on_data))
            serve_one(&exchanges[i]);
    network_mode_run(mode, clock_now_ns());
}

static bool find(enum ipc_type type, size_t from, size_t *at)
{
    for (size_t i = from; i < sent_count; i++)
        if (sent[i].type == type) {
            *at = i;
            return true;
        }
    return false;
}

/* Turns until such a message has been sent, at or after `from`; its place. */
static size_t await(enum ipc_type type, size_t from)
{
    size_t at = 0;
    for (unsigned tries = 0; tries < 5000; tries++) {
        turn();
        if (find(type, from, &at))
            return at;
        usleep(1000);
    }
    ck_abort_msg("no %d was sent", type);
}

static void give(enum ipc_role from, enum ipc_type type, uint32_t request, const void *body)
{
    struct ipc_message message = {.header = {.type = (uint16_t)type, .request = request}};
    memcpy(&message.body, body, body_bytes(type));
    ck_assert(network_mode_message(mode, from, &message, clock_now_ns()));
    network_mode_run(mode, clock_now_ns());
}

static void result(enum ipc_role from, size_t to, enum ipc_outcome outcome)
{
    const struct ipc_result body = {.result = (uint8_t)outcome, .text = "because"};
    give(from, IPC_MSG_RESULT, sent[to].request, &body);
}

static void network_give(const char *reg_key)
{
    struct ipc_network network = {
        .service_url = "https://mesh.test:8443", .hostname = "box", .no_proxy = "localhost"};
    struct ipc_credential credential = {.kind = IPC_CREDENTIAL_REG_KEY};
    const struct ipc_stun_server server = {.host = "198.51.100.1", .port = 3478};
    const struct ipc_stun_server another = {.host = "198.51.100.2", .port = 3478};
    const struct ipc_network_done done = {.stun_servers = 2};
    ck_assert_int_eq(netaddr_parse("192.0.2.2", &network.local_endpoint), NX_OK);
    credential.value.length = (uint16_t)strlen(reg_key);
    memcpy(credential.value.data, reg_key, strlen(reg_key));
    ck_assert(!network_mode_active(mode));
    give(IPC_PARENT, IPC_MSG_NETWORK, 0, &network);
    ck_assert(network_mode_active(mode));
    if (reg_key[0])
        give(IPC_PARENT, IPC_MSG_CREDENTIAL, 0, &credential);
    give(IPC_PARENT, IPC_MSG_STUN_SERVER, 0, &server);
    give(IPC_PARENT, IPC_MSG_STUN_SERVER, 0, &another);
    give(IPC_PARENT, IPC_MSG_NETWORK_DONE, 0, &done);
}

static void make(void)
{
    memset(exchanges, 0, sizeof exchanges);
    sent_count = 0;
    tunnel_ups = 0;
    peers = peers_new(&peers_ops, NULL);
    mode = network_mode_new(&http, peers, &device, &mode_ops, NULL);
    ck_assert(peers && mode);
}

static void begin(void)
{
    device = (struct device){.known = true, .public = {.public_key = {1, 2, 3}, .listen_port = 4100}};
    refuses = device_gone = key_unknown = false;
    room = true;
    make();
}

static void end(void)
{
    network_mode_free(mode);
    peers_free(peers);
    device_free(&device);
}

/* In the network, with the tunnel up. */
static size_t join(void)
{
    network_give("RK:key");
    network_mode_link_up(mode, IPC_PROXYD);
    network_mode_link_up(mode, IPC_TUNNELD);
    size_t addresses = await(IPC_MSG_MESH_ADDRESSES, 0);
    turn();
    while (find(IPC_MSG_MESH_ADDRESSES, addresses + 1, &addresses))
        ; /* the newest: a link that came up asks anew */
    ck_assert_uint_eq(tunnel_ups, 0);
    result(IPC_PARENT, addresses, IPC_OK);
    ck_assert_uint_eq(tunnel_ups, 1);
    return addresses;
}

static void device_note(void *arg, const struct connectivity_device *found)
{
    *(struct connectivity_device *)arg = *found;
}

START_TEST(addresses_come_before_peers)
{
    const size_t at = join();
    ck_assert_uint_eq(routes, 1);
    ck_assert_int_eq(sent[at].to, IPC_PARENT);
    ck_assert_uint_eq(sent[at].request & NETWORK_REQUEST_MASK, NETWORK_REQUEST);
    ck_assert_uint_eq(sent[at].body.mesh_addresses.addresses.count, 1);
    ck_assert_uint_eq(device.public.addresses.count, 1);
    ck_assert_uint_eq(peers_count(peers), 1);
    ck_assert_ptr_nonnull(strstr(last_device_body, "192.0.2.2:4100"));
    struct control_network told;
    ck_assert(network_mode_tell(mode, &told, clock_now_ns()));
    ck_assert_int_eq(told.phase, IPC_PHASE_JOINED);
    struct connectivity_device found = {0};
    ck_assert(network_mode_devices(mode, clock_now_ns(), device_note, &found));
    ck_assert_str_eq(found.hostname, "h3");
    ck_assert_str_ne(found.method, "");
    ck_assert_int_eq(found.v4.family, NETADDR_V4);
    const char *hostname = "", *method = "";
    network_mode_describe(mode, peers_at(peers, 0)->public_key, &hostname, &method, clock_now_ns());
    ck_assert_str_eq(hostname, "h3");
    ck_assert_str_ne(method, "");
}
END_TEST

START_TEST(another_tunneld_is_asked_for_anew)
{
    const size_t first = join();
    network_mode_link_down(mode, IPC_TUNNELD);
    const size_t mark = sent_count;
    network_mode_link_up(mode, IPC_TUNNELD);
    const size_t again = await(IPC_MSG_MESH_ADDRESSES, mark);
    ck_assert_uint_ne(sent[again].request, sent[first].request);
    ck_assert_uint_eq(tunnel_ups, 1);
    result(IPC_PARENT, first, IPC_OK); /* an answer to the old question opens nothing */
    ck_assert_uint_eq(tunnel_ups, 1);
    result(IPC_PARENT, again, IPC_FAILED);
    ck_assert_uint_eq(tunnel_ups, 1);
    network_mode_link_down(mode, IPC_TUNNELD);
    network_mode_link_up(mode, IPC_TUNNELD);
    result(IPC_PARENT, await(IPC_MSG_MESH_ADDRESSES, again + 1), IPC_OK);
    ck_assert_uint_eq(tunnel_ups, 2);
}
END_TEST

/* What has been sent to be stored, put together. */
static void stored_take(struct documents *out)
{
    for (size_t i = 0; i < sent_count; i++)
        if (sent[i].type == IPC_MSG_STORED)
            documents_take(out, &sent[i].body.stored);
}

START_TEST(what_is_stored_lets_the_next_process_begin_without_a_control_plane)
{
    struct documents kept = {0};
    size_t length;
    join();
    ck_assert(network_mode_flush(mode));
    stored_take(&kept);
    ck_assert_ptr_nonnull(strstr(documents_text(&kept, IPC_SLOT_DEVICE, &length), "DT:token"));
    ck_assert_ptr_nonnull(strstr(documents_text(&kept, IPC_SLOT_NETWORK, &length), PEER));
    network_mode_free(mode);
    peers_free(peers);
    make();
    refuses = true;
    for (int slot = IPC_SLOT_DEVICE; slot <= IPC_SLOT_NETWORK; slot++) {
        struct ipc_stored piece = {.slot = (uint8_t)slot, .first = true, .last = true};
        const char *text = documents_text(&kept, (enum ipc_slot)slot, &length);
        ck_assert_uint_le(length, IPC_STORED_MAX);
        memcpy(piece.data.data, text, length);
        piece.data.length = (uint16_t)length;
        struct ipc_message message = {.header = {.type = IPC_MSG_STORED}};
        message.body.stored = piece;
        ck_assert(network_mode_message(mode, IPC_PARENT, &message, clock_now_ns()));
    }
    join();
    ck_assert_uint_eq(peers_count(peers), 1);
    ck_assert_int_eq(network_mode_status(mode).phase, IPC_PHASE_CACHED);
    documents_free(&kept);
}
END_TEST

START_TEST(bulk_waits_for_room)
{
    size_t at;
    room = false;
    join();
    ck_assert(!network_mode_flush(mode));
    ck_assert(!find(IPC_MSG_STORED, 0, &at));
    room = true;
    ck_assert(network_mode_flush(mode));
    ck_assert(find(IPC_MSG_STORED, 0, &at));
}
END_TEST

START_TEST(another_key_pair_begins_peering_anew)
{
    join();
    device_gone = true;
    const struct http_answer cut = {.failure = HTTP_CUT,
                                    .error = "cut",
                                    .status = 200,
                                    .content_type = "",
                                    .location = "",
                                    .retry_after = "",
                                    .body = ""};
    for (size_t i = 0; i < REQUESTS; i++)
        if (exchanges[i].live) {
            exchanges[i].live = false;
            exchanges[i].events.on_end(exchanges[i].arg, &cut);
        }
    const size_t renew = await(IPC_MSG_KEY_RENEW, 0);
    ck_assert_int_eq(memcmp(sent[renew].body.key_renew.public_key, device.public.public_key, KEY_BYTES), 0);
    device.public.public_key[0] = 99; /* DEVICE */
    device.public.addresses.count = 0;
    network_mode_run(mode, clock_now_ns());
    const size_t mark = sent_count;
    result(IPC_PARENT, renew, IPC_OK);
    const size_t addresses = await(IPC_MSG_MESH_ADDRESSES, mark);
    char key[KEY_TEXT_MAX];
    key_format(device.public.public_key, key);
    ck_assert_ptr_nonnull(strstr(last_device_body, key));
    result(IPC_PARENT, addresses, IPC_OK);
    ck_assert_uint_eq(tunnel_ups, 2);
}
END_TEST

START_TEST(a_hopeless_key_ends_with_a_sentence)
{
    key_unknown = true;
    network_give("RK:key");
    const size_t at = await(IPC_MSG_GIVE_UP, 0);
    ck_assert_ptr_nonnull(strstr(sent[at].body.give_up.text, "create a new key"));
}
END_TEST

START_TEST(a_user_is_prompted)
{
    network_give("");
    size_t issuer = await(IPC_MSG_OUTLET_ISSUER, 0);
    ck_assert_int_eq(sent[issuer].to, IPC_PROXYD);
    ck_assert_str_eq(sent[issuer].body.outlet_issuer.host, "auth.mesh.test");
    ck_assert_uint_eq(sent[issuer].body.outlet_issuer.port, 443);
    network_mode_link_down(mode, IPC_PROXYD); /* no answer will come; it is asked for again */
    issuer = await(IPC_MSG_OUTLET_ISSUER, issuer + 1);
    result(IPC_PROXYD, issuer, IPC_OK);
    const size_t prompt = await(IPC_MSG_LOGIN_PROMPT, issuer);
    ck_assert_str_eq(sent[prompt].body.login_prompt.code, "WXYZ");
    struct control_network told;
    ck_assert(network_mode_tell(mode, &told, clock_now_ns()));
    ck_assert_int_eq(told.phase, IPC_PHASE_LOGIN);
    ck_assert_str_eq(told.login_code, "WXYZ");
    ck_assert_str_eq(told.login_url, "https://auth.mesh.test/go");
}
END_TEST

START_TEST(stun_goes_through_tunneld_and_what_it_tells_is_published)
{
    network_give("RK:key");
    network_mode_link_up(mode, IPC_TUNNELD);
    size_t at = await(IPC_MSG_STUN_SEND, 0), next = 0;
    ck_assert_int_eq(sent[at].to, IPC_TUNNELD);
    for (unsigned tries = 0; tries < 8000 && !strstr(last_device_body, "203.0.113.9:4100"); tries++) {
        for (; find(IPC_MSG_STUN_SEND, next, &at); next = at + 1) {
            struct ipc_stun_answer answer = {.server = sent[at].body.stun_send.server};
            ck_assert_int_eq(netsock_parse("203.0.113.9:4100", &answer.mapped), NX_OK);
            give(IPC_TUNNELD, IPC_MSG_STUN_ANSWER, sent[at].request, &answer);
        }
        turn();
        usleep(1000);
    }
    ck_assert_ptr_nonnull(strstr(last_device_body, "203.0.113.9:4100"));
}
END_TEST

START_TEST(what_is_for_others_is_left_to_them)
{
    struct ipc_message message = {.header = {.type = IPC_MSG_RESULT, .request = 5}};
    ck_assert(!network_mode_message(mode, IPC_TUNNELD, &message, clock_now_ns()));
    join();
    ck_assert(!network_mode_message(mode, IPC_TUNNELD, &message, clock_now_ns()));
    message.header.request = UINT32_C(0x80000001);
    ck_assert(!network_mode_message(mode, IPC_PARENT, &message, clock_now_ns()));
    message.header.type = IPC_MSG_DRAIN;
    message.header.request = 0;
    ck_assert(!network_mode_message(mode, IPC_PARENT, &message, clock_now_ns()));
}
END_TEST

START_TEST(nothing_is_told_in_static_mode)
{
    struct control_network told;
    struct connectivity_device found = {0};
    ck_assert(!network_mode_tell(mode, &told, 1));
    ck_assert(!network_mode_devices(mode, 1, device_note, &found));
    ck_assert_ptr_null(found.hostname);
    const char *hostname = "x", *method = "y";
    network_mode_describe(mode, device.public.public_key, &hostname, &method, 1);
    ck_assert_str_eq(hostname, "x");
    ck_assert_uint_eq(network_mode_next_ns(mode, 1), UINT64_MAX);
    network_mode_run(mode, 1);
    ck_assert(network_mode_flush(mode));
    ck_assert_uint_eq(sent_count, 0);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, addresses_come_before_peers);
    tcase_add_test(tcase, another_tunneld_is_asked_for_anew);
    tcase_add_test(tcase, what_is_stored_lets_the_next_process_begin_without_a_control_plane);
    tcase_add_test(tcase, bulk_waits_for_room);
    tcase_add_test(tcase, another_key_pair_begins_peering_anew);
    tcase_add_test(tcase, a_hopeless_key_ends_with_a_sentence);
    tcase_add_test(tcase, a_user_is_prompted);
    tcase_add_test(tcase, stun_goes_through_tunneld_and_what_it_tells_is_published);
    tcase_add_test(tcase, what_is_for_others_is_left_to_them);
    tcase_add_test(tcase, nothing_is_told_in_static_mode);
}

int main(void)
{
    return unit_run("network_mode", fill);
}
