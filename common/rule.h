/* Proxy rules: "protocol:port:destination_host:destination_port", as --ingress and --egress and the control
 * socket take them. See docs/rules.md for the grammar. Any process. */
#ifndef NEXD_COMMON_RULE_H
#define NEXD_COMMON_RULE_H

#include "common/netaddr.h"

enum rule_direction { RULE_INGRESS = 1, RULE_EGRESS = 2 };
enum rule_protocol { RULE_TCP = 1, RULE_UDP = 2 };
enum { RULE_HOST_MAX = 253, RULE_TEXT_MAX = 4 + 6 + RULE_HOST_MAX + 3 + 6 + 1, RULE_ERROR_MAX = 256 };

struct rule {
    enum rule_direction direction;
    enum rule_protocol protocol;
    uint16_t listen_port;
    char host[RULE_HOST_MAX + 1]; /* as written, brackets removed: an address (maybe with %zone) or a name */
    struct netaddr addr;          /* the host when it is an address, else family NETADDR_NONE */
    uint16_t dest_port;
};

/* Parses one rule. On NX_EINVAL `error` (RULE_ERROR_MAX bytes) holds one line that names the wrong part,
 * quotes it and shows a right one. */
int rule_parse(enum rule_direction direction, const char *text, struct rule *out, char *error);
/* Canonical text into `out` (RULE_TEXT_MAX bytes); returns `out`. */
char *rule_format(const struct rule *rule, char *out);
/* Same direction, protocol, ports and destination; names without regard to case, addresses by value with
 * their zones. */
bool rule_equal(const struct rule *a, const struct rule *b);
/* Negative, zero or positive: a total order, zero exactly for equal rules, in which rules of one listener
 * stand together. */
int rule_compare(const struct rule *a, const struct rule *b);
/* Same direction, protocol and listen port: the rules share a listener and are balanced over. */
bool rule_same_listener(const struct rule *a, const struct rule *b);
const char *rule_direction_name(enum rule_direction direction); /* "ingress", "egress" */
const char *rule_protocol_name(enum rule_protocol protocol);    /* "tcp", "udp" */

#endif
