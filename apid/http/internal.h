/* What server.c and stream.c share. apid/http only. */
#ifndef NEXD_APID_HTTP_INTERNAL_H
#define NEXD_APID_HTTP_INTERNAL_H

#include "apid/http/connection.h"

struct evconnlistener;
struct evhttp;

struct http_server {
    struct http_server_config config;
    struct connection_table table;
    struct evhttp *http;
    struct evconnlistener *listener;
    struct event *accept_retry;
    bool paused; /* accepting */
};

#endif
