/* The seccomp policies' language, in memory.
 *
 * A policy has two stages, [start] and [run]; a stage is an ordered list of rules. For each system call the
 * first rule that names it and whose conditions all hold decides; where none does, the process is killed.
 * What [run] allows is allowed in [start] too: both filters are in force once the second is installed, and
 * the kernel takes the stricter answer.
 *
 * This is code of the build and of tests; no running process of the product contains it. */
#ifndef NEXD_SECCOMP_POLICY_H
#define NEXD_SECCOMP_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    POLICY_RULES_MAX = 512, /* rules a stage */
    POLICY_CONDITIONS_MAX = 6,
    POLICY_NAME_MAX = 40,           /* bytes of a system call's name, with the terminator */
    POLICY_LINE_MAX = 400,          /* bytes of a line */
    POLICY_TEXT_MAX = 256 * 1024,   /* bytes of a file */
    POLICY_INSTRUCTIONS_MAX = 4096, /* BPF_MAXINSNS */
};

enum policy_stage_name { POLICY_START = 0, POLICY_RUN, POLICY_STAGES };
enum policy_arch { POLICY_X86_64 = 0, POLICY_AARCH64, POLICY_ARCHES };
enum policy_op { POLICY_EQ = 0, POLICY_NE, POLICY_LT, POLICY_LE, POLICY_GT, POLICY_GE };

/* (argument & mask) OP value, unsigned. `low_32`: only the register's lower half counts, as for an int
 * parameter: the kernel ignores the upper half there, so a filter that looked at it could be passed by
 * setting it. */
struct policy_condition {
    uint8_t argument; /* 0..5 */
    bool low_32;
    enum policy_op op;
    uint64_t mask, value;
};

struct policy_rule {
    char syscall[POLICY_NAME_MAX];
    char otherwise[POLICY_NAME_MAX]; /* the call to name on a machine that lacks `syscall`; "" = none */
    uint16_t error;                  /* errno the call fails with; 0 = the call is allowed */
    uint8_t condition_count;
    struct policy_condition conditions[POLICY_CONDITIONS_MAX];
    unsigned line; /* in the file that it came from */
};

struct policy_stage {
    size_t count;
    struct policy_rule rules[POLICY_RULES_MAX];
};

struct policy {
    struct policy_stage stages[POLICY_STAGES];
};

struct policy_error {
    unsigned line; /* 0 = the file as a whole */
    char text[200];
};

/* One instruction of classic BPF: the layout of the kernel's struct sock_filter. */
struct policy_instruction {
    uint16_t code;
    uint8_t jt, jf;
    uint32_t k;
};

/* Reads a policy's text (`length` bytes, need not be terminated) into `policy`. NX_OK, or NX_EINVAL with
 * `error` filled in and `policy` to be thrown away. */
int policy_parse(struct policy *policy, const char *text, size_t length, struct policy_error *error);

/* Adds the rules of `other` behind those of the same stage; a rule that would never be reached is left out,
 * and one for a call that `policy` answers with an errno moves in front of that answer. NX_OK or NX_ENOMEM.
 */
int policy_append(struct policy *policy, const struct policy *other);

/* Makes room for a child: what `child` may do in any stage is allowed in every stage of `policy`, since a
 * filter is inherited over fork and exec. NX_OK or NX_ENOMEM. */
int policy_contain(struct policy *policy, const struct policy *child);

/* Adds to [start] what [run] allows. NX_OK or NX_ENOMEM. */
int policy_close(struct policy *policy);

/* The stage as it is on one machine: calls by the name that it has there, those that it lacks left out. */
void policy_resolve(const struct policy_stage *stage, enum policy_arch arch, struct policy_stage *out);

/* Compiles one stage for one machine into `out` (POLICY_INSTRUCTIONS_MAX entries). NX_OK with `*count` set,
 * or NX_ERANGE: the program would be longer than the kernel takes. Calls that the machine does not have are
 * left out. */
int policy_compile(const struct policy_stage *stage, enum policy_arch arch, struct policy_instruction *out,
                   size_t *count);

/* Write [start] of a closed policy as an OCI runtime's seccomp profile (config-linux, "seccomp"), and as a
 * systemd drop-in; see policy_export.c. Errors are the stream's. */
void policy_export_oci(FILE *out, const struct policy *policy);
void policy_export_systemd(FILE *out, const struct policy *policy);

/* The number of a system call on a machine, or -1: that machine has none of this name. */
int policy_syscall_number(const char *name, enum policy_arch arch);

/* Looks up a constant (AF_INET, PROT_EXEC, …) or an errno's name; false: not known. */
bool policy_constant(const char *name, uint64_t *value);
bool policy_errno(const char *name, uint16_t *value);

#endif
