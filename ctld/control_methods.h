/* The methods of the control socket ("NexdCtl.NAME"), on what ctld knows. ctld only. */
#ifndef NEXD_CTLD_CONTROL_METHODS_H
#define NEXD_CTLD_CONTROL_METHODS_H

#include "ctld/connectivity.h"
#include "ctld/control_policy.h"
#include "ctld/control_server.h"
#include "ctld/device.h"
#include "ctld/peers.h"

enum { CONTROL_HEALTHY_S = 210 }; /* age of a handshake up to which a peer is shown as healthy */

/* What membership in a control plane's network adds to the answers. Texts are "" where there is nothing to
 * tell, and borrowed for the answer. */
struct control_network {
    enum ipc_join_phase phase;
    const char *text;                   /* what keeps it from the next phase */
    const char *login_url, *login_code; /* a user has to act */
    bool relay_present, relay_required;
};

struct control_methods_ops {
    /* As ipc_send(), to the parent or a sibling. */
    int (*send)(void *arg, enum ipc_role to, enum ipc_type type, uint32_t request, const void *body);
    uint64_t (*now_ns)(void *arg);
    uint64_t (*wall_s)(void *arg);
    /* False: there is no such network (static mode). May be NULL. */
    bool (*network)(void *arg, struct control_network *out);
    /* Sets what is known of the peer beyond its key; leaves the rest as it is. May be NULL. */
    void (*describe)(void *arg, const struct peer *peer, const char **hostname, const char **method);
};

struct control_methods;
struct control_pending;

/* A message that answers the request: one of a series, or the RESULT that ends it, after which no other
 * comes.
 */
typedef void (*control_pending_fn)(struct control_methods *methods, struct control_pending *pending,
                                   const struct ipc_message *message);

/* A question to another process that a client waits for. */
struct control_pending {
    struct control_call *call; /* NULL: this place is free */
    enum ipc_role asked;
    uint32_t request;
    control_pending_fn on_message;
    /* For the method that asked: */
    bool remove;
    enum rule_direction direction;
    char argument[JSONRPC_PARAM_MAX];
    void *data; /* what has come so far; freed by data_free() when the place is */
    void (*data_free)(void *data);
};

struct control_methods {
    struct device *device;
    struct peers *peers;
    struct connectivity *connectivity;
    struct control_policy policy; /* destroyed by who owns this */
    const struct control_methods_ops *ops;
    void *arg;
    struct control_pending pending[CONTROL_CLIENTS_MAX];
    uint32_t last_request;
};

/* Request ids of the methods have this bit and not the next, which connectivity.h adds; those of ctld's other
 * parts have neither. */
#define CONTROL_REQUEST UINT32_C(0x80000000)

/* For control_server_new(), with a struct control_methods as its argument. */
extern const struct control_handler control_methods_handler;

/* A message from `from`. False: it answers no question of these methods. */
bool control_methods_message(struct control_methods *methods, enum ipc_role from,
                             const struct ipc_message *message);
/* That process is gone: who waits for it is told so. */
void control_methods_link_down(struct control_methods *methods, enum ipc_role role);

/* -- Between control_methods.c and the files that hold the methods -- */

/* Sends a question on behalf of `call`. NULL: it could not be sent, and the client has been told. The rest of
 * what is returned is zero and the caller's to fill in. */
struct control_pending *control_request(struct control_methods *methods, struct control_call *call,
                                        enum ipc_role to, enum ipc_type type, const void *body,
                                        control_pending_fn on_message);
/* The same, but the client has not been told when it is NULL. */
struct control_pending *control_ask(struct control_methods *methods, struct control_call *call,
                                    enum ipc_role to, enum ipc_type type, const void *body,
                                    control_pending_fn on_message);
/* Frees the place; its other members stay readable until the next control_request(). Returns the call, which
 * the caller answers. */
struct control_call *control_pending_end(struct control_pending *pending);
/* A line in the log: who asks for a change, and for which. `format`: the change, "add rule …". */
void control_change_log(const struct control_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Answers with what was written, or with its failure, and frees it. */
void control_answer_built(struct control_call *call, struct jsonrpc_text *text);

typedef void control_method(struct control_methods *methods, struct control_call *call,
                            const struct jsonrpc_request *request);
control_method control_proxy_list, control_proxy_add_ingress, control_proxy_add_egress,
    control_proxy_remove_ingress, control_proxy_remove_egress, control_proxy_kill_ingress,
    control_proxy_kill_egress;                              /* control_rules.c */
control_method control_list_flows, control_list_rule_stats; /* control_flows.c */
control_method control_status;                              /* control_status.c */
control_method control_sandbox_report;                      /* control_sandbox.c */
/* The name of each method, by index; NULL behind the last. */
const char *control_method_name(size_t index);
/* False: there is no network; then `out` has nothing in it. */
bool control_network_of(const struct control_methods *methods, struct control_network *out);

#endif
