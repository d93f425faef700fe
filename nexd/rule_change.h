/* A change of the rules at run time, as a transaction over proxyd, tunneld, the state file and ctld. A state
 * machine without I/O, as the supervisor: its owner reports what happened, it acts through its operations.
 *
 * One change at a time; others wait in line. Adding: proxyd binds the port, tunneld opens its side, the state
 * file is written, and only then the change is promised: ctld lists the rule and the operator gets the
 * answer. Whatever fails before that is undone everywhere, and its reason is the answer. Removing: the state
 * file first, then proxyd and tunneld forget the rule (flows that live go on, unless they are to end too),
 * then ctld, then the answer.
 *
 * A child that ends meanwhile loses nothing: its next process is given all rules that are coming or standing,
 * and none that is going. See rule_change.c for the states. Only the parent process. */
#ifndef NEXD_NEXD_RULE_CHANGE_H
#define NEXD_NEXD_RULE_CHANGE_H

#include "ipc/codec.h"
#include "nexd/rulebook.h"
#include "nexd/supervisor.h"

enum {
    RULE_CHANGE_QUEUE_MAX = 64,
    RULE_CHANGE_TIMEOUT_MS = 10000, /* for the line before it, and then for the change itself */
    RULE_CHANGE_RETRY_MS = 5000,    /* between attempts at rules whose port cannot be had */
    RULE_CHANGE_ERROR_MAX = 512,
    /* Request id of a RULE_REMOVE: this and the rule's id. That of a RULE_ADD is the rule's id alone. */
    RULE_CHANGE_REMOVE = 0x02000000,
};

struct rule_change_ops {
    /* As ipc_send(), to that child. */
    int (*send)(void *arg, enum ipc_role child, enum ipc_type type, uint32_t request, const void *body);
    /* The rulebook's rules that are to be stored must survive from now on. An error's text goes to `error`
     * (RULE_CHANGE_ERROR_MAX bytes). */
    int (*store)(void *arg, char *error);
    /* May this rule exist? NX_OK and what it is granted; else the reason is in `error`, as above. */
    int (*judge)(void *arg, const struct rule *rule, struct policy_rule_limits *limits, char *error);
    /* The operator's answer, to ctld. */
    void (*answer)(void *arg, uint32_t request, enum ipc_outcome outcome, const char *text);
    /* An egress port's last rule goes: its kept socket is of no use any more. */
    void (*port_free)(void *arg, enum rule_protocol protocol, uint16_t port);
    /* That child does not take or answer what it must: it is to be killed. */
    void (*stuck)(void *arg, enum ipc_role child, const char *why);
};

enum rule_change_phase { RULE_CHANGE_IDLE, RULE_CHANGE_ADDING, RULE_CHANGE_UNDOING, RULE_CHANGE_REMOVING };

struct rule_change_wish {
    struct ipc_rule_request rule;
    uint32_t request;
    uint64_t deadline_ns;
};

struct rule_change {
    struct rulebook *book;
    const struct rule_change_ops *ops;
    void *arg;
    bool open;                            /* the rules of the start are in force */
    bool configured[SUPERVISOR_CHILDREN]; /* its process has been given all rules */
    enum rule_change_phase phase;
    /* Of the change under way: */
    uint32_t rule_id, request; /* request 0 = who asked is gone */
    bool told[SUPERVISOR_CHILDREN], done[SUPERVISOR_CHILDREN];
    bool kill_flows; /* REMOVING: live flows of the rule end too */
    uint64_t deadline_ns;
    enum ipc_outcome outcome; /* UNDOING: the answer */
    char text[IPC_TEXT_MAX + 1];
    uint64_t retry_ns; /* of rules that failed; UINT64_MAX = there are none */
    struct rule_change_wish queue[RULE_CHANGE_QUEUE_MAX];
    size_t queue_first, queue_count;
};

void rule_change_init(struct rule_change *rc, struct rulebook *book, const struct rule_change_ops *ops,
                      void *arg);

/* -- Events -- */

/* The rules of the start are in force: changes may begin. */
void rule_change_open(struct rule_change *rc, uint64_t now_ns);
/* RULE_REQUEST from ctld. */
void rule_change_request(struct rule_change *rc, uint32_t request, const struct ipc_rule_request *rule,
                         uint64_t now_ns);
/* A child's answer to RULE_ADD or RULE_REMOVE. False: it is about no change under way. */
bool rule_change_result(struct rule_change *rc, enum ipc_role child, uint32_t request,
                        const struct ipc_result *result, uint64_t now_ns);
/* A rule that stands could not be had by proxyd. */
void rule_change_failed(struct rule_change *rc, struct rulebook_entry *entry, uint64_t now_ns);
/* A process of this child has been given all rules that are coming or standing; or has ended. */
void rule_change_child_up(struct rule_change *rc, enum ipc_role child, uint64_t now_ns);
void rule_change_child_gone(struct rule_change *rc, enum ipc_role child, uint64_t now_ns);
/* Time has passed. */
void rule_change_run(struct rule_change *rc, uint64_t now_ns);
/* When rule_change_run() is next needed; UINT64_MAX = never. */
uint64_t rule_change_next_ns(const struct rule_change *rc);

/* The RULE_ADD of a rule. */
void rule_change_add_fill(const struct rulebook_entry *entry, struct ipc_rule_add *out);

#endif
