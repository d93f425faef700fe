/* Options about a control plane's network: what each flag and variable leaves, what excludes what, and that
 * no error shows a secret. */
#include "common/err.h"
#include "nexd/options_table.h"
#include "nexd/proxy_url.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { ARGUMENTS_MAX = 32 };

static char error[OPTIONS_ERROR_MAX];
static struct options options;
static char *no_environment[] = {NULL};

/* `line` is split at blanks. */
static int parse(const char *line, char **envp)
{
    static char copy[8192];
    static char program[] = "nexd";
    char *argv[ARGUMENTS_MAX + 2] = {program}, *save = NULL;
    int argc = 1;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok_r(copy, " ", &save); word && argc <= ARGUMENTS_MAX;
         word = strtok_r(NULL, " ", &save))
        argv[argc++] = word;
    return options_parse(argc, argv, envp, &options, error);
}

static const struct options_network *parse_ok(const char *line, char **envp)
{
    ck_assert_msg(parse(line, envp) == NX_OK, "%s: %s", line, error);
    return &options.network;
}

#define UUID "1756da01-fd11-4fce-900c-52dd8a4ceaaa"

START_TEST(each_flag_is_read)
{
    const struct options_network *network = parse_ok(
        "--service-url https://nexodus.example:8443 --username kitteh1 --password-file /p --vpc-id "
        "1756DA01-FD11-4FCE-900C-52DD8A4CEAAA --security-group-id " UUID
        " --insecure-skip-tls-verify --relay-only=true --request-ip 100.64.0.9 --local-endpoint-ip ::2 "
        "--ca-file /ca --stun-server a.example:1 --exit-node-client=false proxy --stun-server "
        "192.0.2.1:2,[2001:db8::1]:3",
        no_environment);
    char text[NETADDR_TEXT_MAX];
    ck_assert_str_eq(network->service_url, "https://nexodus.example:8443");
    ck_assert_str_eq(network->username, "kitteh1");
    ck_assert_str_eq(network->password_file, "/p");
    ck_assert_str_eq(network->vpc_id, UUID);
    ck_assert_str_eq(network->security_group_id, UUID);
    ck_assert(network->insecure_skip_tls_verify && network->relay_only);
    ck_assert_str_eq(netaddr_format(&network->request_ip, text), "100.64.0.9");
    ck_assert_str_eq(netaddr_format(&network->local_endpoint_ip, text), "::2");
    ck_assert_str_eq(network->ca_file, "/ca");
    ck_assert_uint_eq(network->stun_server_count, 3);
    ck_assert_str_eq(network->stun_servers[0].host, "a.example");
    ck_assert_uint_eq(network->stun_servers[1].port, 2);
    ck_assert_str_eq(network->stun_servers[2].host, "2001:db8::1");
    ck_assert_ptr_null(network->secret_argument);
    options_free(&options);
}
END_TEST

START_TEST(each_variable_is_read)
{
    char *envp[] = {"NEXD_REG_KEY=https://nexodus.example#RK:a",
                    "NEXD_STUN_SERVER= a:1 , b:2",
                    "NEXD_RELAY_ONLY=T",
                    "NEXD_REQUESTED_IP=100.64.0.1",
                    "NEXD_LOCAL_ENDPOINT_IP=192.0.2.1",
                    "NEXD_INSECURE_SKIP_TLS_VERIFY=0",
                    "NEXD_CA_FILE=/ca",
                    NULL};
    const struct options_network *network = parse_ok("proxy", envp);
    ck_assert_str_eq(network->reg_key, "https://nexodus.example#RK:a");
    ck_assert_uint_eq(network->stun_server_count, 2);
    ck_assert_str_eq(network->stun_servers[1].host, "b");
    ck_assert(network->relay_only && !network->insecure_skip_tls_verify);
    ck_assert_uint_eq(network->request_ip.family, NETADDR_V4);
    ck_assert_uint_eq(network->local_endpoint_ip.family, NETADDR_V4);
    ck_assert_ptr_null(network->secret_argument);
    options_free(&options);
    char *user[] = {"NEXD_USERNAME=u",
                    "NEXD_PASSWORD=p",
                    "NEXD_VPC_ID=" UUID,
                    "NEXAPI_SECURITY_GROUP_ID=" UUID,
                    "NEXD_SERVICE_URL=https://a.example",
                    NULL};
    network = parse_ok("proxy", user);
    ck_assert_str_eq(network->password, "p");
    ck_assert_str_eq(network->security_group_id, UUID);
    ck_assert_str_eq(network->service_url, "https://a.example");
    options_free(&options);
}
END_TEST

/* The Nexodus agent's, and two of ours for its secrets. */
static const struct {
    const char *flag, *variable;
} general[] = {
    {"service-url", "NEXD_SERVICE_URL"},
    {"reg-key", "NEXD_REG_KEY"},
    {"reg-key-file", "NEXD_REG_KEY_FILE"},
    {"username", "NEXD_USERNAME"},
    {"password", "NEXD_PASSWORD"},
    {"password-file", "NEXD_PASSWORD_FILE"},
    {"vpc-id", "NEXD_VPC_ID"},
    {"security-group-id", "NEXAPI_SECURITY_GROUP_ID"},
    {"insecure-skip-tls-verify", "NEXD_INSECURE_SKIP_TLS_VERIFY"},
    {"state-dir", "NEXD_STATE_DIR"},
    {"stun-server", "NEXD_STUN_SERVER"},
    {"listen-port", "NEXD_LISTEN_PORT"},
    {"request-ip", "NEXD_REQUESTED_IP"},
    {"local-endpoint-ip", "NEXD_LOCAL_ENDPOINT_IP"},
    {"relay-only", "NEXD_RELAY_ONLY"},
    {"exit-node-client", "NEXD_EXIT_NODE_CLIENT"},
    {"unix-socket", NULL},
};

START_TEST(each_general_flag_has_its_variable_and_is_named_where_it_is_mistyped)
{
    const char *const name = general[_i].flag, *variable = "no such flag";
    char line[128], wanted[128];
    for (size_t i = 0; i < options_flag_count; i++)
        if (strcmp(options_flags[i].name, name) == 0)
            variable = options_flags[i].environment;
    if (general[_i].variable)
        ck_assert_str_eq(variable, general[_i].variable);
    else
        ck_assert_ptr_null(variable);
    snprintf(line, sizeof line, "--%.*s=x proxy", (int)strlen(name) - 1, name);
    snprintf(wanted, sizeof wanted, "did you mean --%s?", name);
    ck_assert_int_eq(parse(line, no_environment), NX_EINVAL);
    ck_assert_msg(strstr(error, wanted) != NULL, "%s: %s", line, error);
}
END_TEST

START_TEST(files_of_secrets_port_and_folder_come_from_variables)
{
    char *by_key[] = {"NEXD_REG_KEY_FILE=/k", "NEXD_STATE_DIR=/s", "NEXD_LISTEN_PORT=51821", NULL};
    ck_assert_str_eq(parse_ok("proxy", by_key)->reg_key_file, "/k");
    ck_assert(options.state_dir_given);
    ck_assert_str_eq(options.state_dir, "/s");
    ck_assert_int_eq(options.listen_port, 51821);
    char *by_user[] = {"NEXD_USERNAME=u", "NEXD_PASSWORD_FILE=/p", "NEXD_EXIT_NODE_CLIENT=0", NULL};
    ck_assert_str_eq(parse_ok("proxy", by_user)->password_file, "/p");
    static char *const beyond[] = {"NEXD_LISTEN_PORT=70000", "NEXD_LISTEN_PORT=-1"};
    for (size_t i = 0; i < 2; i++) {
        char *bad[] = {beyond[i], NULL};
        ck_assert_int_eq(parse("proxy", bad), NX_EINVAL);
        ck_assert_msg(strstr(error, "NEXD_LISTEN_PORT") != NULL, "%s", error);
    }
}
END_TEST

START_TEST(secrets_on_the_command_line_are_noted)
{
    ck_assert_str_eq(parse_ok("--reg-key RK:a proxy", no_environment)->secret_argument, "reg-key");
    ck_assert_str_eq(parse_ok("--username u --password x proxy", no_environment)->secret_argument,
                     "password");
}
END_TEST

START_TEST(the_deprecated_argument)
{
    const struct options_network *network = parse_ok("proxy https://a.example", no_environment);
    ck_assert_uint_eq(network->positional_count, 1);
    ck_assert_str_eq(network->positional[0], "https://a.example");
    network = parse_ok("https://a.example proxy", no_environment);
    ck_assert_str_eq(network->positional[0], "https://a.example");
}
END_TEST

static const struct {
    const char *line, *named;
} refused[] = {
    {"--service-url https://a.example proxy https://a.example", "please remove the service URL positional"},
    {"proxy https://a.example https://b.example", "nexd only takes one positional argument"},
    {"proxy https://a.example rest", "nexd only takes one positional argument"},
    {"--service-url http://a.example proxy", "'https://' URL scheme is required"},
    {"--service-url nexodus.example proxy", "'https://' URL scheme is required"},
    {"--service-url https:// proxy", "--service-url=https://"},
    {"--service-url https://%zz proxy", "invalid URL escape"},
    {"--service-url https://a.example:0 proxy", "port"},
    {"--reg-key RK:a --security-group-id " UUID " proxy",
     "the --reg-key and --security-group-id flags are mutually exclusive"},
    {"--reg-key RK:a --vpc-id " UUID " proxy", "the --reg-key and --vpc-id flags are mutually exclusive"},
    {"--reg-key-file /k --vpc-id " UUID " proxy", "the --reg-key and --vpc-id flags are mutually exclusive"},
    {"--service-url https://a.example --reg-key https://a.example/#RK:a proxy",
     "the --reg-key and --service-url flags are mutually exclusive"},
    {"--reg-key RK:a --reg-key-file /k proxy", "--reg-key-file flags are mutually exclusive"},
    {"--username u --password x --password-file /p proxy", "--password-file flags are mutually exclusive"},
    {"--password-file /p proxy", "a password needs a user"},
    {"--wireguard-config w --reg-key RK:a proxy", "the --wireguard-config and --reg-key flags"},
    {"--wireguard-config w --service-url https://a.example proxy", "--service-url flags"},
    {"--wireguard-config w proxy https://a.example", "--service-url flags"},
    {"--vpc-id xyz proxy", "--vpc-id \"xyz\": is not a UUID"},
    {"--vpc-id 1756da01-fd11-4fce-900c-52dd8a4ceaa proxy", "is not a UUID"},
    {"--vpc-id 1756da01xfd11-4fce-900c-52dd8a4ceaaa proxy", "is not a UUID"},
    {"--vpc-id 1756da01-fd11-4fce-900c-52dd8a4ceaag proxy", "is not a UUID"},
    {"--security-group-id " UUID "a proxy", "is not a UUID"},
    {"--stun-server a:1 proxy", "at least two stun servers are required"},
    {"--stun-server a,b proxy", "--stun-server \"a\": must be HOST:PORT"},
    {"--stun-server a:1,b:0 proxy", "must be HOST:PORT"},
    {"--stun-server a:1,::1:3 proxy", "must be HOST:PORT"},
    {"--stun-server a:1,,b:1 proxy", "must be HOST:PORT"},
    {"--stun-server a:1,a:2,a:3,a:4,a:5,a:6,a:7,a:8,a:9,a:10,a:11,a:12,a:13,a:14,a:15,a:16,a:17 proxy",
     "16 at most"},
    {"--request-ip x proxy", "--request-ip \"x\": is not a valid IP address"},
    {"--request-ip 2001:db8::1 proxy", "only IPv4 addresses are supported"},
    {"--local-endpoint-ip 1.2.3 proxy", "is not a valid IP address"},
    {"--relay-only=maybe proxy", "must be true or false"},
    {"--exit-node-client proxy", "nexd proxies only"},
    {"--reg-kye RK:a proxy", "did you mean --reg-key?"},
    {"--servce-url x proxy", "did you mean --service-url?"},
};

START_TEST(what_makes_no_sense_is_refused_in_one_line)
{
    ck_assert_msg(parse(refused[_i].line, no_environment) == NX_EINVAL, "%s", refused[_i].line);
    ck_assert_msg(strstr(error, refused[_i].named) != NULL, "%s: %s", refused[_i].line, error);
    ck_assert_ptr_null(strchr(error, '\n'));
}
END_TEST

START_TEST(no_error_shows_a_secret)
{
    static char big[OPTIONS_REG_KEY_MAX + 64];
    char variable[sizeof big + 16];
    memset(big, 'k', sizeof big - 1);
    snprintf(variable, sizeof variable, "NEXD_REG_KEY=%s", big);
    char *too_long[] = {variable, NULL};
    ck_assert_int_eq(parse("proxy", too_long), NX_EINVAL);
    ck_assert_ptr_null(strstr(error, "kkk"));
    static const char *const lines[] = {"--reg-key https://a.example#se%zzcret proxy",
                                        "--reg-key http://a.example#secret proxy",
                                        "--service-url https://a --reg-key https://a.example#secret proxy",
                                        "--password=secret proxy", "--username= --password=secret proxy"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        ck_assert_msg(parse(lines[i], no_environment) == NX_EINVAL, "%s", lines[i]);
        ck_assert_msg(strstr(error, "cret") == NULL, "%s", error);
    }
}
END_TEST

/* -- The operator's proxy -- */

START_TEST(proxies_of_the_environment)
{
    char *envp[] = {"HTTPS_PROXY=", "https_proxy=proxy.example:3128", "no_proxy=.example.org,127.0.0.1",
                    NULL};
    const struct options_network *network = parse_ok("proxy", envp);
    ck_assert_str_eq(network->https_proxy, "http://proxy.example:3128");
    ck_assert_str_eq(network->https_proxy_outlet.host, "proxy.example");
    ck_assert_uint_eq(network->https_proxy_outlet.port, 3128);
    ck_assert_uint_eq(network->https_proxy_outlet.kind, IPC_OUTLET_PROXY);
    ck_assert_str_eq(network->no_proxy, ".example.org,127.0.0.1");
    char *bad[] = {"HTTPS_PROXY=socks5://u:secret@h:1", NULL};
    ck_assert_int_eq(parse("proxy", bad), NX_EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "HTTPS_PROXY: the proxy must be an http:// or https:// one"));
    ck_assert_ptr_null(strstr(error, "secret"));
    ck_assert_msg(parse("--wireguard-config w proxy", bad) == NX_OK, "%s", error);
}
END_TEST

static const struct {
    const char *text, *whole; /* NULL: refused */
    const char *host;
    unsigned port;
} proxies[] = {
    {"h", "http://h:80", "h", 80},
    {"h:1", "http://h:1", "h", 1},
    {"http://h", "http://h:80", "h", 80},
    {"HTTPS://h/", "https://h:443", "h", 443},
    {"https://u:p@h:8", "https://u:p@h:8", "h", 8},
    {"http://u:p@q:r@h:8", "http://u:p@q:r@h:8", "h", 8},
    {"http://[2001:db8::1]", "http://[2001:db8::1]:80", "2001:db8::1", 80},
    {"http://[2001:db8::1]:8", "http://[2001:db8::1]:8", "2001:db8::1", 8},
    {"192.0.2.1:8080", "http://192.0.2.1:8080", "192.0.2.1", 8080},
    {"ftp://h", NULL, NULL, 0},
    {"://h", NULL, NULL, 0},
    {"http://", NULL, NULL, 0},
    {"http://u@", NULL, NULL, 0},
    {"http://h:0", NULL, NULL, 0},
    {"http://h:65536", NULL, NULL, 0},
    {"http://h:1x", NULL, NULL, 0},
    {"http://h/path", NULL, NULL, 0},
    {"http://h?x", NULL, NULL, 0},
    {"http://h h", NULL, NULL, 0},
    {"http://h\n", NULL, NULL, 0},
    {"http://[::1", NULL, NULL, 0},
    {"http://[]", NULL, NULL, 0},
    {"http://[", NULL, NULL, 0},
    {"http://2001:db8::1", NULL, NULL, 0},
    {"http://-h", NULL, NULL, 0},
};

START_TEST(proxy_urls)
{
    char whole[128];
    struct ipc_outlet outlet;
    const char *why = proxy_url_parse(proxies[_i].text, whole, sizeof whole, &outlet);
    ck_assert_msg((why == NULL) == (proxies[_i].whole != NULL), "%s: %s", proxies[_i].text, why ? why : "");
    if (why)
        return;
    ck_assert_str_eq(whole, proxies[_i].whole);
    ck_assert_str_eq(outlet.host, proxies[_i].host);
    ck_assert_uint_eq(outlet.port, proxies[_i].port);
    ck_assert_ptr_nonnull(proxy_url_parse(proxies[_i].text, whole, 5, &outlet));
}
END_TEST

/* -- Mistyped variables -- */

static char warnings[1024];

static void note(void *arg, const char *message)
{
    (void)arg;
    strncat(warnings, message, sizeof warnings - strlen(warnings) - 1);
    strncat(warnings, "\n", sizeof warnings - strlen(warnings) - 1);
}

START_TEST(mistyped_variables_are_named)
{
    char *envp[] = {"NEXD_REG_KYE=secret",
                    "NEXD_SERVICE_UR=x",
                    "NEXD_REG_KEY=RK:a",
                    "NEXD_BUILD=/x",
                    "OTHER=1",
                    "NEXD_EXIT_NODE=true",
                    "NEXD_",
                    "NEXD",
                    NULL};
    warnings[0] = '\0';
    options_variables_check(envp, note, NULL);
    ck_assert_str_eq(warnings, "unknown variable \"NEXD_REG_KYE\", did you mean NEXD_REG_KEY?\n"
                               "unknown variable \"NEXD_SERVICE_UR\", did you mean NEXD_SERVICE_URL?\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("options of a network");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, each_flag_is_read);
    tcase_add_loop_test(tests, each_general_flag_has_its_variable_and_is_named_where_it_is_mistyped, 0,
                        sizeof general / sizeof *general);
    tcase_add_test(tests, files_of_secrets_port_and_folder_come_from_variables);
    tcase_add_test(tests, each_variable_is_read);
    tcase_add_test(tests, secrets_on_the_command_line_are_noted);
    tcase_add_test(tests, the_deprecated_argument);
    tcase_add_loop_test(tests, what_makes_no_sense_is_refused_in_one_line, 0,
                        sizeof refused / sizeof *refused);
    tcase_add_test(tests, no_error_shows_a_secret);
    tcase_add_test(tests, proxies_of_the_environment);
    tcase_add_loop_test(tests, proxy_urls, 0, sizeof proxies / sizeof *proxies);
    tcase_add_test(tests, mistyped_variables_are_named);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
