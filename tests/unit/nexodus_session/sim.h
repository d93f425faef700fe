/* A session on a simulated clock, with a scripted way to the control plane: what it asks is handed to the
 * test's server, whose answers arrive at the times that it says. Peering is the real one, so that tests see
 * which peers the tunnel would have. */
#ifndef NEXD_TESTS_NEXODUS_SESSION_SIM_H
#define NEXD_TESTS_NEXODUS_SESSION_SIM_H

#include "common/clock.h"
#include "common/err.h"
#include "ctld/nexodus/session/session.h"
#include "ctld/peering/peering.h"

#include <check.h>

enum { SIM_REQUESTS = 16, SIM_LOG = 4096, SIM_DELIVERIES = 4096, SIM_PEERS = 64, SIM_PHASES = 512 };

struct sim;
struct sim_request {
    bool live, stream, open;
    unsigned number; /* counted from 1 */
    enum http_method method;
    char url[512], host[128], path[256], authorization[20000], content_type[64];
    char *body;
    struct http_events events;
    void *arg;
};

enum sim_what { SIM_OPEN, SIM_DATA, SIM_END };
struct sim_delivery {
    uint64_t at_ns, order;
    unsigned number;
    enum sim_what what;
    enum http_failure failure;
    unsigned status;
    char *text; /* body or data; or the failure's sentence */
    char retry_after[64];
    int64_t date_unix_s;
};

struct sim_logged {
    uint64_t at_ns;
    enum http_method method;
    char path[160];
    char authorization[64];
};

struct sim {
    struct session *session;
    struct http http;
    uint64_t now_ns, wall_ms0; /* wall clock at now_ns 0 */
    uint64_t random;
    /* The server: called for each request, answers with sim_answer() and so on. */
    void (*server)(struct sim *sim, struct sim_request *request);
    void *server_arg;
    int64_t server_skew_ms; /* of its Date header */
    struct sim_request requests[SIM_REQUESTS];
    unsigned numbers;
    struct sim_delivery deliveries[SIM_DELIVERIES];
    size_t delivery_count;
    uint64_t delivery_order;
    struct sim_logged log[SIM_LOG];
    size_t log_count;
    /* What the session told: */
    char *slots[IPC_SLOT_LAST + 1]; /* NULL = empty */
    unsigned stores[IPC_SLOT_LAST + 1];
    struct {
        uint64_t at_ns;
        enum ipc_join_phase phase;
        char text[256];
    } phases[SIM_PHASES];
    size_t phase_count;
    char given_up[512]; /* "" = not */
    char prompt_code[128];
    unsigned prompts, admits, renewals, lists;
    int admit_err;
    char admitted_host[256];
    bool renew_fails;
    struct session_published published;
    char group_id[64]; /* our own, "" = none */
    unsigned group_inbound;
    /* The tunnel: */
    struct peering *peering;
    uint8_t public_key[KEY_BYTES];
    char device_id[64];
    struct {
        uint8_t key[KEY_BYTES];
        struct netsock endpoint;
    } peers[SIM_PEERS];
    size_t peer_count;
    unsigned peers_removed; /* ever */
    struct netaddr own_v4;
};

/* All of it zero but `config`'s texts; the session is made by sim_begin(). */
void sim_init(struct sim *sim);
/* Makes and starts the session; `config->http` and key are filled in. Slots are loaded from sim->slots. */
void sim_begin(struct sim *sim, struct session_config *config);
/* Ends the session and forgets the tunnel, as a restart does; slots stay. */
void sim_end(struct sim *sim);
void sim_destroy(struct sim *sim);
void sim_run_until(struct sim *sim, uint64_t at_ns);
void sim_run_for(struct sim *sim, uint64_t ms);
void sim_published(struct sim *sim, const char *local, const char *reflexive, bool settled);

/* -- For servers: `after_ms` from now -- */
void sim_answer(struct sim *sim, const struct sim_request *request, uint64_t after_ms, unsigned status,
                const char *body);
void sim_answer_retry(struct sim *sim, const struct sim_request *request, uint64_t after_ms, unsigned status,
                      const char *body, const char *retry_after);
void sim_fail(struct sim *sim, const struct sim_request *request, uint64_t after_ms,
              enum http_failure failure);
void sim_stream_open(struct sim *sim, const struct sim_request *request, uint64_t after_ms);
void sim_stream_data(struct sim *sim, const struct sim_request *request, uint64_t after_ms, const char *data);
/* HTTP_CUT, or HTTP_DONE for the orderly end. */
void sim_stream_end(struct sim *sim, const struct sim_request *request, uint64_t after_ms,
                    enum http_failure failure);

/* How many requests with this path prefix (NULL = all) since then. */
size_t sim_count(const struct sim *sim, const char *path_prefix, uint64_t since_ns);
/* The most requests in any window of so long. */
size_t sim_rate(const struct sim *sim, uint64_t window_ms, uint64_t since_ns);
enum ipc_join_phase sim_phase(const struct sim *sim);
const char *sim_phase_text(const struct sim *sim);

#endif
