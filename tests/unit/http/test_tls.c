/* Which certificates are believed, and how it is said where not. */
#include "unit.h"

#include "certificates.h"
#include "common/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void answer(struct rig_connection *connection, void *arg)
{
    (void)arg;
    rig_reply(connection, 200, "text/plain", "hello");
}

static void server_renew(const struct rig_certificate *certificate)
{
    rig_server_stop(&rig.server);
    rig_server_start(&rig.server, certificate);
    rig.server.handler = answer;
}

static void believed(const char *url)
{
    const struct http_request request = rig_request(url);
    struct rig_result *const result = rig_await(rig_submit(&request));
    ck_assert_msg(result->failure == HTTP_DONE && result->status == 200, "%s", result->error);
    rig_result_free(result);
}

/* `words` all stand in the sentence. */
static void refused(const char *url, const char *const *words)
{
    const struct http_request request = rig_request(url);
    struct rig_result *const result = rig_await(rig_submit(&request));
    ck_assert_msg(result->failure == HTTP_TLS, "%d: %s", result->failure, result->error);
    for (; *words; words++)
        ck_assert_msg(strstr(result->error, *words) != NULL, "%s: %s", *words, result->error);
    ck_assert_ptr_null(strchr(result->error, '\n'));
    ck_assert_str_eq(rig.server.last, ""); /* nothing was sent */
    rig_result_free(result);
}

static const char *day_of(int64_t from_now_s)
{
    static char text[32];
    const time_t when = time(NULL) + (time_t)from_now_s;
    struct tm tm;
    strftime(text, sizeof text, "%Y-%m-%d", gmtime_r(&when, &tm));
    return text;
}

START_TEST(good_certificates_are_believed)
{
    server_renew(&rig_certificate_good);
    believed("https://api.test/");
    believed("https://auth.test/");
    believed("https://127.0.0.1/");
    believed("https://[::1]/");
    ck_assert_uint_eq(rig.opens, 4);
}
END_TEST

START_TEST(expired)
{
    const struct rig_certificate old = {.names = {"api.test"}, .begins_s = -10 * 86400, .ends_s = -3 * 86400};
    server_renew(&old);
    char then[32];
    snprintf(then, sizeof then, "%s", day_of(-3 * 86400));
    refused("https://api.test/",
            (const char *[]){"api.test:", "expired on", then, day_of(0), "renewed", "clock", NULL});
}
END_TEST

START_TEST(not_yet_valid)
{
    const struct rig_certificate early = {.names = {"api.test"}, .begins_s = 5 * 86400, .ends_s = 9 * 86400};
    server_renew(&early);
    char then[32];
    snprintf(then, sizeof then, "%s", day_of(5 * 86400));
    refused("https://api.test/",
            (const char *[]){"api.test:", "valid from", then, day_of(0), "set the clock", NULL});
}
END_TEST

START_TEST(of_another_host)
{
    server_renew(&rig_certificate_good);
    refused("https://other.test/",
            (const char *[]){"other.test:", "\"api.test\"", "\"auth.test\"", "URL", NULL});
    refused("https://192.168.7.7/", (const char *[]){"192.168.7.7:", "\"api.test\"", NULL});
    refused("https://sub.api.test/", (const char *[]){"sub.api.test:", "\"api.test\"", NULL});
}
END_TEST

START_TEST(self_signed)
{
    struct rig_certificate own = rig_certificate_good;
    own.self_signed = true;
    server_renew(&own);
    refused("https://api.test/",
            (const char *[]){"api.test:", "signed by \"api.test\"", day_of(86400), "--ca-file", NULL});
}
END_TEST

START_TEST(unknown_authority)
{
    char path[] = "/tmp/nexd-http-test-XXXXXX", mine[64];
    const int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    strcpy(mine, rig.ca_path);
    certificates_free();
    certificates_make(path); /* from now on this one signs */
    server_renew(&rig_certificate_good);
    rig_client_renew(mine);
    refused("https://api.test/", (const char *[]){"\"Rig authority\"", "not among", "--ca-file", NULL});
    rig_client_renew(path);
    believed("https://api.test/");
    unlink(path);
}
END_TEST

START_TEST(hostile_names_in_a_certificate_stay_in_one_line)
{
    const struct rig_certificate odd = {
        .names = {"a\nb: {\"c\"}.test"}, .begins_s = -5, .ends_s = 100, .self_signed = true};
    server_renew(&odd);
    refused("https://api.test/", (const char *[]){"api.test:", "\\n", NULL});
}
END_TEST

START_TEST(nobody_is_verified_where_the_operator_says_so)
{
    struct rig_certificate own = rig_certificate_good;
    own.self_signed = true;
    own.ends_s = -1000;
    own.begins_s = -2000;
    server_renew(&own);
    ck_assert_int_eq(http_client_set_route(rig.client, &(struct http_route){.skip_verify = true}), NX_OK);
    believed("https://whatever.test/");
    ck_assert_int_eq(http_client_set_route(rig.client, &(struct http_route){0}), NX_OK);
    rig.server.last[0] = '\0';
    refused("https://other.test/", (const char *[]){"other.test:", NULL});
    refused("https://whatever.test/",
            (const char *[]){"whatever.test:", NULL}); /* not over the old connection */
}
END_TEST

START_TEST(old_protocols_are_not_spoken)
{
    server_renew(&rig_certificate_good);
    SSL_CTX_set_security_level(rig.server.context, 0);
    SSL_CTX_set_min_proto_version(rig.server.context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(rig.server.context, TLS1_1_VERSION);
    refused("https://api.test/", (const char *[]){"api.test port 443:", "handshake", NULL});
    SSL_CTX_set_max_proto_version(rig.server.context, TLS1_2_VERSION);
    believed("https://api.test/");
}
END_TEST

START_TEST(no_tls_at_all)
{
    rig_server_stop(&rig.server);
    rig.server.plain = true;
    rig.server.greeting = "220 mail.test ESMTP\r\n";
    rig_server_start(&rig.server, &rig_certificate_good);
    rig.server.handler = answer;
    refused("https://api.test/", (const char *[]){"api.test port 443:", "handshake", NULL});
}
END_TEST

START_TEST(silent_handshake_times_out)
{
    rig.server.deaf = true;
    struct http_request request = rig_request("https://api.test/");
    request.timeout_ms = 200;
    struct rig_result *const result = rig_await(rig_submit(&request));
    ck_assert_int_eq(result->failure, HTTP_TIMED_OUT);
    rig_result_free(result);
}
END_TEST

START_TEST(files_of_authorities)
{
    char error[TRUST_TEXT_MAX];
    ck_assert_ptr_null(trust_new("/nonexistent/ca.pem", -1, error));
    ck_assert_msg(strstr(error, "/nonexistent/ca.pem") && strstr(error, "No such file"), "%s", error);
    ck_assert_ptr_null(trust_new("/etc/passwd", -1, error));
    ck_assert_msg(strstr(error, "/etc/passwd holds no certificate"), "%s", error);
    ck_assert_ptr_null(trust_new("/", -1, error));
    ck_assert_msg(error[0], "no reason");
    ck_assert_ptr_null(trust_new("/dev/null", -1, error));
    rig_client_renew("/etc/ssl/certs/ca-certificates.crt");
    server_renew(&rig_certificate_good);
    refused("https://api.test/", (const char *[]){"\"Rig authority\"", "--ca-file", NULL});
}
END_TEST

START_TEST(without_authorities_nobody_is_believed)
{
    char error[TRUST_TEXT_MAX], empty[] = "/tmp/nexd-http-test-XXXXXX";
    const int fd = mkstemp(empty);
    close(fd);
    setenv("SSL_CERT_FILE", empty, 1);
    http_client_free(rig.client);
    trust_free(rig.trust);
    rig.client = NULL;
    rig.trust = trust_new(NULL, -1, error);
    ck_assert_ptr_nonnull(rig.trust);
    rig.client = http_client_new(
        &(struct http_client_config){.base = rig.base, .opener = &rig.opener, .trust = rig.trust});
    rig.http = http_client_http(rig.client);
    server_renew(&rig_certificate_good);
    refused("https://api.test/", (const char *[]){"no authorities installed", NULL});
    unlink(empty);
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_test(tcase, good_certificates_are_believed);
    tcase_add_test(tcase, expired);
    tcase_add_test(tcase, not_yet_valid);
    tcase_add_test(tcase, of_another_host);
    tcase_add_test(tcase, self_signed);
    tcase_add_test(tcase, unknown_authority);
    tcase_add_test(tcase, hostile_names_in_a_certificate_stay_in_one_line);
    tcase_add_test(tcase, nobody_is_verified_where_the_operator_says_so);
    tcase_add_test(tcase, old_protocols_are_not_spoken);
    tcase_add_test(tcase, no_tls_at_all);
    tcase_add_test(tcase, silent_handshake_times_out);
    tcase_add_test(tcase, files_of_authorities);
    tcase_add_test(tcase, without_authorities_nobody_is_believed);
}

int main(void)
{
    return unit_run("tls", add, 60);
}
