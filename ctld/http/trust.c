/* libcurl would read its own bundle again for every connection; here all share one X509_STORE. Verification
 * is OpenSSL's, in a frame that notes the outcome: libcurl's own message names neither dates nor names. */
#include "ctld/http/trust.h"

#include "common/err.h"
#include "common/fd.h"
#include "common/text.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { NAMES_TEXT_MAX = 160, NAME_MAX_BYTES = 128 };

struct verification {
    int error; /* X509_V_… */
    time_t not_before, not_after;
    char issuer[NAME_MAX_BYTES], names[NAMES_TEXT_MAX]; /* quoted */
};

struct trust {
    X509_STORE *store;
    char *pem; /* not taken apart yet; NULL = done */
    size_t pem_bytes;
    size_t count; /* authorities in the store */
    bool refused; /* see trust_refused() */
    struct verification last;
};

/* -- Reading -----------------------------------------------------------------------------------------------
 */

/* NX_OK; NX_ESYS; NX_ERANGE: larger than TRUST_FILE_MAX; NX_ENOMEM. */
static int fd_read(int fd, char **out, size_t *length)
{
    struct stat status;
    if (fd < 0 || fstat(fd, &status))
        return NX_ESYS;
    if (status.st_size > TRUST_FILE_MAX)
        return NX_ERANGE;
    char *const data = malloc((size_t)status.st_size + 1);
    if (!data)
        return NX_ENOMEM;
    size_t filled = 0;
    while (filled < (size_t)status.st_size) {
        const ssize_t got = read(fd, data + filled, (size_t)status.st_size - filled);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            free(data);
            return NX_ESYS;
        }
        if (got == 0)
            break;
        filled += (size_t)got;
    }
    *out = data;
    *length = filled;
    return NX_OK;
}

static int file_read(const char *path, char **out, size_t *length)
{
    FD_AUTO int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd_read(fd, out, length);
}

/* Where distributions keep the authorities that they believe, as one file. */
static void system_read(struct trust *trust)
{
    const char *const paths[] = {
        secure_getenv(X509_get_default_cert_file_env()),
        "/etc/ssl/certs/ca-certificates.crt", /* Debian, Alpine, Arch */
        "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
        "/etc/ssl/ca-bundle.pem",             /* SUSE */
        "/etc/ssl/cert.pem",                  /* Alpine without its package of authorities */
        X509_get_default_cert_file(),
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths && !trust->pem; i++)
        if (paths[i] && paths[i][0])
            (void)file_read(paths[i], &trust->pem, &trust->pem_bytes);
}

static int pem_take(struct trust *trust)
{
    BIO *const bio = BIO_new_mem_buf(trust->pem, (int)trust->pem_bytes);
    X509 *certificate;
    if (!bio)
        return NX_ENOMEM;
    while ((certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL)) != NULL) {
        trust->count += X509_STORE_add_cert(trust->store, certificate) == 1;
        X509_free(certificate);
    }
    ERR_clear_error(); /* the end of the data, above all */
    BIO_free(bio);
    free(trust->pem);
    trust->pem = NULL;
    return NX_OK;
}

static int ca_file_take(struct trust *trust, const char *path, int fd, char *error)
{
    int err = fd >= 0 ? fd_read(fd, &trust->pem, &trust->pem_bytes)
                      : file_read(path, &trust->pem, &trust->pem_bytes);
    if (err == NX_OK)
        err = pem_take(trust);
    if (err == NX_OK && trust->count == 0) {
        snprintf(error, TRUST_TEXT_MAX, "the CA file %s holds no certificate in PEM form", path);
        return NX_EINVAL;
    }
    if (err != NX_OK)
        snprintf(error, TRUST_TEXT_MAX, "the CA file %s cannot be read: %s", path,
                 err == NX_ESYS ? strerror(errno) : nx_strerror(err));
    return err;
}

struct trust *trust_new(const char *ca_file, int ca_fd, char *error)
{
    struct trust *const trust = calloc(1, sizeof(*trust));
    snprintf(error, TRUST_TEXT_MAX, "out of memory");
    if (!trust)
        return NULL;
    trust->last.error = X509_V_ERR_UNSPECIFIED;
    trust->store = X509_STORE_new();
    /* A certificate that was given is believed even if it is not a root: a server's own, for example. */
    if (!trust->store || !X509_STORE_set_flags(trust->store, X509_V_FLAG_PARTIAL_CHAIN) ||
        (ca_file && ca_file_take(trust, ca_file, ca_fd, error) != NX_OK)) {
        trust_free(trust);
        return NULL;
    }
    if (!ca_file)
        system_read(trust);
    error[0] = '\0';
    return trust;
}

void trust_free(struct trust *trust)
{
    if (!trust)
        return;
    X509_STORE_free(trust->store);
    free(trust->pem);
    free(trust);
}

/* -- Verifying ---------------------------------------------------------------------------------------------
 */

static time_t time_of(const ASN1_TIME *when)
{
    struct tm tm;
    return when && ASN1_TIME_to_tm(when, &tm) ? timegm(&tm) : 0;
}

static void name_take(X509_NAME *name, char *out)
{
    char text[NAME_MAX_BYTES / 2] = "";
    if (X509_NAME_get_text_by_NID(name, NID_commonName, text, sizeof text) <= 0)
        (void)X509_NAME_get_text_by_NID(name, NID_organizationName, text, sizeof text);
    text_quote(text, out, NAME_MAX_BYTES);
}

/* The DNS names that a certificate is for, some of them. */
static void names_take(X509 *certificate, char out[NAMES_TEXT_MAX])
{
    GENERAL_NAMES *const names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    size_t filled = 0;
    out[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *const name = sk_GENERAL_NAME_value(names, i);
        char quoted[TEXT_QUOTE_MAX];
        if (name->type != GEN_DNS)
            continue;
        text_quote_bytes((const char *)ASN1_STRING_get0_data(name->d.dNSName),
                         (size_t)ASN1_STRING_length(name->d.dNSName), quoted, sizeof quoted);
        if (filled + strlen(quoted) + 3 > NAMES_TEXT_MAX)
            break;
        filled += (size_t)snprintf(out + filled, NAMES_TEXT_MAX - filled, "%s%s", filled ? ", " : "", quoted);
    }
    GENERAL_NAMES_free(names);
    if (filled == 0)
        name_take(X509_get_subject_name(certificate), out);
}

static int on_verify(X509_STORE_CTX *context, void *arg)
{
    struct trust *const trust = arg;
    struct verification *const last = &trust->last;
    const int verified = X509_verify_cert(context);
    X509 *const leaf = X509_STORE_CTX_get0_cert(context);
    X509 *const faulty = verified == 1 ? NULL : X509_STORE_CTX_get_current_cert(context);
    X509 *const judged = faulty ? faulty : leaf;
    *last = (struct verification){.error = X509_STORE_CTX_get_error(context)};
    if (judged) {
        last->not_before = time_of(X509_get0_notBefore(judged));
        last->not_after = time_of(X509_get0_notAfter(judged));
        name_take(X509_get_issuer_name(judged), last->issuer);
    }
    if (leaf)
        names_take(leaf, last->names);
    trust->refused = verified != 1;
    ERR_clear_error(); /* else its details hide from libcurl that it was the certificate */
    return verified;
}

int trust_apply(struct trust *trust, SSL_CTX *context)
{
    if (trust->pem && pem_take(trust) != NX_OK)
        return NX_ENOMEM;
    trust->refused = false;
    SSL_CTX_set_cert_verify_callback(context, on_verify, trust);
    SSL_CTX_set1_cert_store(context, trust->store);
    return NX_OK;
}

bool trust_refused(struct trust *trust)
{
    const bool refused = trust->refused;
    trust->refused = false;
    return refused;
}

/* -- Explaining --------------------------------------------------------------------------------------------
 */

static const char *time_text(int64_t when, char out[32])
{
    const time_t time = (time_t)when;
    struct tm tm;
    if (!gmtime_r(&time, &tm) || strftime(out, 32, "%Y-%m-%d %H:%M UTC", &tm) == 0)
        snprintf(out, 32, "an unknown date");
    return out;
}

char *trust_explain(const struct trust *trust, const char *host, int64_t now_s, char *out)
{
    const struct verification *const last = &trust->last;
    char then[32], now[32];
    time_text(now_s, now);
    switch (last->error) {
    case X509_V_OK: /* so it was the name */
    case X509_V_ERR_HOSTNAME_MISMATCH:
        snprintf(out, TRUST_TEXT_MAX,
                 "%s: the server's certificate is for %s and not for this name: correct the URL, or have the "
                 "server's certificate made for it",
                 host, last->names);
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        snprintf(out, TRUST_TEXT_MAX,
                 "%s: the server's certificate expired on %s, and this host's clock says %s: have the "
                 "certificate renewed, or set the clock",
                 host, time_text(last->not_after, then), now);
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        snprintf(
            out, TRUST_TEXT_MAX,
            "%s: the server's certificate is valid from %s on, and this host's clock says %s: set the clock",
            host, time_text(last->not_before, then), now);
        break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE: /* an authority of the same name with another key */
        snprintf(out, TRUST_TEXT_MAX,
                 "%s: the server's certificate (valid until %s) is signed by %s, which %s: give its "
                 "authority's certificate with --ca-file",
                 host, time_text(last->not_after, then), last->issuer,
                 trust->count ? "is not among the authorities believed here"
                              : "nobody can vouch for, as this system has no authorities installed");
        break;
    default:
        snprintf(out, TRUST_TEXT_MAX, "%s: the server's certificate (valid until %s) is not believed: %s",
                 host, time_text(last->not_after, then), X509_verify_cert_error_string(last->error));
        break;
    }
    return out;
}
