/* Help texts. What can be taken from the tables is, so that help cannot fall behind. */
#include "nexd/options_table.h"

#include <string.h>

enum { COLUMN = 28 };

/* "  --name ARGUMENT   help", further lines of the help and the variable below it, in the same column. */
static void print_flag(FILE *stream, const struct flag *flag)
{
    char head[COLUMN + 1];
    snprintf(head, sizeof(head), "  --%s%s%s", flag->name, flag->argument != NULL ? " " : "",
             flag->argument != NULL ? flag->argument : "");
    const char *line = flag->help;
    for (const char *left = head; line != NULL; left = "") {
        const char *const end = strchr(line, '\n');
        fprintf(stream, "%-*s  %.*s\n", COLUMN, left,
                (int)(end == NULL ? strlen(line) : (size_t)(end - line)), line);
        line = end == NULL ? NULL : end + 1;
    }
    if (flag->environment != NULL)
        fprintf(stream, "%-*s  [$%s]\n", COLUMN, "", flag->environment);
}

static void print_group(FILE *stream, const char *title, const char *group, bool of_command)
{
    fprintf(stream, "\n%s\n", title);
    for (size_t i = 0; i < options_flag_count; i++) {
        const struct flag *const flag = &options_flags[i];
        if ((flag->place == FLAG_AFTER_COMMAND) == of_command && flag->group == group)
            print_flag(stream, flag);
    }
}

/* The table has each group's flags in a row. */
static void print_flags(FILE *stream, const char *title, bool of_command)
{
    const char *shown = NULL;
    print_group(stream, title, NULL, of_command);
    for (size_t i = 0; i < options_flag_count; i++) {
        const char *const group = options_flags[i].group;
        if (group != NULL && group != shown && !of_command)
            print_group(stream, group, group, of_command);
        shown = group != NULL ? group : shown;
    }
}

static void print_overview(FILE *stream)
{
    fputs("nexd joins this host to a WireGuard mesh and carries TCP and UDP services across it,\n"
          "without a network interface, privileges or changes to the host's routing.\n"
          "\n"
          "Usage:\n"
          "  nexd [flags] proxy [--ingress RULE]... [--egress RULE]...\n"
          "  nexd [flags] check [--ingress RULE]... [--egress RULE]...\n"
          "  nexd sandbox-report [--output json] [--pid PID]\n"
          "  nexd version\n"
          "  nexd help [COMMAND]\n"
          "\n"
          "Commands:\n",
          stream);
    for (size_t i = 0; i < options_command_count; i++)
        fprintf(stream, "  %-16s%s\n", options_commands[i].name, options_commands[i].help);
    print_flags(stream, "Flags, as --name VALUE or --name=VALUE:", false);
    fputs("\nExamples: reach the web server of this host from the mesh, with a registration key\n"
          "  nexd --reg-key-file key proxy --ingress tcp:8080:127.0.0.1:80\n"
          "or without a control plane\n"
          "  nexd --wireguard-config wg0.conf proxy --ingress tcp:8080:127.0.0.1:80\n"
          "\n`nexd help proxy` explains rules.\n",
          stream);
}

static void print_proxy(FILE *stream)
{
    fputs("Carry TCP and UDP services across the mesh by rules.\n"
          "\n"
          "Usage:\n"
          "  nexd [flags] proxy [--ingress RULE]... [--egress RULE]...\n"
          "\n"
          "Rules:\n"
          "  PROTOCOL:PORT:HOST:PORT - tcp or udp, the port to listen on, and the destination: a host\n"
          "  name, an IPv4 address or an IPv6 address in brackets, and its port. Rules with the same\n"
          "  protocol and listen port but different destinations take turns. Both flags may be\n"
          "  repeated, and take several rules separated by commas.\n",
          stream);
    print_flags(stream, "Flags, after the command:", true);
    print_flags(stream, "Global flags, before or after the command:", false);
    fputs("\nExamples:\n"
          "  Peers reach the web server of this host at this device's tunnel address, port 8080:\n"
          "    nexd --wireguard-config wg0.conf proxy --ingress tcp:8080:127.0.0.1:80\n"
          "  Local programs reach two servers of the mesh in turn at port 8443 of this host:\n"
          "    nexd --wireguard-config wg0.conf proxy \\\n"
          "      --egress tcp:8443:100.64.0.7:443 --egress 'tcp:8443:[200::8]:443'\n"
          "  A name server behind the tunnel:\n"
          "    nexd --wireguard-config wg0.conf proxy --egress udp:5353:100.64.0.7:53\n",
          stream);
}

static void print_check(FILE *stream)
{
    fputs("Say what is wrong with the configuration, and what `nexd proxy` would do with it, without\n"
          "starting anything. Exit status 0: it would start; 2 or 1: it would not.\n"
          "\n"
          "Usage:\n"
          "  nexd [flags] check [--ingress RULE]... [--egress RULE]...\n"
          "\n"
          "Flags are those of `nexd proxy`: see `nexd help proxy`.\n"
          "\nExample: before a service is started again\n"
          "  nexd --config /etc/nexd/nexd.conf check && systemctl restart nexd\n",
          stream);
}

static void print_sandbox_report(FILE *stream)
{
    fputs("Say what holds each process of a running nexd, read back from the kernel: user, capabilities,\n"
          "seccomp filters, Landlock, namespaces, limits, descriptors. Exit status 0: all that can be seen\n"
          "is in force; 1: something is not, or no nexd was found.\n"
          "Of descriptors and namespaces, only root sees whose they are.\n"
          "\n"
          "Usage:\n"
          "  nexd [--unix-socket PATH] sandbox-report [--output json] [--pid PID]\n"
          "\nExample: as root, for a service\n"
          "  nexd --unix-socket /run/nexd/nexd.sock sandbox-report\n",
          stream);
}

void options_usage(FILE *stream, enum options_command topic)
{
    if (topic == OPTIONS_PROXY)
        print_proxy(stream);
    else if (topic == OPTIONS_CHECK)
        print_check(stream);
    else if (topic == OPTIONS_SANDBOX_REPORT)
        print_sandbox_report(stream);
    else if (topic == OPTIONS_VERSION)
        fputs("Print the version.\n\nUsage:\n  nexd version\n", stream);
    else
        print_overview(stream);
}
