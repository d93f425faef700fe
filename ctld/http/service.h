/* All that ctld needs for requests, put together: trust, opener and client. ctld only. */
#ifndef NEXD_CTLD_HTTP_SERVICE_H
#define NEXD_CTLD_HTTP_SERVICE_H

#include "ctld/http/client.h"

struct http_service;

/* Before the sandbox closes: reads files and initialises libraries. `ca_file`: --ca-file, NULL = the system's
 * authorities; `ca_fd`: that file if it is open already, else -1. NULL with a logged reason. */
struct http_service *http_service_new(struct event_base *base, const char *ca_file, int ca_fd,
                                      const struct proxyd_opener_ops *ops, void *arg);
/* NULL is harmless. */
void http_service_free(struct http_service *service);
/* For http_client_set_route(), and http_client_http() for requests. */
struct http_client *http_service_client(struct http_service *service);

/* Any message from a sibling or the parent; true if it was meant for this room. */
bool http_service_message(struct http_service *service, enum ipc_role from, struct ipc_message *message);
/* The link to proxyd came up or has room, or is gone. */
void http_service_proxyd_ready(struct http_service *service);
void http_service_proxyd_down(struct http_service *service);

#endif
