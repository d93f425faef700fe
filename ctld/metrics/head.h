/* The head of an HTTP request (RFC 9112), as far as a server of a few fixed documents needs it: method and
 * path. No I/O. ctld only. */
#ifndef NEXD_CTLD_METRICS_HEAD_H
#define NEXD_CTLD_METRICS_HEAD_H

#include <stdbool.h>
#include <stddef.h>

enum { HEAD_BYTES_MAX = 8192, HEAD_PATH_MAX = 128 };

enum head_method { HEAD_GET, HEAD_HEAD, HEAD_OTHER };

struct head {
    enum head_method method;
    char path[HEAD_PATH_MAX]; /* without a query */
};

/* Reads what has come so far. NX_OK: the head is whole; NX_EAGAIN: it is not, yet; NX_ERANGE: it is longer
 * than HEAD_BYTES_MAX, or its path than HEAD_PATH_MAX; NX_EPROTO: it is no HTTP/1 request. */
int head_parse(const char *data, size_t length, struct head *out);

#endif
