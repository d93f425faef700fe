/* URLs, and where the service is: every form that operators write, the exclusions in their order, and keys
 * that must not get into a header. */
#include "common/err.h"
#include "ctld/nexodus/reg_key.h"
#include "tests/unit/common/unit.h"

#include <string.h>

#define KEY "RK:6KStHVqrOLuNFamoTCXTF5M6yE+pUDSg7tiHYEWkA0E="

START_TEST(urls_that_are_admitted)
{
    static const struct {
        const char *text, *host, *path, *authority;
        uint16_t port;
        enum netaddr_family family;
    } cases[] = {
        {"https://nexodus.test", "nexodus.test", "/", "nexodus.test", 443, NETADDR_NONE},
        {"HTTPS://Nexodus.TEST/", "nexodus.test", "/", "nexodus.test", 443, NETADDR_NONE},
        {"https://a.b:8443/x/y?q=%20&z=1", "a.b", "/x/y?q=%20&z=1", "a.b:8443", 8443, NETADDR_NONE},
        {"https://a.b?q", "a.b", "/?q", "a.b", 443, NETADDR_NONE},
        {"https://a.b:443/", "a.b", "/", "a.b", 443, NETADDR_NONE},
        {"https://a.b:/", "a.b", "/", "a.b", 443, NETADDR_NONE},
        {"https://192.0.2.7:1/", "192.0.2.7", "/", "192.0.2.7:1", 1, NETADDR_V4},
        {"https://[2001:db8::1]", "2001:db8::1", "/", "[2001:db8::1]", 443, NETADDR_V6},
        {"https://[2001:db8::1]:65535/p", "2001:db8::1", "/p", "[2001:db8::1]:65535", 65535, NETADDR_V6},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct url url;
        char error[URL_ERROR_MAX] = "", authority[URL_AUTHORITY_MAX];
        ck_assert_msg(url_parse(cases[i].text, strlen(cases[i].text), &url, error) == NX_OK, "%s: %s",
                      cases[i].text, error);
        ck_assert_str_eq(url.host, cases[i].host);
        ck_assert_str_eq(url.path, cases[i].path);
        ck_assert_str_eq(url_authority(&url, authority), cases[i].authority);
        ck_assert_uint_eq(url.port, cases[i].port);
        ck_assert_int_eq(url.addr.family, cases[i].family);
    }
}
END_TEST

START_TEST(urls_that_are_refused)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "scheme is required"},
        {"http://a.b", "scheme is required"},
        {"https:/a.b", "scheme is required"},
        {"a.b", "scheme is required"},
        {" https://a.b", "scheme is required"},
        {"https://", "no host"},
        {"https:///path", "no host"},
        {"https://?q", "no host"},
        {"https://:443", "not valid"},
        {"https://user@a.b", "user name"},
        {"https://user:secret@a.b/", "user name"},
        {"https://a.b\\@c.d/", "cannot stand"},
        {"https://a.b/#frag", "fragment"},
        {"https://a.b/ x", "cannot stand"},
        {"https://a.b/\r\nX: y", "cannot stand"},
        {"https://a.b/\x7f", "cannot stand"},
        {"https://a.b/é", "cannot stand"},
        {"https://%zz", "invalid URL escape"},
        {"https://a.b/%2", "invalid URL escape"},
        {"https://a%2eb/", "not valid"},
        {"https://a..b", "not valid"},
        {"https://-a.b", "not valid"},
        {"https://a.b:0", "port"},
        {"https://a.b:65536", "port"},
        {"https://a.b:+1", "port"},
        {"https://a.b:80:90", "told apart"},
        {"https://2001:db8::1/", "told apart"},
        {"https://[2001:db8::1", "told apart"},
        {"https://[2001:db8::1]x", "told apart"},
        {"https://[a.b]", "brackets"},
        {"https://[192.0.2.1]:4", "told apart"},
        {"https://0.0.0.0", "not valid"},
        {"https://1.2.3", "not valid"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct url url;
        char error[URL_ERROR_MAX] = "";
        ck_assert_msg(url_parse(cases[i].text, strlen(cases[i].text), &url, error) == NX_EINVAL, "%s",
                      cases[i].text);
        ck_assert_msg(strstr(error, cases[i].why) != NULL, "%s: %s", cases[i].text, error);
        ck_assert_str_eq(url.host, "");
    }
    char text[2 * URL_MAX], error[URL_ERROR_MAX];
    struct url url;
    memset(text, 'a', sizeof text);
    memcpy(text, "https://a.b/", 12);
    ck_assert_int_eq(url_parse(text, URL_MAX, &url, error), NX_EINVAL);
    ck_assert_int_eq(url_parse(text, URL_MAX - 1, &url, error), NX_OK);
}
END_TEST

START_TEST(escapes)
{
    char text[] = "a%20%2B%2f%zz";
    size_t length = 10;
    ck_assert_int_eq(url_percent_decode(text, &length), NX_OK);
    ck_assert_uint_eq(length, 4);
    ck_assert_mem_eq(text, "a +/", 4);
    static const char *const bad[] = {"%", "%2", "%zz", "%0g", "x%00", "%%20"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char copy[8];
        length = strlen(bad[i]);
        memcpy(copy, bad[i], length);
        ck_assert_int_eq(url_percent_decode(copy, &length), NX_EINVAL);
    }
}
END_TEST

START_TEST(services_and_keys)
{
    static const struct {
        struct reg_key_options options;
        const char *host, *api_host, *base, *key;
        bool defaulted;
    } cases[] = {
        {{.service_url = NULL},
         "try.nexodus.io",
         "api.try.nexodus.io",
         "https://api.try.nexodus.io",
         "",
         true},
        {{.service_url = "", .reg_key = ""},
         "try.nexodus.io",
         "api.try.nexodus.io",
         "https://api.try.nexodus.io",
         "",
         true},
        {{.service_url = "https://nexodus.test:8443/some/path"},
         "nexodus.test",
         "api.nexodus.test",
         "https://api.nexodus.test:8443",
         "",
         false},
        {{.positional = "https://nexodus.test"},
         "nexodus.test",
         "api.nexodus.test",
         "https://api.nexodus.test",
         "",
         false},
        {{.service_url = "https://nexodus.test", .reg_key = KEY},
         "nexodus.test",
         "api.nexodus.test",
         "https://api.nexodus.test",
         KEY,
         false},
        {{.reg_key = KEY}, "try.nexodus.io", "api.try.nexodus.io", "https://api.try.nexodus.io", KEY, true},
        {{.reg_key = "https://nexodus.test#" KEY},
         "nexodus.test",
         "api.nexodus.test",
         "https://api.nexodus.test",
         KEY,
         false},
        {{.reg_key = "https://nexodus.test:444/#RK%3Aab%2Bc%2523"},
         "nexodus.test",
         "api.nexodus.test",
         "https://api.nexodus.test:444",
         "RK:ab+c%23",
         false},
        {{.reg_key = "https://nexodus.test/#eyJhbGciOiJSUzI1NiJ9.e30.AAAA"},
         "nexodus.test",
         "api.nexodus.test",
         "https://api.nexodus.test",
         "eyJhbGciOiJSUzI1NiJ9.e30.AAAA",
         false},
        {{.service_url = "https://nexodus.localhost:8443", .vpc_id = "v", .security_group_id = "s"},
         "nexodus.localhost",
         "api.nexodus.localhost",
         "https://api.nexodus.localhost:8443",
         "",
         false},
        /* A key as it stands may have escapes of its own. */
        {{.service_url = "https://a.b", .reg_key = "a%2Bb"},
         "a.b",
         "api.a.b",
         "https://api.a.b",
         "a%2Bb",
         false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reg_key_service service;
        char error[REG_KEY_ERROR_MAX] = "";
        ck_assert_msg(reg_key_resolve(&cases[i].options, &service, error) == NX_OK, "%zu: %s", i, error);
        ck_assert_str_eq(service.service.host, cases[i].host);
        ck_assert_str_eq(service.api_host, cases[i].api_host);
        ck_assert_str_eq(service.api_base, cases[i].base);
        ck_assert_str_eq(service.key, cases[i].key);
        ck_assert(service.service_defaulted == cases[i].defaulted);
        reg_key_clear(&service);
        for (size_t b = 0; b < sizeof service; b++)
            ck_assert_uint_eq(((const unsigned char *)&service)[b], 0);
    }
}
END_TEST

static char long_key[REG_KEY_MAX + 2], long_link[REG_KEY_MAX + 64], long_host[300];

START_TEST(refusals_in_their_order)
{
    memset(long_key, 'k', sizeof long_key - 1);
    strcpy(long_link, "https://a.b#");
    memset(long_link + 12, 'k', REG_KEY_MAX + 1);
    strcpy(long_host, "https://");
    for (unsigned i = 0; i < 4; i++) {
        memset(long_host + 8 + i * 63, 'h', 62);
        long_host[8 + i * 63 + 62] = i < 3 ? '.' : '\0';
    }
    const struct {
        struct reg_key_options options;
        const char *error;
    } cases[] = {
        {{.service_url = "https://a.b", .positional = "https://a.b", .reg_key = KEY, .vpc_id = "v"},
         "please remove the service URL positional argument, it was configured via the --service-url flag"},
        {{.reg_key = KEY, .vpc_id = "v", .security_group_id = "s"},
         "the --reg-key and --security-group-id flags are mutually exclusive"},
        {{.reg_key = KEY, .vpc_id = "v"}, "the --reg-key and --vpc-id flags are mutually exclusive"},
        {{.service_url = "https://a.b", .reg_key = "https://a.b#" KEY},
         "the --reg-key and --service-url flags are mutually exclusive"},
        {{.positional = "https://a.b", .reg_key = "#"},
         "the --reg-key and --service-url flags are mutually exclusive"},
        {{.service_url = "http://a.b"},
         "invalid '--service-url=http://a.b' flag provided. error: 'https://' URL scheme is required"},
        {{.positional = "bogus"},
         "invalid '--service-url=bogus' flag provided. error: 'https://' URL scheme is required"},
        {{.service_url = "https://%zz"},
         "invalid '--service-url=https://%zz' flag provided. error: invalid URL escape"},
        {{.service_url = "https://192.0.2.1"}, "which must be a name"},
        {{.service_url = "https://[2001:db8::1]"}, "which must be a name"},
        {{.service_url = long_host}, "which must be a name"},
        {{.service_url = "https://a\nb"}, "invalid '--service-url=https://a\\nb' flag"},
        {{.reg_key = "https://a.b#"}, "no key behind the '#'"},
        {{.reg_key = "https://a.b#RK%zz"}, "invalid URL escape behind the '#'"},
        {{.reg_key = "https://a.b#RK%0d%0aX:y"}, "a blank or another character"},
        {{.reg_key = "RK:a b"}, "a blank or another character"},
        {{.reg_key = "RK:a\n"}, "a blank or another character"},
        {{.reg_key = "RK:\xc3\xa9"}, "a blank or another character"},
        {{.reg_key = "http://a.b#" KEY},
         "invalid '--reg-key=http://a.b' flag provided. error: 'https://' URL scheme"},
        {{.reg_key = long_key}, "longer than 4096 characters"},
        {{.reg_key = long_link}, "longer than 4096 characters"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reg_key_service service;
        char error[REG_KEY_ERROR_MAX] = "";
        ck_assert_msg(reg_key_resolve(&cases[i].options, &service, error) == NX_EINVAL, "%zu", i);
        ck_assert_msg(strstr(error, cases[i].error) != NULL, "%zu: %s", i, error);
        ck_assert_msg(strstr(error, "6KStHVqr") == NULL, "%zu: %s", i, error);
        ck_assert_str_eq(service.key, "");
        ck_assert_str_eq(service.api_base, "");
    }
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, urls_that_are_admitted);
    tcase_add_test(tcase, urls_that_are_refused);
    tcase_add_test(tcase, escapes);
    tcase_add_test(tcase, services_and_keys);
    tcase_add_test(tcase, refusals_in_their_order);
}

int main(void)
{
    return unit_run("nexodus/reg_key", fill);
}
