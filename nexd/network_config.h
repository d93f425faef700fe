/* What the command line says about the control plane's network that is to be joined. */
#ifndef NEXD_NEXD_NETWORK_CONFIG_H
#define NEXD_NEXD_NETWORK_CONFIG_H

#include "ipc/messages.h"
#include <stddef.h>

enum { NETWORK_STUN_SERVERS_MAX = 16, NETWORK_OUTLETS_MAX = 2 };

/* Credentials stand in the vault. */
struct network_config {
    struct ipc_network network; /* as ctld is told it */
    struct ipc_stun_server stun_servers[NETWORK_STUN_SERVERS_MAX];
    size_t stun_server_count;
    struct ipc_outlet outlets[NETWORK_OUTLETS_MAX]; /* the API; the operator's proxy, if there is one */
    size_t outlet_count;
    uint16_t listen_port; /* 0: the one that was remembered, or any */
    const char *ca_file;  /* NULL or "": the system's store */
};

#endif
