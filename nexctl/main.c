/* nexctl: the operator's command line to the control socket of a running nexd.
 *
 * Each command is one call whose text is printed as it came, except for the list of peers, which is taken
 * apart and printed in the form that --output names. Versions of nexctl and nexd need not be equal. Exit
 * status: 0; 1 for every failure; 3 for a command that does not exist. */
#include "common/err.h"
#include "nexctl/command.h"
#include "nexctl/drain.h"
#include "nexctl/listing.h"
#include "nexctl/printable.h"
#include "nexctl/proxy.h"
#include "nexctl/rpc.h"
#include "nexctl/top.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char system_socket[] = "/var/run/nexd.sock";

/* Where a nexd of this user listens, if it does; else where the system's does. */
static const char *socket_default(char *buffer, size_t size)
{
    const char *home = getenv("HOME");
    if (geteuid() == 0 || !home || home[0] == '\0')
        return system_socket;
    int length = snprintf(buffer, size, "%s/.nexodus/nexd.sock", home);
    return length > 0 && (size_t)length < size && access(buffer, F_OK) == 0 ? buffer : system_socket;
}

/* Who the socket is for. */
static void permission_missing(const char *path)
{
    struct stat status;
    const bool known = stat(path, &status) == 0;
    fprintf(stderr, "no permission to use nexd's socket '%s'", path);
    if (known && status.st_uid == 0)
        fprintf(stderr, ": it is root's; 'nexctl nexd' commands must be run with sudo on Linux");
    else if (known)
        fprintf(stderr, ": it belongs to the user with id %u", (unsigned)status.st_uid);
    fprintf(stderr, "\n(nexd --unix-socket-group GROUP lets the members of a group use it)\n\n");
}

static void connect_failed(const char *path, int cause, const char *why)
{
    if (cause == EACCES || cause == EPERM) {
        permission_missing(path);
        return;
    }
    fprintf(stderr, "is nexd running?: failed to connect to nexd at '%s': %s\n", path, why);
    if (cause == ECONNREFUSED)
        fprintf(stderr, "(nobody listens there: the nexd whose socket this was has ended)\n");
    if (cause == ENOENT)
        fprintf(stderr,
                "(nexctl nexd --unix-socket PATH names the socket of a nexd that was given another)\n");
    fputc('\n', stderr);
}

static void call_failed(const char *method, const char *error)
{
    fprintf(stderr, "Failed to execute method (%s): %s\n", method, error);
    if (strstr(error, "rpc: can't find method"))
        fprintf(stderr, "(the nexd there does not know this command: it is older than this nexctl, or the "
                        "Nexodus agent)\n");
    fputc('\n', stderr);
}

/* One call; its result or NULL, the failure then printed. */
static char *call_with(const char *path, const char *method, const char *argument)
{
    char *result = NULL, error[RPC_ERROR_MAX];
    errno = 0;
    int err = rpc_call(path, method, argument, &result, error);
    if (err == NX_ENOENT)
        connect_failed(path, errno, error);
    else if (err)
        call_failed(method, error);
    return err ? NULL : result;
}

static char *call(const char *path, const char *method)
{
    return call_with(path, method, "");
}

static int call_and_print(const char *path, const char *method, const char *after)
{
    char *result = call(path, method);
    if (!result)
        return EXIT_FAILURE;
    printable_make(result, true);
    printf("%s%s", result, after);
    free(result);
    return EXIT_SUCCESS;
}

static int peers_list(const char *path, enum output_form output)
{
    char *result = call(path, "ListPeers");
    if (!result)
        return EXIT_FAILURE;
    struct peer_list list;
    int err = peers_parse(result, &list);
    free(result);
    if (err) {
        fprintf(stderr, "the list of peers cannot be understood: %s\n\n", nx_strerror(err));
        return EXIT_FAILURE;
    }
    if (list.relay_required && !list.relay_present)
        fprintf(stderr, "\nWARNING: A relay node is required but not present. Peers that cannot be reached "
                        "directly stay unreachable until there is one.\n");
    peers_print(stdout, &list, output, (uint64_t)time(NULL));
    peers_free(&list);
    return EXIT_SUCCESS;
}

/* Colours on a terminal only, and not against the user's wish (https://no-color.org). */
static bool colour_wanted(void)
{
    const char *no = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) && (!no || no[0] == '\0');
}

static int listing(const char *path, const struct command *command, enum listing_kind kind,
                   const char *method)
{
    char *result = call_with(path, method, command->limit ? command->limit : "");
    if (!result)
        return EXIT_FAILURE;
    bool truncated = false;
    const struct listing_style style = {
        .form = command->output, .colour = colour_wanted(), .unix_s = (uint64_t)time(NULL)};
    int err = listing_print(stdout, kind, result, &style, &truncated);
    free(result);
    if (err)
        fprintf(stderr, "the answer cannot be understood: %s\n\n", nx_strerror(err));
    if (truncated)
        fprintf(stderr, "There are more flows than these: --limit N lists up to N of them, at most 20000.\n");
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int proxy_call(const void *path, const char *method, const char *rule, char **result, char *error)
{
    errno = 0;
    return rpc_call(path, method, rule, result, error);
}

static int proxy(const char *path, const struct command *command)
{
    char error[RPC_ERROR_MAX] = "out of memory";
    int err = proxy_change(stdout, command, proxy_call, path, error);
    if (err == NX_ENOENT)
        connect_failed(path, errno, error);
    else if (err)
        fprintf(stderr, "%s\n", error);
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int plain_call(const void *path, const char *method, char **result, char *error)
{
    errno = 0;
    return rpc_call(path, method, "", result, error);
}

/* What a method of several calls came to. */
static int ended(const char *path, int err, const char *error)
{
    if (err == NX_ENOENT)
        connect_failed(path, errno, error);
    else if (err)
        fprintf(stderr, "%s\n\n", error);
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int top(const char *path, const struct command *command)
{
    char error[RPC_ERROR_MAX] = "out of memory";
    const struct top_style style = {.form = command->output, .colour = colour_wanted()};
    int err = top_run(stdout, command->interval_s ? command->interval_s : 1, isatty(STDOUT_FILENO), style,
                      plain_call, path, error);
    return ended(path, err, error);
}

static int drain(const char *path, const struct command *command)
{
    char error[RPC_ERROR_MAX] = "out of memory";
    int err = drain_wait(stdout, command->wait_s, plain_call, path, error);
    return ended(path, err, error);
}

static int version(const char *path)
{
    printf("nexctl version: %s\n", NEXD_VERSION);
    fflush(stdout); /* before what goes to standard error */
    char *result = call(path, "Version");
    if (!result)
        return EXIT_FAILURE;
    printable_make(result, false);
    printf("nexd version: %s\n", result);
    free(result);
    return EXIT_SUCCESS;
}

static int run(const struct command *command)
{
    char buffer[PATH_MAX];
    const char *path = command->unix_socket ? command->unix_socket : socket_default(buffer, sizeof buffer);
    switch (command->id) {
    case COMMAND_HELP:
        command_help(stdout, command);
        return EXIT_SUCCESS;
    case COMMAND_OWN_VERSION:
        printf("version: %s\n", NEXD_VERSION);
        return EXIT_SUCCESS;
    case COMMAND_VERSION:
        return version(path);
    case COMMAND_STATUS:
        return call_and_print(path, "Status", "");
    case COMMAND_GET_TUNNELIP:
        return call_and_print(path, command->ipv6 ? "GetTunnelIPv6" : "GetTunnelIPv4", "\n");
    case COMMAND_GET_DEBUG:
        return call_and_print(path, "GetDebug", "\n");
    case COMMAND_SET_DEBUG_ON:
        return call_and_print(path, "SetDebugOn", "\n");
    case COMMAND_SET_DEBUG_OFF:
        return call_and_print(path, "SetDebugOff", "\n");
    case COMMAND_PROXY_LIST:
        return call_and_print(path, "ProxyList", "");
    case COMMAND_PROXY_ADD:
    case COMMAND_PROXY_REMOVE:
        return proxy(path, command);
    case COMMAND_TOP:
        return top(path, command);
    case COMMAND_DRAIN:
        return drain(path, command);
    case COMMAND_FLOWS:
        return listing(path, command, command->tcp ? LISTING_FLOWS_TCP : LISTING_FLOWS, "ListFlows");
    case COMMAND_RULES_STATS:
        return listing(path, command, LISTING_RULE_STATS, "ListRuleStats");
    case COMMAND_PEERS_PING:
        return listing(path, command, LISTING_CONNECTIVITY, "ConnectivityV4");
    case COMMAND_PEERS_PING6:
        return listing(path, command, LISTING_CONNECTIVITY, "ConnectivityV6");
    case COMMAND_PEERS_LIST:
        return peers_list(path, command->output);
    }
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct command command;
    char error[COMMAND_ERROR_MAX] = "";
    int status = command_parse(argc, argv, &command, error);
    if (status) {
        fprintf(stderr, "%s\n", error);
        if (status == EXIT_USAGE && strncmp(error, "Incorrect", 9) == 0)
            command_help(stderr, &command);
        command_free(&command);
        return status;
    }
    status = run(&command);
    command_free(&command);
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "standard output: %s\n", strerror(errno));
        return EXIT_FAILURE;
    }
    return status;
}
