/* What ctld knows of this device: its public side and the rules in force. No I/O. ctld only. */
#ifndef NEXD_CTLD_DEVICE_H
#define NEXD_CTLD_DEVICE_H

#include "common/rule.h"
#include "ipc/messages.h"

enum { DEVICE_REMOVED_MAX = 256 };

struct device_rule {
    uint32_t rule_id;
    struct rule rule;
    bool proxy_protocol; /* its destination is told first who called */
    char *problem;       /* why it is not in force; NULL = it is */
};

struct device {
    bool known; /* DEVICE has come */
    struct ipc_device public;
    char report_version[IPC_VERSION_TEXT_MAX + 1]; /* "" = our own */
    struct device_rule *rules;                     /* in the order of addition */
    size_t rule_count, rule_capacity;
    bool draining; /* no new flow is accepted */
    /* Rules that are gone while flows of theirs may live: the latest DEVICE_REMOVED_MAX. */
    struct device_rule removed[DEVICE_REMOVED_MAX];
    size_t removed_count;
};

void device_free(struct device *device);
/* NX_ENOMEM. A rule of the same id is replaced. */
int device_rule_add(struct device *device, const struct ipc_rule_add *message);
/* NX_ENOENT. The rule is remembered as a removed one. */
int device_rule_remove(struct device *device, uint32_t rule_id);
/* Why a rule is not in force, "" = it is; a rule that is not known is none of ours any more. */
void device_rule_problem(struct device *device, const struct ipc_rule_problem *message);
/* A rule in force, or a removed one (*removed); NULL: not known. */
const struct device_rule *device_rule_find(const struct device *device, uint32_t rule_id, bool *removed);
/* The last flow of a removed rule has ended. */
void device_removed_forget(struct device *device, uint32_t rule_id);
/* The first tunnel address of a family as text into `out` (NETADDR_TEXT_MAX bytes); "" if there is none. */
const char *device_address(const struct device *device, enum netaddr_family family, char *out);

#endif
