/* hosts(5), well formed and not. */
#include "common/err.h"
#include "proxyd/hosts.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static struct hosts *hosts;

static void tear_down(void)
{
    hosts_free(hosts);
    hosts = NULL;
}

static void parse(const char *text)
{
    hosts_free(hosts);
    hosts = hosts_parse(text, strlen(text));
    ck_assert_ptr_nonnull(hosts);
}

/* `wanted`: addresses separated by blanks, "" for none. */
static void name_is(const char *name, const char *wanted)
{
    struct netaddr addrs[16];
    char got[512] = "", text[NETADDR_TEXT_MAX];
    const size_t count = hosts_lookup(hosts, name, addrs, 16);
    for (size_t i = 0; i < count; i++) {
        strcat(got, i ? " " : "");
        strcat(got, netaddr_format(&addrs[i], text));
    }
    ck_assert_str_eq(got, wanted);
}

START_TEST(usual_file)
{
    parse("127.0.0.1\tlocalhost\n"
          "::1 localhost ip6-localhost\n"
          "# a comment\n"
          "\n"
          "  10.0.0.1   Db.Example db  # the data base\r\n"
          "10.0.0.2 db");
    name_is("localhost", "127.0.0.1 ::1");
    name_is("ip6-localhost", "::1");
    name_is("db.example", "10.0.0.1");
    name_is("DB.EXAMPLE.", "10.0.0.1");
    name_is("db", "10.0.0.1 10.0.0.2");
    name_is("d", "");
    name_is("db.", "10.0.0.1 10.0.0.2");
    name_is("db.example.com", "");
    name_is("data", "");
    name_is("", "");
}
END_TEST

START_TEST(malformed_lines_and_names_are_skipped)
{
    parse("999.0.0.1 bad1\n"
          "10.0.0.1\n"
          "10.0.0.1 good1 -bad good2 a..b under_score\n"
          "fe80::1%lo0 zoned\n"
          "name 10.0.0.1\n"
          "10.0.0.1#x glued\n"
          "::ffff:10.0.0.9 mapped\n"
          "1234567890123456789012345678901234567890123456789012345678901234567890 long\n");
    name_is("bad1", "");
    name_is("good1", "10.0.0.1");
    name_is("good2", "10.0.0.1");
    name_is("-bad", "");
    name_is("a..b", "");
    name_is("zoned", "");
    name_is("name", "");
    name_is("glued", "");
    name_is("long", "");
    name_is("mapped", "10.0.0.9");
}
END_TEST

START_TEST(zero_bytes_and_missing_newline)
{
    static const char text[] = "10.0.0.1 a\0b c\n10.0.0.2\0 d\n\n10.0.0.3 e";
    hosts = hosts_parse(text, sizeof(text) - 1);
    ck_assert_ptr_nonnull(hosts);
    name_is("a", "");
    name_is("c", "10.0.0.1");
    name_is("d", "");
    name_is("e", "10.0.0.3");
    hosts_free(hosts);
    hosts = hosts_parse(text, 0);
    name_is("a", "");
}
END_TEST

START_TEST(long_names)
{
    char text[600];
    memset(text, 'a', sizeof(text));
    for (int i = 0; i < 4; i++)
        text[12 + i * 64 + 63] = '.';
    memcpy(text, "10.0.0.1    ", 12);
    text[12 + 253] = '\n';
    hosts = hosts_parse(text, 12 + 254);
    char name[256];
    memcpy(name, text + 12, 253);
    name[253] = '\0';
    name_is(name, "10.0.0.1");
    hosts_free(hosts);
    text[12 + 253] = 'a';
    hosts = hosts_parse(text, sizeof(text));
    name_is(name, "");
}
END_TEST

START_TEST(number_of_entries_and_addresses_is_bounded)
{
    const size_t lines = HOSTS_ENTRIES_MAX + 10;
    char *const text = malloc(lines * 32);
    size_t length = 0;
    for (size_t i = 0; i < lines; i++)
        length += (size_t)sprintf(text + length, "10.0.%zu.%zu n%zu all\n", i / 256 % 256, i % 256, i);
    hosts = hosts_parse(text, length);
    free(text);
    struct netaddr addrs[16];
    ck_assert_uint_eq(hosts_lookup(hosts, "all", addrs, 16), 16);
    ck_assert_uint_eq(hosts_lookup(hosts, "all", addrs, 3), 3);
    ck_assert_uint_eq(addrs[0].bytes[3], 0);
    ck_assert_uint_eq(addrs[2].bytes[3], 2);
    name_is("n8191", "10.0.31.255");
    name_is("n8192", "");
}
END_TEST

START_TEST(missing_file_is_an_empty_table)
{
    hosts = hosts_load("/nonexistent/hosts");
    ck_assert_ptr_nonnull(hosts);
    name_is("localhost", "");
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, NULL, tear_down);
    tcase_add_test(tcase, usual_file);
    tcase_add_test(tcase, malformed_lines_and_names_are_skipped);
    tcase_add_test(tcase, zero_bytes_and_missing_newline);
    tcase_add_test(tcase, long_names);
    tcase_add_test(tcase, number_of_entries_and_addresses_is_bounded);
    tcase_add_test(tcase, missing_file_is_an_empty_table);
}

int main(void)
{
    return unit_run("hosts", add, 10);
}
