/* See operators.h. */
#include "ctld/operators.h"

#include "common/clock.h"
#include "common/log.h"

static int send_any(void *arg, enum ipc_role to, enum ipc_type type, uint32_t request, const void *body)
{
    const struct operators *operators = arg;
    return operators->ops->send(operators->arg, to, type, request, body);
}

static int send_tunneld(void *arg, enum ipc_type type, uint32_t request, const void *body)
{
    return send_any(arg, IPC_TUNNELD, type, request, body);
}

static void describe(void *arg, const struct peer *peer, const char **hostname, const char **method)
{
    const struct operators *operators = arg;
    operators->ops->describe(operators->arg, peer, hostname, method);
}

static bool devices(void *arg, connectivity_device_fn each, void *each_arg)
{
    const struct operators *operators = arg;
    return operators->ops->devices(operators->arg, each, each_arg);
}

static bool network(void *arg, struct control_network *out)
{
    const struct operators *operators = arg;
    return operators->ops->network(operators->arg, out);
}

static uint64_t now_ns(void *arg)
{
    (void)arg;
    return clock_now_ns();
}

static uint64_t wall_s(void *arg)
{
    (void)arg;
    return clock_wall_ns() / NS_PER_S;
}

static const struct connectivity_ops connectivity_ops = {.send = send_tunneld, .devices = devices};
static const struct control_methods_ops methods_ops = {
    .send = send_any, .now_ns = now_ns, .wall_s = wall_s, .network = network, .describe = describe};
static const struct gather_ops gather_ops = {.send = send_any};

/* -- The control socket -- */

static void on_call(void *arg, struct control_call *call, const struct jsonrpc_request *request)
{
    struct operators *operators = arg;
    control_methods_handler.call(&operators->methods, call, request);
    operators->ops->settle(operators->arg);
}

static void on_cancel(void *arg, struct control_call *call)
{
    struct operators *operators = arg;
    control_methods_handler.cancel(&operators->methods, call);
}

static const struct control_handler control_handler = {.call = on_call, .cancel = on_cancel};

/* -- Metrics -- */

static void on_scrape(void *arg, struct scrape_call *call, const char *path)
{
    struct operators *operators = arg;
    pages_handler.get(&operators->pages, call, path);
    operators->ops->settle(operators->arg);
}

static void on_scrape_cancel(void *arg, struct scrape_call *call)
{
    struct operators *operators = arg;
    pages_handler.cancel(&operators->pages, call);
}

static const struct scrape_handler scrape_handler = {.get = on_scrape, .cancel = on_scrape_cancel};

/* -- Life -- */

bool operators_init(struct operators *operators, struct event_base *base, struct device *device,
                    struct peers *peers, const struct operators_ops *ops, void *arg)
{
    *operators = (struct operators){.ops = ops, .arg = arg};
    operators->server = control_server_new(base, &control_limits_default, &control_handler, operators);
    operators->scrapes = scrape_server_new(base, &scrape_limits_default, &scrape_handler, operators);
    operators->methods =
        (struct control_methods){.device = device,
                                 .peers = peers,
                                 .connectivity = connectivity_new(&connectivity_ops, operators),
                                 .ops = &methods_ops,
                                 .arg = operators};
    operators->pages = (struct pages){.gather = peers ? gather_new(peers, &gather_ops, operators) : NULL,
                                      .device = device,
                                      .peers = peers,
                                      .now_ns = clock_now_ns};
    return operators->server && operators->scrapes && operators->methods.connectivity &&
           operators->pages.gather;
}

void operators_destroy(struct operators *operators)
{
    control_server_free(operators->server);
    scrape_server_free(operators->scrapes);
    gather_free(operators->pages.gather);
    connectivity_free(operators->methods.connectivity);
    control_policy_destroy(&operators->methods.policy);
    *operators = (struct operators){0};
}

void operators_control_listen(struct operators *operators, int fd)
{
    if (control_server_listen(operators->server, fd))
        log_error("the control socket is not served: out of memory");
    else
        log_debug("serving the control socket");
}

void operators_metrics_listen(struct operators *operators, int fd)
{
    if (scrape_server_listen(operators->scrapes, fd))
        log_error("metrics are not served: out of memory");
}

bool operators_message(struct operators *operators, enum ipc_role from, const struct ipc_message *message,
                       uint64_t at_ns)
{
    return control_methods_message(&operators->methods, from, message) ||
           gather_message(operators->pages.gather, from, message, at_ns);
}

void operators_link_down(struct operators *operators, enum ipc_role peer, uint64_t at_ns)
{
    control_methods_link_down(&operators->methods, peer);
    gather_link_down(operators->pages.gather, peer, at_ns);
}

void operators_run(struct operators *operators, uint64_t at_ns)
{
    connectivity_pump(operators->methods.connectivity);
    gather_run(operators->pages.gather, at_ns);
}

uint64_t operators_next_ns(const struct operators *operators)
{
    return gather_next_ns(operators->pages.gather);
}
