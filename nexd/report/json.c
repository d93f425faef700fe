/* The report for programs: one object. What is not visible is null. */
#include "nexd/report/report.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

static void put_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fprintf(out, "\\%c", *text);
        else if ((unsigned char)*text < ' ' || (unsigned char)*text > '~')
            fprintf(out, "\\u%04x", (unsigned char)*text);
        else
            fputc(*text, out);
    }
    fputc('"', out);
}

static void put_numbers(FILE *out, const char *name, const uint32_t *numbers, size_t count)
{
    fprintf(out, ",\"%s\":[", name);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s%" PRIu32, i ? "," : "", numbers[i]);
    fputs("]", out);
}

/* -1 is null. */
static void put_count(FILE *out, const char *name, int value)
{
    if (value < 0)
        fprintf(out, ",\"%s\":null", name);
    else
        fprintf(out, ",\"%s\":%d", name, value);
}

static void put_capabilities(FILE *out, const struct report_process *p)
{
    fputs(",\"capabilities\":{", out);
    for (size_t i = 0; i < REPORT_CAP_SETS; i++)
        fprintf(out, "%s\"%s\":\"%016" PRIx64 "\"", i ? "," : "", report_capability_names[i],
                p->capabilities[i]);
    fputs("}", out);
}

static void put_landlock(FILE *out, const struct report_process *p)
{
    if (!p->landlock_known) {
        fputs(",\"sandbox\":null,\"missing\":null,\"landlock\":null", out);
        return;
    }
    fprintf(out, ",\"sandbox\":\"%s\",\"missing\":", p->sandbox);
    put_string(out, p->missing);
    fprintf(out,
            ",\"landlock\":{\"abi\":%" PRIu64 ",\"file_system\":%" PRIu64 ",\"network\":%" PRIu64
            ",\"scoped\":%" PRIu64 ",\"source\":\"the process at its start\"}",
            p->landlock_abi, p->landlock_fs, p->landlock_net, p->landlock_scoped);
}

static void put_namespaces(FILE *out, const struct report *report, const struct report_process *p)
{
    if (p->namespaces[0] == 0) {
        fputs(",\"namespaces\":null", out);
        return;
    }
    fputs(",\"namespaces\":{", out);
    for (size_t i = 0; i < REPORT_NAMESPACES; i++)
        fprintf(out, "%s\"%s\":{\"id\":%" PRIu64 ",\"own\":%s}", i ? "," : "", report_namespace_names[i],
                p->namespaces[i], p->namespaces[i] != report->processes[0].namespaces[i] ? "true" : "false");
    fputs("}", out);
}

static void put_limits(FILE *out, const struct report_process *p)
{
    fputs(",\"limits\":{", out);
    for (size_t i = 0; i < REPORT_LIMITS; i++) {
        fprintf(out, "%s\"%s\":", i ? "," : "", report_limit_names[i]);
        if (p->limits[i][0][0])
            fprintf(out, "{\"soft\":\"%s\",\"hard\":\"%s\"}", p->limits[i][0], p->limits[i][1]);
        else
            fputs("null", out);
    }
    fputs("}", out);
}

static void put_descriptors(FILE *out, const struct report_process *p)
{
    if (!p->descriptors_known) {
        fputs(",\"descriptors\":null", out);
        return;
    }
    fputs(",\"descriptors\":{", out);
    for (size_t i = 0; i < p->kind_count; i++) {
        fputs(i ? "," : "", out);
        put_string(out, p->kinds[i].name);
        fprintf(out, ":%u", p->kinds[i].count);
    }
    fputs("}", out);
}

static void put_process(FILE *out, const struct report *report, const struct report_process *p)
{
    fprintf(out, "{\"process\":\"%s\",\"pid\":%d", p->name, (int)p->pid);
    put_numbers(out, "uids", p->uids, 4);
    put_numbers(out, "gids", p->gids, 4);
    put_numbers(out, "groups", p->groups, p->group_count);
    put_capabilities(out, p);
    put_count(out, "no_new_privs", p->no_new_privs);
    fprintf(out, ",\"dumpable\":%s",
            p->dumpable == REPORT_UNKNOWN ? "null"
            : p->dumpable == REPORT_YES   ? "true"
                                          : "false");
    put_count(out, "seccomp_mode", p->seccomp_mode);
    put_count(out, "seccomp_filters", p->seccomp_filters);
    put_landlock(out, p);
    put_namespaces(out, report, p);
    put_limits(out, p);
    put_descriptors(out, p);
    fputs("}", out);
}

struct complaints {
    FILE *out;
    bool any;
};

static void complain(void *arg, const struct report_process *process, const char *what)
{
    struct complaints *complaints = arg;
    fprintf(complaints->out, "%s{\"process\":\"%s\",\"what\":", complaints->any ? "," : "", process->name);
    put_string(complaints->out, what);
    fputs("}", complaints->out);
    complaints->any = true;
}

void report_print_json(FILE *out, const struct report *report)
{
    struct complaints complaints = {.out = out};
    bool any = false;
    fputs("{\"processes\":[", out);
    for (size_t i = 0; i < REPORT_PROCESSES; i++) {
        if (!report->processes[i].found)
            continue;
        fputs(any ? "," : "", out);
        any = true;
        put_process(out, report, &report->processes[i]);
    }
    fputs("],\"not_in_order\":[", out);
    (void)report_judge(report, complain, &complaints);
    fputs("]}\n", out);
}
