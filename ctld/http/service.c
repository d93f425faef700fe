/* See service.h. */
#include "ctld/http/service.h"

#include "common/err.h"
#include "common/log.h"

#include <stdlib.h>

/* The processor in the words of the control plane's other agents. */
#if defined(__x86_64__)
#define PROCESSOR "amd64"
#elif defined(__aarch64__)
#define PROCESSOR "arm64"
#else
#define PROCESSOR "unknown"
#endif

struct http_service {
    struct trust *trust;
    struct proxyd_opener *opener;
    struct http_client *client;
};

struct http_service *http_service_new(struct event_base *base, const char *ca_file, int ca_fd,
                                      const struct proxyd_opener_ops *ops, void *arg)
{
    char error[TRUST_TEXT_MAX] = "out of memory";
    struct http_service *const service = calloc(1, sizeof(*service));
    if (!service || http_library_init() != NX_OK)
        goto fail;
    service->trust = trust_new(ca_file, ca_fd, error);
    service->opener = proxyd_opener_new(ops, arg);
    if (!service->trust || !service->opener)
        goto fail;
    service->client = http_client_new(&(struct http_client_config){
        .base = base,
        .opener = proxyd_opener_base(service->opener),
        .trust = service->trust,
        .user_agent = "nexd/" NEXD_VERSION " (linux; " PROCESSOR ")",
    });
    if (service->client)
        return service;
fail:
    log_error("HTTPS cannot be set up: %s", error[0] ? error : "out of memory");
    http_service_free(service);
    return NULL;
}

void http_service_free(struct http_service *service)
{
    if (!service)
        return;
    http_client_free(service->client);
    proxyd_opener_free(service->opener);
    trust_free(service->trust);
    free(service);
}

struct http_client *http_service_client(struct http_service *service)
{
    return service->client;
}

bool http_service_message(struct http_service *service, enum ipc_role from, struct ipc_message *message)
{
    return from == IPC_PROXYD && proxyd_opener_message(service->opener, message);
}

void http_service_proxyd_ready(struct http_service *service)
{
    proxyd_opener_flush(service->opener);
}

void http_service_proxyd_down(struct http_service *service)
{
    proxyd_opener_link_down(service->opener);
}
