/* What tests of the control socket share: server, methods and peers are the real ones on a real event loop;
 * tunneld, proxyd and the parent are functions, and clients are sockets that are read while the loop turns.
 */
#ifndef NEXD_TESTS_UNIT_CTLD_CONTROL_RIG_H
#define NEXD_TESTS_UNIT_CTLD_CONTROL_RIG_H

#include "ctld/control_methods.h"
#include "ctld/control_server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WAIT_MS = 5000, ANSWER_BYTES = 65536, WALL_S = 1795427461 };

struct event_base;

/* A question of the methods, not answered yet. */
struct rig_question {
    enum ipc_role to;
    enum ipc_type type;
    uint32_t request;
    uint32_t last, caller_of; /* ids: of the latest question, and of the latest CALLER */
    struct ipc_rule_request rule;
};
/* A network's device, with host name, method and addresses as texts. */
struct network_device {
    const char *hostname, *method, *v4, *v6;
};

extern struct event_base *base;
extern struct control_server *server;
extern struct control_methods methods;
extern struct device device;
extern struct peers *peers;
extern uint32_t query;       /* of PEERS_QUERY, not answered yet */
extern bool tunneld_answers; /* … by turn() */
extern struct rig_question asked;
extern bool link_is_up;
extern const char *refusal; /* the parent's answer to changes of rules; NULL = done */
/* Short enough to wait for; that of a call is a test's own. */
extern struct control_limits limits;
extern uint32_t ping_requests[8];
extern size_t ping_count;
extern const struct control_network *network;        /* NULL: static mode */
extern const struct network_device *network_devices; /* NULL: there is no network */
extern size_t network_device_count;
extern const char peer_key_text[];

/* The fixture: two rules, a peer, a listening socket. */
void set_up(void);
void tear_down(void);
void rule_add(uint32_t id, const char *text);
/* A message of tunneld; `body` NULL: an empty one. */
void tunneld_says(enum ipc_type type, uint32_t request, const union ipc_body *body);
/* Turns the loop until the methods have asked for that. */
void until_asked(enum ipc_type type);

int client_connect(void);
void client_send(int fd, const char *text);
/* One turn of the loop, and of what answers it from the other side. */
void turn(void);
/* What the client receives until it has `lines` lines, or until it is closed. */
const char *client_read(int fd, size_t lines, bool *closed);
void exchange(int fd, const char *sent, const char *expected);
/* Waits until the server ends this client. */
void expect_end(int fd);
/* Another client is answered. */
void expect_served(void);

#endif
