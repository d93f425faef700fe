/* policyc: the policy compiler, a program of the build.
 *
 *     policyc [--append FILE]… [--contain FILE]… --header OUT NAME.policy    write the filters as a C header
 *     policyc [--append FILE]… [--contain FILE]… --list NAME.policy          print "STAGE CALL", sorted, a
 * line each policyc [--append FILE]… [--contain FILE]… --count NAME.policy         print "STAGE
 * NUMBER-OF-CALLS"
 *
 *     policyc … --oci NAME.policy, policyc … --systemd NAME.policy            print it for a container
 * runtime, for systemd
 *
 * The name of the filters is the file's name without its folder and ".policy". Errors are "FILE:LINE: what",
 * exit status 1; wrong use is exit status 2. */
#include "seccomp/policy.h"

#include "common/err.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const stage_names[POLICY_STAGES] = {"start", "run"};

static int file_read(const char *path, char **text, size_t *length)
{
    FILE *file = fopen(path, "re");
    char *buffer = malloc(POLICY_TEXT_MAX + 1);
    int err = NX_ESYS;
    if (file && buffer) {
        *length = fread(buffer, 1, POLICY_TEXT_MAX + 1, file);
        if (!ferror(file))
            err = NX_OK;
    }
    if (err) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        free(buffer);
        buffer = NULL;
    }
    *text = buffer;
    if (file)
        fclose(file);
    return err;
}

static int policy_read(const char *path, struct policy *policy)
{
    struct policy_error error;
    char *text;
    size_t length;
    int err = file_read(path, &text, &length);
    if (err)
        return err;
    err = policy_parse(policy, text, length, &error);
    free(text);
    if (err && error.line)
        fprintf(stderr, "%s:%u: %s\n", path, error.line, error.text);
    else if (err)
        fprintf(stderr, "%s: %s\n", path, error.text);
    return err;
}

static int name_of(const char *path, char name[POLICY_NAME_MAX])
{
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    size_t length = strcspn(base, ".");
    if (length == 0 || length >= POLICY_NAME_MAX || strcmp(base + length, ".policy") != 0)
        goto bad;
    for (size_t i = 0; i < length; i++) {
        if (!islower((unsigned char)base[i]) && base[i] != '_')
            goto bad;
    }
    memcpy(name, base, length);
    name[length] = 0;
    return NX_OK;
bad:
    fprintf(stderr, "%s: a policy's file is named like \"name.policy\"\n", path);
    return NX_EINVAL;
}

static int write_filter(FILE *out, const char *name, enum policy_stage_name stage, enum policy_arch arch,
                        const struct policy *policy)
{
    static struct policy_instruction program[POLICY_INSTRUCTIONS_MAX];
    size_t count;
    int err = policy_compile(&policy->stages[stage], arch, program, &count);
    if (err) {
        fprintf(stderr, "%s: [%s] makes a longer program than the kernel takes (%d instructions)\n", name,
                stage_names[stage], POLICY_INSTRUCTIONS_MAX);
        return err;
    }
    fprintf(out, "static const struct sock_filter %s_%s_filter[] = {\n", name, stage_names[stage]);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "    {0x%02x, %u, %u, 0x%08x},\n", program[i].code, program[i].jt, program[i].jf,
                program[i].k);
    fprintf(out, "};\nenum { %s_%s_filter_count = %zu };\n", name, stage_names[stage], count);
    return NX_OK;
}

static int write_filters(FILE *out, const char *name, const struct policy *policy)
{
    static const char *const machines[POLICY_ARCHES] = {"__x86_64__", "__aarch64__"};
    fprintf(out,
            "/* Made by policyc from %s.policy; not to be edited. */\n#pragma once\n\n#include "
            "<linux/filter.h>\n\n",
            name);
    for (int arch = 0; arch < POLICY_ARCHES; arch++) {
        fprintf(out, "#%s defined(%s)\n", arch ? "elif" : "if", machines[arch]);
        for (int stage = 0; stage < POLICY_STAGES; stage++) {
            int err = write_filter(out, name, (enum policy_stage_name)stage, (enum policy_arch)arch, policy);
            if (err)
                return err;
        }
    }
    fprintf(out, "#else\n#error \"no seccomp policy for this machine\"\n#endif\n");
    return NX_OK;
}

/* A half-written header never stands under its name: a build that is interrupted writes it again. */
static int write_header(const char *path, const char *name, const struct policy *policy)
{
    char temporary[4096];
    int length = snprintf(temporary, sizeof temporary, "%s.new", path);
    if (length < 0 || (size_t)length >= sizeof temporary) {
        fprintf(stderr, "%s: path too long\n", path);
        return NX_ERANGE;
    }
    FILE *out = fopen(temporary, "we");
    if (!out) {
        fprintf(stderr, "%s: %s\n", temporary, strerror(errno));
        return NX_ESYS;
    }
    int err = write_filters(out, name, policy);
    bool written = !ferror(out);
    written = fclose(out) == 0 && written;
    if (!err && (!written || rename(temporary, path))) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        err = NX_ESYS;
    }
    if (err)
        remove(temporary);
    return err;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The distinct calls of a stage, sorted; returns how many. */
static size_t stage_calls(const struct policy_stage *stage, const char *calls[2 * POLICY_RULES_MAX])
{
    size_t named = 0, count = 0;
    for (size_t i = 0; i < stage->count; i++) {
        calls[named++] = stage->rules[i].syscall;
        if (stage->rules[i].otherwise[0])
            calls[named++] = stage->rules[i].otherwise;
    }
    qsort(calls, named, sizeof calls[0], compare_names);
    for (size_t i = 0; i < named; i++) {
        if (count == 0 || strcmp(calls[count - 1], calls[i]) != 0)
            calls[count++] = calls[i];
    }
    return count;
}

static void print_counts(const char *name, const struct policy_stage *stage)
{
    static const char *const machines[POLICY_ARCHES] = {"x86-64", "aarch64"};
    static struct policy_stage resolved;
    const char *calls[2 * POLICY_RULES_MAX];
    for (int arch = 0; arch < POLICY_ARCHES; arch++) {
        policy_resolve(stage, (enum policy_arch)arch, &resolved);
        printf("%s %s %zu\n", name, machines[arch], stage_calls(&resolved, calls));
    }
}

static void print_calls(const struct policy *policy, bool only_count)
{
    for (int stage = 0; stage < POLICY_STAGES; stage++) {
        const char *calls[2 * POLICY_RULES_MAX];
        size_t count = stage_calls(&policy->stages[stage], calls);
        if (only_count)
            print_counts(stage_names[stage], &policy->stages[stage]);
        for (size_t i = 0; i < count && !only_count; i++)
            printf("%s %s\n", stage_names[stage], calls[i]);
    }
}

struct options {
    const char *policy, *header;
    bool list, count, oci, systemd;
};

static int usage(void)
{
    fprintf(
        stderr,
        "usage: policyc [--append FILE]... [--contain FILE]... (--header OUT | --list | --count | --oci | "
        "--systemd) NAME.policy\n");
    return 2;
}

/* Takes the options that stand without a file to merge; false: wrong use. */
static bool options_parse(int argc, char **argv, struct options *options)
{
    for (int i = 1; i < argc; i++) {
        bool takes_value =
            !strcmp(argv[i], "--append") || !strcmp(argv[i], "--contain") || !strcmp(argv[i], "--header");
        if (takes_value && i + 1 == argc)
            return false;
        if (!strcmp(argv[i], "--header"))
            options->header = argv[i + 1];
        else if (!strcmp(argv[i], "--list"))
            options->list = true;
        else if (!strcmp(argv[i], "--count"))
            options->count = true;
        else if (!strcmp(argv[i], "--oci"))
            options->oci = true;
        else if (!strcmp(argv[i], "--systemd"))
            options->systemd = true;
        else if (!takes_value && (argv[i][0] == '-' || options->policy))
            return false;
        else if (!takes_value)
            options->policy = argv[i];
        i += takes_value;
    }
    return options->policy &&
           (options->header != NULL) + options->list + options->count + options->oci + options->systemd == 1;
}

static int merge_files(int argc, char **argv, struct policy *policy)
{
    static struct policy other;
    for (int i = 1; i + 1 < argc; i++) {
        bool append = !strcmp(argv[i], "--append"), contain = !strcmp(argv[i], "--contain");
        if (!append && !contain) {
            i += !strcmp(argv[i], "--header");
            continue;
        }
        int err = policy_read(argv[++i], &other);
        if (err)
            return err;
        err = append ? policy_append(policy, &other) : policy_contain(policy, &other);
        if (err) {
            fprintf(stderr, "%s: too many rules together\n", argv[i]);
            return err;
        }
    }
    return NX_OK;
}

int main(int argc, char **argv)
{
    static struct policy policy;
    struct options options = {0};
    char name[POLICY_NAME_MAX];
    if (!options_parse(argc, argv, &options))
        return usage();
    if (name_of(options.policy, name) || policy_read(options.policy, &policy) ||
        merge_files(argc, argv, &policy))
        return 1;
    if (policy_close(&policy)) {
        fprintf(stderr, "%s: too many rules in [start] and [run] together\n", options.policy);
        return 1;
    }
    if (options.header)
        return write_header(options.header, name, &policy) ? 1 : 0;
    if (options.oci)
        policy_export_oci(stdout, &policy);
    else if (options.systemd)
        policy_export_systemd(stdout, &policy);
    else
        print_calls(&policy, options.count);
    return fflush(stdout) ? 1 : 0;
}
