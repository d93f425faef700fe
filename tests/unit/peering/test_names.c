/* Names of devices, and proxyd's table of them, which the test keeps as proxyd would: through links that fill
 * up, restarts of either side, devices that change, go, and quarrel over a name. */
#include "common/err.h"
#include "common/log.h"
#include "ctld/peering/names.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/peering/net.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PROXY_MAX = 64 };

static struct names *names;
static size_t room;
static unsigned messages;
static bool framed;
static struct proxy_name {
    char text[256], addresses[128];
    bool stale;
} proxy[PROXY_MAX];

static struct proxy_name *proxy_find(const char *text)
{
    for (size_t i = 0; i < PROXY_MAX; i++)
        if (strcmp(proxy[i].text, text) == 0)
            return &proxy[i];
    return NULL;
}

static void proxy_set(const struct ipc_mesh_name *body)
{
    struct proxy_name *name = proxy_find(body->name);
    if (!name)
        name = proxy_find("");
    ck_assert_ptr_nonnull(name);
    *name = (struct proxy_name){.stale = false};
    if (body->addresses.count == 0)
        return;
    snprintf(name->text, sizeof name->text, "%s", body->name);
    for (size_t i = 0; i < body->addresses.count; i++) {
        char text[NETADDR_TEXT_MAX];
        const size_t length = strlen(name->addresses);
        snprintf(name->addresses + length, sizeof name->addresses - length, "%s%s", i ? " " : "",
                 netaddr_format(&body->addresses.item[i], text));
    }
}

static int on_send(void *arg, enum ipc_type type, uint32_t request, const void *body)
{
    (void)arg, (void)request;
    if (room == 0)
        return NX_EAGAIN;
    room--;
    messages++;
    if (type == IPC_MSG_MESH_NAME) {
        proxy_set(body);
        return NX_OK;
    }
    ck_assert_int_eq(type, IPC_MSG_MESH_SYNC);
    const bool begin = ((const struct ipc_mesh_sync *)body)->begin;
    ck_assert(begin != framed);
    framed = begin;
    for (size_t i = 0; i < PROXY_MAX; i++) {
        if (begin)
            proxy[i].stale = true;
        else if (proxy[i].stale)
            proxy[i] = (struct proxy_name){.stale = false};
    }
    return NX_OK;
}

static const struct names_ops ops = {.send = on_send};

static const char *proxy_has(const char *text)
{
    const struct proxy_name *name = proxy_find(text);
    return name ? name->addresses : "";
}

static size_t proxy_count(void)
{
    size_t count = 0;
    for (size_t i = 0; i < PROXY_MAX; i++)
        count += proxy[i].text[0] != '\0';
    return count;
}

static void put(const char *id, const char *hostname, const char *v4, const char *v6)
{
    struct netaddr a = {0}, b = {0};
    ck_assert(!v4 || netaddr_parse(v4, &a) == NX_OK);
    ck_assert(!v6 || netaddr_parse(v6, &b) == NX_OK);
    names_put(names, id, hostname, &a, &b);
}

static void end(void)
{
    ck_assert_int_eq(names_end(names), NX_OK);
    names_pump(names);
}

static void set_up(void)
{
    names = names_new(&ops, NULL);
    ck_assert_ptr_nonnull(names);
    memset(proxy, 0, sizeof proxy);
    room = SIZE_MAX;
    messages = 0;
    framed = false;
}

static void tear_down(void)
{
    names_free(names);
}

START_TEST(names_follow_their_devices)
{
    names_link_up(names);
    names_pump(names);
    ck_assert_msg(messages == 0, "before the first list");
    names_begin(names);
    put("1", "Db", "100.64.0.2", "200::2");
    put("2", "web.example.", "100.64.0.3", NULL);
    end();
    ck_assert_str_eq(proxy_has("db"), "100.64.0.2 200::2");
    ck_assert_str_eq(proxy_has("web.example"), "100.64.0.3");
    struct netaddr found[2];
    ck_assert_uint_eq(names_find(names, "DB.", found), 2);
    ck_assert_uint_eq(names_find(names, "nobody", found), 0);
    const unsigned before = messages;
    names_begin(names);
    put("1", "db", "100.64.0.9", "200::2"); /* another address */
    put("2", "www", "100.64.0.3", NULL);    /* another name */
    end();
    ck_assert_uint_eq(messages - before, 3);
    ck_assert_str_eq(proxy_has("db"), "100.64.0.9 200::2");
    ck_assert_str_eq(proxy_has("www"), "100.64.0.3");
    ck_assert_uint_eq(proxy_count(), 2);
    names_begin(names);
    put("1", "db", "100.64.0.9", "200::2");
    put("2", "www", "100.64.0.3", NULL);
    end();
    ck_assert_msg(messages - before == 3, "nothing has changed");
    names_begin(names);
    end();
    ck_assert_uint_eq(proxy_count(), 0);
    ck_assert_uint_eq(names_find(names, "db", found), 0);
}
END_TEST

START_TEST(a_name_stays_with_who_has_it)
{
    names_link_up(names);
    names_begin(names);
    put("2", "db", "100.64.0.3", NULL);
    end();
    names_begin(names);
    put("1", "db", "100.64.0.2", NULL);
    put("2", "db", "100.64.0.3", NULL);
    end();
    ck_assert_str_eq(proxy_has("db"), "100.64.0.3");
    names_begin(names);
    put("1", "db", "100.64.0.2", NULL);
    put("0", "DB", "100.64.0.1", NULL);
    end();
    ck_assert_str_eq(proxy_has("db"), "100.64.0.1");
}
END_TEST

/* What the log gets while the list is read. */
static size_t lines_of_list(const char *third)
{
    char line[512];
    size_t lines = 0;
    FILE *const file = tmpfile();
    const int kept = dup(STDERR_FILENO);
    ck_assert(file && kept >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    names_begin(names);
    put("1", "node", "100.64.0.2", NULL);
    put("2", "node", "100.64.0.3", NULL);
    put("3", third, "100.64.0.4", NULL);
    end();
    ck_assert_int_ge(dup2(kept, STDERR_FILENO), 0);
    close(kept);
    rewind(file);
    while (fgets(line, sizeof line, file))
        lines += strstr(line, "both named \"node\"") != NULL;
    fclose(file);
    return lines;
}

START_TEST(a_shared_name_is_told_of_once)
{
    log_init("test", LOG_LEVEL_WARN);
    ck_assert_uint_eq(lines_of_list("other"), 1);
    ck_assert_uint_eq(lines_of_list("another"), 0); /* nothing that matters here */
    ck_assert_uint_eq(lines_of_list("node"), 2);
    ck_assert_uint_eq(lines_of_list("node"), 0);
    ck_assert_uint_eq(lines_of_list("other"), 1);
}
END_TEST

START_TEST(what_is_no_name_is_nobodys)
{
    static const char *const wrong[] = {"",     "localhost", "LocalHost.", "a.localhost", "1.2.3.4",
                                        "::1",  "a b",       "-a",         "a..b",        "*",
                                        "a\nb", "123",       "."};
    char long_name[400];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    names_link_up(names);
    names_begin(names);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        put("1", wrong[i], "100.64.0.2", NULL);
    put("1", long_name, "100.64.0.2", NULL);
    put("1", "no-address", NULL, NULL);
    put(long_name, "long-id", "100.64.0.2", NULL);
    put("2", "mylocalhost", "100.64.0.3", NULL); /* that is one */
    end();
    ck_assert_uint_eq(proxy_count(), 1);
    ck_assert_str_eq(proxy_has("mylocalhost"), "100.64.0.3");
}
END_TEST

START_TEST(a_link_that_is_full_or_new_is_caught_up_with)
{
    char id[8], name[16];
    names_begin(names);
    for (unsigned i = 0; i < 40; i++) {
        snprintf(id, sizeof id, "%02u", i);
        snprintf(name, sizeof name, "host%02u", i);
        put(id, name, "100.64.0.2", NULL);
    }
    end();
    ck_assert_uint_eq(messages, 0);
    snprintf(proxy[0].text, sizeof proxy[0].text, "from-before");
    room = 10;
    names_link_up(names);
    names_pump(names);
    ck_assert_msg(framed && proxy_find("from-before"), "what proxyd knew stands until all is sent");
    room = 1;
    while (framed) {
        const unsigned before = messages;
        names_pump(names);
        ck_assert_uint_eq(messages - before, 1);
        room = 1;
    }
    ck_assert_uint_eq(proxy_count(), 40);
    /* A removal that has to wait, over a restart of proxyd in the middle. */
    room = 3;
    names_begin(names);
    put("07", "host07", "100.64.0.7", NULL);
    end();
    ck_assert_uint_gt(proxy_count(), 30);
    names_link_down(names);
    memset(proxy, 0, sizeof proxy);
    room = SIZE_MAX;
    names_pump(names);
    ck_assert_uint_eq(proxy_count(), 0);
    names_link_up(names);
    names_pump(names);
    ck_assert_uint_eq(proxy_count(), 1);
    ck_assert_str_eq(proxy_has("host07"), "100.64.0.7");
}
END_TEST

START_TEST(names_come_from_peering_with_granted_addresses_only)
{
    struct net_device a, b;
    struct net_device *const devices[] = {&a, &b};
    net_start();
    net_device(&a, 1);
    net_device(&b, 2);
    b.tunnel4[0] = "100.64.0.2"; /* the other's */
    b.allowed[0] = "100.64.0.2/32";
    net_list(devices, 2);
    names_link_up(names);
    names_follow(names, net.peering, net.now_ns);
    names_pump(names);
    ck_assert_str_eq(proxy_has("host0"), "100.64.0.1 200::1");
    ck_assert_str_eq(proxy_has("host1"), "100.64.0.2 200::2");
    ck_assert_str_eq(proxy_has("host2"), "200::3");
    const unsigned before = messages;
    net_pass_s(100);
    names_follow(names, net.peering, net.now_ns);
    names_pump(names);
    ck_assert_uint_eq(messages, before);
    a.device.hostname = "renamed";
    net_put(&a);
    net_run();
    names_follow(names, net.peering, net.now_ns);
    names_pump(names);
    ck_assert_str_eq(proxy_has("renamed"), "100.64.0.2 200::2");
    ck_assert_str_eq(proxy_has("host1"), "");
    net_stop();
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, names_follow_their_devices);
    tcase_add_test(tcase, a_name_stays_with_who_has_it);
    tcase_add_test(tcase, what_is_no_name_is_nobodys);
    tcase_add_test(tcase, a_shared_name_is_told_of_once);
    tcase_add_test(tcase, a_link_that_is_full_or_new_is_caught_up_with);
    tcase_add_test(tcase, names_come_from_peering_with_granted_addresses_only);
}

int main(void)
{
    return unit_run("names", fill);
}
