/* Log lines are read back through a pipe that takes the place of standard error. */
#include "common/clock.h"
#include "common/log.h"
#include "tests/unit/common/unit.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int log_pipe[2];
static char line[4 * LOG_LINE_MAX];

static void set_up(void)
{
    ck_assert_int_eq(pipe(log_pipe), 0);
    ck_assert_int_eq(dup2(log_pipe[1], STDERR_FILENO), STDERR_FILENO);
    close(log_pipe[1]);
    log_init("tester", LOG_LEVEL_DEBUG);
}

/* One read() returns one write(): the pipe held nothing before. */
static size_t take_line(void)
{
    const ssize_t got = read(log_pipe[0], line, sizeof(line) - 1);
    ck_assert_int_gt(got, 0);
    line[got] = '\0';
    return (size_t)got;
}

START_TEST(line_has_time_level_process_and_message)
{
    const time_t before = (time_t)(clock_wall_ns() / NS_PER_S);
    log_warn("port %d is taken", 8080);
    const time_t after = (time_t)(clock_wall_ns() / NS_PER_S);
    take_line();
    ck_assert_ptr_ne(strstr(line, "Z warn tester: port 8080 is taken\n"), NULL);
    struct tm date = {0};
    const char *const rest = strptime(line, "%Y-%m-%dT%H:%M:%S", &date);
    ck_assert_ptr_ne(rest, NULL);
    ck_assert_int_eq(rest[0], '.');
    const time_t logged = timegm(&date);
    ck_assert_int_ge(logged, before);
    ck_assert_int_le(logged, after);
}
END_TEST

START_TEST(levels_filter)
{
    log_set_level(LOG_LEVEL_WARN);
    log_debug("no");
    log_info("no");
    log_error("yes");
    take_line();
    ck_assert_ptr_ne(strstr(line, " error tester: yes\n"), NULL);
    ck_assert_ptr_eq(strstr(line, "no"), NULL);
}
END_TEST

START_TEST(hostile_text_cannot_forge_or_colour)
{
    log_info("%s", "a\nb\rc\x1b[2J\xc2\x9b\xff\xc3\xa4\x7f|");
    take_line();
    ck_assert_ptr_ne(strstr(line, ": a?b?c?[2J???\xc3\xa4?|\n"), NULL);
    ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
}
END_TEST

START_TEST(long_lines_are_cut_between_characters)
{
    char message[3 * LOG_LINE_MAX];
    for (size_t i = 0; i + 2 < sizeof(message); i += 2)
        memcpy(message + i, "\xc3\xa4", 3);
    for (int shift = 0; shift < 2; shift++) { /* one of the two would end in the middle of a character */
        log_info("%s%s", shift ? "x" : "", message);
        const size_t length = take_line();
        ck_assert_uint_le(length, LOG_LINE_MAX);
        ck_assert_uint_ge(length, LOG_LINE_MAX - 4);
        ck_assert_str_eq(line + length - 3, "\xc3\xa4\n");
    }
}
END_TEST

START_TEST(errno_survives)
{
    errno = EADDRINUSE;
    log_info("x");
    ck_assert_int_eq(errno, EADDRINUSE);
    close(STDERR_FILENO); /* nowhere to write to */
    errno = EADDRINUSE;
    log_info("x");
    ck_assert_int_eq(errno, EADDRINUSE);
}
END_TEST

START_TEST(fatal_ends_with_one)
{
    const pid_t pid = fork();
    if (pid == 0) {
        log_set_level(LOG_LEVEL_FATAL);
        log_fatal("cannot go on: %s", "reason");
    }
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 1);
    take_line();
    ck_assert_ptr_ne(strstr(line, " fatal tester: cannot go on: reason\n"), NULL);
}
END_TEST

START_TEST(level_names)
{
    enum log_level level = LOG_LEVEL_INFO;
    for (unsigned i = LOG_LEVEL_DEBUG; i <= LOG_LEVEL_FATAL; i++) {
        ck_assert(log_level_parse(log_level_name((enum log_level)i), &level));
        ck_assert_int_eq((int)level, (int)i);
    }
    ck_assert(log_level_parse("WARN", &level));
    ck_assert_int_eq(level, LOG_LEVEL_WARN);
    ck_assert(!log_level_parse("", &level));
    ck_assert(!log_level_parse("warning", &level));
    ck_assert_int_eq(level, LOG_LEVEL_WARN);
}
END_TEST

START_TEST(rate_limit_lets_a_burst_through_then_a_steady_rate)
{
    struct log_ratelimit limit = {.per_second = 10, .burst = 5};
    uint64_t now_ns = 1000 * NS_PER_S;
    unsigned passed = 0;
    for (int i = 0; i < 100; i++)
        passed += log_ratelimit_ok_at(&limit, now_ns);
    ck_assert_uint_eq(passed, 5);
    ck_assert_uint_eq(limit.suppressed, 95);
    ck_assert(!log_ratelimit_ok_at(&limit, now_ns + 99 * NS_PER_MS));
    ck_assert(log_ratelimit_ok_at(&limit, now_ns + 100 * NS_PER_MS));
    ck_assert_uint_eq(limit.suppressed_before, 96);
    ck_assert_uint_eq(limit.suppressed, 0);
    passed = 0; /* ten seconds of trying every millisecond */
    for (uint64_t ms = 100; ms < 10100; ms++)
        passed += log_ratelimit_ok_at(&limit, now_ns + ms * NS_PER_MS);
    ck_assert_uint_ge(passed, 99);
    ck_assert_uint_le(passed, 100);
    passed = 0; /* after a long silence no more than a burst, and time going back is harmless */
    for (int i = 0; i < 100; i++)
        passed += log_ratelimit_ok_at(&limit, now_ns + 100000 * NS_PER_S);
    ck_assert_uint_eq(passed, 5);
    ck_assert(!log_ratelimit_ok_at(&limit, 0));
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, line_has_time_level_process_and_message);
    tcase_add_test(tcase, levels_filter);
    tcase_add_test(tcase, hostile_text_cannot_forge_or_colour);
    tcase_add_test(tcase, long_lines_are_cut_between_characters);
    tcase_add_test(tcase, errno_survives);
    tcase_add_test(tcase, fatal_ends_with_one);
    tcase_add_test(tcase, level_names);
    tcase_add_test(tcase, rate_limit_lets_a_burst_through_then_a_steady_rate);
}

int main(void)
{
    return unit_run("log", fill);
}
