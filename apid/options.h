/* The server's command line. (Administration has its own: apid/admin.) apid only. */
#ifndef NEXD_APID_OPTIONS_H
#define NEXD_APID_OPTIONS_H

#include "apid/http/server.h"
#include "common/log.h"
#include "common/netaddr.h"
#include "sandbox/sandbox.h"

#include <stdbool.h>

enum { OPTIONS_ERROR_MAX = 512, OPTIONS_PATH_MAX = 4096 };

struct apid_options {
    struct netsock listen;
    char host[254];                  /* lower case */
    char data[OPTIONS_PATH_MAX];     /* folder */
    char tls_cert[OPTIONS_PATH_MAX]; /* "" = own authority */
    char tls_key[OPTIONS_PATH_MAX];
    uint16_t external_port; /* in addresses that are given to clients; 0 = that of `listen` */
    struct http_limits limits;
    enum log_level log_level;
    enum sandbox_mode sandbox;
};

enum options_result { OPTIONS_RUN = 0, OPTIONS_DONE /* help or version was printed */, OPTIONS_BAD };

/* Reads argv. OPTIONS_BAD: `error` is one line that says what is wrong. */
enum options_result options_read(int argc, char **argv, struct apid_options *out,
                                 char error[OPTIONS_ERROR_MAX]);

/* The word after the options is a command of administration ("user", "reg-key", …), which is not handled
 * here. */
bool options_is_admin(int argc, char **argv);

#endif
