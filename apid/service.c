/* Requests go by the Host header to the API or the issuer. Three timers: the certificate's renewal and the
 * store's sweeping (hourly), and the look for what administration has changed meanwhile. */
#include "apid/service.h"

#include "apid/events/hub.h"
#include "apid/rest/api.h"
#include "apid/rest/online.h"
#include "apid/rest/watch_source.h"
#include "apid/rest/watchers.h"
#include "apid/store/store.h"
#include "apid/tls/server.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOURLY_S = 3600, POLL_MS = 100, NAME_MAX_BYTES = 300 };

struct service {
    struct tls_server *tls;
    struct store *store;
    struct issuer issuer;
    bool issuer_ready;
    struct hub *hub;
    struct online *online;
    struct watchers *watchers;
    struct http_server *http;
    struct event *hourly, *poll;
    struct api api;
    char api_name[NAME_MAX_BYTES], auth_name[NAME_MAX_BYTES]; /* hosts */
    char url[NAME_MAX_BYTES];
};

static uint64_t now_s(void)
{
    return clock_wall_ns() / NS_PER_S;
}

static void handle(struct http_request *request, void *arg)
{
    struct service *const service = arg;
    if (strcmp(request->host, service->api_name) == 0)
        api_handle(&service->api, request);
    else if (strcmp(request->host, service->auth_name) == 0)
        issuer_handle(&service->issuer, request);
    else
        http_reply(request, 404, NULL, NULL, 0);
}

static SSL *connection(void *arg)
{
    return tls_server_connection(arg);
}

static void on_online(void *arg, const char *device, bool online)
{
    struct service *const service = arg;
    const int err = store_device_set_online(service->store, device, online, now_s());
    if (err == NX_OK)
        hub_changed(service->hub);
    else if (err != NX_ENOENT) /* deleted meanwhile */
        log_warn("a device's presence cannot be stored: %s", nx_strerror(err));
}

static void on_hourly(evutil_socket_t unused, short what, void *arg)
{
    struct service *const service = arg;
    char error[TLS_SERVER_ERROR_MAX];
    (void)unused;
    (void)what;
    if (tls_server_renew(service->tls, (int64_t)now_s(), error))
        log_error("the certificate cannot be renewed: %s", error);
    const int err = store_collect(service->store, now_s());
    if (err)
        log_warn("the store cannot be swept: %s", nx_strerror(err));
}

static void on_poll(evutil_socket_t unused, short what, void *arg)
{
    struct service *const service = arg;
    (void)unused;
    (void)what;
    if (!store_changed_elsewhere(service->store))
        return;
    hub_changed(service->hub);
    watchers_check(service->watchers);
}

static int expect_device(void *arg, const struct store_device *device)
{
    return device->online ? online_expect(arg, device->id) : NX_OK;
}

static int names_make(struct service *service, const struct apid_options *options, uint16_t port, char *auth)
{
    const unsigned external = options->external_port ? options->external_port : port;
    char suffix[8] = "";
    if (external != 443)
        snprintf(suffix, sizeof(suffix), ":%u", external);
    snprintf(service->api_name, sizeof(service->api_name), "api.%s", options->host);
    snprintf(service->auth_name, sizeof(service->auth_name), "auth.%s", options->host);
    snprintf(service->api.authority, sizeof(service->api.authority), "api.%s%s", options->host, suffix);
    snprintf(service->url, sizeof(service->url), "https://api.%s%s", options->host, suffix);
    const int n = snprintf(auth, NAME_MAX_BYTES, "auth.%s%s", options->host, suffix);
    return n < 0 || n >= NAME_MAX_BYTES ? NX_ERANGE : NX_OK;
}

static int timers_start(struct service *service, struct event_base *base)
{
    static const struct timeval hourly = {HOURLY_S, 0}, poll = {0, POLL_MS * 1000};
    service->hourly = event_new(base, -1, EV_PERSIST, on_hourly, service);
    service->poll = event_new(base, -1, EV_PERSIST, on_poll, service);
    if (service->hourly == NULL || service->poll == NULL || event_add(service->hourly, &hourly) ||
        event_add(service->poll, &poll))
        return NX_ENOMEM;
    return NX_OK;
}

/* Everything that needs memory only. */
static int rooms_make(struct service *service, const struct apid_options *options, struct event_base *base,
                      int listen_fd)
{
    service->hub = hub_new(base, watch_source_fetch, service->store);
    service->online = online_new(base, on_online, service);
    service->api.store = service->store;
    service->api.issuer = &service->issuer;
    service->api.hub = service->hub;
    service->api.online = service->online;
    service->watchers = watchers_new(&service->api, base);
    service->api.watchers = service->watchers;
    if (service->hub == NULL || service->online == NULL || service->watchers == NULL ||
        timers_start(service, base))
        return NX_ENOMEM;
    const struct http_server_config config = {
        .base = base,
        .listen_fd = listen_fd,
        .limits = options->limits,
        .connection = connection,
        .connection_arg = service->tls,
        .handle = handle,
        .handle_arg = service,
    };
    service->http = http_server_new(&config);
    return service->http ? NX_OK : NX_ENOMEM;
}

int service_new(const struct apid_options *options, struct event_base *base, int listen_fd, uint16_t port,
                struct service **out, char error[SERVICE_ERROR_MAX])
{
    struct service *const service = calloc(1, sizeof(*service));
    const struct tls_server_config tls = {
        .folder = options->data,
        .host = options->host,
        .chain_path = options->tls_cert[0] ? options->tls_cert : NULL,
        .key_path = options->tls_key[0] ? options->tls_key : NULL,
    };
    const struct store_filter everything = {0};
    char auth[NAME_MAX_BYTES];
    *out = NULL;
    snprintf(error, SERVICE_ERROR_MAX, "out of memory");
    if (service == NULL)
        return NX_ENOMEM;
    int err = tls_server_new(&tls, (int64_t)now_s(), &service->tls, error);
    if (!err)
        err = store_open(options->data, &service->store, error);
    if (err)
        goto out;
    snprintf(error, SERVICE_ERROR_MAX, "the issuer's key cannot be had from the database");
    err = names_make(service, options, port, auth);
    if (!err)
        err = issuer_init(&service->issuer, service->store, auth);
    service->issuer_ready = err == NX_OK;
    if (err)
        goto out;
    snprintf(error, SERVICE_ERROR_MAX, "out of memory");
    err = rooms_make(service, options, base, listen_fd);
    if (!err)
        err = store_devices_list(service->store, &everything, expect_device, service->online);
out:
    if (err)
        service_free(service);
    else
        *out = service;
    return err;
}

void service_free(struct service *service)
{
    if (service == NULL)
        return;
    http_server_free(service->http); /* ends the streams */
    if (service->hourly)
        event_free(service->hourly);
    if (service->poll)
        event_free(service->poll);
    watchers_free(service->watchers);
    online_free(service->online);
    hub_free(service->hub);
    if (service->issuer_ready)
        issuer_free(&service->issuer);
    if (service->store)
        store_close(service->store);
    tls_server_free(service->tls);
    free(service);
}

const char *service_url(const struct service *service)
{
    return service->url;
}
