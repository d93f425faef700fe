/* What ctld says of the sandboxes, and ctld may have been taken over: any text must be refused or reported,
 * without control characters reaching the terminal. */
#include "nexd/report/report.h"
#include "tests/fuzz/fuzz_input.h"

#include <stdio.h>

static void print_check(const struct report *report, void (*print)(FILE *out, const struct report *report))
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    fuzz_require(out != NULL);
    print(out, report);
    fclose(out);
    for (size_t i = 0; i < length; i++)
        fuzz_require((unsigned char)text[i] >= 0x20 ? text[i] != 0x7f : text[i] == '\n');
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static const char *const names[] = {"nexd", "tunneld", "proxyd", "ctld"};
    static struct report report;
    char *text = fuzz_string(bytes, length);
    memset(&report, 0, sizeof report);
    for (size_t i = 0; i < REPORT_PROCESSES; i++)
        report.processes[i] = (struct report_process){.found = true, .name = names[i], .seccomp_mode = 2};
    (void)report_landlock_parse(text, &report);
    print_check(&report, report_print_text);
    print_check(&report, report_print_json);
    free(text);
    return 0;
}
