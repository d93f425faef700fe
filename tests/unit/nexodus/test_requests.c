/* Bodies of requests mean what upstream's client says in the recordings, and nothing malformed is sent. */
#include "common/err.h"
#include "ctld/nexodus/requests.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/nexodus/document.h"

#include <string.h>

#define VPC "9ca40621-edb0-476f-8e30-727f4703ff80"
#define KEY "eabMOrJswSWBTlQzQw9qr33DYJgSbTjaDYziwo52ezo="

static struct json_writer *writer;
static const char *text;
static size_t length;

static struct netsock sock(const char *address)
{
    struct netsock result;
    ck_assert_int_eq(netsock_parse(address, &result), NX_OK);
    return result;
}

static void begin(void)
{
    json_writer_free(writer);
    writer = json_writer_new(REQUEST_BYTES_MAX);
    ck_assert_ptr_nonnull(writer);
}

static void means(int err, const char *expected)
{
    ck_assert_int_eq(err, NX_OK);
    ck_assert_uint_eq(length, strlen(text));
    ck_assert_int_eq(text[length - 1], '\n');
    ck_assert_msg(json_same(text, expected), "%s\n%s", text, expected);
    begin();
}

static const char *recorded(const char *name)
{
    const char *const body = json_text(json_member(document_file("requests.json"), name), NULL);
    ck_assert_ptr_nonnull(body);
    return body;
}

START_TEST(as_recorded)
{
    const struct netsock local = sock("127.0.0.1:41011"), second = sock("127.0.0.1:41012"),
                         third = sock("127.0.0.1:41046"), fourth = sock("127.0.0.1:41047");
    struct request_device device = {.vpc_id = VPC,
                                    .hostname = "node-a1",
                                    .public_key = KEY,
                                    .endpoints = {.local = local, .reflexive = local}};
    begin();
    means(request_device_create(writer, &device, &text, &length), recorded("create"));
    device.hostname = "node-b1";
    device.endpoints = (struct request_endpoints){.local = second, .reflexive = second};
    means(request_device_update(writer, &device, &text, &length), recorded("update"));
    device = (struct request_device){.vpc_id = "c4d71233-a8ba-421b-a979-4dd37f9a4370",
                                     .security_group_id = "c4d71233-a8ba-421b-a979-4dd37f9a4370",
                                     .hostname = "sg-a",
                                     .public_key = "BZHx8J3me7hmvS0rr4FCE1QcS5GE46PAhGNI3+u8ggA=",
                                     .endpoints = {.local = third, .reflexive = third}};
    means(request_device_create(writer, &device, &text, &length), recorded("create_with_group"));
    device = (struct request_device){.vpc_id = "c4d71233-a8ba-421b-a979-4dd37f9a4370",
                                     .hostname = "ri-a",
                                     .public_key = "vAJT7MpCX5WKE3qCodpckUrSF7T+/DbKRcgpbM3Nmis=",
                                     .endpoints = {.local = fourth, .reflexive = fourth},
                                     .request_ip = "100.64.9.9",
                                     .request_ip_cidr = "100.64.0.0/10"};
    means(request_device_create(writer, &device, &text, &length), recorded("create_with_address"));
    struct request_events events = {.vpc_id = VPC};
    means(request_events(writer, &events, &text, &length), recorded("events"));
    events.device = (struct request_watch){true, 6};
    events.security_group = (struct request_watch){true, 3};
    events.device_metadata = (struct request_watch){true, 0};
    means(request_events(writer, &events, &text, &length), recorded("events_resumed"));
    json_writer_free(writer);
    document_end();
}
END_TEST

START_TEST(always_two_endpoints)
{
    const struct request_endpoints alone = {.local = sock("192.0.2.7:45939")},
                                   changed = {.local = sock("192.0.2.7:45939"),
                                              .reflexive = sock("198.51.100.9:4000"),
                                              .stun_server = "stun.example.net:19302"},
                                   v6 = {.local = sock("[2001:db8::7]:45939"), .stun_server = ""};
    begin();
    means(request_endpoints_update(writer, &alone, true, &text, &length),
          "{\"endpoints\":[{\"address\":\"192.0.2.7:45939\",\"source\":\"local\"},{\"address\":\"192.0.2.7:"
          "45939\","
          "\"source\":\"stun:\"}],\"symmetric_nat\":true}");
    means(request_endpoints_update(writer, &changed, false, &text, &length),
          "{\"endpoints\":[{\"address\":\"192.0.2.7:45939\",\"source\":\"local\"},{\"address\":\"198.51.100."
          "9:4000\","
          "\"source\":\"stun:stun.example.net:19302\"}],\"symmetric_nat\":false}");
    means(request_endpoints_update(writer, &v6, false, &text, &length),
          "{\"endpoints\":[{\"address\":\"[2001:db8::7]:45939\",\"source\":\"local\"},{\"address\":"
          "\"[2001:db8::7]:45939\",\"source\":\"stun:\"}],\"symmetric_nat\":false}");
    json_writer_free(writer);
}
END_TEST

START_TEST(all_that_can_be_said)
{
    static const char *const cidrs[] = {"10.1.0.0/16", "2001:db8:1::/48"};
    const struct request_device device = {.vpc_id = VPC,
                                          .hostname = "",
                                          .public_key = KEY,
                                          .endpoints = {.local = sock("192.0.2.7:1")},
                                          .relay = true,
                                          .symmetric_nat = true,
                                          .security_group_id = "",
                                          .advertise_cidrs = cidrs,
                                          .advertise_cidr_count = 2};
    begin();
    means(request_device_create(writer, &device, &text, &length),
          "{\"advertise_cidrs\":[\"10.1.0.0/16\",\"2001:db8:1::/"
          "48\"],\"endpoints\":[{\"address\":\"192.0.2.7:1\","
          "\"source\":\"local\"},{\"address\":\"192.0.2.7:1\",\"source\":\"stun:\"}],\"os\":\"linux\","
          "\"public_key\":\"" KEY "\",\"relay\":true,\"symmetric_nat\":true,\"vpc_id\":\"" VPC "\"}");
    json_writer_free(writer);
}
END_TEST

START_TEST(nothing_malformed_leaves)
{
    static const char *const bad_cidr = "10.1.0.0/33";
    const struct request_device good = {
        .vpc_id = VPC, .hostname = "box", .public_key = KEY, .endpoints = {.local = sock("192.0.2.7:1")}};
    struct request_device bad[10];
    for (size_t i = 0; i < 10; i++)
        bad[i] = good;
    char server[400];
    memset(server, 's', sizeof server - 1);
    server[sizeof server - 1] = '\0';
    bad[0].vpc_id = NULL;
    bad[1].vpc_id = "";
    bad[2].security_group_id = "group";
    bad[3].endpoints.local.port = 0;
    bad[4].endpoints.local.addr.family = NETADDR_NONE;
    bad[5].endpoints.stun_server = server;
    bad[6].advertise_cidrs = &bad_cidr;
    bad[6].advertise_cidr_count = 1;
    for (size_t i = 0; i < 7; i++) {
        begin();
        ck_assert_msg(request_device_update(writer, &bad[i], &text, &length) == NX_EINVAL, "%zu", i);
        ck_assert_msg(request_device_create(writer, &bad[i], &text, &length) == NX_EINVAL, "%zu", i);
    }
    bad[7].public_key = NULL;
    bad[8].request_ip = "2001:db8::1";
    bad[8].request_ip_cidr = "2001:db8::/32";
    bad[9].request_ip = "100.64.0.1";
    for (size_t i = 7; i < 10; i++)
        ck_assert_msg(request_device_create(writer, &bad[i], &text, &length) == NX_EINVAL, "%zu", i);
    ck_assert_int_eq(request_endpoints_update(writer, &bad[3].endpoints, false, &text, &length), NX_EINVAL);
    const struct request_events no_vpc = {.vpc_id = NULL}, odd_vpc = {.vpc_id = "x"};
    ck_assert_int_eq(request_events(writer, &no_vpc, &text, &length), NX_EINVAL);
    ck_assert_int_eq(request_events(writer, &odd_vpc, &text, &length), NX_EINVAL);
    struct request_device name = good;
    name.hostname = "\xff\xfe";
    ck_assert_int_eq(request_device_create(writer, &name, &text, &length), NX_EINVAL);
    json_writer_free(writer);
}
END_TEST

START_TEST(paths)
{
    char path[REQUEST_PATH_MAX];
    ck_assert_int_eq(request_path(path, "/api/devices/", VPC), NX_OK);
    ck_assert_str_eq(path, "/api/devices/" VPC);
    ck_assert_int_eq(request_path(path, "/api/devices/", "../users/me"), NX_EINVAL);
    ck_assert_int_eq(
        request_path(path, "/a/path/that/is/much/longer/than/any/of/the/api/of/such/a/service/", VPC),
        NX_EINVAL);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, as_recorded);
    tcase_add_test(tcase, always_two_endpoints);
    tcase_add_test(tcase, all_that_can_be_said);
    tcase_add_test(tcase, nothing_malformed_leaves);
    tcase_add_test(tcase, paths);
}

int main(void)
{
    return unit_run("nexodus/requests", fill);
}
