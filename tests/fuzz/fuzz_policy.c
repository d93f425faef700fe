/* The policies' parser on arbitrary bytes. What it accepts must compile to programs that the kernel would
 * take and that answer as the rules do; the bytes themselves are the questions. */
#include "common/err.h"
#include "tests/unit/seccomp/machine.h"

#include <linux/audit.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void compare(const struct policy_stage *stage, enum policy_arch arch, const uint8_t *bytes,
                    size_t length)
{
    static struct policy_instruction program[POLICY_INSTRUCTIONS_MAX];
    size_t count;
    if (policy_compile(stage, arch, program, &count))
        return;
    if (!machine_accepts(program, count))
        abort();
    struct seccomp_data data = {.arch = arch == POLICY_X86_64 ? AUDIT_ARCH_X86_64 : AUDIT_ARCH_AARCH64};
    memcpy(data.args, bytes, length < sizeof data.args ? length : sizeof data.args);
    for (size_t i = 0; i < stage->count; i++) {
        data.nr = policy_syscall_number(stage->rules[i].syscall, arch);
        if (machine_run(program, &data) != policy_meaning(stage, arch, &data))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static struct policy policy;
    struct policy_error error;
    int err = policy_parse(&policy, (const char *)bytes, length, &error);
    if (err) {
        if (err != NX_EINVAL || !error.text[0] || !memchr(error.text, 0, sizeof error.text))
            abort();
        return 0;
    }
    if (policy_close(&policy))
        return 0;
    for (int arch = 0; arch < POLICY_ARCHES; arch++) {
        for (int stage = 0; stage < POLICY_STAGES; stage++)
            compare(&policy.stages[stage], (enum policy_arch)arch, bytes, length);
    }
    return 0;
}
