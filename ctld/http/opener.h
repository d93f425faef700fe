/* Where a client's connections come from: ctld makes no sockets, so somebody else connects them for it. ctld
 * only. */
#ifndef NEXD_CTLD_HTTP_OPENER_H
#define NEXD_CTLD_HTTP_OPENER_H

#include "ipc/codec.h"

#include <stdbool.h>
#include <stdint.h>

enum http_open_outcome {
    HTTP_OPEN_OK = 0,
    HTTP_OPEN_FAILED,    /* refused, unreachable, no such name, not permitted */
    HTTP_OPEN_TIMED_OUT, /* nobody answered */
};

/* `fd`: a connected, non-blocking TCP socket, the receiver's from now on; -1 unless HTTP_OPEN_OK. `text` says
 * to operators what failed, with host and port; "" if nothing did. */
typedef void (*http_opened_fn)(void *arg, enum http_open_outcome outcome, int fd, const char *text);

struct http_opening; /* a connection on its way */

struct http_opener {
    /* Connects to `host` (a name or an address without brackets) by TCP. `fn` is called once, later, unless
     * cancelled; the opening is gone then. NULL when out of memory or too many are on their way. */
    struct http_opening *(*open)(struct http_opener *opener, const char *host, uint16_t port,
                                 http_opened_fn fn, void *arg);
    /* NULL is harmless. */
    void (*cancel)(struct http_opener *opener, struct http_opening *opening);
};

/* -- The opener of ctld: OPEN and OPENED, with proxyd ------------------------------------------------------
 */

/* Request ids of OPEN: no other part of ctld uses this range. */
#define HTTP_REQUEST      UINT32_C(0x10000000)
#define HTTP_REQUEST_MASK UINT32_C(0xf0000000)

enum { PROXYD_OPENER_MAX = 32 /* openings at once */ };

struct proxyd_opener;
struct proxyd_opener_ops {
    /* As ipc_send() on the present link to proxyd; non-zero when there is none or it is full. */
    int (*send)(void *arg, enum ipc_type type, uint32_t request, const void *body);
};

/* NULL when out of memory. */
struct proxyd_opener *proxyd_opener_new(const struct proxyd_opener_ops *ops, void *arg);
/* Nothing is called back. NULL is harmless. */
void proxyd_opener_free(struct proxyd_opener *opener);
struct http_opener *proxyd_opener_base(struct proxyd_opener *opener);

/* OPENED, or the RESULT of an OPEN, from proxyd: true if the message was of that kind. Takes the descriptor
 * out of it. */
bool proxyd_opener_message(struct proxyd_opener *opener, struct ipc_message *message);
/* The link to proxyd is gone: what was asked for and not answered will be asked for again. */
void proxyd_opener_link_down(struct proxyd_opener *opener);
/* There is a link to proxyd, or room in it: asks for what waits. */
void proxyd_opener_flush(struct proxyd_opener *opener);

#endif
