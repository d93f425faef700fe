/* nexd's command line as a whole. A command line is written as one string, split at blanks; "~" stands for an
 * empty argument and "_" inside an argument for a blank. */
#include "common/err.h"
#include "nexd/options.h"
#include "tests/unit/common/unit.h"

#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 64 };

static struct options options;
static char error[OPTIONS_ERROR_MAX];
static char *no_environment[] = {NULL};

static int parse(const char *line, char **envp)
{
    char copy[4096], *argv[ARGUMENTS_MAX + 1] = {"nexd"}, *rest = NULL;
    int argc = 1;
    ck_assert_uint_lt(strlen(line), sizeof(copy));
    strcpy(copy, line);
    for (char *at = strtok_r(copy, " ", &rest); at != NULL && argc < ARGUMENTS_MAX;
         at = strtok_r(NULL, " ", &rest)) {
        for (char *blank = at; (blank = strchr(blank, '_')) != NULL;)
            *blank = ' ';
        argv[argc++] = strcmp(at, "~") == 0 ? at + 1 : at;
    }
    return options_parse(argc, argv, envp, &options, error);
}

static void parse_ok(const char *line)
{
    ck_assert_msg(parse(line, no_environment) == NX_OK, "%s", error);
}

static void assert_rules(const char *expected)
{
    char all[1024] = "", text[RULE_TEXT_MAX];
    for (size_t i = 0; i < options.rule_count; i++) {
        strcat(all, i == 0 ? "" : " ");
        strcat(all, options.rules[i].direction == RULE_INGRESS ? "in " : "out ");
        strcat(all, rule_format(&options.rules[i], text));
    }
    ck_assert_str_eq(all, expected);
    options_free(&options);
    ck_assert_ptr_eq(options.rules, NULL);
}

START_TEST(proxy_with_rules)
{
    parse_ok("--wireguard-config wg0.conf proxy --ingress tcp:1:a:2 -egress=UDP:3:[::1]:4 --ingress "
             "tcp:5:b:6,_udp:5:c:6_"
             " --egress tcp:7:d:8");
    ck_assert_int_eq((int)options.command, (int)OPTIONS_PROXY);
    ck_assert_str_eq(options.wireguard_config, "wg0.conf");
    ck_assert_int_eq(options.listen_port, -1);
    ck_assert_int_eq(options.log_level, LOG_LEVEL_INFO);
    ck_assert_int_eq(options.sandbox, SANDBOX_STRICT);
    ck_assert_int_eq(options.congestion_control, IPC_CONGESTION_BBR);
    assert_rules("out udp:3:[::1]:4 out tcp:7:d:8 in tcp:1:a:2 in tcp:5:b:6 in udp:5:c:6");
}
END_TEST

START_TEST(metrics_need_an_address_and_a_port)
{
    char text[NETSOCK_TEXT_MAX];
    parse_ok("--wireguard-config w proxy");
    ck_assert_int_eq(options.metrics_listen.addr.family, NETADDR_NONE);
    parse_ok("--wireguard-config w --metrics-listen [::1]:9586 proxy");
    ck_assert_str_eq(netsock_format(&options.metrics_listen, text), "[::1]:9586");
    static const char *const wrong[] = {":9586",     "9586",        "localhost:9586",
                                        "127.0.0.1", "127.0.0.1:0", "::1:9586"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        char line[128];
        snprintf(line, sizeof(line), "--wireguard-config w --metrics-listen %s proxy", wrong[i]);
        ck_assert_int_eq(parse(line, no_environment), NX_EINVAL);
        ck_assert_ptr_nonnull(strstr(error, "example: --metrics-listen 127.0.0.1:9586"));
    }
}
END_TEST

START_TEST(a_group_is_a_name_or_a_number)
{
    parse_ok("--wireguard-config w proxy");
    ck_assert_int_eq(options.unix_socket_group, -1);
    parse_ok("--wireguard-config w proxy --unix-socket-group 64987");
    ck_assert_int_eq(options.unix_socket_group, 64987);
    parse_ok("--wireguard-config w proxy --unix-socket-group root");
    ck_assert_int_eq(options.unix_socket_group, 0);
    ck_assert_int_eq(parse("--wireguard-config w proxy --unix-socket-group no-such", no_environment),
                     NX_EINVAL);
    ck_assert_str_eq(error, "--unix-socket-group \"no-such\": there is no such group; example: "
                            "--unix-socket-group nexd");
    ck_assert_int_eq(parse("--wireguard-config w proxy --unix-socket-group 4294967295", no_environment),
                     NX_EINVAL);
    ck_assert_int_eq(parse("--wireguard-config w proxy --unix-socket-group -1", no_environment), NX_EINVAL);
}
END_TEST

START_TEST(ports_of_the_proxy_protocol_are_those_of_tcp_ingress_rules)
{
    parse_ok("--wireguard-config w --proxy-protocol 80,_81_ proxy --ingress tcp:80:a:1,udp:80:a:1 "
             "--proxy-protocol=65535 --egress udp:81:a:1");
    unsigned count = 0;
    for (unsigned port = 0; port <= UINT16_MAX; port++)
        count += port_set_has(&options.proxy_protocol, (uint16_t)port);
    ck_assert_uint_eq(count, 3);
    ck_assert(port_set_has(&options.proxy_protocol, 80) && port_set_has(&options.proxy_protocol, 81) &&
              port_set_has(&options.proxy_protocol, 65535));
    options_free(&options);
    char *envp[] = {"NEXD_WIREGUARD_CONFIG=w", "NEXD_PROXY_PROTOCOL=80,81", NULL};
    ck_assert_int_eq(parse("proxy", envp), NX_OK);
    ck_assert(port_set_has(&options.proxy_protocol, 80) && port_set_has(&options.proxy_protocol, 81));
    ck_assert_int_eq(parse("proxy --proxy-protocol 82", envp), NX_OK);
    ck_assert(!port_set_has(&options.proxy_protocol, 80) && port_set_has(&options.proxy_protocol, 82));
    char *bad[] = {"NEXD_WIREGUARD_CONFIG=w", "NEXD_PROXY_PROTOCOL=80 81", NULL};
    ck_assert_int_eq(parse("proxy", bad), NX_EINVAL);
    ck_assert_str_eq(error,
                     "NEXD_PROXY_PROTOCOL \"80 81\": must be the listen port of a TCP ingress rule, from "
                     "1 to 65535; example: NEXD_PROXY_PROTOCOL=8080");
}
END_TEST

START_TEST(global_flags_stand_on_both_sides)
{
    parse_ok("--listen-port 0 proxy --wireguard-config w --sandbox best-effort --state-dir /s --log-level "
             "warn --congestion-control cubic");
    ck_assert_int_eq(options.listen_port, 0);
    ck_assert_str_eq(options.wireguard_config, "w");
    ck_assert_int_eq(options.sandbox, SANDBOX_BEST_EFFORT);
    ck_assert_int_eq(options.congestion_control, IPC_CONGESTION_CUBIC);
    ck_assert_int_eq(options.log_level, LOG_LEVEL_WARN);
    ck_assert_str_eq(options.state_dir, "/s");
    ck_assert(options.state_dir_given && !options.unix_socket_given);
    parse_ok("--unix-socket /u --wireguard-config w proxy");
    ck_assert_str_eq(options.unix_socket, "/u");
    ck_assert(options.unix_socket_given);
    ck_assert_uint_eq(options.rule_count, 0);
}
END_TEST

START_TEST(rules_with_one_listener_and_other_destinations)
{
    parse_ok(
        "--wireguard-config w proxy --ingress tcp:1:a:2,tcp:1:b:2,tcp:1:a:3,udp:1:a:2 --egress tcp:1:a:2");
    ck_assert_uint_eq(options.rule_count, 5);
    options_free(&options);
}
END_TEST

static const struct {
    const char *line;
    enum options_command command, topic;
} asked[] = {
    {"version", OPTIONS_VERSION, OPTIONS_HELP},
    {"--version", OPTIONS_VERSION, OPTIONS_HELP},
    {"--log-level debug version", OPTIONS_VERSION, OPTIONS_HELP},
    {"help", OPTIONS_HELP, OPTIONS_HELP},
    {"-h", OPTIONS_HELP, OPTIONS_HELP},
    {"--help", OPTIONS_HELP, OPTIONS_HELP},
    {"help help", OPTIONS_HELP, OPTIONS_HELP},
    {"help proxy", OPTIONS_HELP, OPTIONS_PROXY},
    {"help version", OPTIONS_HELP, OPTIONS_VERSION},
    {"proxy help", OPTIONS_HELP, OPTIONS_PROXY},
    {"proxy -h", OPTIONS_HELP, OPTIONS_PROXY},
    {"proxy --ingress tcp:1:a:2 --help --nonsense", OPTIONS_HELP, OPTIONS_PROXY},
    {"version --help", OPTIONS_HELP, OPTIONS_VERSION},
    {"--listen-port 1 --help", OPTIONS_HELP, OPTIONS_HELP},
};

START_TEST(help_and_version)
{
    char *bad_environment[] = {"NEXD_LISTEN_PORT=x", NULL}; /* must not matter here */
    ck_assert_msg(parse(asked[_i].line, bad_environment) == NX_OK, "%s: %s", asked[_i].line, error);
    ck_assert_int_eq((int)options.command, (int)asked[_i].command);
    ck_assert_int_eq((int)options.help_topic, (int)asked[_i].topic);
    options_free(&options);
}
END_TEST

static const struct {
    const char *line, *named, *example;
} refused[] = {
    {"", "no command", "nexd --reg-key-file"},
    {"--listen-port 1", "no command", "nexd --reg-key-file"},
    {"prxoy", "unknown command \"prxoy\", did you mean proxy?", "nexd proxy"},
    {"https://example.org", "no command", "nexd --reg-key-file"},
    {"help https://example.org", "unknown command \"https://example.org\"", "nexd help"},
    {"router", "unknown command \"router\", nexd proxies only", "nexd help proxy"},
    {"\x1b[2J", "unknown command \"\\x1b[2J\"", "nexd help"},
    {"~", "unknown command \"\"", "nexd help"},
    {"-", "unknown command \"-\"", "nexd help"},
    {"help nonsense", "unknown command \"nonsense\"", "nexd help"},
    {"help proxy x", "unexpected argument \"x\"", "nexd proxy --ingress"},
    {"proxy proxy", "unexpected argument \"proxy\"", "nexd proxy --ingress"},
    {"proxy tcp:1:a:2", "unexpected argument \"tcp:1:a:2\"", "--ingress tcp:8080:127.0.0.1:80"},
    {"version x", "unexpected argument \"x\"", "example"},
    {"version --ingress tcp:1:a:2", "--ingress must stand after the command proxy", "nexd proxy --ingress"},
    {"--ingress tcp:1:a:2 proxy", "--ingress must stand after", "nexd proxy --ingress"},
    {"proxy --unix-socket /x", "--unix-socket must stand before", "nexd --unix-socket /run/nexd.sock proxy"},
    {"proxy -- --ingress tcp:1:a:2", "unexpected argument \"--ingress\"", "nexd proxy"},
    {"proxy --ingres tcp:1:a:2", "unknown flag \"--ingres\", did you mean --ingress?", "--ingress tcp:8080"},
    {"proxy --advertise-cidr 1", "unknown flag \"--advertise-cidr\"", "nexd help proxy"},
    {"proxy --ingress", "--ingress needs a value", "--ingress tcp:8080:127.0.0.1:80"},
    {"proxy --ingress ~", "ingress rule \"\": it is empty", "tcp:8080:127.0.0.1:80"},
    {"proxy --ingress tcp:1:a:2,", "ingress rule \"\": it is empty", "tcp:8080:127.0.0.1:80"},
    {"proxy --egress tcp:90000:a:2", "egress rule \"tcp:90000:a:2\": the listen port",
     "tcp:8443:100.64.0.7:443"},
    {"proxy --egress tcp:1:a_b:2", "\"a b\"", "tcp:8443:100.64.0.7:443"},
    {"proxy --ingress tcp:1:999.1.1.1:9", "not an IPv4 address", "tcp:8080:127.0.0.1:80"},
    {"--wireguard-config w proxy --ingress tcp:1:a:2 --ingress TCP:01:[A]:2",
     "the ingress rule \"tcp:1:A:2\" is given twice", "once"},
    {"--wireguard-config w proxy --egress tcp:1:[::1]:2,udp:1:x:1,tcp:1:[0::1]:2", "the egress rule",
     "twice"},
    {"--wireguard-config", "--wireguard-config needs a value", "--wireguard-config /etc/wireguard/wg0.conf"},
    {"--wireguard-config= proxy", "must not be empty", "--wireguard-config /etc/wireguard/wg0.conf"},
    {"--listen-port 65536 proxy", "--listen-port \"65536\"", "--listen-port 51820"},
    {"--listen-port -1 proxy", "--listen-port \"-1\"", "--listen-port 51820"},
    {"--report-version=2024.07.01-é proxy", "--report-version", "--report-version dev"},
    {"--congestion-control reno proxy", "--congestion-control \"reno\": must be bbr or cubic",
     "--congestion-control cubic"},
    {"--proxy-protocol 0 proxy", "--proxy-protocol \"0\": must be the listen port of a TCP ingress rule",
     "--proxy-protocol 8080"},
    {"--proxy-protocol 65536 proxy", "\"65536\"", "--proxy-protocol 8080"},
    {"--proxy-protocol 80, proxy", "--proxy-protocol \"\"", "--proxy-protocol 8080"},
    {"--proxy-protocol 80-90 proxy", "\"80-90\"", "--proxy-protocol 8080"},
    {"--proxy-protocol +80 proxy", "\"+80\"", "--proxy-protocol 8080"},
    {"--proxy-protocol http proxy", "\"http\"", "--proxy-protocol 8080"},
    {"--proxy-protocol tcp:80:a:1 proxy", "\"tcp:80:a:1\"", "--proxy-protocol 8080"},
    {"--proxy-protocol 18446744073709551697 proxy", "\"18446744073709551697\"", "--proxy-protocol 8080"},
    {"proxy --proxy-protocol 80,81 --proxy-protocol 080", "\"080\": is given twice", "--proxy-protocol 8080"},
    {"--wireguard-config w proxy --ingress udp:53:a:53,tcp:80:a:80 --egress tcp:53:a:53 --proxy-protocol "
     "80,53",
     "--proxy-protocol \"53\": the ingress rule \"udp:53:a:53\" is UDP", "--proxy-protocol 8080"},
    {"--sandbox off proxy", "--sandbox \"off\": must be strict or best-effort", "--sandbox best-effort"},
    {"--log-level trace proxy", "--log-level \"trace\"", "--log-level info"},
};

START_TEST(errors_are_one_line_with_an_example)
{
    ck_assert_msg(parse(refused[_i].line, no_environment) == NX_EINVAL, "accepted: %s", refused[_i].line);
    ck_assert_msg(strstr(error, refused[_i].named) != NULL, "no \"%s\" in: %s", refused[_i].named, error);
    ck_assert_msg(strstr(error, refused[_i].example) != NULL, "no \"%s\" in: %s", refused[_i].example, error);
    for (const char *at = error; *at != '\0'; at++)
        ck_assert((unsigned char)*at >= 0x20);
    ck_assert_ptr_eq(options.rules, NULL);
}
END_TEST

START_TEST(the_environment)
{
    char *envp[] = {"NEXD_WIREGUARD_CONFIG=env.conf", "NEXD_LISTEN_PORT=4000", "NEXD_STATE_DIR=/st",
                    "NEXD_SANDBOX=best-effort", NULL};
    ck_assert_msg(parse("proxy --listen-port 5000", envp) == NX_OK, "%s", error);
    ck_assert_str_eq(options.wireguard_config, "env.conf");
    ck_assert_int_eq(options.listen_port, 5000);
    ck_assert_str_eq(options.state_dir, "/st");
    ck_assert_int_eq(options.sandbox, SANDBOX_BEST_EFFORT);
    char *bad[] = {"NEXD_WIREGUARD_CONFIG=w", "NEXD_LISTEN_PORT=70000", NULL};
    ck_assert_int_eq(parse("proxy", bad), NX_EINVAL);
    ck_assert_str_eq(
        error,
        "NEXD_LISTEN_PORT \"70000\": must be a number from 0 to 65535; example: NEXD_LISTEN_PORT=51820");
    ck_assert_int_eq(parse("proxy --listen-port 1", bad), NX_OK);
    char *empty[] = {"NEXD_WIREGUARD_CONFIG=", NULL};
    ck_assert_int_eq(parse("proxy", empty), NX_OK);
    ck_assert_str_eq(options.wireguard_config, "");
}
END_TEST

static const struct {
    char *variable;
    enum log_level level;
} levels[] = {
    {"NEXD_LOGLEVEL=", LOG_LEVEL_INFO},
    {"NEXD_LOGLEVEL=debug", LOG_LEVEL_DEBUG},
    {"NEXD_LOGLEVEL=info", LOG_LEVEL_INFO},
    {"NEXD_LOGLEVEL=WARN", LOG_LEVEL_WARN},
    {"NEXD_LOGLEVEL=error", LOG_LEVEL_ERROR},
    {"NEXD_LOGLEVEL=fatal", LOG_LEVEL_FATAL},
    {"NEXD_LOGLEVEL=1", LOG_LEVEL_DEBUG},
    {"NEXD_LOGLEVEL=please", LOG_LEVEL_DEBUG},
    {"OTHER=1", LOG_LEVEL_INFO},
};

START_TEST(log_level_from_the_environment)
{
    char *envp[] = {levels[_i].variable, NULL};
    ck_assert_int_eq(parse("--wireguard-config w proxy", envp), NX_OK);
    ck_assert_int_eq((int)options.log_level, (int)levels[_i].level);
    ck_assert_int_eq(parse("--wireguard-config w proxy --log-level error", envp), NX_OK);
    ck_assert_int_eq((int)options.log_level, (int)LOG_LEVEL_ERROR);
}
END_TEST

START_TEST(default_paths)
{
    char *home[] = {"HOME=/home/x", NULL}, *strange[] = {"HOME=relative", NULL};
    const bool was_root = geteuid() == 0;
    if (was_root) {
        ck_assert_int_eq(parse("--wireguard-config w proxy", home), NX_OK);
        ck_assert_str_eq(options.unix_socket, "/var/run/nexd.sock");
        ck_assert_str_eq(options.state_dir, "/var/lib/nexd");
        ck_assert_int_eq(seteuid(65534), 0); /* in this test's own process */
    }
    ck_assert_int_eq(parse("--wireguard-config w proxy", home), NX_OK);
    ck_assert_str_eq(options.unix_socket, "/home/x/.nexodus/nexd.sock");
    ck_assert_str_eq(options.state_dir, "/home/x/.nexodus");
    ck_assert_int_eq(parse("--wireguard-config w proxy", strange), NX_OK);
    ck_assert_str_eq(options.unix_socket, "");
    ck_assert_int_eq(parse("--wireguard-config w proxy", no_environment), NX_OK);
    ck_assert_str_eq(options.state_dir, "");
    char far[300] = "HOME=/";
    memset(far + 6, 'h', sizeof(far) - 7);
    char *long_home[] = {far, NULL};
    ck_assert_int_eq(parse("--wireguard-config w proxy", long_home), NX_OK);
    ck_assert_str_eq(options.unix_socket, ""); /* rather than cut short */
    ck_assert_uint_eq(strlen(options.state_dir), strlen(far) - 5 + strlen("/.nexodus"));
    if (was_root) { /* a leak checker wants to look into this process when it ends */
        ck_assert_int_eq(seteuid(0), 0);
        ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1), 0);
    }
}
END_TEST

START_TEST(a_hundred_thousand_rules)
{
    enum { RULES = 100000 };
    char *const list = malloc((size_t)RULES * 24 + 64);
    size_t at = 0;
    for (unsigned i = 0; i < RULES; i++)
        at += (size_t)sprintf(list + at, "tcp:80:10.%u.%u.%u:90,", i >> 16, i >> 8 & 255, i & 255);
    list[at - 1] = '\0';
    char *argv[] = {"nexd",     "--wireguard-config", "w", "proxy", "--egress", list,
                    "--egress", "tcp:80:10.1.1.1:90", NULL};
    ck_assert_msg(options_parse(6, argv, no_environment, &options, error) == NX_OK, "%s", error);
    ck_assert_uint_eq(options.rule_count, RULES);
    options_free(&options);
    ck_assert_int_eq(options_parse(8, argv, no_environment, &options, error), NX_EINVAL);
    ck_assert_ptr_ne(strstr(error, "\"tcp:80:10.1.1.1:90\" is given twice"), NULL);
    free(list);
}
END_TEST

START_TEST(help_shows_rules_and_variables)
{
    static const char *const words[] = {"--ingress RULE",        "--egress RULE",    "--unix-socket PATH",
                                        "NEXD_WIREGUARD_CONFIG", "NEXD_LISTEN_PORT", "NEXD_STATE_DIR",
                                        "NEXD_SANDBOX",          "NEXD_LOGLEVEL",    "tcp:8080:127.0.0.1:80"};
    static const enum options_command topics[] = {OPTIONS_HELP, OPTIONS_PROXY, OPTIONS_VERSION,
                                                  OPTIONS_CHECK};
    for (size_t topic = 0; topic < 4; topic++) {
        char *text = NULL;
        size_t length = 0;
        FILE *const stream = open_memstream(&text, &length);
        options_usage(stream, topics[topic]);
        ck_assert_int_eq(fclose(stream), 0);
        ck_assert_uint_gt(length, 20);
        for (size_t i = 0; topics[topic] == OPTIONS_PROXY && i < sizeof(words) / sizeof(words[0]); i++)
            ck_assert_msg(strstr(text, words[i]) != NULL, "help does not mention %s", words[i]);
        for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
            ck_assert_msg(strcspn(line, "\n") <= 90, "too wide: %.100s", line);
        free(text);
    }
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, proxy_with_rules);
    tcase_add_test(tcase, metrics_need_an_address_and_a_port);
    tcase_add_test(tcase, a_group_is_a_name_or_a_number);
    tcase_add_test(tcase, ports_of_the_proxy_protocol_are_those_of_tcp_ingress_rules);
    tcase_add_test(tcase, global_flags_stand_on_both_sides);
    tcase_add_test(tcase, rules_with_one_listener_and_other_destinations);
    tcase_add_loop_test(tcase, help_and_version, 0, sizeof(asked) / sizeof(asked[0]));
    tcase_add_loop_test(tcase, errors_are_one_line_with_an_example, 0, sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(tcase, the_environment);
    tcase_add_loop_test(tcase, log_level_from_the_environment, 0, sizeof(levels) / sizeof(levels[0]));
    tcase_add_test(tcase, default_paths);
    tcase_add_test(tcase, a_hundred_thousand_rules);
    tcase_add_test(tcase, help_shows_rules_and_variables);
}

int main(void)
{
    return unit_run("options", fill);
}
