/* nexctl's command line, the printed forms of the list of peers, and calls to a nexd that answers, refuses,
 * falls silent or speaks nonsense (a thread with a listening socket, one connection a test). */
#include "common/err.h"
#include "nexctl/command.h"
#include "nexctl/peers.h"
#include "nexctl/proxy.h"
#include "nexctl/rpc.h"
#include "nexctl/yaml.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* -- The list of peers -- */

static const char one_peer[] =
    "{\"relay-present\":false,\"relay-required\":false,\"peers\":{"
    "\"Q7tZ5MApECTgX8Z+2lKab+yD0P2d64/lIbZ8M6W71Fg=\":{\"PublicKey\":\"Q7tZ5MApECTgX8Z+2lKab+yD0P2d64/"
    "lIbZ8M6W71Fg=\","
    "\"Endpoint\":\"127.0.0.1:41022\",\"AllowedIPs\":[\"100.64.0.9/32\",\"200::9/128\"],"
    "\"LatestHandshake\":\"1795427456\",\"Tx\":272,\"Rx\":180,\"Healthy\":false}}}";
enum { NOW_S = 1795427461 };

static const char key_line[] = "| Q7tZ5MApECTgX8Z+2lKab+yD0P2d64/lIbZ8M6W71Fg= ";

static void expect_print(const char *json, enum output_form form, const char *expected)
{
    struct peer_list list;
    char *text = NULL;
    size_t length = 0;
    ck_assert_int_eq(peers_parse(json, &list), NX_OK);
    FILE *out = open_memstream(&text, &length);
    peers_print(out, &list, form, NOW_S);
    fclose(out);
    ck_assert_str_eq(text, expected);
    free(text);
    peers_free(&list);
}

START_TEST(column)
{
    char expected[2048];
    snprintf(
        expected, sizeof expected,
        "|                  PUBLIC KEY                  |    ENDPOINT     |    ALLOWED IPS    | LATEST "
        "HANDSHAKE | "
        "TRANSMITTED | RECEIVED | HEALTHY |\n"
        "+----------------------------------------------+-----------------+-------------------+--------------"
        "----+-"
        "------------+----------+---------+\n"
        "%s| 127.0.0.1:41022 | [                 | 5 seconds ago    |         272 |      180 | false   |\n"
        "|                                              |                 |  \"100.64.0.9/32\", |            "
        "      | "
        "            |          |         |\n"
        "|                                              |                 |  \"200::9/128\"     |            "
        "      | "
        "            |          |         |\n"
        "|                                              |                 | ]                 |              "
        "    | "
        "            |          |         |\n",
        key_line);
    expect_print(one_peer, OUTPUT_COLUMN, expected);
}
END_TEST

START_TEST(no_header)
{
    char expected[1024];
    snprintf(expected, sizeof expected,
             "%s| 127.0.0.1:41022 | [                 | 5 seconds ago | 272 | 180 | false |\n"
             "|                                              |                 |  \"100.64.0.9/32\", |       "
             "        |     "
             "|     |       |\n"
             "|                                              |                 |  \"200::9/128\"     |       "
             "        |     "
             "|     |       |\n"
             "|                                              |                 | ]                 |         "
             "      |     "
             "|     |       |\n",
             key_line);
    expect_print(one_peer, OUTPUT_NO_HEADER, expected);
}
END_TEST

START_TEST(json_and_yaml)
{
    expect_print(one_peer, OUTPUT_JSON,
                 "[\n  {\n    \"PublicKey\": \"Q7tZ5MApECTgX8Z+2lKab+yD0P2d64/lIbZ8M6W71Fg=\",\n"
                 "    \"Endpoint\": \"127.0.0.1:41022\",\n    \"AllowedIPs\": [\n      \"100.64.0.9/32\",\n"
                 "      \"200::9/128\"\n    ],\n    \"LatestHandshake\": \"1795427456\",\n    \"Tx\": 272,\n"
                 "    \"Rx\": 180,\n    \"Healthy\": false\n  }\n]\n");
    expect_print(
        one_peer, OUTPUT_JSON_RAW,
        "[{\"PublicKey\":\"Q7tZ5MApECTgX8Z+2lKab+yD0P2d64/lIbZ8M6W71Fg=\",\"Endpoint\":\"127.0.0.1:41022\","
        "\"AllowedIPs\":[\"100.64.0.9/32\",\"200::9/128\"],\"LatestHandshake\":\"1795427456\",\"Tx\":272,"
        "\"Rx\":180,\"Healthy\":false}]\n");
    expect_print(
        one_peer, OUTPUT_YAML,
        "- AllowedIPs:\n  - 100.64.0.9/32\n  - 200::9/128\n  Endpoint: 127.0.0.1:41022\n  Healthy: false\n"
        "  LatestHandshake: \"1795427456\"\n  PublicKey: Q7tZ5MApECTgX8Z+2lKab+yD0P2d64/lIbZ8M6W71Fg=\n"
        "  Rx: 180\n  Tx: 272\n\n");
}
END_TEST

START_TEST(yaml_strings_read_back_as_themselves)
{
    static const char *const cases[][2] = {
        {"tcp:80:h:90", "tcp:80:h:90"},
        {"100.64.0.2", "100.64.0.2"},
        {"200::9", "200::9"},
        {"0.42ms", "0.42ms"},
        {"a b", "a b"},
        {"-x", "-x"},
        {"a#b", "a#b"},
        {"", "\"\""},
        {"1795427456", "\"1795427456\""},
        {"-1.5e+3", "\"-1.5e+3\""},
        {"0x1f", "\"0x1f\""},
        {"1_000", "\"1_000\""},
        {"true", "\"true\""},
        {"No", "\"No\""},
        {"~", "\"~\""},
        {".inf", "\".inf\""},
        {"a\nb", "\"a\\u000ab\""},
        {"-", "'-'"},
        {"[::1]:5", "'[::1]:5'"},
        {"a: b", "'a: b'"},
        {"a #b", "'a #b'"},
        {"b:", "'b:'"},
        {" a", "' a'"},
        {"'a", "'''a'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = NULL;
        size_t length = 0;
        FILE *out = open_memstream(&text, &length);
        yaml_string_print(out, cases[i][0]);
        fclose(out);
        ck_assert_str_eq(text, cases[i][1]);
        free(text);
    }
}
END_TEST

START_TEST(odd_peers)
{
    static const char none[] = "{\"relay-present\":true,\"relay-required\":true,\"peers\":{},\"new\":1}";
    static const char odd[] =
        "{\"relay-present\":false,\"relay-required\":false,\"peers\":{\"k\":{\"PublicKey\":\"k\","
        "\"Endpoint\":\"[::1]:5\",\"AllowedIPs\":null,\"LatestHandshake\":\"0\",\"Tx\":0,\"Rx\":"
        "18446744073709,"
        "\"Healthy\":true,\"New\":[]}}}";
    expect_print(none, OUTPUT_JSON, "[]\n");
    expect_print(none, OUTPUT_JSON_RAW, "[]\n");
    expect_print(none, OUTPUT_YAML, "[]\n\n");
    expect_print(none, OUTPUT_NO_HEADER, "");
    expect_print(odd, OUTPUT_NO_HEADER, "| k | [::1]:5 | null | None | 0 | 18446744073709 | true |\n");
    expect_print(odd, OUTPUT_YAML,
                 "- AllowedIPs: null\n  Endpoint: '[::1]:5'\n  Healthy: true\n  LatestHandshake: \"0\"\n"
                 "  PublicKey: k\n  Rx: 18446744073709\n  Tx: 0\n\n");
}
END_TEST

static const char *const bad_lists[] = {
    "",
    "7",
    "[]",
    "{}",
    "{\"relay-present\":false,\"relay-required\":false,\"peers\":[]}",
    "{\"relay-present\":0,\"relay-required\":false,\"peers\":{}}",
    "{\"relay-present\":false,\"relay-required\":false,\"peers\":{\"k\":7}}",
    "{\"relay-present\":false,\"relay-required\":false,\"peers\":{\"k\":{\"PublicKey\":\"k\"}}}",
    "{\"relay-present\":false,\"relay-required\":false,\"peers\":{\"k\":{\"PublicKey\":\"k\",\"Endpoint\":"
    "\"\","
    "\"AllowedIPs\":[7],\"LatestHandshake\":\"0\",\"Tx\":0,\"Rx\":0,\"Healthy\":true}}}",
    "{\"relay-present\":false,\"relay-required\":false,\"peers\":{\"k\":{\"PublicKey\":\"k\",\"Endpoint\":"
    "\"\","
    "\"AllowedIPs\":[],\"LatestHandshake\":\"0\",\"Tx\":-1,\"Rx\":0,\"Healthy\":true}}}",
};

START_TEST(lists_that_are_none)
{
    struct peer_list list;
    ck_assert_int_eq(peers_parse(bad_lists[_i], &list), NX_EPROTO);
    ck_assert_uint_eq(list.count, 0);
}
END_TEST

/* -- The command line -- */

enum { WORDS_MAX = 12 };

static const struct {
    const char *words[WORDS_MAX];
    int status;
    enum command_id id;
    enum output_form output;
    const char *unix_socket;
    bool ipv6;
    const char *error; /* its beginning */
} lines[] = {
    {{"version"}, 0, COMMAND_OWN_VERSION, 0, NULL, false, NULL},
    {{"nexd", "version"}, 0, COMMAND_VERSION, 0, NULL, false, NULL},
    {{"nexd", "flows", "--tcp"}, 0, COMMAND_FLOWS, 0, NULL, false, NULL},
    {{"nexd", "--unix-socket", "p", "status"}, 0, COMMAND_STATUS, 0, "p", false, NULL},
    {{"nexd", "-unix-socket=p", "status"}, 0, COMMAND_STATUS, 0, "p", false, NULL},
    {{"--output", "json", "nexd", "peers", "list", "--full"},
     0,
     COMMAND_PEERS_LIST,
     OUTPUT_JSON,
     NULL,
     false,
     NULL},
    {{"--output=yaml", "nexd", "peers", "list", "-f"}, 0, COMMAND_PEERS_LIST, OUTPUT_YAML, NULL, false, NULL},
    {{"nexd", "get", "tunnelip"}, 0, COMMAND_GET_TUNNELIP, 0, NULL, false, NULL},
    {{"nexd", "get", "tunnelip", "--ipv6"}, 0, COMMAND_GET_TUNNELIP, 0, NULL, true, NULL},
    {{"nexd", "get", "tunnelip", "-6"}, 0, COMMAND_GET_TUNNELIP, 0, NULL, true, NULL},
    {{"nexd", "get", "debug"}, 0, COMMAND_GET_DEBUG, 0, NULL, false, NULL},
    {{"nexd", "set", "debug", "on"}, 0, COMMAND_SET_DEBUG_ON, 0, NULL, false, NULL},
    {{"nexd", "set", "debug", "off"}, 0, COMMAND_SET_DEBUG_OFF, 0, NULL, false, NULL},
    {{"nexd", "proxy", "list"}, 0, COMMAND_PROXY_LIST, 0, NULL, false, NULL},
    {{NULL}, 0, COMMAND_HELP, 0, NULL, false, NULL},
    {{"nexd", "set", "debug"}, 0, COMMAND_HELP, 0, NULL, false, NULL},
    {{"nexd", "status", "--help"}, 0, COMMAND_HELP, 0, NULL, false, NULL},
    {{"help"}, 0, COMMAND_HELP, 0, NULL, false, NULL},
    {{"nexd", "bogus"}, 3, COMMAND_HELP, 0, NULL, false, "No help topic for 'bogus'"},
    {{"bogus"}, 3, COMMAND_HELP, 0, NULL, false, "No help topic for 'bogus'"},
    {{"--output", "xml", "nexd", "status"}, 1, COMMAND_HELP, 0, NULL, false, "unknown --output option: xml"},
    {{"--output"}, 1, COMMAND_HELP, 0, NULL, false, "Incorrect Usage: flag needs an argument: --output"},
    {{"nexd", "status", "--nope"},
     1,
     COMMAND_STATUS,
     0,
     NULL,
     false,
     "Incorrect Usage: flag provided but not defined: -nope"},
    {{"nexd", "status", "--ipv6"},
     1,
     COMMAND_STATUS,
     0,
     NULL,
     false,
     "Incorrect Usage: flag provided but not defined: -ipv6"},
    {{"--unix-socket", "p", "nexd", "status"},
     1,
     COMMAND_HELP,
     0,
     NULL,
     false,
     "Incorrect Usage: flag provided but not defined: -unix-socket"},
    {{"nexd", "proxy", "add"}, 1, COMMAND_PROXY_ADD, 0, NULL, false, "No rules provided"},
    {{"nexd", "proxy", "remove"}, 1, COMMAND_PROXY_REMOVE, 0, NULL, false, "No rules provided"},
    {{"nexd", "proxy", "add", "--ingress", "r"}, 0, COMMAND_PROXY_ADD, 0, NULL, false, NULL},
    {{"nexd", "proxy", "remove", "-egress=r", "--output", "json"},
     0,
     COMMAND_PROXY_REMOVE,
     OUTPUT_JSON,
     NULL,
     false,
     NULL},
    {{"nexd", "proxy", "add", "--ingress"},
     1,
     COMMAND_PROXY_ADD,
     0,
     NULL,
     false,
     "Incorrect Usage: flag needs an argument: --ingress"},
    {{"nexd", "proxy", "list", "--ingress", "r"},
     1,
     COMMAND_PROXY_LIST,
     0,
     NULL,
     false,
     "Incorrect Usage: flag provided but not defined: -ingress"},
    {{"nexd", "status", "now"},
     1,
     COMMAND_STATUS,
     0,
     NULL,
     false,
     "Incorrect Usage: \"status\" takes no argument"},
};

START_TEST(command_lines)
{
    char *argv[WORDS_MAX + 2] = {(char *)(uintptr_t) "nexctl"}, error[COMMAND_ERROR_MAX] = "";
    int argc = 1;
    for (size_t i = 0; i < WORDS_MAX && lines[_i].words[i]; i++)
        argv[argc++] = (char *)(uintptr_t)lines[_i].words[i];
    struct command command;
    ck_assert_int_eq(command_parse(argc, argv, &command, error), lines[_i].status);
    if (lines[_i].status) {
        ck_assert_msg(strncmp(error, lines[_i].error, strlen(lines[_i].error)) == 0, "%s", error);
        command_free(&command);
        return;
    }
    ck_assert_int_eq(command.id, lines[_i].id);
    ck_assert_int_eq(command.output, lines[_i].output);
    ck_assert_pstr_eq(command.unix_socket, lines[_i].unix_socket);
    ck_assert(command.ipv6 == lines[_i].ipv6);
    ck_assert_ptr_nonnull(command.help);
    command_free(&command);
}
END_TEST

/* -- Changes of rules -- */

struct proxy_log {
    char calls[1024];
    bool gone;
};

/* A nexd that has every rule with an "x" in it already. */
static int proxy_nexd(const void *arg, const char *method, const char *rule, char **result, char *error)
{
    struct proxy_log *log = (struct proxy_log *)(uintptr_t)arg;
    if (log->gone)
        return NX_ENOENT;
    sprintf(log->calls + strlen(log->calls), "%s(%s) ", method, rule);
    if (strchr(rule, 'x')) {
        snprintf(error, RPC_ERROR_MAX, "port already in use by another proxy rule");
        return NX_EPROTO;
    }
    ck_assert_int_gt(asprintf(result, "Done: %s\n", rule), 0);
    return NX_OK;
}

START_TEST(each_rule_is_a_call_with_an_outcome_of_its_own)
{
    char *argv[] = {"nexctl", "nexd",      "proxy",      "add",      "--egress",
                    "e1",     "--ingress", "i1, ix ,i3", "--egress", "ex"};
    struct command command;
    struct proxy_log log = {.gone = false};
    char error[RPC_ERROR_MAX] = "", *text = NULL;
    size_t length = 0;
    ck_assert_int_eq(command_parse(sizeof argv / sizeof *argv, argv, &command, error), NX_OK);
    FILE *out = open_memstream(&text, &length);
    ck_assert_int_eq(proxy_change(out, &command, proxy_nexd, &log, error), NX_OK);
    fclose(out);
    ck_assert_str_eq(log.calls,
                     "ProxyAddIngress(i1) ProxyAddIngress(ix) ProxyAddIngress(i3) ProxyAddEgress(e1) "
                     "ProxyAddEgress(ex) ");
    ck_assert_str_eq(text,
                     "Done: i1\n"
                     "Error adding ingress rule (ix): Failed to execute method (ProxyAddIngress): port "
                     "already in use by another proxy rule\n\n"
                     "Done: i3\nDone: e1\n"
                     "Error adding egress rule (ex): Failed to execute method (ProxyAddEgress): port already "
                     "in use by another proxy rule\n\n");
    free(text);
    command_free(&command);
}
END_TEST

START_TEST(removing_names_itself_and_an_absent_nexd_ends_it)
{
    char *argv[] = {"nexctl", "nexd", "proxy", "remove", "--egress", "ex"};
    struct command command;
    struct proxy_log log = {.gone = false};
    char error[RPC_ERROR_MAX] = "", *text = NULL;
    size_t length = 0;
    ck_assert_int_eq(command_parse(sizeof argv / sizeof *argv, argv, &command, error), NX_OK);
    FILE *out = open_memstream(&text, &length);
    ck_assert_int_eq(proxy_change(out, &command, proxy_nexd, &log, error), NX_OK);
    log.gone = true;
    ck_assert_int_eq(proxy_change(out, &command, proxy_nexd, &log, error), NX_ENOENT);
    fclose(out);
    ck_assert_str_eq(text,
                     "Error removing egress rule (ex): Failed to execute method (ProxyRemoveEgress): port "
                     "already in use by another proxy rule\n\n");
    free(text);
    command_free(&command);
}
END_TEST

/* -- Calls -- */

static char folder[256], path[512];
static int listener;
static const char *reply; /* NULL: close at once */
static size_t reply_length;
static char received[4096];

static void *serve(void *arg)
{
    (void)arg;
    int fd = accept(listener, NULL, NULL);
    size_t length = 0;
    while (reply && !memchr(received, '\n', length)) {
        ssize_t got = recv(fd, received + length, sizeof received - 1 - length, 0);
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    received[length] = '\0';
    for (size_t sent = 0; reply && sent < reply_length;) {
        ssize_t got = send(fd, reply + sent, reply_length - sent, MSG_NOSIGNAL);
        if (got <= 0)
            break;
        sent += (size_t)got;
    }
    close(fd);
    return NULL;
}

/* `deep`: under a path that no socket address can hold. */
static void set_up_at(bool deep)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(folder, sizeof folder, "%s/nexctl-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/", folder);
    while (deep && strlen(path) < 200) {
        strcat(path, "a-folder-with-a-long-name/");
        ck_assert_int_eq(mkdir(path, 0700), 0);
    }
    char here[512];
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    ck_assert_int_eq(chdir(path), 0);
    strcpy(address.sun_path, "s");
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(listener, 4), 0);
    ck_assert_int_eq(chdir(here), 0);
    strcat(path, "s");
    received[0] = '\0';
}

static void tear_down_at(void)
{
    close(listener);
    unlink(path);
    for (char *slash; strlen(path) > strlen(folder) && (slash = strrchr(path, '/'));) {
        *slash = '\0';
        rmdir(path);
    }
}

static int call(const char *answer, size_t length, char **result, char *error)
{
    pthread_t thread;
    reply = answer;
    reply_length = length;
    ck_assert_int_eq(pthread_create(&thread, NULL, serve, NULL), 0);
    int err = rpc_call(path, "Status", "a \"b\"", result, error);
    pthread_join(thread, NULL);
    return err;
}

START_TEST(a_call_and_its_answer)
{
    static const char answer[] = "{\"id\":0,\"result\":\"Status: Running\\n\",\"error\":null}\n";
    char *result = NULL, error[RPC_ERROR_MAX];
    set_up_at(_i == 1);
    ck_assert_int_eq(call(answer, strlen(answer), &result, error), NX_OK);
    ck_assert_str_eq(result, "Status: Running\n");
    ck_assert_str_eq(received, "{\"method\":\"NexdCtl.Status\",\"params\":[\"a \\\"b\\\"\"],\"id\":0}\n");
    free(result);
    tear_down_at();
}
END_TEST

static const struct {
    const char *answer, *error;
} refusals[] = {
    {"{\"id\":0,\"result\":null,\"error\":\"rpc: can't find method\"}\n", "rpc: can't find method"},
    {"{\"id\":0,\"result\":7,\"error\":null}\n", "the answer has neither result nor error"},
    {"{}\n", "the answer has neither result nor error"},
    {"[\n", "the answer is not JSON that can be read"},
    {"no newline", "no answer: unexpected EOF"},
    {NULL, "no answer: "},
};

START_TEST(answers_that_are_none)
{
    char *result = NULL, error[RPC_ERROR_MAX] = "";
    const char *answer = refusals[_i].answer;
    set_up_at(false);
    ck_assert_int_eq(call(answer, answer ? strlen(answer) : 0, &result, error), NX_EPROTO);
    ck_assert_ptr_null(result);
    if (answer) /* who closes at once may be noticed while sending, too */
        ck_assert_msg(strncmp(error, refusals[_i].error, strlen(refusals[_i].error)) == 0, "%s", error);
    tear_down_at();
}
END_TEST

START_TEST(an_answer_without_end_is_cut_off)
{
    char *result = NULL, error[RPC_ERROR_MAX] = "", *endless = malloc(RPC_ANSWER_MAX + 100000);
    ck_assert_ptr_nonnull(endless);
    memset(endless, 'x', RPC_ANSWER_MAX + 100000);
    set_up_at(false);
    ck_assert_int_eq(call(endless, RPC_ANSWER_MAX + 100000, &result, error), NX_EPROTO);
    ck_assert_ptr_nonnull(strstr(error, "longer than"));
    tear_down_at();
    free(endless);
}
END_TEST

START_TEST(nobody_there)
{
    char *result = NULL, error[RPC_ERROR_MAX] = "";
    ck_assert_int_eq(rpc_call("/nonexistent/nexd.sock", "Status", "", &result, error), NX_ENOENT);
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_str_eq(error, "No such file or directory");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("nexctl");
    TCase *forms = tcase_create("forms");
    tcase_add_test(forms, column);
    tcase_add_test(forms, no_header);
    tcase_add_test(forms, json_and_yaml);
    tcase_add_test(forms, yaml_strings_read_back_as_themselves);
    tcase_add_test(forms, odd_peers);
    tcase_add_loop_test(forms, lists_that_are_none, 0, sizeof bad_lists / sizeof *bad_lists);
    tcase_add_loop_test(forms, command_lines, 0, sizeof lines / sizeof *lines);
    tcase_add_test(forms, each_rule_is_a_call_with_an_outcome_of_its_own);
    tcase_add_test(forms, removing_names_itself_and_an_absent_nexd_ends_it);
    suite_add_tcase(suite, forms);
    TCase *calls = tcase_create("calls");
    tcase_add_loop_test(calls, a_call_and_its_answer, 0, 2);
    tcase_add_loop_test(calls, answers_that_are_none, 0, sizeof refusals / sizeof *refusals);
    tcase_add_test(calls, an_answer_without_end_is_cut_off);
    tcase_add_test(calls, nobody_there);
    suite_add_tcase(suite, calls);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
