/* What /proc tells of a process. status, limits and the owner of an entry are open to everybody; namespaces
 * need the right to trace. */
#include "nexd/report/report.h"

#include "common/err.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096, PATH_BYTES = 64, LIMIT_NAME_COLUMNS = 26 };

const char *const report_namespace_names[REPORT_NAMESPACES] = {"user", "net",    "mnt", "pid",
                                                               "ipc",  "cgroup", "uts"};
const char *const report_limit_names[REPORT_LIMITS] = {"open files", "processes", "file size",
                                                       "core file size"};
const char *const report_capability_names[REPORT_CAP_SETS] = {"inheritable", "permitted", "effective",
                                                              "bounding", "ambient"};

/* The rest of a line behind "KEY:" and blanks, or NULL: it is another one. */
static const char *value_of(const char *line, const char *key)
{
    size_t length = strlen(key);
    if (strncmp(line, key, length) != 0 || line[length] != ':')
        return NULL;
    line += length + 1;
    return line + strspn(line, " \t");
}

/* At most `max` numbers; returns how many there were. */
static size_t numbers(const char *text, uint32_t *out, size_t max)
{
    size_t count = 0;
    char *end;
    while (count < max) {
        unsigned long number = strtoul(text, &end, 10);
        if (end == text)
            break;
        out[count++] = (uint32_t)number;
        text = end;
    }
    return count;
}

void report_status_line(const char *line, struct report_process *out)
{
    static const char *const sets[REPORT_CAP_SETS] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};
    static const char *const counts[] = {"NoNewPrivs", "Seccomp", "Seccomp_filters"};
    int *const targets[] = {&out->no_new_privs, &out->seccomp_mode, &out->seccomp_filters};
    const char *value;
    if ((value = value_of(line, "Uid")))
        (void)numbers(value, out->uids, 4);
    else if ((value = value_of(line, "Gid")))
        (void)numbers(value, out->gids, 4);
    else if ((value = value_of(line, "Groups")))
        out->group_count = numbers(value, out->groups, REPORT_GROUPS_MAX);
    for (size_t i = 0; i < REPORT_CAP_SETS; i++)
        if ((value = value_of(line, sets[i])))
            out->capabilities[i] = strtoull(value, NULL, 16);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if ((value = value_of(line, counts[i])))
            *targets[i] = (int)strtol(value, NULL, 10);
}

void report_limits_line(const char *line, struct report_process *out)
{
    static const char *const names[REPORT_LIMITS] = {"Max open files ", "Max processes ", "Max file size ",
                                                     "Max core file size "};
    for (size_t i = 0; i < REPORT_LIMITS; i++)
        if (strncmp(line, names[i], strlen(names[i])) == 0 && strlen(line) > LIMIT_NAME_COLUMNS)
            (void)sscanf(line + LIMIT_NAME_COLUMNS - 1, " %23s %23s", out->limits[i][0], out->limits[i][1]);
}

static bool lines_read(pid_t pid, const char *name, void (*take)(const char *, struct report_process *),
                       struct report_process *out)
{
    char path[PATH_BYTES], line[LINE_MAX_BYTES];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    while (fgets(line, sizeof line, file))
        take(line, out);
    fclose(file);
    return true;
}

/* The entries of a process that is not dumpable belong to root, whoever runs it. */
static enum report_known dumpable(pid_t pid, const struct report_process *process)
{
    char path[PATH_BYTES];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    if (process->uids[1] == 0 || stat(path, &status))
        return REPORT_UNKNOWN;
    return status.st_uid == process->uids[1] ? REPORT_YES : REPORT_NO;
}

static void namespaces_read(pid_t pid, struct report_process *out)
{
    char path[PATH_BYTES], target[PATH_BYTES];
    for (size_t i = 0; i < REPORT_NAMESPACES; i++) {
        snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)pid, report_namespace_names[i]);
        ssize_t length = readlink(path, target, sizeof target - 1);
        target[length > 0 ? length : 0] = '\0';
        const char *number = strchr(target, '[');
        out->namespaces[i] = number ? strtoull(number + 1, NULL, 10) : 0;
    }
}

bool report_process_read(pid_t pid, struct report_process *out)
{
    out->pid = pid;
    out->no_new_privs = out->seccomp_mode = out->seccomp_filters = -1;
    if (!lines_read(pid, "status", report_status_line, out))
        return false;
    (void)lines_read(pid, "limits", report_limits_line, out);
    out->dumpable = dumpable(pid, out);
    namespaces_read(pid, out);
    report_descriptors_read(pid, out);
    out->found = true;
    return true;
}

struct kinship {
    char name[17];
    pid_t parent;
};

static bool kinship_read(pid_t pid, struct kinship *out)
{
    char path[PATH_BYTES], line[LINE_MAX_BYTES];
    const char *value;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    while (fgets(line, sizeof line, file)) {
        if ((value = value_of(line, "Name")))
            (void)sscanf(value, "%16s", out->name);
        else if ((value = value_of(line, "PPid")))
            out->parent = (pid_t)strtol(value, NULL, 10);
    }
    fclose(file);
    return true;
}

int report_processes_find(pid_t parent, struct report *report)
{
    static const char *const names[REPORT_PROCESSES] = {"nexd", "tunneld", "proxyd", "ctld"};
    for (size_t i = 0; i < REPORT_PROCESSES; i++)
        report->processes[i].name = names[i];
    struct kinship one = {0};
    if (!kinship_read(parent, &one) || strcmp(one.name, names[0]) != 0 ||
        !report_process_read(parent, &report->processes[0]))
        return NX_ENOENT;
    DIR *folder = opendir("/proc");
    const struct dirent *entry;
    if (!folder)
        return NX_ESYS;
    while ((entry = readdir(folder))) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        one = (struct kinship){0};
        if (pid <= 0 || !kinship_read(pid, &one) || one.parent != parent)
            continue;
        for (size_t i = 1; i < REPORT_PROCESSES; i++)
            if (strcmp(one.name, names[i]) == 0)
                (void)report_process_read(pid, &report->processes[i]);
    }
    closedir(folder);
    return NX_OK;
}
