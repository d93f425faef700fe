/* In a sanitizer build, faults are reported from inside the sandbox too: otherwise integration tests in such
 * a build would look clean because nothing can be said. */
#include "common/log.h"
#include "sandbox/sandbox.h"
#include "seccomp/tunneld.h"

#include <stdlib.h>
#include <string.h>

static char *volatile lost;

int main(int argc, char **argv)
{
    static const struct sandbox_spec spec = {
        .name = "tunneld",
        .start = tunneld_start_filter,
        .start_count = tunneld_start_filter_count,
        .run = tunneld_run_filter,
        .run_count = tunneld_run_filter_count,
        .max_files = 64,
    };
    const char *fault = argc > 1 ? argv[1] : "none";
    log_init("sanitizer_selftest", LOG_LEVEL_INFO);
    sandbox_start(&spec, SANDBOX_STRICT);
    sandbox_enter(&spec, SANDBOX_STRICT);
    if (!strcmp(fault, "leak")) {
        lost = malloc(100);
        lost = NULL;
    } else if (!strcmp(fault, "use_after_free")) {
        lost = malloc(100);
        free(lost);
        return lost[argc];
    } else if (!strcmp(fault, "shift")) {
        volatile int places = 40;
        return argc << places;
    }
    return 0;
}
