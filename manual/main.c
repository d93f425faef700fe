/* manual page TEMPLATE | manual bash|zsh|fish nexd|nexctl: to standard output. */
#include "manual/manual.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *shell, *program;
    void (*print)(FILE *out);
} completions[] = {
    {"bash", "nexd", bash_nexd_print}, {"bash", "nexctl", bash_nexctl_print},
    {"zsh", "nexd", zsh_nexd_print},   {"zsh", "nexctl", zsh_nexctl_print},
    {"fish", "nexd", fish_nexd_print}, {"fish", "nexctl", fish_nexctl_print},
};

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "page") == 0)
        return page_print(stdout, argv[2]) || fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
    for (size_t i = 0; argc == 3 && i < sizeof completions / sizeof *completions; i++) {
        if (strcmp(argv[1], completions[i].shell) == 0 && strcmp(argv[2], completions[i].program) == 0) {
            completions[i].print(stdout);
            return fflush(stdout) || ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
        }
    }
    fprintf(stderr, "usage: manual page TEMPLATE | manual bash|zsh|fish nexd|nexctl\n");
    return 2;
}
