#include "tests/unit/nexodus_session/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sim *of_http(struct http *http)
{
    return (struct sim *)((char *)http - offsetof(struct sim, http));
}

/* -- HTTP -- */

static void url_split(struct sim_request *request)
{
    ck_assert_msg(strncmp(request->url, "https://", 8) == 0, "%s", request->url);
    const char *host = request->url + 8, *path = strchr(host, '/');
    ck_assert_ptr_nonnull(path);
    snprintf(request->host, sizeof request->host, "%.*s", (int)(path - host), host);
    snprintf(request->path, sizeof request->path, "%s", path);
}

static struct http_exchange *submit(struct http *http, const struct http_request *asked,
                                    const struct http_events *events, void *arg)
{
    struct sim *sim = of_http(http);
    struct sim_request *request = NULL;
    for (size_t i = 0; i < SIM_REQUESTS && !request; i++)
        if (!sim->requests[i].live)
            request = &sim->requests[i];
    ck_assert_msg(request != NULL, "too many requests at once");
    ck_assert(asked->timeout_ms > 0 && asked->answer_max_bytes > 0);
    memset(request, 0, sizeof *request);
    request->live = true;
    request->stream = asked->stream;
    request->number = ++sim->numbers;
    request->method = asked->method;
    request->events = *events;
    request->arg = arg;
    snprintf(request->url, sizeof request->url, "%s", asked->url);
    if (asked->bearer)
        snprintf(request->authorization, sizeof request->authorization, "Bearer %s", asked->bearer);
    else
        snprintf(request->authorization, sizeof request->authorization, "%s",
                 asked->basic ? asked->basic : "");
    snprintf(request->content_type, sizeof request->content_type, "%s",
             asked->content_type ? asked->content_type : "");
    request->body = strndup(asked->body ? asked->body : "", asked->body_bytes);
    url_split(request);
    ck_assert_msg(sim->log_count < SIM_LOG, "%zu requests", sim->log_count);
    struct sim_logged *logged = &sim->log[sim->log_count++];
    *logged = (struct sim_logged){.at_ns = sim->now_ns, .method = request->method};
    snprintf(logged->path, sizeof logged->path, "%.159s", request->path);
    snprintf(logged->authorization, sizeof logged->authorization, "%.63s", request->authorization);
    sim->server(sim, request);
    return (struct http_exchange *)request;
}

static void request_end(struct sim_request *request)
{
    request->live = false;
    free(request->body);
    request->body = NULL;
}

static void cancel(struct http *http, struct http_exchange *exchange)
{
    (void)http;
    if (exchange)
        request_end((struct sim_request *)exchange);
}

static struct sim_delivery *deliver(struct sim *sim, const struct sim_request *request, uint64_t after_ms,
                                    enum sim_what what, const char *text)
{
    ck_assert_uint_lt(sim->delivery_count, SIM_DELIVERIES);
    struct sim_delivery *delivery = &sim->deliveries[sim->delivery_count++];
    *delivery = (struct sim_delivery){.at_ns = sim->now_ns + after_ms * NS_PER_MS,
                                      .order = ++sim->delivery_order,
                                      .number = request->number,
                                      .what = what,
                                      .text = strdup(text)};
    return delivery;
}

void sim_answer_retry(struct sim *sim, const struct sim_request *request, uint64_t after_ms, unsigned status,
                      const char *body, const char *retry_after)
{
    struct sim_delivery *delivery = deliver(sim, request, after_ms, SIM_END, body);
    delivery->status = status;
    snprintf(delivery->retry_after, sizeof delivery->retry_after, "%s", retry_after);
}

void sim_answer(struct sim *sim, const struct sim_request *request, uint64_t after_ms, unsigned status,
                const char *body)
{
    sim_answer_retry(sim, request, after_ms, status, body, "");
}

void sim_fail(struct sim *sim, const struct sim_request *request, uint64_t after_ms,
              enum http_failure failure)
{
    deliver(sim, request, after_ms, SIM_END, "connection refused")->failure = failure;
}

void sim_stream_open(struct sim *sim, const struct sim_request *request, uint64_t after_ms)
{
    deliver(sim, request, after_ms, SIM_OPEN, "")->status = 200;
}

void sim_stream_data(struct sim *sim, const struct sim_request *request, uint64_t after_ms, const char *data)
{
    deliver(sim, request, after_ms, SIM_DATA, data);
}

void sim_stream_end(struct sim *sim, const struct sim_request *request, uint64_t after_ms,
                    enum http_failure failure)
{
    struct sim_delivery *delivery = deliver(sim, request, after_ms, SIM_END, "");
    delivery->status = 200;
    delivery->failure = failure;
}

static struct sim_request *request_by(struct sim *sim, unsigned number)
{
    for (size_t i = 0; i < SIM_REQUESTS; i++)
        if (sim->requests[i].live && sim->requests[i].number == number)
            return &sim->requests[i];
    return NULL;
}

static void hand_over(struct sim *sim, struct sim_request *request, const struct sim_delivery *delivery)
{
    const struct http_events events = request->events;
    void *const arg = request->arg;
    const bool failed = delivery->failure != HTTP_DONE;
    const uint64_t wall_ms = sim->wall_ms0 + sim->now_ns / NS_PER_MS;
    const struct http_answer answer = {
        .failure = delivery->failure,
        .error = failed && delivery->text[0] ? delivery->text
                 : failed                    ? "the connection was cut"
                                             : "",
        .status = delivery->status,
        .content_type = "application/json",
        .location = "",
        .retry_after = delivery->retry_after,
        .date_unix_s = delivery->status ? ((int64_t)wall_ms + sim->server_skew_ms) / 1000 : 0,
        .body = failed || request->open ? "" : delivery->text,
        .body_bytes = failed || request->open ? 0 : strlen(delivery->text)};
    switch (delivery->what) {
    case SIM_OPEN:
        request->open = true;
        if (events.on_open)
            events.on_open(arg, &answer);
        break;
    case SIM_DATA:
        events.on_data(arg, delivery->text, strlen(delivery->text));
        break;
    case SIM_END:
        request_end(request);
        events.on_end(arg, &answer);
        break;
    }
}

/* -- What the session tells -- */

static uint64_t op_now(void *arg)
{
    return ((struct sim *)arg)->now_ns;
}
static uint64_t op_wall(void *arg)
{
    const struct sim *sim = arg;
    return sim->wall_ms0 + sim->now_ns / NS_PER_MS;
}
static uint64_t op_random(void *arg)
{
    struct sim *sim = arg;
    sim->random = sim->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return sim->random >> 11;
}
static void op_store(void *arg, enum ipc_slot slot, const char *text, size_t length)
{
    struct sim *sim = arg;
    free(sim->slots[slot]);
    sim->slots[slot] = length ? strndup(text, length) : NULL;
    sim->stores[slot]++;
}
static void op_phase(void *arg, enum ipc_join_phase phase, const char *text)
{
    struct sim *sim = arg;
    ck_assert_uint_lt(sim->phase_count, SIM_PHASES);
    sim->phases[sim->phase_count].at_ns = sim->now_ns;
    sim->phases[sim->phase_count].phase = phase;
    snprintf(sim->phases[sim->phase_count].text, 256, "%.255s", text);
    sim->phase_count++;
}
static void op_prompt(void *arg, const char *url, const char *complete_url, const char *code)
{
    struct sim *sim = arg;
    ck_assert((url == NULL) == (code == NULL) && (url == NULL) == (complete_url == NULL));
    snprintf(sim->prompt_code, sizeof sim->prompt_code, "%s", code ? code : "");
    sim->prompts += code != NULL;
}
static void op_give_up(void *arg, const char *text)
{
    struct sim *sim = arg;
    ck_assert_str_eq(sim->given_up, "");
    snprintf(sim->given_up, sizeof sim->given_up, "%s", text);
}
static int op_admit(void *arg, const char *host, uint16_t port)
{
    struct sim *sim = arg;
    ck_assert_uint_ne(port, 0);
    sim->admits++;
    snprintf(sim->admitted_host, sizeof sim->admitted_host, "%s", host);
    return NX_OK;
}
static int op_renew_key(void *arg)
{
    ((struct sim *)arg)->renewals++;
    return NX_OK;
}
static void op_published(void *arg, struct session_published *out)
{
    *out = ((struct sim *)arg)->published;
}

static void self_tell(struct sim *sim)
{
    struct peering_self self = {.id = sim->device_id};
    memcpy(self.public_key, sim->public_key, KEY_BYTES);
    self.facts.local = sim->published.local;
    self.facts.reflexive = sim->published.reflexive;
    peering_set_self(sim->peering, &self);
}

static void op_identity(void *arg, const char *device_id)
{
    struct sim *sim = arg;
    snprintf(sim->device_id, sizeof sim->device_id, "%s", device_id);
    self_tell(sim);
}
static int op_vpc(void *arg, const char *v4, const char *v6)
{
    return peering_set_vpc(((struct sim *)arg)->peering, v4, v6);
}
static void op_list_begin(void *arg)
{
    struct sim *sim = arg;
    sim->lists++;
    peering_list_begin(sim->peering);
}
static void op_device(void *arg, const struct peering_device *device)
{
    peering_put(((struct sim *)arg)->peering, device);
}
static void op_removed(void *arg, const char *id)
{
    peering_remove(((struct sim *)arg)->peering, id);
}
static void op_list_end(void *arg)
{
    peering_list_end(((struct sim *)arg)->peering);
}
static void op_group(void *arg, const struct api_security_group *group)
{
    struct sim *sim = arg;
    snprintf(sim->group_id, sizeof sim->group_id, "%s", group ? group->id : "");
    sim->group_inbound = group ? (unsigned)group->inbound_count : 0;
}

static const struct session_ops session_ops = {.now_ns = op_now,
                                               .wall_ms = op_wall,
                                               .random = op_random,
                                               .store = op_store,
                                               .phase = op_phase,
                                               .prompt = op_prompt,
                                               .give_up = op_give_up,
                                               .admit = op_admit,
                                               .renew_key = op_renew_key,
                                               .published = op_published,
                                               .identity = op_identity,
                                               .vpc = op_vpc,
                                               .list_begin = op_list_begin,
                                               .device = op_device,
                                               .removed = op_removed,
                                               .list_end = op_list_end,
                                               .security_group = op_group};

/* -- The tunnel -- */

static size_t peer_index(const struct sim *sim, const uint8_t *key)
{
    size_t i = 0;
    while (i < sim->peer_count && memcmp(sim->peers[i].key, key, KEY_BYTES) != 0)
        i++;
    return i;
}

static int tunnel_set(void *arg, const struct peering_peer *peer)
{
    struct sim *sim = arg;
    const size_t i = peer_index(sim, peer->public_key);
    ck_assert_uint_lt(i, SIM_PEERS);
    ck_assert_msg(memcmp(peer->public_key, sim->public_key, KEY_BYTES) != 0, "our own key as a peer");
    for (size_t p = 0; p < peer->allowed_count; p++)
        ck_assert_msg(peer->allowed[p].length >= 9, "a peer that takes everything");
    if (i == sim->peer_count)
        sim->peer_count++;
    memcpy(sim->peers[i].key, peer->public_key, KEY_BYTES);
    sim->peers[i].endpoint = peer->endpoint;
    return NX_OK;
}

static void tunnel_remove(void *arg, const uint8_t public_key[KEY_BYTES])
{
    struct sim *sim = arg;
    const size_t i = peer_index(sim, public_key);
    ck_assert_uint_lt(i, sim->peer_count);
    sim->peers[i] = sim->peers[--sim->peer_count];
    sim->peers_removed++;
}

static void tunnel_own(void *arg, const struct netaddr *v4, const struct netaddr *v6)
{
    (void)v6;
    ((struct sim *)arg)->own_v4 = *v4;
}

static const struct peering_ops peering_ops = {
    .set = tunnel_set, .remove = tunnel_remove, .own_addresses = tunnel_own};

static void tunnel_new(struct sim *sim)
{
    peering_free(sim->peering);
    sim->peering = peering_new(&peering_ops, sim);
    ck_assert_ptr_nonnull(sim->peering);
    sim->peer_count = 0;
    sim->device_id[0] = '\0';
    self_tell(sim);
}

/* -- Life -- */

void sim_init(struct sim *sim)
{
    memset(sim, 0, sizeof *sim);
    sim->http = (struct http){.submit = submit, .cancel = cancel};
    sim->wall_ms0 = UINT64_C(1795427400000); /* 2026-11-23 09:50:00 */
    sim->now_ns = NS_PER_S;
    sim->random = 1;
    for (size_t i = 0; i < KEY_BYTES; i++)
        sim->public_key[i] = (uint8_t)(i + 1);
    sim_published(sim, "192.0.2.7:41000", "", false);
}

void sim_published(struct sim *sim, const char *local, const char *reflexive, bool settled)
{
    struct session_published published = {.settled = settled};
    ck_assert_int_eq(netsock_parse(local, &published.local), NX_OK);
    if (reflexive[0])
        ck_assert_int_eq(netsock_parse(reflexive, &published.reflexive), NX_OK);
    sim->published = published;
    if (sim->session)
        session_published_changed(sim->session);
}

void sim_begin(struct sim *sim, struct session_config *config)
{
    tunnel_new(sim);
    config->http = &sim->http;
    if (!config->service_url)
        config->service_url = "https://nexodus.test";
    if (!config->hostname)
        config->hostname = "box";
    memcpy(config->public_key, sim->public_key, KEY_BYTES);
    sim->session = session_new(config, &session_ops, sim);
    ck_assert_ptr_nonnull(sim->session);
    for (int slot = 1; slot <= IPC_SLOT_LAST; slot++)
        if (sim->slots[slot])
            session_load(sim->session, (enum ipc_slot)slot, sim->slots[slot], strlen(sim->slots[slot]));
    session_start(sim->session);
}

void sim_end(struct sim *sim)
{
    session_free(sim->session);
    sim->session = NULL;
    peering_free(sim->peering);
    sim->peering = NULL;
    for (size_t i = 0; i < SIM_REQUESTS; i++)
        ck_assert_msg(!sim->requests[i].live, "%s outlives the session", sim->requests[i].url);
    for (size_t i = 0; i < sim->delivery_count; i++)
        free(sim->deliveries[i].text);
    sim->delivery_count = 0;
    sim->phase_count = 0;
    sim->given_up[0] = '\0';
}

void sim_destroy(struct sim *sim)
{
    sim_end(sim);
    for (size_t i = 0; i <= IPC_SLOT_LAST; i++) {
        free(sim->slots[i]);
        sim->slots[i] = NULL;
    }
}

static size_t delivery_next(const struct sim *sim)
{
    size_t best = sim->delivery_count;
    for (size_t i = 0; i < sim->delivery_count; i++)
        if (best == sim->delivery_count || sim->deliveries[i].at_ns < sim->deliveries[best].at_ns ||
            (sim->deliveries[i].at_ns == sim->deliveries[best].at_ns &&
             sim->deliveries[i].order < sim->deliveries[best].order))
            best = i;
    return best;
}

/* What ops asked for, which is answered a moment later. */
static void asked_answer(struct sim *sim, unsigned admits, unsigned renewals)
{
    if (sim->admits != admits)
        session_issuer_admitted(sim->session, sim->admit_err);
    if (sim->renewals != renewals) {
        sim->public_key[0]++;
        if (!sim->renew_fails)
            tunnel_new(sim);
        session_key_renewed(sim->session, sim->renew_fails ? NULL : sim->public_key);
    }
}

void sim_run_until(struct sim *sim, uint64_t at_ns)
{
    for (unsigned turns = 0;; turns++) {
        ck_assert_msg(turns < 2000000, "it spins");
        const unsigned admits = sim->admits, renewals = sim->renewals;
        session_run(sim->session, sim->now_ns);
        peering_run(sim->peering, sim->now_ns);
        asked_answer(sim, admits, renewals);
        const size_t next = delivery_next(sim);
        const uint64_t delivery_ns = next < sim->delivery_count ? sim->deliveries[next].at_ns : UINT64_MAX;
        uint64_t next_ns = session_next_ns(sim->session);
        if (next_ns <= sim->now_ns && delivery_ns > sim->now_ns)
            continue;
        next_ns = delivery_ns < next_ns ? delivery_ns : next_ns;
        if (next_ns > at_ns)
            break;
        sim->now_ns = next_ns > sim->now_ns ? next_ns : sim->now_ns;
        if (delivery_ns > sim->now_ns)
            continue;
        const struct sim_delivery delivery = sim->deliveries[next];
        sim->deliveries[next] = sim->deliveries[--sim->delivery_count];
        struct sim_request *request = request_by(sim, delivery.number);
        const unsigned before_admits = sim->admits, before_renewals = sim->renewals;
        if (request)
            hand_over(sim, request, &delivery);
        free(delivery.text);
        asked_answer(sim, before_admits, before_renewals);
    }
    sim->now_ns = at_ns;
}

void sim_run_for(struct sim *sim, uint64_t ms)
{
    sim_run_until(sim, sim->now_ns + ms * NS_PER_MS);
}

/* -- Looking -- */

size_t sim_count(const struct sim *sim, const char *path_prefix, uint64_t since_ns)
{
    size_t count = 0;
    for (size_t i = 0; i < sim->log_count; i++)
        count += sim->log[i].at_ns >= since_ns &&
                 (!path_prefix || strncmp(sim->log[i].path, path_prefix, strlen(path_prefix)) == 0);
    return count;
}

size_t sim_rate(const struct sim *sim, uint64_t window_ms, uint64_t since_ns)
{
    size_t most = 0;
    for (size_t i = 0, j = 0; i < sim->log_count; i++) {
        if (sim->log[i].at_ns < since_ns) {
            j = i + 1;
            continue;
        }
        while (sim->log[i].at_ns - sim->log[j].at_ns >= window_ms * NS_PER_MS)
            j++;
        most = i - j + 1 > most ? i - j + 1 : most;
    }
    return most;
}

enum ipc_join_phase sim_phase(const struct sim *sim)
{
    return sim->phase_count ? sim->phases[sim->phase_count - 1].phase : IPC_PHASE_STARTING;
}

const char *sim_phase_text(const struct sim *sim)
{
    return sim->phase_count ? sim->phases[sim->phase_count - 1].text : "";
}
