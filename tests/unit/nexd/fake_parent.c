/* The parent as a program, with a configuration made up on the command line and no sandbox: what
 * test_parent.c starts. Usage: fake_parent PORT RULE_HOST…; each host gets an egress rule, the first one's
 * port is PORT. NEXD_TEST_STATE names the state folder, if there is to be one. NEXD_TEST_NETWORK: a control
 * plane's network is to be joined; its value is the device's hostname there. NEXD_TEST_POLICY: the operator's
 * policy, as text; then NEXD_TEST_CONTROL names a control socket. NEXD_TEST_VIGIL_MS: how often the children
 * are asked whether they are alive. NEXD_TEST_UNATTENDED: there never will be a control socket. */
#include "common/err.h"
#include "common/log.h"
#include "nexd/parent.h"

#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RULES_MAX = 4 };

static void signals_block(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
}

static struct network_config network;

/* No peers; two STUN servers, two outlets, a registration key and a password. */
static void network_make(const char *hostname, struct wgconf *conf)
{
    snprintf(network.network.service_url, sizeof network.network.service_url, "https://nexodus.example");
    snprintf(network.network.hostname, sizeof network.network.hostname, "%s", hostname);
    snprintf(network.network.os, sizeof network.network.os, "linux");
    network.stun_server_count = 2;
    network.outlet_count = 2;
    for (size_t i = 0; i < 2; i++) {
        network.stun_servers[i].port = (uint16_t)(3478 + i);
        snprintf(network.stun_servers[i].host, sizeof network.stun_servers[i].host, "stun.example");
        network.outlets[i].kind = (uint8_t)(i + 1);
        network.outlets[i].port = 443;
        snprintf(network.outlets[i].host, sizeof network.outlets[i].host, "%s.example", i ? "proxy" : "api");
    }
    network.ca_file = "/ca.pem";
    conf->address_count = conf->peer_count = 0;
}

static int policy_make(const char *text, struct policy **policy, struct control_socket *control)
{
    char error[POLICY_ERROR_MAX];
    _Static_assert((int)POLICY_ERROR_MAX >= (int)CONTROL_SOCKET_ERROR_MAX, "one buffer is enough");
    *policy = policy_new("P");
    if (*policy && policy_read(*policy, text, strlen(text), error) == NX_OK &&
        control_socket_open(getenv("NEXD_TEST_CONTROL"), false, control, error) == NX_OK)
        return NX_OK;
    fprintf(stderr, "%s\n", error);
    return NX_EINVAL;
}

int main(int argc, char **argv)
{
    signals_block();
    signal(SIGPIPE, SIG_IGN);
    log_init("nexd", LOG_LEVEL_DEBUG);
    if (sodium_init() < 0 || argc < 2 || argc - 1 > RULES_MAX + 1)
        return 95;
    struct rule rules[RULES_MAX] = {0};
    size_t rule_count = (size_t)argc - 2;
    for (size_t i = 0; i < rule_count; i++) {
        rules[i] = (struct rule){.direction = RULE_EGRESS,
                                 .protocol = RULE_TCP,
                                 .listen_port = (uint16_t)(atoi(argv[1]) + (int)i),
                                 .dest_port = 80};
        snprintf(rules[i].host, sizeof rules[i].host, "%s", argv[i + 2]);
    }
    struct netprefix prefixes[300] = {0};
    for (size_t i = 0; i < 300; i++)
        prefixes[i] =
            (struct netprefix){.addr = {NETADDR_V4, {10, 0, (uint8_t)(i >> 8), (uint8_t)i}}, .length = 32};
    struct wgconf_peer peers[2] = {
        {.public_key = {1},
         .preshared_key = {0xa5},
         .has_preshared_key = true,
         .endpoint_host = "one.example",
         .endpoint_port = 51820,
         .allowed = prefixes,
         .allowed_count = 300},
        {.public_key = {2}},
    };
    struct netprefix address = {.addr = {NETADDR_V4, {100, 64, 0, 1}}, .length = 32};
    struct wgconf conf = {
        .addresses = &address, .address_count = 1, .mtu = 1420, .peers = peers, .peer_count = 2};
    randombytes_buf(conf.private_key, sizeof conf.private_key);
    struct parent_config config = {.rules = rules, .rule_count = rule_count, .wgconf = &conf};
    struct notify notify;
    notify_open(&notify);
    struct control_socket control = {.fd = -1};
    struct policy *policy = NULL;
    if (getenv("NEXD_TEST_POLICY") && policy_make(getenv("NEXD_TEST_POLICY"), &policy, &control))
        return 92;
    if (getenv("NEXD_TEST_VIGIL_MS"))
        config.vigil_interval_ns = strtoull(getenv("NEXD_TEST_VIGIL_MS"), NULL, 10) * NS_PER_MS;
    config.unattended = getenv("NEXD_TEST_UNATTENDED") != NULL;
    config.policy = policy;
    config.notify = &notify;
    config.control = &control;
    if (getenv("NEXD_TEST_NETWORK")) {
        network_make(getenv("NEXD_TEST_NETWORK"), &conf);
        config.network = &network;
    }
    if (vault_take(&conf, &config.vault))
        return 94;
    vault_credential_put(config.vault, IPC_CREDENTIAL_REG_KEY, "RK:a", 4);
    vault_credential_put(config.vault, IPC_CREDENTIAL_PASSWORD, "secret", 6);
    char error[STATE_ERROR_MAX];
    config.state_missing = "no state folder";
    if (getenv("NEXD_TEST_STATE") &&
        state_open(getenv("NEXD_TEST_STATE"), &state_sys_default, &config.state, error)) {
        fprintf(stderr, "%s\n", error);
        return 93;
    }
    int status = parent_run(&config);
    state_close(config.state);
    vault_free(config.vault);
    control_socket_close(&control);
    policy_free(policy);
    notify_close(&notify);
    return status;
}
