/* A second opinion on compiled policies: the subset of classic BPF that seccomp allows, run step by step, and
 * the meaning of a policy straight from its rules. */
#ifndef NEXD_TESTS_SECCOMP_MACHINE_H
#define NEXD_TESTS_SECCOMP_MACHINE_H

#include "seccomp/policy.h"

#include <linux/seccomp.h>

/* The kernel's rules for a program: known instructions, loads within seccomp_data and aligned, jumps forward
 * and inside, the last one a return. */
bool machine_accepts(const struct policy_instruction *program, size_t count);

/* Runs an accepted program; the filter's answer. */
uint32_t machine_run(const struct policy_instruction *program, const struct seccomp_data *data);

/* What the stage says about a call on this machine, without looking at any program. */
uint32_t policy_meaning(const struct policy_stage *stage, enum policy_arch arch,
                        const struct seccomp_data *data);

#endif
