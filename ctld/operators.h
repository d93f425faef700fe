/* Whom ctld answers: operators on the control socket, and those who read metrics. Ties their servers to the
 * methods and pages. ctld only. */
#ifndef NEXD_CTLD_OPERATORS_H
#define NEXD_CTLD_OPERATORS_H

#include "ctld/control_methods.h"
#include "ctld/metrics/pages.h"

struct operators_ops {
    /* As ipc_send(), on the present link to that process. */
    int (*send)(void *arg, enum ipc_role to, enum ipc_type type, uint32_t request, const void *body);
    /* As in control_methods.h and connectivity.h. */
    bool (*network)(void *arg, struct control_network *out);
    void (*describe)(void *arg, const struct peer *peer, const char **hostname, const char **method);
    bool (*devices)(void *arg, connectivity_device_fn each, void *each_arg);
    /* A request may have made some part want the timer. */
    void (*settle)(void *arg);
};

struct operators {
    const struct operators_ops *ops;
    void *arg;
    struct control_server *server;
    struct control_methods methods;
    struct scrape_server *scrapes;
    struct pages pages;
};

struct event_base;
/* False: out of memory; then operators_destroy() too. `device`, `peers` and `ops` must outlive it. */
bool operators_init(struct operators *operators, struct event_base *base, struct device *device,
                    struct peers *peers, const struct operators_ops *ops, void *arg);
void operators_destroy(struct operators *operators);

/* CONTROL_SOCKET, METRICS_SOCKET. The descriptors are taken over. */
void operators_control_listen(struct operators *operators, int fd);
void operators_metrics_listen(struct operators *operators, int fd);
/* True: the message answers a question that somebody waits for. */
bool operators_message(struct operators *operators, enum ipc_role from, const struct ipc_message *message,
                       uint64_t now_ns);
void operators_link_down(struct operators *operators, enum ipc_role peer, uint64_t now_ns);
/* Time has passed, or a link has room again; when it is next needed. */
void operators_run(struct operators *operators, uint64_t now_ns);
uint64_t operators_next_ns(const struct operators *operators);

#endif
