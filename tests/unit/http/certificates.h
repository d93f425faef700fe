/* The rig's throw-away authority. */
#ifndef NEXD_TESTS_HTTP_CERTIFICATES_H
#define NEXD_TESTS_HTTP_CERTIFICATES_H

#include "rig.h"

#include <openssl/ssl.h>

/* Makes the authority, and writes its certificate there. */
void certificates_make(const char *ca_path);
void certificates_free(void);
/* A server's context with a certificate like that. */
SSL_CTX *certificates_context(const struct rig_certificate *wanted);

#endif
