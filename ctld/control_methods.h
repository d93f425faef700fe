/* The methods of the control socket ("NexdCtl.NAME"), on what ctld knows. ctld only. */
#ifndef NEXD_CTLD_CONTROL_METHODS_H
#define NEXD_CTLD_CONTROL_METHODS_H

#include "ctld/control_server.h"
#include "ctld/device.h"
#include "ctld/peers.h"

enum { CONTROL_HEALTHY_S = 210 }; /* age of a handshake up to which a peer is shown as healthy */

struct control_methods_ops {
    /* Asks the parent to set the log level of all processes; control_methods_result() gets its answer by
     * `request`. As ipc_send(). */
    int (*set_log_level)(void *arg, uint8_t level, uint32_t request);
    uint64_t (*now_ns)(void *arg);
    uint64_t (*wall_s)(void *arg);
};

/* A request to the parent that a client waits for. */
struct control_pending {
    struct control_call *call;
    uint32_t request;
};

struct control_methods {
    const struct device *device;
    struct peers *peers;
    const struct control_methods_ops *ops;
    void *arg;
    struct control_pending pending[CONTROL_CLIENTS_MAX];
    uint32_t last_request;
};

/* For control_server_new(), with a struct control_methods as its argument. */
extern const struct control_handler control_methods_handler;

/* The parent's RESULT. */
void control_methods_result(struct control_methods *methods, uint32_t request,
                            const struct ipc_result *result);

#endif
