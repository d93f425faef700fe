/* A flag's value is a list, separated by commas; blanks round an item do not count. */
#include "nexctl/proxy.h"

#include "common/err.h"
#include "common/text.h"
#include "nexctl/printable.h"

#include <stdlib.h>
#include <string.h>

struct change {
    FILE *out;
    proxy_call_fn call;
    const void *arg;
    char *error;
    const char *verb, *doing; /* "Add", "adding" */
};

static int rule_change(const struct change *change, bool ingress, const char *rule)
{
    char method[32], *result = NULL;
    snprintf(method, sizeof method, "Proxy%s%s", change->verb, ingress ? "Ingress" : "Egress");
    int err = change->call(change->arg, method, rule, &result, change->error);
    printable_make(result, true);
    if (err == NX_OK)
        fputs(result, change->out);
    else if (err == NX_EPROTO)
        fprintf(change->out, "Error %s %s rule (%s): Failed to execute method (%s): %s\n\n", change->doing,
                ingress ? "ingress" : "egress", rule, method, change->error);
    free(result);
    return err == NX_EPROTO ? NX_OK : err;
}

static int list_change(const struct change *change, bool ingress, const char *list)
{
    int err;
    do {
        size_t length = strcspn(list, ",");
        struct text_span item = text_trim(list, length);
        char *rule = strndup(item.start, item.length);
        err = rule ? rule_change(change, ingress, rule) : NX_ENOMEM;
        free(rule);
        list += length;
    } while (err == NX_OK && *list++ == ',');
    return err;
}

int proxy_change(FILE *out, const struct command *command, proxy_call_fn call, const void *arg, char *error)
{
    bool add = command->id == COMMAND_PROXY_ADD;
    const struct change change = {.out = out,
                                  .call = call,
                                  .arg = arg,
                                  .error = error,
                                  .verb = add                   ? "Add"
                                          : command->kill_flows ? "Kill"
                                                                : "Remove",
                                  .doing = add ? "adding" : "removing"};
    int err = NX_OK;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < command->rule_count && err == NX_OK; i++)
            if (command->rules[i].ingress == (pass == 0))
                err = list_change(&change, pass == 0, command->rules[i].list);
    return err;
}
