/* What may be a host name, and what is a mistyped address. */
#include "common/netaddr.h"
#include "tests/unit/common/unit.h"

#include <string.h>

static const char *const valid[] = {
    "a",       "localhost",    "node-1.mesh.example", "EXAMPLE.org.",  "_sip._tcp.example",
    "my_host", "3com.example", "1.2.3.example",       "xn--bcher-kva", "a.b1"};
static const char *const invalid[] = {"",       ".",    "..",        "a..b",   ".a",      "-a",    "a-",
                                      "a.-b.c", "a b",  "a:b",       "[a]",    "1.2.3.4", "a.123", "999",
                                      "a.1.",   "a\n",  "b\xc3\xbc", "a%eth0", "a/b",     "a@b",   "*",
                                      "a.b-.c", "\x7f", "a..",       "a,b"};

START_TEST(names)
{
    for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++)
        ck_assert_msg(hostname_valid(valid[i]), "refused %s", valid[i]);
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++)
        ck_assert_msg(!hostname_valid(invalid[i]), "accepted %s", invalid[i]);
}
END_TEST

START_TEST(lengths)
{
    char name[300];
    memset(name, 'a', sizeof(name));
    name[63] = '\0';
    ck_assert(hostname_valid(name));
    name[63] = 'a';
    name[64] = '\0';
    ck_assert(!hostname_valid(name));
    memset(name, 'a', sizeof(name));
    for (size_t i = 63; i < sizeof(name); i += 64)
        name[i] = '.';
    name[253] = '\0'; /* three labels of 63 and one of 61 */
    ck_assert(hostname_valid(name));
    name[253] = 'a';
    name[254] = '\0';
    ck_assert(!hostname_valid(name));
    name[253] = '.';
    ck_assert(!hostname_valid(name));
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, names);
    tcase_add_test(tcase, lengths);
}

int main(void)
{
    return unit_run("hostname", fill);
}
