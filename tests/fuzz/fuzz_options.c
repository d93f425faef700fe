/* Command lines from arbitrary text: a line for each argument; lines after an empty one are the environment.
 */
#include "common/err.h"
#include "nexd/options.h"
#include "tests/fuzz/fuzz_input.h"

enum { WORDS_MAX = 256 };

static void check_accepted(const struct options *options)
{
    fuzz_require(options->command != OPTIONS_PROXY || options->wireguard_config[0] != '\0');
    fuzz_require(options->listen_port >= -1 && options->listen_port <= 65535);
    fuzz_require(options->log_level <= LOG_LEVEL_FATAL && options->sandbox <= SANDBOX_BEST_EFFORT);
    bool seen_ingress = false;
    for (size_t i = 0; i < options->rule_count; i++) {
        seen_ingress = seen_ingress || options->rules[i].direction == RULE_INGRESS;
        fuzz_require(!seen_ingress || options->rules[i].direction == RULE_INGRESS);
        for (size_t j = 0; j < i && j < 64; j++)
            fuzz_require(options->command != OPTIONS_PROXY ||
                         !rule_equal(&options->rules[i], &options->rules[j]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    char *const text = fuzz_string(bytes, length), *argv[WORDS_MAX + 2] = {"nexd"},
                *envp[WORDS_MAX + 1] = {NULL};
    char error[OPTIONS_ERROR_MAX], *rest = text;
    int argc = 1, env_count = 0;
    bool in_environment = false;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        if (!in_environment && line[0] == '\0')
            in_environment = true;
        else if (in_environment && env_count < WORDS_MAX)
            envp[env_count++] = line;
        else if (!in_environment && argc <= WORDS_MAX)
            argv[argc++] = line;
    }
    struct options options;
    if (options_parse(argc, argv, envp, &options, error) == NX_OK) {
        check_accepted(&options);
        options_free(&options);
    } else {
        fuzz_require_message(error, sizeof(error));
        fuzz_require(options.rules == NULL);
    }
    free(text);
    return 0;
}
