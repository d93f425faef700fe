/* A certificate that is replaced in the SSL_CTX serves new connections; those that exist keep the old one. */
#include "apid/tls/server.h"

#include "apid/tls/authority.h"
#include "common/err.h"

#include <openssl/err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RENEW_BEFORE_S = AUTHORITY_SERVER_DAYS / 3 * 24 * 3600 };
_Static_assert((int)AUTHORITY_ERROR_MAX <= (int)TLS_SERVER_ERROR_MAX, "error texts are passed through");

struct tls_server {
    SSL_CTX *context;
    char *folder;
    char names[TLS_SERVER_NAMES_MAX][TLS_SERVER_NAME_MAX];
    bool own_authority;
};

static int openssl_failed(char *error, const char *what)
{
    const char *const reason = ERR_peek_last_error() ? ERR_reason_error_string(ERR_peek_last_error()) : NULL;
    snprintf(error, TLS_SERVER_ERROR_MAX, "%s: %s", what, reason ? reason : "OpenSSL failed");
    ERR_clear_error();
    return NX_ECRYPTO;
}

/* Clients that offer h2 first get HTTP/1.1; those that offer only what we lack are refused. */
static int alpn_select(SSL *ssl, const unsigned char **out, unsigned char *out_length,
                       const unsigned char *in, unsigned in_length, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *selected;
    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&selected, out_length, ours, sizeof(ours) - 1, in, in_length) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = selected;
    return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *context_new(void)
{
    SSL_CTX *const context = SSL_CTX_new(TLS_server_method());
    if (context == NULL)
        return NULL;
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(context, alpn_select, NULL);
    if (!SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) || !SSL_CTX_set_num_tickets(context, 0)) {
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

static int certificate_issue(struct tls_server *server, int64_t now_s, char *error)
{
    const char *names[TLS_SERVER_NAMES_MAX];
    EVP_PKEY *key;
    X509 *certificate;
    for (size_t i = 0; i < TLS_SERVER_NAMES_MAX; i++)
        names[i] = server->names[i];
    int err = authority_issue(server->folder, names, TLS_SERVER_NAMES_MAX, now_s, &key, &certificate, error);
    if (err)
        return err;
    if (SSL_CTX_use_cert_and_key(server->context, certificate, key, NULL, 1) != 1)
        err = openssl_failed(error, "the server's certificate");
    EVP_PKEY_free(key);
    X509_free(certificate);
    return err;
}

static int certificate_load(struct tls_server *server, const struct tls_server_config *config, char *error)
{
    if (SSL_CTX_use_certificate_chain_file(server->context, config->chain_path) != 1)
        return openssl_failed(error, config->chain_path);
    if (SSL_CTX_use_PrivateKey_file(server->context, config->key_path, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(server->context) != 1)
        return openssl_failed(error, config->key_path);
    return NX_OK;
}

static int names_set(struct tls_server *server, const char *host)
{
    static const char *const prefixes[TLS_SERVER_NAMES_MAX] = {"", "api.", "auth."};
    for (size_t i = 0; i < TLS_SERVER_NAMES_MAX; i++) {
        const int n = snprintf(server->names[i], TLS_SERVER_NAME_MAX, "%s%s", prefixes[i], host);
        if (n < 0 || n >= TLS_SERVER_NAME_MAX)
            return NX_ERANGE;
    }
    return NX_OK;
}

int tls_server_new(const struct tls_server_config *config, int64_t now_s, struct tls_server **out,
                   char error[TLS_SERVER_ERROR_MAX])
{
    struct tls_server *const server = calloc(1, sizeof(*server));
    int err = NX_ENOMEM;
    *out = NULL;
    snprintf(error, TLS_SERVER_ERROR_MAX, "out of memory");
    if (server == NULL)
        return NX_ENOMEM;
    server->context = context_new();
    server->folder = strdup(config->folder ? config->folder : "");
    if (server->context == NULL || server->folder == NULL)
        goto out;
    err = names_set(server, config->host);
    if (err) {
        snprintf(error, TLS_SERVER_ERROR_MAX, "the host's name is too long");
        goto out;
    }
    server->own_authority = config->chain_path == NULL;
    if (server->own_authority) {
        err = authority_open(server->folder, now_s, error);
        if (!err)
            err = certificate_issue(server, now_s, error);
    } else {
        err = certificate_load(server, config, error);
    }
out:
    if (err)
        tls_server_free(server);
    else
        *out = server;
    return err;
}

void tls_server_free(struct tls_server *server)
{
    if (server == NULL)
        return;
    SSL_CTX_free(server->context);
    free(server->folder);
    free(server);
}

SSL *tls_server_connection(struct tls_server *server)
{
    SSL *const ssl = SSL_new(server->context);
    if (ssl)
        SSL_set_accept_state(ssl);
    return ssl;
}

int tls_server_renew(struct tls_server *server, int64_t now_s, char error[TLS_SERVER_ERROR_MAX])
{
    time_t limit = (time_t)(now_s + RENEW_BEFORE_S);
    X509 *const present = SSL_CTX_get0_certificate(server->context);
    if (!server->own_authority || (present && X509_cmp_time(X509_get0_notAfter(present), &limit) > 0))
        return NX_OK;
    return certificate_issue(server, now_s, error);
}
