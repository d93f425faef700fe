/* apid's own certificate authority: one key and one self-signed certificate in the data folder, made at the
 * first start, and the server certificates that it signs.
 *
 * `ca.crt` (mode 0644) is what operators give to their nodes; `ca.key` (0600) is read for each signature and
 * wiped after it. All keys are P-256. apid only. */
#ifndef NEXD_APID_AUTHORITY_H
#define NEXD_APID_AUTHORITY_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>

enum {
    AUTHORITY_YEARS = 10,
    AUTHORITY_SERVER_DAYS = 90,       /* life of a server certificate */
    AUTHORITY_BACKDATE_S = 24 * 3600, /* nodes whose clock is slow still accept it */
    AUTHORITY_ERROR_MAX = 256,
};

/* Makes ca.key and ca.crt in `folder` unless they are there, and checks that they belong together and are
 * valid at `now_s` (Unix time). On failure `error` says what and where. NX_ESYS, NX_EINVAL (files that are no
 * key and certificate, or not each other's), NX_ERANGE (expired), NX_ECRYPTO, NX_ENOMEM. */
int authority_open(const char *folder, int64_t now_s, char error[AUTHORITY_ERROR_MAX]);

/* A new key and a certificate for the `count` DNS names, valid from a day before `now_s` for
 * AUTHORITY_SERVER_DAYS, but not longer than the authority itself. The caller owns the results. */
int authority_issue(const char *folder, const char *const *names, size_t count, int64_t now_s, EVP_PKEY **key,
                    X509 **certificate, char error[AUTHORITY_ERROR_MAX]);

#endif
