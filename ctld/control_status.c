/* Status: how far this node has come, in the words that clients of this protocol know. */
#include "ctld/control_methods.h"

#include <string.h>

enum { STATUS_TEXT_MAX = 16 << 10, PROBLEMS_SHOWN = 10 };

bool control_network_of(const struct control_methods *methods, struct control_network *out)
{
    *out = (struct control_network){.text = "", .login_url = "", .login_code = ""};
    return methods->ops->network && methods->ops->network(methods->arg, out);
}

/* Clients of this protocol look for "Running", and show the rest as it is. A login's text is the one that
 * they know. */
static void network_status_put(struct jsonrpc_text *text, const struct control_network *network)
{
    const bool running = network->phase == IPC_PHASE_JOINED || network->phase == IPC_PHASE_CACHED;
    if (network->phase == IPC_PHASE_LOGIN)
        jsonrpc_putf(text,
                     "Status: WaitingForAuth\nYour device must be registered with Nexodus.\n"
                     "Your one-time code is: %s\n"
                     "Please open the following URL in your browser to sign in:\n%s\n",
                     network->login_code, network->login_url);
    else
        jsonrpc_putf(text, "Status: %s\n", running ? "Running" : "Starting");
    if (network->phase == IPC_PHASE_CACHED)
        jsonrpc_putf(text, "With the network as it was known last: %s\n",
                     network->text[0] ? network->text : "the control plane has not answered yet");
    else if (network->phase != IPC_PHASE_LOGIN && network->text[0])
        jsonrpc_putf(text, "%s\n", network->text);
}

/* Rules that are not in force, each with its reason; not more than fit on a screen. */
static void problems_put(struct jsonrpc_text *text, const struct device *device)
{
    char rule[RULE_TEXT_MAX];
    size_t count = 0;
    for (size_t i = 0; i < device->rule_count; i++) {
        const struct device_rule *entry = &device->rules[i];
        if (entry->problem && count++ < PROBLEMS_SHOWN) {
            jsonrpc_putf(text, "Not in force: --%s %s: ", rule_direction_name(entry->rule.direction),
                         rule_format(&entry->rule, rule));
            jsonrpc_put(text, entry->problem, strlen(entry->problem));
            jsonrpc_put(text, "\n", 1);
        }
    }
    if (count > PROBLEMS_SHOWN)
        jsonrpc_putf(text, "Not in force: %zu more rules\n", count - PROBLEMS_SHOWN);
}

/* In static mode, Starting until the tunnel has its configuration and its peers for the first time. */
void control_status(struct control_methods *methods, struct control_call *call,
                    const struct jsonrpc_request *request)
{
    (void)request;
    struct control_network network;
    struct jsonrpc_text text;
    jsonrpc_text_init(&text, STATUS_TEXT_MAX);
    if (control_network_of(methods, &network))
        network_status_put(&text, &network);
    else
        jsonrpc_putf(&text, "Status: %s\n",
                     methods->device->known && peers_synced(methods->peers) ? "Running" : "Starting");
    if (methods->device->draining)
        jsonrpc_putf(&text, "Draining: no new flows are accepted; live ones go on\n");
    problems_put(&text, methods->device);
    control_answer_built(call, &text);
}
