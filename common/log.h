/* One line an event, to standard error, written with a single write(2).
 *
 * Format: "TIME LEVEL PROCESS: message". No function here allocates; a line longer than LOG_LINE_MAX is cut.
 * Control characters in the message are replaced by '?', so that hostile input cannot forge lines.
 * Secrets are never passed to these functions. Any process; call from one thread only. */
#ifndef NEXD_COMMON_LOG_H
#define NEXD_COMMON_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG = 0, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR, LOG_LEVEL_FATAL };
enum { LOG_LINE_MAX = 1024 };

/* `process` must stay valid for the program's life ("nexd", "tunneld", …). */
void log_init(const char *process, enum log_level level);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* "debug", "info", "warn", "error", "fatal". */
const char *log_level_name(enum log_level level);
/* The level of that name, in any case; false and `out` unchanged when there is none. */
bool log_level_parse(const char *text, enum log_level *out);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define log_debug(...)                                                                                       \
    do {                                                                                                     \
        if (log_get_level() <= LOG_LEVEL_DEBUG)                                                              \
            log_write(LOG_LEVEL_DEBUG, __VA_ARGS__);                                                         \
    } while (0)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)

/* Logs at level fatal, whatever the level, and ends the process with exit status 1 without running exit
 * handlers. */
void log_fatal(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Rate limit for messages that a peer can provoke: at most `burst` at once, refilled with `per_second`.
 * `if (log_ratelimit_ok(&limit)) log_warn(…)`; zero-initialise with the two numbers set. */
struct log_ratelimit {
    uint32_t per_second, burst;
    uint64_t tokens_ns; /* spent budget, internal */
    uint64_t last_ns;
    uint64_t suppressed; /* since the last message that passed */
    uint64_t
        suppressed_before; /* between the last two that passed: for "(%lu more like it)" in the present one */
};
bool log_ratelimit_ok(struct log_ratelimit *limit);
/* The same at an explicit monotonic time, for simulated clocks. */
bool log_ratelimit_ok_at(struct log_ratelimit *limit, uint64_t now_ns);

#endif
