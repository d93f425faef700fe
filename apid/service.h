/* The server: all rooms put together on one event loop. apid only. */
#ifndef NEXD_APID_SERVICE_H
#define NEXD_APID_SERVICE_H

#include "apid/options.h"

struct event_base;
struct service;

enum { SERVICE_ERROR_MAX = 1280 };

/* Opens certificates and database in the data folder, and serves `listen_fd`, which it owns from success on.
 * `port` is what it listens on. On failure `error` is one line. */
int service_new(const struct apid_options *options, struct event_base *base, int listen_fd, uint16_t port,
                struct service **out, char error[SERVICE_ERROR_MAX]);
void service_free(struct service *service);
/* https://api.HOST:PORT */
const char *service_url(const struct service *service);

#endif
