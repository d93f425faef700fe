/* The real proxyd, started as the parent starts it, with the test in the places of parent, tunneld and ctld.
 * A failed expectation ends the test. (Another child can be started likewise: see RIG_ROLE in
 * CMakeLists.txt.) */
#ifndef NEXD_TESTS_PROXYD_RIG_H
#define NEXD_TESTS_PROXYD_RIG_H

#include "common/rule.h"
#include "ipc/link.h"

#include <check.h>
#include <sys/types.h>

struct dns_server;

/* A host as proxyd finds it. */
struct rig_host {
    unsigned files_max; /* RLIMIT_NOFILE; 0 = as it is */
    bool no_ipv6;
};

struct rig {
    struct rig_host host;
    struct event_base *base;
    struct dns_server *dns;
    struct ipc_link *links[IPC_CTLD + 1]; /* our ends, by the role we play; NULL = none */
    int deaf[IPC_CTLD + 1];               /* our end while nothing is read from it, else -1 */
    uint32_t generation;
    pid_t pid;
    int status; /* of wait(2), once it has ended */
};

/* Starts proxyd and waits for HELLO. Links to the siblings come with rig_link(). */
void rig_start(struct rig *rig);
void rig_start_on(struct rig *rig, const struct rig_host *host);
/* Ends it by SHUTDOWN and expects exit status 0. */
void rig_stop(struct rig *rig);
/* Kills it and starts another; sibling links are gone. */
void rig_restart(struct rig *rig);
/* Makes (or replaces) the link to a sibling. */
void rig_link(struct rig *rig, enum ipc_role sibling);
/* The sibling dies: its link is closed and the parent says so. */
void rig_unlink(struct rig *rig, enum ipc_role sibling);

/* Sends in a role; fails the test if the link does not take it. Returns the request id. */
uint32_t rig_send(struct rig *rig, enum ipc_role role, enum ipc_type type, const void *body);
/* Waits (bounded) for the next message of this type to that role, past others, which are kept for later. Its
 * descriptors belong to the rig until taken with rig_fd(). Good until the next rig_expect(). */
const struct ipc_message *rig_expect(struct rig *rig, enum ipc_role role, enum ipc_type type);
/* The same, for the answer to a request, of whatever type. */
const struct ipc_message *rig_answer(struct rig *rig, enum ipc_role role, uint32_t request);
/* The same, and it must be a RESULT with this outcome; returns its text. */
const char *rig_result(struct rig *rig, enum ipc_role role, uint32_t request, enum ipc_outcome outcome);
/* Is one there, after everything that proxyd had to do is done? */
bool rig_has(struct rig *rig, enum ipc_role role, enum ipc_type type);
/* How many messages of a type wait. */
size_t rig_count(const struct rig *rig, enum ipc_role role, enum ipc_type type);
/* Takes over a descriptor of the message that rig_expect() gave. */
int rig_fd(const int *fd);
/* As rig_link(), but nothing is read yet: the socket and proxyd's queues fill up. rig_hear() begins to read.
 */
void rig_link_deaf(struct rig *rig, enum ipc_role sibling);
void rig_hear(struct rig *rig, enum ipc_role sibling);
/* Runs the loop for so long; for what must not happen. */
void rig_run_ms(struct rig *rig, unsigned ms);
/* Waits until proxyd has handled all that it was sent before. */
void rig_sync(struct rig *rig);

/* Adds a rule and expects this outcome; returns the text. */
const char *rig_rule(struct rig *rig, uint32_t id, enum rule_direction direction, const char *text,
                     enum ipc_outcome outcome);
/* The same, of an ingress rule whose destination is told first who called. */
const char *rig_rule_proxy_protocol(struct rig *rig, uint32_t id, const char *text, enum ipc_outcome outcome);
void rig_rule_remove(struct rig *rig, uint32_t id);
/* The operator's policy "P", of these lines, numbered from 1. */
void rig_policy(struct rig *rig, const char *const *lines, uint32_t count);

/* Test's own sockets on loopback. `address` is a text such as "127.0.0.1" or "::1"; *port 0 = any, set on
 * return. */
int rig_listen(const char *address, uint16_t *port);
int rig_bind_udp(const char *address, uint16_t *port);
/* A port that was free a moment ago. */
uint16_t rig_free_port(int type);
/* Connects, blocking; -1 with errno. Reads and writes on it time out after some seconds. */
int rig_connect(const char *address, uint16_t port);
struct netsock rig_sock(const char *address, uint16_t port);

#endif
