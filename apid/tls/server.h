/* The TLS side of the server: what every accepted connection is made from.
 *
 * Either apid's own authority signs the certificate, which is then renewed before it runs out, or the
 * operator gives a chain and a key. TLS 1.2 and 1.3, HTTP/1.1 by ALPN, no tickets and no session cache: a
 * connection lives for hours and memory is what counts. apid only. */
#ifndef NEXD_APID_TLS_SERVER_H
#define NEXD_APID_TLS_SERVER_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>

enum { TLS_SERVER_ERROR_MAX = 256, TLS_SERVER_NAMES_MAX = 3, TLS_SERVER_NAME_MAX = 256 };

struct tls_server_config {
    const char *folder;                /* of the authority; unused with a chain */
    const char *host;                  /* names are HOST, api.HOST and auth.HOST */
    const char *chain_path, *key_path; /* the operator's, or both NULL */
};

struct tls_server;

/* The files are read here and, for the own authority, at each renewal. On failure *out is NULL, `error` says
 * why, and the result is an NX_ code. */
int tls_server_new(const struct tls_server_config *config, int64_t now_s, struct tls_server **out,
                   char error[TLS_SERVER_ERROR_MAX]);
void tls_server_free(struct tls_server *server);

/* A new connection in accepting state; the caller frees it. NULL when out of memory. */
SSL *tls_server_connection(struct tls_server *server);

/* Renews the certificate when less than a third of its life is left. NX_OK also when there is nothing to do;
 * on failure the old one stays in use. To be called now and then; hourly is plenty. */
int tls_server_renew(struct tls_server *server, int64_t now_s, char error[TLS_SERVER_ERROR_MAX]);

#endif
