/* Log lines are read back through a pipe that takes the place of standard error. */
#include "common/clock.h"
#include "common/log.h"
#include "tests/unit/common/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
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

START_TEST(json_lines_are_json)
{
    log_set_format(LOG_FORMAT_JSON, false);
    log_warn("say \"%s\"", "a\\b\n\x01\xc3\xa4");
    take_line();
    ck_assert_ptr_eq(strstr(line, "{\"level\":\"warn\",\"ts\":\"2"), line);
    ck_assert_ptr_ne(strstr(line, "Z\",\"caller\":\"tester\",\"msg\":\"say \\\"a\\\\b??\xc3\xa4\\\"\"}\n"),
                     NULL);
}
END_TEST

START_TEST(long_json_lines_stay_json)
{
    char message[3 * LOG_LINE_MAX];
    static const char *const fillers[] = {"\"", "\\", "\xc3\xa4", "x"};
    log_set_format(LOG_FORMAT_JSON, true);
    for (size_t f = 0; f < 4; f++) {
        for (size_t shift = 0; shift < 2; shift++) {
            size_t at = shift;
            memset(message, 'y', sizeof(message));
            for (; at + 3 < sizeof(message); at += strlen(fillers[f]))
                memcpy(message + at, fillers[f], strlen(fillers[f]));
            message[at] = '\0';
            log_info("%s", message);
            const size_t length = take_line();
            ck_assert_uint_le(length, LOG_LINE_MAX);
            ck_assert_ptr_eq(strstr(line, "<6>{\"level\":\"info\","), line);
            ck_assert_str_eq(line + length - 3, "\"}\n");
            size_t backslashes = 0; /* in front of the closing quote: pairs only */
            while (f != 0 && line[length - 4 - backslashes] == '\\')
                backslashes++;
            ck_assert_uint_eq(backslashes % 2, 0);
            if (f == 2)
                ck_assert_ptr_ne(strstr(line, "\xc3\xa4\"}\n"), NULL);
        }
    }
}
END_TEST

START_TEST(the_journal_gets_priorities)
{
    static const char *const priorities[] = {"<7>", "<6>", "<4>", "<3>"};
    log_set_format(LOG_FORMAT_TEXT, true);
    for (int level = LOG_LEVEL_DEBUG; level <= LOG_LEVEL_ERROR; level++) {
        char expected[64];
        log_write((enum log_level)level, "hello");
        take_line();
        snprintf(expected, sizeof(expected), "%stester: hello\n", priorities[level]);
        ck_assert_str_eq(line, expected);
    }
}
END_TEST

START_TEST(the_journal_is_known_by_device_and_inode)
{
    struct stat status;
    char stream[64];
    ck_assert_int_eq(fstat(STDERR_FILENO, &status), 0);
    snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)status.st_dev,
             (unsigned long long)status.st_ino);
    ck_assert(log_journal_detect(stream));
    snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)status.st_dev,
             (unsigned long long)status.st_ino + 1);
    ck_assert(!log_journal_detect(stream));
    ck_assert(!log_journal_detect(NULL));
    ck_assert(!log_journal_detect(""));
    ck_assert(!log_journal_detect(":"));
    ck_assert(!log_journal_detect("8:1x"));
}
END_TEST

START_TEST(one_place_cannot_flood)
{
    unsigned lines = 0;
    static char all[LOG_SITE_BURST * 128];
    ck_assert_int_ge(fcntl(STDERR_FILENO, F_SETPIPE_SZ, 1 << 16), 0);
    ck_assert_int_eq(fcntl(log_pipe[0], F_SETFL, O_NONBLOCK), 0);
    for (int i = 0; i < 10 * LOG_SITE_BURST; i++)
        log_info("again");
    for (ssize_t got; (got = read(log_pipe[0], all, sizeof(all))) > 0;)
        for (ssize_t i = 0; i < got; i++)
            lines += all[i] == '\n';
    ck_assert_uint_ge(lines, LOG_SITE_BURST);
    ck_assert_uint_lt(lines, 2 * LOG_SITE_BURST);
    log_info("another place");
    take_line();
    ck_assert_ptr_ne(strstr(line, "another place\n"), NULL);
}
END_TEST

START_TEST(what_was_held_back_is_counted)
{
    struct log_ratelimit site = {.per_second = 1000, .burst = 1};
    ck_assert_int_eq(fcntl(log_pipe[0], F_SETFL, O_NONBLOCK), 0);
    const uint64_t end_ns = clock_now_ns() + 5 * NS_PER_S;
    do { /* until one is held back and the next one passes */
        log_write_site(&site, LOG_LEVEL_INFO, "again");
        const ssize_t got = read(log_pipe[0], line, sizeof(line) - 1);
        line[got > 0 ? got : 0] = '\0';
    } while (strstr(line, "more like it)\n") == NULL && clock_now_ns() < end_ns);
    ck_assert_ptr_ne(strstr(line, "again ("), NULL);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, line_has_time_level_process_and_message);
    tcase_add_test(tcase, levels_filter);
    tcase_add_test(tcase, hostile_text_cannot_forge_or_colour);
    tcase_add_test(tcase, long_lines_are_cut_between_characters);
    tcase_add_test(tcase, json_lines_are_json);
    tcase_add_test(tcase, long_json_lines_stay_json);
    tcase_add_test(tcase, the_journal_gets_priorities);
    tcase_add_test(tcase, the_journal_is_known_by_device_and_inode);
    tcase_add_test(tcase, one_place_cannot_flood);
    tcase_add_test(tcase, what_was_held_back_is_counted);
    tcase_add_test(tcase, errno_survives);
    tcase_add_test(tcase, fatal_ends_with_one);
    tcase_add_test(tcase, level_names);
    tcase_add_test(tcase, rate_limit_lets_a_burst_through_then_a_steady_rate);
}

int main(void)
{
    return unit_run("log", fill);
}
