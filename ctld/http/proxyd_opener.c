/* Each opening is one OPEN, known by its request id. While there is no link to proxyd, or no room in it,
 * openings wait; a proxyd that died is asked again when its successor is there. Whoever wants the connection
 * bounds the wait. */
#include "ctld/http/opener.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct http_opening {
    LIST_ENTRY(http_opening) entry;
    uint32_t request;
    bool sent; /* on the present link */
    http_opened_fn fn;
    void *arg;
    struct ipc_open body;
};

struct proxyd_opener {
    struct http_opener base; /* first */
    const struct proxyd_opener_ops *ops;
    void *arg;
    uint32_t last_request;
    size_t count;
    LIST_HEAD(, http_opening) all;
};

static void opening_free(struct proxyd_opener *opener, struct http_opening *opening)
{
    LIST_REMOVE(opening, entry);
    opener->count--;
    free(opening);
}

static void opening_send(struct proxyd_opener *opener, struct http_opening *opening)
{
    if (!opening->sent)
        opening->sent = opener->ops->send(opener->arg, IPC_MSG_OPEN, opening->request, &opening->body) == 0;
}

static struct http_opening *proxyd_open(struct http_opener *base, const char *host, uint16_t port,
                                        http_opened_fn fn, void *arg)
{
    struct proxyd_opener *const opener = (struct proxyd_opener *)base;
    if (opener->count >= PROXYD_OPENER_MAX || strlen(host) > IPC_NAME_MAX)
        return NULL;
    struct http_opening *const opening = calloc(1, sizeof(*opening));
    if (!opening)
        return NULL;
    opener->last_request = (opener->last_request + 1) & ~HTTP_REQUEST_MASK;
    opening->request = HTTP_REQUEST | opener->last_request;
    opening->fn = fn;
    opening->arg = arg;
    opening->body.port = port;
    strcpy(opening->body.host, host);
    LIST_INSERT_HEAD(&opener->all, opening, entry);
    opener->count++;
    opening_send(opener, opening);
    return opening;
}

static void proxyd_cancel(struct http_opener *base, struct http_opening *opening)
{
    struct proxyd_opener *const opener = (struct proxyd_opener *)base;
    if (!opening)
        return;
    const struct ipc_connect_cancel body = {.request = opening->request};
    if (opening->sent) /* where it does not get through, the answer finds nobody and its socket is closed */
        opener->ops->send(opener->arg, IPC_MSG_CONNECT_CANCEL, 0, &body);
    opening_free(opener, opening);
}

struct proxyd_opener *proxyd_opener_new(const struct proxyd_opener_ops *ops, void *arg)
{
    struct proxyd_opener *const opener = calloc(1, sizeof(*opener));
    if (!opener)
        return NULL;
    opener->base = (struct http_opener){.open = proxyd_open, .cancel = proxyd_cancel};
    opener->ops = ops;
    opener->arg = arg;
    LIST_INIT(&opener->all);
    return opener;
}

void proxyd_opener_free(struct proxyd_opener *opener)
{
    if (!opener)
        return;
    while (!LIST_EMPTY(&opener->all))
        opening_free(opener, LIST_FIRST(&opener->all));
    free(opener);
}

struct http_opener *proxyd_opener_base(struct proxyd_opener *opener)
{
    return &opener->base;
}

static struct http_opening *opening_find(struct proxyd_opener *opener, uint32_t request)
{
    struct http_opening *opening;
    LIST_FOREACH (opening, &opener->all, entry)
        if (opening->request == request)
            return opening;
    return NULL;
}

static void opening_failed(struct http_opening *opening, const struct ipc_result *result, void *arg,
                           http_opened_fn fn)
{
    char text[IPC_NAME_MAX + IPC_TEXT_MAX + 64];
    if (result->text[0])
        snprintf(text, sizeof text, "%s", result->text);
    else
        snprintf(text, sizeof text, "%s port %u: no connection", opening->body.host, opening->body.port);
    fn(arg, result->result == IPC_TIMED_OUT ? HTTP_OPEN_TIMED_OUT : HTTP_OPEN_FAILED, -1, text);
}

bool proxyd_opener_message(struct proxyd_opener *opener, struct ipc_message *message)
{
    const uint32_t request = message->header.request;
    if (message->header.type != IPC_MSG_OPENED &&
        (message->header.type != IPC_MSG_RESULT || (request & HTTP_REQUEST_MASK) != HTTP_REQUEST))
        return false;
    struct http_opening *const found = opening_find(opener, request);
    if (!found || !found->sent)
        return true; /* cancelled meanwhile */
    struct http_opening opening = *found;
    opening_free(opener, found);
    if (message->header.type == IPC_MSG_RESULT) {
        opening_failed(&opening, &message->body.result, opening.arg, opening.fn);
        return true;
    }
    const int fd = message->body.opened.fd;
    message->body.opened.fd = -1;
    opening.fn(opening.arg, HTTP_OPEN_OK, fd, "");
    return true;
}

void proxyd_opener_link_down(struct proxyd_opener *opener)
{
    struct http_opening *opening;
    LIST_FOREACH (opening, &opener->all, entry)
        opening->sent = false;
}

void proxyd_opener_flush(struct proxyd_opener *opener)
{
    struct http_opening *opening;
    LIST_FOREACH (opening, &opener->all, entry)
        opening_send(opener, opening);
}
