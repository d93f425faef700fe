/* Certificates of a throw-away authority. */
#include "certificates.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

const struct rig_certificate rig_certificate_good = {
    .names = {"api.test", "auth.test", "localhost"}, .begins_s = -3600, .ends_s = 86400};

static EVP_PKEY *authority_key;
static X509 *authority;
static long serial = 1;

static void extension_add(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *const extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    ck_assert_ptr_nonnull(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

static X509 *certificate_new(EVP_PKEY *key, const char *name, int64_t begins_s, int64_t ends_s)
{
    X509 *const certificate = X509_new();
    ck_assert_ptr_nonnull(certificate);
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_time_adj_ex(X509_getm_notBefore(certificate), 0, (long)begins_s, NULL);
    X509_time_adj_ex(X509_getm_notAfter(certificate), 0, (long)ends_s, NULL);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                               (const unsigned char *)name, -1, -1, 0);
    return certificate;
}

void certificates_make(const char *ca_path)
{
    authority_key = EVP_EC_gen("P-256");
    authority = certificate_new(authority_key, "Rig authority", -86400, 86400 * 30);
    X509_set_issuer_name(authority, X509_get_subject_name(authority));
    extension_add(authority, NID_basic_constraints, "critical,CA:TRUE");
    ck_assert_int_gt(X509_sign(authority, authority_key, EVP_sha256()), 0);
    FILE *const file = fopen(ca_path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(PEM_write_X509(file, authority), 1);
    fclose(file);
}

void certificates_free(void)
{
    X509_free(authority);
    EVP_PKEY_free(authority_key);
}

SSL_CTX *certificates_context(const struct rig_certificate *wanted)
{
    char names[256] = "";
    for (int i = 0; i < 3 && wanted->names[i]; i++) {
        char one[80];
        snprintf(one, sizeof one, "%sDNS:%s%s", names[0] ? "," : "", wanted->names[i],
                 strcmp(wanted->names[i], "localhost") == 0 ? ",IP:127.0.0.1,IP:::1" : "");
        strncat(names, one, sizeof names - strlen(names) - 1);
    }
    EVP_PKEY *const key = EVP_EC_gen("P-256");
    X509 *const certificate = certificate_new(key, wanted->names[0], wanted->begins_s, wanted->ends_s);
    X509_set_issuer_name(certificate, X509_get_subject_name(wanted->self_signed ? certificate : authority));
    extension_add(certificate, NID_subject_alt_name, names);
    ck_assert_int_gt(X509_sign(certificate, wanted->self_signed ? key : authority_key, EVP_sha256()), 0);
    SSL_CTX *const context = SSL_CTX_new(TLS_server_method());
    ck_assert_ptr_nonnull(context);
    ck_assert_int_eq(SSL_CTX_use_certificate(context, certificate), 1);
    ck_assert_int_eq(SSL_CTX_use_PrivateKey(context, key), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return context;
}
