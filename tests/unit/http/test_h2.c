/* HTTP/2: chosen by ALPN, many requests over one connection, streams that are reset, connections that are
 * ended. The server is Node.js's; without node the tests are skipped and say so. */
#include "unit.h"

#include "certificates.h"

#include <event2/event.h>
#include <openssl/pem.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { AT_ONCE = 20 };

static pid_t node;
static int node_stdin = -1;

static void file_write(char *path, void (*write)(FILE *file))
{
    const int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    FILE *const file = fdopen(fd, "w");
    write(file);
    fclose(file);
}

static void key_write(FILE *file)
{
    ck_assert_int_eq(
        PEM_write_PrivateKey(file, SSL_CTX_get0_privatekey(rig.server.context), NULL, NULL, 0, NULL, NULL),
        1);
}

static void certificate_write(FILE *file)
{
    ck_assert_int_eq(PEM_write_X509(file, SSL_CTX_get0_certificate(rig.server.context)), 1);
}

static void node_exec(const char *key, const char *certificate, int in, int out)
{
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    for (int fd = 3; fd < 256; fd++)
        close(fd);
    execlp("node", "node", RIG_H2_SERVER, key, certificate, (char *)NULL);
    _exit(127);
}

/* The opener connects to it instead of the rig's own server. */
static void node_start(void)
{
    char key[] = "/tmp/nexd-http-test-XXXXXX", certificate[] = "/tmp/nexd-http-test-XXXXXX", line[32];
    int in[2], out[2];
    file_write(key, key_write);
    file_write(certificate, certificate_write);
    ck_assert_int_eq(pipe(in), 0);
    ck_assert_int_eq(pipe(out), 0);
    node = fork();
    ck_assert_int_ge(node, 0);
    if (node == 0)
        node_exec(key, certificate, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    node_stdin = in[1];
    FILE *const port = fdopen(out[0], "r");
    ck_assert_ptr_nonnull(fgets(line, sizeof line, port));
    rig.server.port = (uint16_t)strtoul(line, NULL, 10);
    fclose(port);
    unlink(key);
    unlink(certificate);
}

static void set_up(void)
{
    rig_set_up();
    node_start();
}

static void tear_down(void)
{
    close(node_stdin);
    ck_assert_int_eq(waitpid(node, NULL, 0), node);
    rig_tear_down();
}

static struct rig_result *get(const char *url)
{
    struct http_request request = rig_request(url);
    request.bearer = "token";
    return rig_submit(&request);
}

static void is(struct rig_result *result, const char *text)
{
    rig_await(result);
    ck_assert_msg(result->failure == HTTP_DONE, "%s", result->error);
    ck_assert_uint_eq(result->status, 200);
    ck_assert_str_eq(rig_text(result->body), text);
    rig_result_free(result);
}

START_TEST(requests_share_a_connection)
{
    is(get("https://api.test/"), "2.0 0 GET Bearer token");
    struct rig_result *results[AT_ONCE];
    for (int i = 0; i < AT_ONCE; i++)
        results[i] = get("https://api.test/");
    for (int i = 0; i < AT_ONCE; i++)
        is(results[i], "2.0 0 GET Bearer token");
    ck_assert_uint_eq(rig.opens, 1);
}
END_TEST

START_TEST(first_requests_at_once_share_one_too)
{
    struct rig_result *results[AT_ONCE];
    for (int i = 0; i < AT_ONCE; i++)
        results[i] = get("https://api.test/");
    for (int i = 0; i < AT_ONCE; i++)
        is(results[i], "2.0 0 GET Bearer token");
}
END_TEST

START_TEST(bodies_go_out)
{
    struct http_request request = rig_request("https://api.test/");
    request.method = HTTP_PATCH;
    request.content_type = "application/json";
    request.body = "{}";
    request.body_bytes = 2;
    is(rig_submit(&request), "2.0 0 PATCH ");
}
END_TEST

START_TEST(reset_streams_and_ended_connections)
{
    struct rig_result *const reset = rig_await(get("https://api.test/reset"));
    ck_assert_msg(reset->failure == HTTP_CUT, "%d: %s", reset->failure, reset->error);
    rig_result_free(reset);
    is(get("https://api.test/"), "2.0 0 GET Bearer token"); /* the connection is none the worse */
    is(get("https://api.test/goaway"), "2.0 0 GET Bearer token");
    is(get("https://api.test/"), "2.0 1 GET Bearer token");
    ck_assert_uint_eq(rig.opens, 2);
}
END_TEST

START_TEST(a_stream_and_requests_beside_it)
{
    struct http_request request = rig_request("https://api.test/stream");
    request.stream = true;
    struct rig_result *const stream = rig_submit(&request);
    rig_until(&stream->pieces, 1);
    is(get("https://api.test/"), "2.0 0 GET Bearer token");
    rig.http->cancel(rig.http, stream->exchange);
    is(get("https://api.test/"), "2.0 0 GET Bearer token");
    ck_assert_uint_eq(rig.opens, 1);
    rig_result_free(stream);
}
END_TEST

START_TEST(a_header_that_is_too_large)
{
    struct rig_result *const result = rig_await(get("https://api.test/large-header"));
    ck_assert_msg(result->failure == HTTP_TOO_LARGE || result->failure == HTTP_CUT, "%d: %s", result->failure,
                  result->error);
    rig_result_free(result);
    is(get("https://api.test/"), "2.0 1 GET Bearer token");
}
END_TEST

int main(void)
{
    if (system("node --version >/dev/null 2>&1") != 0) {
        printf("skipped: there is no node to serve HTTP/2\n");
        return 77;
    }
    Suite *const suite = suite_create("h2");
    TCase *const tcase = tcase_create("h2");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, requests_share_a_connection);
    tcase_add_test(tcase, first_requests_at_once_share_one_too);
    tcase_add_test(tcase, bodies_go_out);
    tcase_add_test(tcase, reset_streams_and_ended_connections);
    tcase_add_test(tcase, a_stream_and_requests_beside_it);
    tcase_add_test(tcase, a_header_that_is_too_large);
    suite_add_tcase(suite, tcase);
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
