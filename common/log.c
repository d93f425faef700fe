/* A line is put together in one buffer on the stack and leaves with one write(2), so that lines of several
 * processes on the same descriptor do not mix. The date is computed here: the C library's calendar functions
 * read the time zone's file, which a sandboxed process may not. */
#include "common/log.h"

#include "common/clock.h"
#include "common/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = {"debug", "info", "warn", "error", "fatal"};
static const char *log_process = "?";
static enum log_level log_level = LOG_LEVEL_INFO;

void log_init(const char *process, enum log_level level)
{
    log_process = process;
    log_level = level;
}

void log_set_level(enum log_level level)
{
    log_level = level;
}

enum log_level log_get_level(void)
{
    return log_level;
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

bool log_level_parse(const char *text, enum log_level *out)
{
    for (unsigned i = LOG_LEVEL_DEBUG; i <= LOG_LEVEL_FATAL; i++) {
        if (text_equal_nocase(text, strlen(text), level_names[i])) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* "2024-02-29T23:59:59.123Z"; the Gregorian calendar in 400-year eras that begin on the first of March. */
static size_t log_format_time(uint64_t wall_ns, char *out, size_t size)
{
    const uint64_t seconds = wall_ns / NS_PER_S;
    const uint64_t days = seconds / 86400 + 719468; /* since 0000-03-01 */
    const uint64_t era = days / 146097, day_of_era = days % 146097;
    const uint64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const uint64_t month_index = (5 * day_of_year + 2) / 153; /* 0 = March */
    const uint64_t day = day_of_year - (153 * month_index + 2) / 5 + 1;
    const uint64_t month = month_index < 10 ? month_index + 3 : month_index - 9;
    const uint64_t year = era * 400 + year_of_era + (month <= 2);
    const int length =
        snprintf(out, size, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned)year, (unsigned)month,
                 (unsigned)day, (unsigned)(seconds / 3600 % 24), (unsigned)(seconds / 60 % 60),
                 (unsigned)(seconds % 60), (unsigned)(wall_ns / NS_PER_MS % 1000));
    return length < 0 ? 0 : (size_t)length;
}

/* Copies `length` bytes of `message` in place, with what cannot be shown safely replaced by '?'. A multi-byte
 * character cut by the end of the buffer is dropped. Returns the new length. */
static size_t log_clean(char *message, size_t length, bool was_cut)
{
    size_t at = 0;
    for (size_t i = 0; i < length;) {
        const size_t size = text_printable(message + i, length - i);
        if (size == 0) {
            if (was_cut && length - i < 4 && (message[i] & 0xc0) == 0xc0)
                break;
            message[at++] = '?';
            i++;
        } else {
            memmove(message + at, message + i, size);
            at += size;
            i += size;
        }
    }
    return at;
}

static void __attribute__((format(printf, 2, 0)))
log_vwrite(enum log_level level, const char *format, va_list arguments)
{
    char line[LOG_LINE_MAX + 1];
    size_t at = log_format_time(clock_wall_ns(), line, sizeof(line));
    const int head = snprintf(line + at, sizeof(line) - at, " %s %.32s: ", level_names[level], log_process);
    at += head < 0 ? 0 : (size_t)head;
    const size_t room = LOG_LINE_MAX - at; /* the newline takes the place of the final NUL */
    const int wanted = vsnprintf(line + at, room, format, arguments);
    const bool was_cut = wanted >= 0 && (size_t)wanted >= room;
    const size_t length = wanted < 0 ? 0 : was_cut ? room - 1 : (size_t)wanted;
    at += log_clean(line + at, length, was_cut);
    line[at++] = '\n';
    ssize_t written;
    do
        written = write(STDERR_FILENO, line, at);
    while (written < 0 && errno == EINTR);
}

void log_write(enum log_level level, const char *format, ...)
{
    if (level < log_level)
        return;
    const int saved_errno = errno;
    va_list arguments;
    va_start(arguments, format);
    log_vwrite(level, format, arguments);
    va_end(arguments);
    errno = saved_errno;
}

void log_fatal(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_vwrite(LOG_LEVEL_FATAL, format, arguments);
    va_end(arguments);
    _exit(1);
}

bool log_ratelimit_ok_at(struct log_ratelimit *limit, uint64_t now_ns)
{
    /* Leaky bucket in units of time: a message costs the interval in which one is earned, time pays back. */
    const uint64_t cost_ns = limit->per_second == 0 ? NS_PER_S : NS_PER_S / limit->per_second;
    const uint64_t elapsed_ns = now_ns > limit->last_ns ? now_ns - limit->last_ns : 0;
    if (limit->per_second != 0)
        limit->tokens_ns -= elapsed_ns < limit->tokens_ns ? elapsed_ns : limit->tokens_ns;
    limit->last_ns = now_ns;
    if (limit->tokens_ns + cost_ns > limit->burst * cost_ns) {
        limit->suppressed++;
        return false;
    }
    limit->tokens_ns += cost_ns;
    limit->suppressed_before = limit->suppressed;
    limit->suppressed = 0;
    return true;
}

bool log_ratelimit_ok(struct log_ratelimit *limit)
{
    return log_ratelimit_ok_at(limit, clock_now_ns());
}
