/* getopt_long reads the flags; each is then checked by itself, and their combinations at the end. */
#include "apid/options.h"

#include "common/err.h"
#include "common/text.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum flag {
    FLAG_LISTEN = 1,
    FLAG_HOST,
    FLAG_DATA,
    FLAG_TLS_CERT,
    FLAG_TLS_KEY,
    FLAG_EXTERNAL_PORT,
    FLAG_MAX_CONNECTIONS,
    FLAG_MAX_CLIENT,
    FLAG_LOG_LEVEL,
    FLAG_SANDBOX,
    FLAG_VERSION,
    FLAG_HELP,
};

static const struct option flags[] = {
    {"listen", required_argument, NULL, FLAG_LISTEN},
    {"host", required_argument, NULL, FLAG_HOST},
    {"data", required_argument, NULL, FLAG_DATA},
    {"tls-cert", required_argument, NULL, FLAG_TLS_CERT},
    {"tls-key", required_argument, NULL, FLAG_TLS_KEY},
    {"external-port", required_argument, NULL, FLAG_EXTERNAL_PORT},
    {"max-connections", required_argument, NULL, FLAG_MAX_CONNECTIONS},
    {"max-connections-per-client", required_argument, NULL, FLAG_MAX_CLIENT},
    {"log-level", required_argument, NULL, FLAG_LOG_LEVEL},
    {"sandbox", required_argument, NULL, FLAG_SANDBOX},
    {"version", no_argument, NULL, FLAG_VERSION},
    {"help", no_argument, NULL, FLAG_HELP},
    {NULL, 0, NULL, 0},
};

static const char usage[] =
    "apid - embedded Nexodus control plane\n"
    "\n"
    "  apid --data DIR --host NAME [--listen ADDR:PORT] [more]     serves https://api.NAME:PORT and "
    "https://auth.NAME:PORT\n"
    "  apid --data DIR user|reg-key|device|vpc|security-group …    administers it, while it runs or not\n"
    "\n"
    "  --data DIR             database, certificate authority (ca.crt is for the nodes) and keys; made when "
    "missing\n"
    "  --host NAME            names are NAME, api.NAME and auth.NAME, for instance nexodus.localhost\n"
    "  --listen ADDR:PORT     default 127.0.0.1:8443\n"
    "  --external-port N      port in the addresses given to clients, where it differs from that of "
    "--listen\n"
    "  --tls-cert FILE        certificate chain (PEM) instead of one signed by the own authority\n"
    "  --tls-key FILE         its key\n"
    "  --max-connections N    default 4096\n"
    "  --max-connections-per-client N   of one IPv4 address or IPv6 /64; default 2048\n"
    "  --log-level L          debug, info, warn, error; default info\n"
    "  --sandbox MODE         strict (default), or best-effort where the kernel lacks a layer\n"
    "  --version, --help\n";

static int path_copy(char out[OPTIONS_PATH_MAX], const char *name, const char *text, char *error)
{
    const size_t length = strlen(text);
    if (length == 0 || length >= OPTIONS_PATH_MAX) {
        snprintf(error, OPTIONS_ERROR_MAX, "--%s: the path is %s", name, length ? "too long" : "empty");
        return NX_EINVAL;
    }
    memcpy(out, text, length + 1);
    return NX_OK;
}

static int number_read(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *out,
                       char *error)
{
    char quoted[TEXT_QUOTE_MAX];
    if (text_to_u64(text, strlen(text), min, max, out) == NX_OK)
        return NX_OK;
    snprintf(error, OPTIONS_ERROR_MAX, "--%s %s: a number from %llu to %llu is needed", name,
             text_quote(text, quoted, sizeof(quoted)), (unsigned long long)min, (unsigned long long)max);
    return NX_EINVAL;
}

static int bad(const char *name, const char *text, const char *problem, char *error)
{
    char quoted[TEXT_QUOTE_MAX];
    snprintf(error, OPTIONS_ERROR_MAX, "--%s %s: %s", name, text_quote(text, quoted, sizeof(quoted)),
             problem);
    return NX_EINVAL;
}

/* "auth." and the name have to fit into a host name. */
static int host_read(const char *text, struct apid_options *out, char *error)
{
    const size_t length = strlen(text);
    struct netaddr addr;
    if (length > 248 || !hostname_valid(text) || netaddr_parse(text, &addr) == NX_OK ||
        text[length - 1] == '.')
        return bad("host", text, "a host name is needed, for instance nexodus.localhost", error);
    for (size_t i = 0; i <= length; i++)
        out->host[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
    return NX_OK;
}

static int flag_apply(int flag, const char *text, struct apid_options *out, char *error)
{
    uint64_t number;
    int err = NX_OK;
    switch (flag) {
    case FLAG_LISTEN:
        return netsock_parse(text, &out->listen)
                   ? bad("listen", text,
                         "an address and port are needed, for instance 127.0.0.1:8443 or [::]:8443", error)
                   : NX_OK;
    case FLAG_HOST:
        return host_read(text, out, error);
    case FLAG_DATA:
        return path_copy(out->data, "data", text, error);
    case FLAG_TLS_CERT:
        return path_copy(out->tls_cert, "tls-cert", text, error);
    case FLAG_TLS_KEY:
        return path_copy(out->tls_key, "tls-key", text, error);
    case FLAG_EXTERNAL_PORT:
        err = number_read("external-port", text, 1, 65535, &number, error);
        out->external_port = err ? 0 : (uint16_t)number;
        return err;
    case FLAG_MAX_CONNECTIONS:
        err = number_read("max-connections", text, 1, 100000, &number, error);
        out->limits.connections = err ? 0 : (size_t)number;
        return err;
    case FLAG_MAX_CLIENT:
        err = number_read("max-connections-per-client", text, 1, 100000, &number, error);
        out->limits.connections_per_client = err ? 0 : (size_t)number;
        return err;
    case FLAG_LOG_LEVEL:
        return log_level_parse(text, &out->log_level)
                   ? NX_OK
                   : bad("log-level", text, "debug, info, warn or error", error);
    case FLAG_SANDBOX:
        out->sandbox = strcmp(text, "best-effort") == 0 ? SANDBOX_BEST_EFFORT : SANDBOX_STRICT;
        return strcmp(text, "strict") != 0 && strcmp(text, "best-effort") != 0
                   ? bad("sandbox", text, "strict or best-effort", error)
                   : NX_OK;
    default:
        snprintf(error, OPTIONS_ERROR_MAX, "see apid --help");
        return NX_EINVAL;
    }
}

static enum options_result combination_check(const struct apid_options *options, char *error)
{
    if (options->data[0] == '\0')
        snprintf(error, OPTIONS_ERROR_MAX, "--data DIR is needed");
    else if (options->host[0] == '\0')
        snprintf(error, OPTIONS_ERROR_MAX, "--host NAME is needed, for instance nexodus.localhost");
    else if ((options->tls_cert[0] == '\0') != (options->tls_key[0] == '\0'))
        snprintf(error, OPTIONS_ERROR_MAX, "--tls-cert and --tls-key go together");
    else
        return OPTIONS_RUN;
    return OPTIONS_BAD;
}

enum options_result options_read(int argc, char **argv, struct apid_options *out,
                                 char error[OPTIONS_ERROR_MAX])
{
    int flag;
    *out = (struct apid_options){.limits = http_limits_default, .log_level = LOG_LEVEL_INFO};
    netsock_parse("127.0.0.1:8443", &out->listen);
    error[0] = '\0';
    optind = 0; /* from the start, also in a second call */
    opterr = 0;
    while ((flag = getopt_long(argc, argv, "+:h", flags, NULL)) != -1) {
        if (flag == FLAG_HELP || flag == 'h') {
            fputs(usage, stdout);
            return OPTIONS_DONE;
        }
        if (flag == FLAG_VERSION) {
            puts("version: " NEXD_VERSION);
            return OPTIONS_DONE;
        }
        if (flag == ':' || flag == '?') {
            char quoted[TEXT_QUOTE_MAX];
            snprintf(error, OPTIONS_ERROR_MAX, "%s %s; see apid --help",
                     flag == ':' ? "a value is missing after" : "there is no flag",
                     text_quote(argv[optind - 1], quoted, sizeof(quoted)));
            return OPTIONS_BAD;
        }
        if (flag_apply(flag, optarg, out, error))
            return OPTIONS_BAD;
    }
    if (optind < argc) {
        bad("help", argv[optind], "shows the commands; this is none", error);
        return OPTIONS_BAD;
    }
    return combination_check(out, error);
}

bool options_is_admin(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-')
            return true;
        if (strcmp(argv[i], "--") == 0)
            return i + 1 < argc;
        bool takes_value = false;
        for (const struct option *flag = flags; flag->name; flag++)
            if (strcmp(argv[i] + 2, flag->name) == 0 && argv[i][1] == '-')
                takes_value = flag->has_arg == required_argument;
        if (takes_value)
            i++;
    }
    return false;
}
