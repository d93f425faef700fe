/* A line is put together in one buffer on the stack and leaves with one write(2), so that lines of several
 * processes on the same descriptor do not mix. The date is computed here: the C library's calendar functions
 * read the time zone's file, which a sandboxed process may not. */
#include "common/log.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const level_names[] = {"debug", "info", "warn", "error", "fatal"};
static const char *log_process = "?";
static enum log_level log_level = LOG_LEVEL_INFO;
static enum log_format log_format = LOG_FORMAT_TEXT;
static bool log_for_journal;

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

void log_set_format(enum log_format format, bool for_journal)
{
    log_format = format;
    log_for_journal = for_journal;
}

enum log_format log_get_format(void)
{
    return log_format;
}

bool log_is_for_journal(void)
{
    return log_for_journal;
}

bool log_journal_detect(const char *journal_stream)
{
    struct stat status;
    uint64_t device, inode;
    const char *const colon = journal_stream == NULL ? NULL : strchr(journal_stream, ':');
    return colon != NULL &&
           text_to_u64(journal_stream, (size_t)(colon - journal_stream), 0, UINT64_MAX, &device) == NX_OK &&
           text_to_u64(colon + 1, strlen(colon + 1), 0, UINT64_MAX, &inode) == NX_OK &&
           fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
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

/* -- A line being put together -- */

struct log_line {
    char text[LOG_LINE_MAX + 1];
    size_t length;
};
enum { LOG_TAIL_MAX = 3 }; /* `"}`, newline */

static void __attribute__((format(printf, 2, 3))) line_add(struct log_line *line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const size_t room = LOG_LINE_MAX - LOG_TAIL_MAX - line->length;
    const int wanted = vsnprintf(line->text + line->length, room + 1, format, arguments);
    va_end(arguments);
    line->length += wanted < 0 ? 0 : (size_t)wanted < room ? (size_t)wanted : room;
}

/* What is a JSON string's content already but for quotes and backslashes; never half a character of it. */
static void line_add_escaped(struct log_line *line, const char *message, size_t length)
{
    for (size_t i = 0; i < length;) {
        const bool escaped = message[i] == '"' || message[i] == '\\';
        size_t size = text_printable(message + i, length - i);
        size = size == 0 ? 1 : size;
        if (line->length + size + escaped > LOG_LINE_MAX - LOG_TAIL_MAX)
            return;
        if (escaped)
            line->text[line->length++] = '\\';
        memcpy(line->text + line->length, message + i, size);
        line->length += size;
        i += size;
    }
}

static void line_begin(struct log_line *line, enum log_level level)
{
    static const int priorities[] = {[LOG_LEVEL_DEBUG] = 7,
                                     [LOG_LEVEL_INFO] = 6,
                                     [LOG_LEVEL_WARN] = 4,
                                     [LOG_LEVEL_ERROR] = 3,
                                     [LOG_LEVEL_FATAL] = 2};
    char time[48];
    log_format_time(clock_wall_ns(), time, sizeof(time));
    if (log_for_journal)
        line_add(line, "<%d>", priorities[level]);
    if (log_format == LOG_FORMAT_JSON)
        line_add(line, "{\"level\":\"%s\",\"ts\":\"%s\",\"caller\":\"%.32s\",\"msg\":\"", level_names[level],
                 time, log_process);
    else if (log_for_journal)
        line_add(line, "%.32s: ", log_process);
    else
        line_add(line, "%s %s %.32s: ", time, level_names[level], log_process);
}

static void line_write(struct log_line *line)
{
    ssize_t written;
    if (log_format == LOG_FORMAT_JSON) {
        line->text[line->length++] = '"';
        line->text[line->length++] = '}';
    }
    line->text[line->length++] = '\n';
    do
        written = write(STDERR_FILENO, line->text, line->length);
    while (written < 0 && errno == EINTR);
}

/* `more`: how many like it were held back. */
static void __attribute__((format(printf, 3, 0)))
log_vwrite(enum log_level level, uint64_t more, const char *format, va_list arguments)
{
    char message[LOG_LINE_MAX], count[48] = "";
    struct log_line line = {.length = 0};
    if (more > 0)
        snprintf(count, sizeof(count), " (%llu more like it)", (unsigned long long)more);
    line_begin(&line, level);
    const size_t tail = LOG_TAIL_MAX + strlen(count);
    const size_t room = line.length + tail < LOG_LINE_MAX ? LOG_LINE_MAX - tail - line.length : 1;
    const int wanted = vsnprintf(message, room, format, arguments);
    const bool was_cut = wanted >= 0 && (size_t)wanted >= room;
    size_t length = wanted < 0 ? 0 : was_cut ? room - 1 : (size_t)wanted;
    length = log_clean(message, length, was_cut);
    if (log_format == LOG_FORMAT_JSON)
        line_add_escaped(&line, message, length);
    else
        line_add(&line, "%.*s", (int)length, message);
    line_add(&line, "%s", count);
    line_write(&line);
}

void log_write(enum log_level level, const char *format, ...)
{
    if (level < log_level)
        return;
    const int saved_errno = errno;
    va_list arguments;
    va_start(arguments, format);
    log_vwrite(level, 0, format, arguments);
    va_end(arguments);
    errno = saved_errno;
}

void log_write_site(struct log_ratelimit *site, enum log_level level, const char *format, ...)
{
    if (level < log_level)
        return;
    const int saved_errno = errno;
    if (log_ratelimit_ok(site)) {
        va_list arguments;
        va_start(arguments, format);
        log_vwrite(level, site->suppressed_before, format, arguments);
        va_end(arguments);
    }
    errno = saved_errno;
}

void log_fatal(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_vwrite(LOG_LEVEL_FATAL, 0, format, arguments);
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
