/* The parent's part in joining a control plane's network: carries out what network.c decides, keeps what
 * ctld wants kept, and tells operators and the service manager how far it has come. Only the parent process,
 * in network mode. */
#ifndef NEXD_NEXD_JOIN_H
#define NEXD_NEXD_JOIN_H

#include "common/log.h"
#include "ipc/codec.h"
#include "nexd/feed.h"
#include "nexd/network.h"

struct parent;
struct parent_child;

struct join {
    struct network network;
    struct slot_writer writers[SLOT_COUNT]; /* by slot - 1 */
    uint8_t phase;                          /* enum ipc_join_phase; 0 = none was told */
    char phase_text[IPC_TEXT_MAX + 1];
    bool prompted;        /* a user was asked to log in, and has not yet */
    bool store_failed;    /* said once, until it works again */
    bool port_remembered; /* the tunnel's port that is asked for is that of last time … */
    bool port_refused;    /* … and cannot be had */
};

/* Harmless in static mode, as the rest: there, no message of a network is admitted. */
void join_open(struct parent *parent);
void join_close(struct parent *parent);

/* Which UDP port the tunnel shall have; 0 = any. */
uint16_t join_port(struct parent *parent);
/* It cannot be had. True: another one is asked for; false: that was the one and only. */
bool join_port_refused(struct parent *parent, const char *why);
/* It has this one. */
void join_port_bound(struct parent *parent, uint16_t port);

/* tunneld has its sockets, and waits for key, addresses and rules. */
void join_tunnel_up(struct parent *parent);
/* tunneld's answer to TUNNEL_CONFIG. */
void join_tunnel_result(struct parent_child *tunneld, const struct ipc_result *result);
void join_child_gone(struct parent_child *child);

/* A message of ctld's; false: it is none about a network. */
bool join_message(struct parent_child *ctld, struct ipc_message *message);

/* What the service manager shows as our status. */
void join_status(const struct parent *parent);

#endif
