/* ca.key is written before ca.crt: a start that was interrupted between the two finds a key without a
 * certificate and makes the certificate. */
#include "apid/tls/authority.h"

#include "apid/tls/pem_file.h"
#include "common/err.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SERIAL_BYTES = 16, DAY_S = 24 * 3600, ALT_NAMES_MAX = 1024 };

static int failed(char *error, int err, const char *what, const char *path)
{
    if (err == NX_ESYS)
        snprintf(error, AUTHORITY_ERROR_MAX, "%s %s: %s", what, path, strerror(errno));
    else if (err == NX_ECRYPTO)
        snprintf(error, AUTHORITY_ERROR_MAX, "%s %s: %s", what, path,
                 ERR_peek_last_error() ? ERR_reason_error_string(ERR_peek_last_error()) : "OpenSSL failed");
    else
        snprintf(error, AUTHORITY_ERROR_MAX, "%s %s: %s", what, path, nx_strerror(err));
    ERR_clear_error();
    return err;
}

static int extension_add(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *const extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    if (extension == NULL)
        return NX_ECRYPTO;
    const int added = X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return added ? NX_OK : NX_ECRYPTO;
}

/* Version, a random positive serial number, subject, life and public key. NULL on failure. */
static X509 *certificate_begin(EVP_PKEY *key, const char *common_name, time_t from, time_t until)
{
    unsigned char serial[SERIAL_BYTES];
    X509 *certificate = X509_new();
    X509_NAME *const name = X509_NAME_new();
    BIGNUM *number = NULL;
    bool made = false;
    if (certificate == NULL || name == NULL || RAND_bytes(serial, sizeof(serial)) != 1)
        goto out;
    serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40);
    number = BN_bin2bn(serial, sizeof(serial), NULL);
    made = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) &&
           X509_set_version(certificate, X509_VERSION_3) &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1,
                                      0) &&
           X509_set_subject_name(certificate, name) &&
           ASN1_TIME_set(X509_getm_notBefore(certificate), from) &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), until) && X509_set_pubkey(certificate, key);
out:
    BN_free(number);
    X509_NAME_free(name);
    if (!made) {
        X509_free(certificate);
        certificate = NULL;
    }
    return certificate;
}

/* Writes a key or a certificate as PEM. */
static int pem_save(const char *path, EVP_PKEY *key, X509 *certificate)
{
    BIO *const bio = BIO_new(key ? BIO_s_secmem() : BIO_s_mem());
    char *text = NULL;
    int err = NX_ECRYPTO;
    if (bio == NULL)
        return NX_ENOMEM;
    if (key ? PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)
            : PEM_write_bio_X509(bio, certificate)) {
        const long length = BIO_get_mem_data(bio, &text);
        err = pem_file_write(path, text, (size_t)length, key ? 0600 : 0644);
    }
    const int saved_errno = errno;
    BIO_free(bio);
    errno = saved_errno;
    return err;
}

/* Reads a key or a certificate, whichever pointer is not NULL. */
static int pem_load(const char *path, EVP_PKEY **key, X509 **certificate)
{
    char *text;
    size_t length;
    int err = pem_file_read(path, &text, &length);
    if (err)
        return err;
    BIO *const bio = BIO_new_mem_buf(text, (int)length);
    if (bio == NULL) {
        err = NX_ENOMEM;
    } else if (key) {
        *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
        err = *key ? NX_OK : NX_EINVAL;
    } else {
        *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        err = *certificate ? NX_OK : NX_EINVAL;
    }
    BIO_free(bio);
    pem_file_free(text, length);
    return err;
}

static int authority_certificate_make(EVP_PKEY *key, int64_t now_s, X509 **out)
{
    const time_t from = (time_t)now_s - AUTHORITY_BACKDATE_S;
    X509 *const certificate = certificate_begin(key, "apid certificate authority", from,
                                                from + (time_t)AUTHORITY_YEARS * 365 * DAY_S);
    if (certificate == NULL)
        return NX_ECRYPTO;
    int err = X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) ? NX_OK : NX_ECRYPTO;
    if (!err)
        err = extension_add(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
    if (!err)
        err = extension_add(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
    if (!err)
        err = extension_add(certificate, certificate, NID_subject_key_identifier, "hash");
    if (!err && X509_sign(certificate, key, EVP_sha256()) == 0)
        err = NX_ECRYPTO;
    if (err)
        X509_free(certificate);
    else
        *out = certificate;
    return err;
}

/* The authority's key and certificate; both are made where they are missing. */
static int authority_load(const char *folder, int64_t now_s, EVP_PKEY **key, X509 **certificate, char *error)
{
    char key_path[PEM_PATH_MAX], path[PEM_PATH_MAX];
    *key = NULL;
    *certificate = NULL;
    if (pem_path(key_path, folder, "ca.key") || pem_path(path, folder, "ca.crt"))
        return failed(error, NX_ERANGE, "name of", folder);
    int err = pem_load(key_path, key, NULL);
    if (err == NX_ENOENT) {
        *key = EVP_EC_gen("P-256");
        err = *key ? pem_save(key_path, *key, NULL) : NX_ECRYPTO;
    }
    if (err)
        return failed(error, err, "the authority's key", key_path);
    err = pem_load(path, NULL, certificate);
    if (err == NX_ENOENT) {
        err = authority_certificate_make(*key, now_s, certificate);
        if (!err)
            err = pem_save(path, NULL, *certificate);
    }
    if (err)
        return failed(error, err, "the authority's certificate", path);
    if (X509_check_private_key(*certificate, *key) != 1) {
        ERR_clear_error();
        snprintf(error, AUTHORITY_ERROR_MAX, "ca.crt and ca.key in %.180s do not belong together", folder);
        return NX_EINVAL;
    }
    time_t now = (time_t)now_s;
    if (X509_cmp_time(X509_get0_notAfter(*certificate), &now) <= 0) {
        snprintf(error, AUTHORITY_ERROR_MAX,
                 "ca.crt in %.120s has expired: move it and ca.key away, start again, and give the new "
                 "ca.crt to all nodes",
                 folder);
        return NX_ERANGE;
    }
    return NX_OK;
}

int authority_open(const char *folder, int64_t now_s, char error[AUTHORITY_ERROR_MAX])
{
    EVP_PKEY *key;
    X509 *certificate;
    const int err = authority_load(folder, now_s, &key, &certificate, error);
    EVP_PKEY_free(key);
    X509_free(certificate);
    return err;
}

static int server_extensions_add(X509 *certificate, X509 *authority, const char *const *names, size_t count)
{
    char alt[ALT_NAMES_MAX] = "";
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const int n = snprintf(alt + used, sizeof(alt) - used, "%sDNS:%s", i ? "," : "", names[i]);
        if (n < 0 || (size_t)n >= sizeof(alt) - used)
            return NX_ERANGE;
        used += (size_t)n;
    }
    int err = extension_add(certificate, authority, NID_basic_constraints, "critical,CA:FALSE");
    if (!err)
        err = extension_add(certificate, authority, NID_key_usage, "critical,digitalSignature");
    if (!err)
        err = extension_add(certificate, authority, NID_ext_key_usage, "serverAuth");
    if (!err)
        err = extension_add(certificate, authority, NID_subject_alt_name, alt);
    if (!err)
        err = extension_add(certificate, authority, NID_authority_key_identifier, "keyid:always");
    return err;
}

int authority_issue(const char *folder, const char *const *names, size_t count, int64_t now_s, EVP_PKEY **key,
                    X509 **certificate, char error[AUTHORITY_ERROR_MAX])
{
    EVP_PKEY *authority_key = NULL, *server_key = NULL;
    X509 *authority = NULL, *server = NULL;
    const time_t from = (time_t)now_s - AUTHORITY_BACKDATE_S;
    int err = authority_load(folder, now_s, &authority_key, &authority, error);
    if (err)
        goto out;
    err = NX_ECRYPTO;
    server_key = EVP_EC_gen("P-256");
    if (server_key == NULL)
        goto told;
    server = certificate_begin(server_key, "apid server", from,
                               (time_t)now_s + (time_t)AUTHORITY_SERVER_DAYS * DAY_S);
    if (server == NULL)
        goto told;
    if (ASN1_TIME_compare(X509_get0_notAfter(server), X509_get0_notAfter(authority)) > 0 &&
        !X509_set1_notAfter(server, X509_get0_notAfter(authority)))
        goto told;
    if (!X509_set_issuer_name(server, X509_get_subject_name(authority)))
        goto told;
    err = server_extensions_add(server, authority, names, count);
    if (!err && X509_sign(server, authority_key, EVP_sha256()) == 0)
        err = NX_ECRYPTO;
told:
    if (err)
        failed(error, err, "certificate for", names[0]);
out:
    EVP_PKEY_free(authority_key);
    X509_free(authority);
    if (err) {
        EVP_PKEY_free(server_key);
        X509_free(server);
        server_key = NULL;
        server = NULL;
    }
    *key = server_key;
    *certificate = server;
    return err;
}
