/* ProxyList, and the changes of rules: parsed here, carried out by the parent, answered when it has. */
#include "ctld/control_methods.h"

#include "common/err.h"
#include "ctld/rule_refusal.h"

#include <stdio.h>
#include <string.h>

enum { RULES_TEXT_MAX = 4 << 20 };

void control_proxy_list(struct control_methods *methods, struct control_call *call,
                        const struct jsonrpc_request *request)
{
    (void)request;
    struct jsonrpc_text text;
    jsonrpc_text_init(&text, RULES_TEXT_MAX);
    for (size_t i = 0; i < methods->device->rule_count; i++) {
        const struct rule *rule = &methods->device->rules[i].rule;
        char line[RULE_TEXT_MAX];
        jsonrpc_putf(&text, "--%s %s\n", rule_direction_name(rule->direction), rule_format(rule, line));
    }
    control_answer_built(call, &text);
}

/* What clients expect names the kind of an added rule, and "ingress" for every removed one. */
static void rule_changed(struct control_methods *methods, struct control_pending *pending,
                         const struct ipc_message *message)
{
    (void)methods;
    char text[JSONRPC_PARAM_MAX + 64];
    struct control_call *call = control_pending_end(pending);
    if (message->body.result.result != IPC_OK) {
        control_refuse(call, message->body.result.text);
        return;
    }
    int length =
        snprintf(text, sizeof text, "%s %s proxy rule: %s\n", pending->remove ? "Removed" : "Added",
                 pending->remove ? "ingress" : rule_direction_name(pending->direction), pending->argument);
    control_answer(call, text, (size_t)length);
}

enum change { ADD, REMOVE, KILL /* and live flows end too */ };

static void rule_change(struct control_methods *methods, struct control_call *call,
                        const struct jsonrpc_request *request, enum change change,
                        enum rule_direction direction)
{
    static const char *const words[] = {"add", "remove", "remove, with its flows,"};
    bool remove = change != ADD;
    char own[RULE_ERROR_MAX], text[RULE_REFUSAL_MAX], canonical[RULE_TEXT_MAX];
    struct rule rule;
    if (rule_parse(direction, request->param, &rule, own)) {
        control_refuse(call, rule_refusal(request->param, own, text));
        return;
    }
    struct ipc_rule_request message = {.remove = remove,
                                       .kill_flows = change == KILL,
                                       .direction = (uint8_t)rule.direction,
                                       .protocol = (uint8_t)rule.protocol,
                                       .listen_port = rule.listen_port,
                                       .dest_port = rule.dest_port};
    memcpy(message.host, rule.host, sizeof rule.host);
    control_change_log(call, "%s %s rule %s", words[change], rule_direction_name(direction),
                       rule_format(&rule, canonical));
    struct control_pending *pending =
        control_request(methods, call, IPC_PARENT, IPC_MSG_RULE_REQUEST, &message, rule_changed);
    if (!pending)
        return;
    pending->remove = remove;
    pending->direction = direction;
    memcpy(pending->argument, request->param, sizeof pending->argument);
}

void control_proxy_add_ingress(struct control_methods *methods, struct control_call *call,
                               const struct jsonrpc_request *request)
{
    rule_change(methods, call, request, ADD, RULE_INGRESS);
}

void control_proxy_add_egress(struct control_methods *methods, struct control_call *call,
                              const struct jsonrpc_request *request)
{
    rule_change(methods, call, request, ADD, RULE_EGRESS);
}

void control_proxy_remove_ingress(struct control_methods *methods, struct control_call *call,
                                  const struct jsonrpc_request *request)
{
    rule_change(methods, call, request, REMOVE, RULE_INGRESS);
}

void control_proxy_remove_egress(struct control_methods *methods, struct control_call *call,
                                 const struct jsonrpc_request *request)
{
    rule_change(methods, call, request, REMOVE, RULE_EGRESS);
}

void control_proxy_kill_ingress(struct control_methods *methods, struct control_call *call,
                                const struct jsonrpc_request *request)
{
    rule_change(methods, call, request, KILL, RULE_INGRESS);
}

void control_proxy_kill_egress(struct control_methods *methods, struct control_call *call,
                               const struct jsonrpc_request *request)
{
    rule_change(methods, call, request, KILL, RULE_EGRESS);
}
