/* --tcp-ports=bind:80,81[;connect:53,443]: the TCP ports that this process may bind and connect to, from the
 * parent, which knows that there will be no others. */
#ifndef NEXD_PROXYD_PORTS_H
#define NEXD_PROXYD_PORTS_H

#include "sandbox/sandbox.h"

enum { PROXYD_PORTS_MAX = 4096 };

struct proxyd_ports {
    bool bind_limited, connect_limited;
    struct sandbox_ports bind, connect;
    uint16_t bind_ports[PROXYD_PORTS_MAX], connect_ports[PROXYD_PORTS_MAX];
};

/* `text`: what stands behind "=". NX_OK, or NX_EINVAL. */
int proxyd_ports_parse(const char *text, struct proxyd_ports *out);

#endif
