/* Command lines from arbitrary text: a line for each argument; lines after an empty one are the environment.
 */
#include "common/err.h"
#include "nexd/options.h"
#include "tests/fuzz/fuzz_input.h"

enum { WORDS_MAX = 256 };

/* Static mode, or a network that can be joined: never both, and no wish that the key excludes. */
static void check_network(const struct options *options)
{
    const struct options_network *network = &options->network;
    const bool has_key = network->reg_key[0] != '\0' || network->reg_key_file[0] != '\0';
    if (options->wireguard_config[0] != '\0') {
        fuzz_require(options_network_given(network) == NULL);
        return;
    }
    fuzz_require(network->positional_count <= 1);
    fuzz_require(!has_key || (network->vpc_id[0] == '\0' && network->security_group_id[0] == '\0'));
    fuzz_require(network->stun_server_count != 1 && network->stun_server_count <= NETWORK_STUN_SERVERS_MAX);
    for (size_t i = 0; i < network->stun_server_count; i++)
        fuzz_require(network->stun_servers[i].host[0] != '\0' && network->stun_servers[i].port != 0);
    fuzz_require(network->request_ip.family != NETADDR_V6);
    fuzz_require(network->password[0] == '\0' || network->username[0] != '\0');
    fuzz_require(network->https_proxy[0] == '\0' || network->https_proxy_outlet.port != 0);
    fuzz_require(!options->exit_node_client);
}

static void ignore(void *arg, const char *message)
{
    (void)arg, (void)message;
}

static void check_accepted(const struct options *options)
{
    if (options->command == OPTIONS_PROXY || options->command == OPTIONS_CHECK)
        check_network(options);
    fuzz_require(options->listen_port >= -1 && options->listen_port <= 65535);
    fuzz_require(options->log_level <= LOG_LEVEL_FATAL && options->sandbox <= SANDBOX_BEST_EFFORT);
    bool seen_ingress = false;
    fuzz_require(!port_set_has(&options->proxy_protocol, 0));
    for (size_t i = 0; i < options->rule_count; i++) {
        seen_ingress = seen_ingress || options->rules[i].direction == RULE_INGRESS;
        fuzz_require(!seen_ingress || options->rules[i].direction == RULE_INGRESS);
        for (size_t j = 0; j < i && j < 64; j++)
            fuzz_require(options->command != OPTIONS_PROXY ||
                         !rule_equal(&options->rules[i], &options->rules[j]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    char *const text = fuzz_string(bytes, length), *argv[WORDS_MAX + 2] = {"nexd"},
                *envp[WORDS_MAX + 1] = {NULL};
    char error[OPTIONS_ERROR_MAX], *rest = text;
    int argc = 1, env_count = 0;
    bool in_environment = false;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        if (!in_environment && line[0] == '\0')
            in_environment = true;
        else if (in_environment && env_count < WORDS_MAX)
            envp[env_count++] = line;
        else if (!in_environment && argc <= WORDS_MAX)
            argv[argc++] = line;
    }
    struct options options;
    if (options_parse(argc, argv, envp, &options, error) == NX_OK) {
        check_accepted(&options);
        options_free(&options);
        options_variables_check(envp, ignore, NULL);
    } else {
        fuzz_require_message(error, sizeof(error));
        fuzz_require(options.rules == NULL);
    }
    free(text);
    return 0;
}
