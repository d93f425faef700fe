/* The options of every TCP socket that carries a flow. Accepted sockets inherit them from their listener. */
#ifndef NEXD_PROXYD_TCP_OPTIONS_H
#define NEXD_PROXYD_TCP_OPTIONS_H

/* TCP_NODELAY, since tunneld writes whole batches; keepalives that find a dead side in 2 minutes (60 s idle,
 * then 4 probes 15 s apart). NX_OK, or NX_ESYS. */
int tcp_options_set(int fd);

#endif
