/* The report for people: a paragraph a process. */
#include "nexd/report/report.h"

#include <inttypes.h>
#include <string.h>

enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    NET_BIND_TCP = 1 << 0,
    NET_CONNECT_TCP = 1 << 1,
    SCOPE_ABSTRACT = 1 << 0,
    SCOPE_SIGNAL = 1 << 1
};

struct right {
    uint64_t bit;
    const char *name;
};

static void label(FILE *out, const char *name)
{
    fprintf(out, "  %-14s", name);
}

static void put_identity(FILE *out, const struct report_process *p)
{
    label(out, "user");
    fprintf(out, "uid %" PRIu32 ", gid %" PRIu32 ", ", p->uids[1], p->gids[1]);
    if (p->group_count == 0)
        fputs("no other groups\n", out);
    for (size_t i = 0; i < p->group_count; i++)
        fprintf(out, "%s%" PRIu32 "%s", i ? " " : "groups ", p->groups[i],
                i + 1 == p->group_count ? "\n" : "");
    if (memcmp(p->uids, (uint32_t[4]){p->uids[1], p->uids[1], p->uids[1], p->uids[1]}, sizeof p->uids) != 0)
        fprintf(out, "  %-14sreal uid %" PRIu32 ", saved uid %" PRIu32 "\n", "", p->uids[0], p->uids[2]);
}

static void put_capabilities(FILE *out, const struct report_process *p)
{
    uint64_t held = p->capabilities[REPORT_CAP_PRM] | p->capabilities[REPORT_CAP_EFF] |
                    p->capabilities[REPORT_CAP_INH] | p->capabilities[REPORT_CAP_AMB];
    label(out, "capabilities");
    if (held)
        fprintf(out, "permitted %016" PRIx64 ", effective %016" PRIx64, p->capabilities[REPORT_CAP_PRM],
                p->capabilities[REPORT_CAP_EFF]);
    else
        fputs("none", out);
    if (p->capabilities[REPORT_CAP_BND])
        fprintf(out, "; bounding set %016" PRIx64 ", of no use under no_new_privs\n",
                p->capabilities[REPORT_CAP_BND]);
    else
        fputs("; bounding set empty\n", out);
}

static void put_filters(FILE *out, const struct report_process *p)
{
    label(out, "no_new_privs");
    fputs(p->no_new_privs == 1 ? "yes\n" : p->no_new_privs == 0 ? "no\n" : "the kernel does not say\n", out);
    label(out, "dumpable");
    fputs(p->dumpable == REPORT_NO    ? "no\n"
          : p->dumpable == REPORT_YES ? "yes\n"
                                      : "cannot be told of a process of root\n",
          out);
    label(out, "seccomp");
    if (p->seccomp_filters >= 0)
        fprintf(out, "mode %d (%s), %d filters\n", p->seccomp_mode,
                p->seccomp_mode == 2 ? "filter" : "no filter", p->seccomp_filters);
    else
        fprintf(out, "mode %d, the kernel does not say how many filters\n", p->seccomp_mode);
}

static void put_rights(FILE *out, uint64_t held, const struct right *rights, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (held & rights[i].bit)
            fprintf(out, " %s;", rights[i].name);
}

static void put_landlock(FILE *out, const struct report *report, const struct report_process *p)
{
    static const struct right fs[] = {
        {FS_READ_FILE, "reading"}, {FS_WRITE_FILE, "writing"}, {FS_EXECUTE, "executing"}};
    static const struct right net[] = {{NET_BIND_TCP, "TCP bind"}, {NET_CONNECT_TCP, "TCP connect"}};
    static const struct right scopes[] = {{SCOPE_ABSTRACT, "abstract sockets of others"},
                                          {SCOPE_SIGNAL, "signals to others"}};
    label(out, "Landlock");
    if (!p->landlock_known) {
        fprintf(out, "not known: %s\n", report->landlock_why);
        return;
    }
    if (p->landlock_abi == 0) {
        fputs("none\n", out);
        return;
    }
    fprintf(out, "ABI %" PRIu64 "; refused, but for what the process was granted:", p->landlock_abi);
    put_rights(out, p->landlock_fs, fs, sizeof fs / sizeof *fs);
    put_rights(out, p->landlock_net, net, sizeof net / sizeof *net);
    put_rights(out, p->landlock_scoped, scopes, sizeof scopes / sizeof *scopes);
    fputs("\n", out);
    label(out, "");
    fputs("(as the process said at its start; the kernel shows Landlock to nobody)\n", out);
}

/* Against the parent's: which are its own. */
static void put_namespaces(FILE *out, const struct report *report, const struct report_process *p)
{
    const struct report_process *parent = &report->processes[0];
    const char *before = "";
    label(out, "namespaces");
    if (p->namespaces[0] == 0 || parent->namespaces[0] == 0) {
        fputs("not visible to this user (root sees them)\n", out);
        return;
    }
    for (size_t i = 0; i < REPORT_NAMESPACES; i++) {
        fprintf(out, "%s%s %" PRIu64 "%s", before, report_namespace_names[i], p->namespaces[i],
                p->namespaces[i] != parent->namespaces[i] ? " (its own)" : "");
        before = ", ";
    }
    fputs("\n", out);
}

static void put_limits(FILE *out, const struct report_process *p)
{
    label(out, "limits");
    for (size_t i = 0; i < REPORT_LIMITS; i++)
        fprintf(out, "%s%s %s", i ? ", " : "", report_limit_names[i],
                p->limits[i][0][0] ? p->limits[i][0] : "not readable");
    fputs("\n", out);
}

static void put_descriptors(FILE *out, const struct report_process *p)
{
    label(out, "descriptors");
    if (!p->descriptors_known) {
        fputs("not visible to this user (root sees them)\n", out);
        return;
    }
    for (size_t i = 0; i < p->kind_count; i++)
        fprintf(out, "%s%u %s", i ? ", " : "", p->kinds[i].count, p->kinds[i].name);
    fputs("\n", out);
}

static void complain(void *arg, const struct report_process *process, const char *what)
{
    fprintf(arg, "NOT IN ORDER: %s: %s%s%s\n", process->name, what, process->missing[0] ? ": " : "",
            process->missing);
}

void report_print_text(FILE *out, const struct report *report)
{
    for (size_t i = 0; i < REPORT_PROCESSES; i++) {
        const struct report_process *p = &report->processes[i];
        if (!p->found)
            continue;
        fprintf(out, "%s (process %d%s%s)\n", p->name, (int)p->pid, p->sandbox[0] ? ", sandbox " : "",
                p->sandbox);
        put_identity(out, p);
        put_capabilities(out, p);
        put_filters(out, p);
        put_landlock(out, report, p);
        put_namespaces(out, report, p);
        put_limits(out, p);
        put_descriptors(out, p);
        fputs("\n", out);
    }
    if (report_judge(report, complain, out) == 0)
        fputs("in order, as far as can be seen\n", out);
}
