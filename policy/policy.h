/* The operator's policy: which rules may exist, where they may lead and listen, how much they may carry, and
 * who may ask for what on the control socket. docs/policy.md has the language. No I/O: the parent reads the
 * file, and hands it on to its children line by line. Any process.
 *
 * A policy refuses what none of its lines admits. NULL, where one is asked for, is the absence of a policy:
 * everything is admitted but for what policy_address() says. */
#ifndef NEXD_POLICY_POLICY_H
#define NEXD_POLICY_POLICY_H

#include "common/rule.h"

#include <sys/types.h>

enum {
    POLICY_FILE_BYTES_MAX = 1 << 18,
    POLICY_LINE_BYTES_MAX = 1000,
    POLICY_LINES_MAX = 1024, /* that say something */
    POLICY_LIST_MAX = 64,    /* items in a list */
    POLICY_ERROR_MAX = 512,
    POLICY_NAME_MAX = 200, /* bytes of the file's name that are kept for messages */
    POLICY_WHY_MAX = 400,
};

struct policy;

/* One without lines, which refuses everything. `file` is for messages. NULL: out of memory. */
struct policy *policy_new(const char *file);
/* NULL is harmless. */
void policy_free(struct policy *policy);

/* Reads a whole file. On NX_EINVAL or NX_ENOMEM `error` (POLICY_ERROR_MAX bytes) has one line, "FILE:LINE:
 * …", and the policy is of no use but for policy_free(). */
int policy_read(struct policy *policy, const char *text, size_t length, char *error);
/* The same with one line, which has the number `line`. */
int policy_read_line(struct policy *policy, unsigned line, const char *text, size_t length, char *error);

/* Lines that say something, in order: text that policy_read_line() takes, printable and without blanks at its
 * ends. */
size_t policy_line_count(const struct policy *policy);
const char *policy_line(const struct policy *policy, size_t index, unsigned *number);
/* That line is about the control socket. */
bool policy_line_is_control(const struct policy *policy, size_t index);
const char *policy_file(const struct policy *policy);

/* -- Rules and their destinations -- */

enum policy_reason {
    POLICY_ADMITTED,  /* by `line`, or 0: there is no policy */
    POLICY_DENIED,    /* by `line` */
    POLICY_NOT_NAMED, /* no line admits it; `line` comes closest, but for `aspect`; 0 = none comes close */
    POLICY_INSIDE_ADDRESS /* the address is one that has to be named (special.h), and nothing names it */
};
struct policy_verdict {
    enum policy_reason reason;
    unsigned line;
    const char *aspect; /* "listen port", … */
};

/* May this rule exist? One whose host is a name may lead to some address; each is judged when it is known. */
struct policy_verdict policy_rule(const struct policy *policy, const struct rule *rule);
/* May a flow of this rule, whose host is a name, go to this address of it? `from_host`: this host itself says
 * so (the name localhost, or the hosts file), not a name server. */
struct policy_verdict policy_address(const struct policy *policy, const struct rule *rule,
                                     const struct netaddr *address, bool from_host);
/* "FILE:3 denies it", "no line of FILE admits it; …" into `out` (POLICY_WHY_MAX bytes); returns `out`. */
char *policy_why(const struct policy *policy, struct policy_verdict verdict, char *out);

/* Where egress rules of this port listen: NETADDR_NONE = at all addresses. *line = 0: no line says. */
struct netaddr policy_listen(const struct policy *policy, enum rule_protocol protocol, uint16_t port,
                             unsigned *line);

/* May rules change at run time? *line: the line that says so. */
bool policy_run_time_rules(const struct policy *policy, unsigned *line);

/* -- Limits -- */

struct policy_bound {
    uint64_t value; /* 0 = there is none */
    unsigned line;
};
struct policy_limits {
    struct policy_bound flows, flows_per_peer;
    struct policy_bound new_flows; /* a second */
};
struct policy_rule_limits {
    struct policy_bound flows;
    struct policy_bound new_flows; /* a second */
    struct policy_bound bandwidth; /* bytes a second, each way */
};
struct policy_limits policy_limits(const struct policy *policy);
/* Those of the line that admits the rule, and where it says nothing, of all rules. */
struct policy_rule_limits policy_rule_limits(const struct policy *policy, const struct rule *rule);

/* -- The control socket -- */

struct policy_caller {
    uid_t uid;
    const gid_t *groups; /* its own and the supplementary ones */
    size_t group_count;
};
/* There are lines about it; without any, everybody who reaches the socket may call everything. */
bool policy_has_control(const struct policy *policy);
/* May this caller call this method ("ProxyAddIngress")? */
bool policy_control(const struct policy *policy, const struct policy_caller *caller, const char *method);
/* All methods that the control socket has; ends with NULL. */
extern const char *const policy_methods[];

#endif
