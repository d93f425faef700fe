/* `nexd sandbox-report`: what holds the processes of a running nexd, read back from the kernel.
 *
 * Everything comes from /proc and from the descriptors themselves (pidfd_getfd), and not from the processes
 * that are reported on. The one exception is Landlock, which the kernel shows nowhere: each process says,
 * once and before it has read a byte of input, what the kernel took, and the parent hands that out over the
 * control socket. What the one who asks may not see is reported as such, never as being in order: of
 * processes that are not dumpable, only root sees descriptors and namespaces. */
#ifndef NEXD_NEXD_REPORT_REPORT_H
#define NEXD_NEXD_REPORT_REPORT_H

#include "nexd/options.h"

#include <stdint.h>
#include <sys/types.h>

enum {
    REPORT_PROCESSES = 4,
    REPORT_NAMESPACES = 7,
    REPORT_LIMITS = 4,
    REPORT_GROUPS_MAX = 64,
    REPORT_KINDS_MAX = 32
};

enum report_known { REPORT_UNKNOWN = 0, REPORT_NO, REPORT_YES };
enum report_capability_set {
    REPORT_CAP_INH,
    REPORT_CAP_PRM,
    REPORT_CAP_EFF,
    REPORT_CAP_BND,
    REPORT_CAP_AMB,
    REPORT_CAP_SETS
};

struct report_kind {
    char name[48]; /* "tcp listening", "unix seqpacket", "file /dev/null" */
    unsigned count;
};

struct report_process {
    bool found;
    const char *name;
    pid_t pid;
    /* /proc/PID/status */
    uint32_t uids[4], gids[4]; /* real, effective, saved, file system */
    uint32_t groups[REPORT_GROUPS_MAX];
    size_t group_count;
    uint64_t capabilities[REPORT_CAP_SETS];
    int no_new_privs, seccomp_mode, seccomp_filters; /* -1: the kernel does not say */
    enum report_known dumpable;
    /* /proc/PID/limits; "" = not readable. */
    char limits[REPORT_LIMITS][2][24]; /* soft, hard */
    /* /proc/PID/ns; 0 = may not be read */
    uint64_t namespaces[REPORT_NAMESPACES];
    /* /proc/PID/fd */
    bool descriptors_known;
    struct report_kind kinds[REPORT_KINDS_MAX];
    size_t kind_count;
    /* What the process said. */
    bool landlock_known;
    char sandbox[16]; /* "strict", "best-effort" */
    char missing[256];
    uint64_t landlock_abi, landlock_fs, landlock_net, landlock_scoped;
};

struct report {
    struct report_process processes[REPORT_PROCESSES]; /* nexd, tunneld, proxyd, ctld */
    char landlock_why[256];                            /* why Landlock is not known; "" = it is */
};

extern const char *const report_namespace_names[REPORT_NAMESPACES];
extern const char *const report_limit_names[REPORT_LIMITS];
extern const char *const report_capability_names[REPORT_CAP_SETS];

/* process.c: fills in what /proc shows of process `pid`. False: there is no such process (any more). */
bool report_process_read(pid_t pid, struct report_process *out);
/* Parses one line of /proc/PID/status, or of /proc/PID/limits, into `out`; lines of no interest are skipped.
 */
void report_status_line(const char *line, struct report_process *out);
void report_limits_line(const char *line, struct report_process *out);
/* The process `parent` and its children with the names of nexd's. NX_OK or NX_ENOENT. */
int report_processes_find(pid_t parent, struct report *report);

/* descriptors.c */
void report_descriptors_read(pid_t pid, struct report_process *out);

/* landlock.c: takes SandboxReport's answer apart. NX_OK or NX_EPROTO. */
int report_landlock_parse(const char *json, struct report *report);

/* judge.c: calls `complain` for each thing that is not as it should be, and returns how many there were. What
 * cannot be seen is no complaint. */
typedef void (*report_complain_fn)(void *arg, const struct report_process *process, const char *what);
unsigned report_judge(const struct report *report, report_complain_fn complain, void *arg);

/* text.c, json.c */
void report_print_text(FILE *out, const struct report *report);
void report_print_json(FILE *out, const struct report *report);

/* report.c: the command. 0: everything that can be seen is in force; 1: something is not, or no nexd was
 * found. */
int report_run(const struct options *options, FILE *out, FILE *errors);

#endif
