/* One line an event, to standard error, written with a single write(2).
 *
 * LOG_FORMAT_TEXT: "TIME LEVEL PROCESS: message". LOG_FORMAT_JSON: one object with the members level, ts,
 * caller (the process) and msg, in that order, as log collectors for Nexodus read them. For journald each
 * line begins with its priority as "<N>" (sd-daemon(3)), and text goes without time and level, which the
 * journal keeps itself.
 *
 * No function here allocates; a line longer than LOG_LINE_MAX is cut. Control characters in the message are
 * replaced by '?', so that hostile input cannot forge lines. Each place in the code that logs may say
 * LOG_SITE_BURST lines at once and LOG_SITE_PER_S a second; what was held back is counted in the next line
 * that passes. Debug lines are not limited. Secrets are never passed to these functions. Any process; call
 * from one thread only. */
#ifndef NEXD_COMMON_LOG_H
#define NEXD_COMMON_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG = 0, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR, LOG_LEVEL_FATAL };
enum log_format { LOG_FORMAT_TEXT = 0, LOG_FORMAT_JSON };
enum { LOG_LINE_MAX = 1024, LOG_SITE_BURST = 100, LOG_SITE_PER_S = 10 };

/* `process` must stay valid for the program's life ("nexd", "tunneld", …). */
void log_init(const char *process, enum log_level level);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* Text, and no journal, until this is called. */
void log_set_format(enum log_format format, bool for_journal);
enum log_format log_get_format(void);
bool log_is_for_journal(void);
/* True if standard error is the journal's stream: `journal_stream` (the variable JOURNAL_STREAM that the
 * service manager sets, or NULL) names its device and inode, sd_is_socket's way to tell that it was not
 * redirected since. */
bool log_journal_detect(const char *journal_stream);
/* "debug", "info", "warn", "error", "fatal". */
const char *log_level_name(enum log_level level);
/* The level of that name, in any case; false and `out` unchanged when there is none. */
bool log_level_parse(const char *text, enum log_level *out);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

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

/* A place in the code that logs: its own limit. What the macros below expand to. */
void log_write_site(struct log_ratelimit *site, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define LOG_SITE(level, ...)                                                                                 \
    do {                                                                                                     \
        static struct log_ratelimit log_site = {.per_second = LOG_SITE_PER_S, .burst = LOG_SITE_BURST};      \
        log_write_site(&log_site, level, __VA_ARGS__);                                                       \
    } while (0)
#define log_debug(...)                                                                                       \
    do {                                                                                                     \
        if (log_get_level() <= LOG_LEVEL_DEBUG)                                                              \
            log_write(LOG_LEVEL_DEBUG, __VA_ARGS__);                                                         \
    } while (0)
#define log_info(...)  LOG_SITE(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)  LOG_SITE(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) LOG_SITE(LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
