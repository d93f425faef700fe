/* A port is listed once; in order, since a bit map yields it so. */
#include "nexd/ports.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DNS_PORT = 53, PORTS = 65536, PORT_TEXT = 6 };

/* At `out`, which has room; returns the end. */
static char *set_print(const struct port_set *set, char *out)
{
    const char *before = "";
    for (unsigned port = 0; port < PORTS; port++) {
        if (!port_set_has(set, (uint16_t)port))
            continue;
        out += snprintf(out, PORT_TEXT + 1, "%s%u", before, port);
        before = ",";
    }
    return out;
}

char *ports_option(const struct rulebook *rules, const struct netsock *metrics, bool any_connect)
{
    static const char head[] = "--tcp-ports=bind:", middle[] = ";connect:";
    static struct port_set bind, connect;
    memset(&bind, 0, sizeof bind);
    memset(&connect, 0, sizeof connect);
    port_set_add(&connect, DNS_PORT); /* answers that do not fit into a datagram */
    for (size_t i = 0; i < rules->count; i++) {
        const struct rule *rule = &rules->entries[i].rule;
        if (rules->entries[i].barred)
            continue;
        if (rule->protocol == RULE_TCP && rule->direction == RULE_EGRESS)
            port_set_add(&bind, rule->listen_port);
        else if (rule->protocol == RULE_TCP)
            port_set_add(&connect, rule->dest_port);
    }
    if (metrics && metrics->addr.family != NETADDR_NONE)
        port_set_add(&bind, metrics->port);
    if (bind.count > PORTS_MAX || connect.count > PORTS_MAX)
        return NULL;
    char *text = malloc(sizeof head + sizeof middle + (bind.count + connect.count) * PORT_TEXT + 2);
    if (!text)
        return NULL;
    memcpy(text, head, sizeof head);
    char *at = set_print(&bind, text + sizeof head - 1);
    *at = '\0';
    if (!any_connect) {
        memcpy(at, middle, sizeof middle);
        at = set_print(&connect, at + sizeof middle - 1);
        *at = '\0';
    }
    return text;
}
