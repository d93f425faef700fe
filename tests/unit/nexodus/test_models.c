/* The API's objects: as recorded, with every member of a wrong type, with texts that cannot be read, and as
 * peering takes them. */
#include "common/err.h"
#include "ctld/nexodus/models.h"
#include "ctld/peering/peering.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/nexodus/document.h"

#include <stdio.h>
#include <string.h>

#define ID    "8ab599fb-462e-4181-8238-bad87dac8eb9"
#define OTHER "9ca40621-edb0-476f-8e30-727f4703ff80"
#define NIL   "00000000-0000-0000-0000-000000000000"
#define KEY   "eabMOrJswSWBTlQzQw9qr33DYJgSbTjaDYziwo52ezo="

static char error[JSON_ERROR_MAX];

START_TEST(uuids)
{
    static const char *const bad[] = {"",
                                      "8ab599fb-462e-4181-8238-bad87dac8eb",
                                      "8ab599fb-462e-4181-8238-bad87dac8eb99",
                                      "8AB599FB-462E-4181-8238-BAD87DAC8EB9",
                                      "8ab599fb462e-4181-8238-bad87dac8eb9-",
                                      "{8ab599fb-462e-4181-8238-bad87dac8e}",
                                      "8ab599fb-462e-4181-8238-bad87dac8eg9",
                                      "8ab599fb-462e-4181-8238-bad87dac8e/9"};
    ck_assert(uuid_valid(ID));
    ck_assert(uuid_valid(NIL));
    ck_assert(uuid_is_nil(NIL));
    ck_assert(!uuid_is_nil(ID));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!uuid_valid(bad[i]), "%s", bad[i]);
}
END_TEST

START_TEST(a_recorded_device)
{
    const struct json_value *const root = document_file("device-own.json");
    struct api_device device;
    ck_assert_msg(api_device_decode(root, API_DEVICE_OWN, &device, error) == NX_OK, "%s", error);
    ck_assert_str_eq(device.id, ID);
    ck_assert_str_eq(device.owner_id, OTHER);
    ck_assert_str_eq(device.vpc_id, OTHER);
    ck_assert_str_eq(device.security_group_id, OTHER);
    ck_assert_str_eq(device.public_key, KEY);
    ck_assert_str_eq(device.hostname, "node-a1");
    ck_assert_str_eq(device.os, "linux");
    ck_assert_uint_eq(device.allowed_ip_count, 2);
    ck_assert_str_eq(device.allowed_ips[0], "100.64.0.3/32");
    ck_assert_str_eq(device.allowed_ips[1], "200::3/128");
    ck_assert_uint_eq(device.ipv4_tunnel_ip_count, 1);
    ck_assert_str_eq(device.ipv4_tunnel_ips[0].address, "100.64.0.3");
    ck_assert_str_eq(device.ipv4_tunnel_ips[0].cidr, "100.64.0.0/10");
    ck_assert_str_eq(device.ipv6_tunnel_ips[0].address, "200::3");
    ck_assert_uint_eq(device.advertise_cidr_count, 0);
    ck_assert_uint_eq(device.endpoint_count, 2);
    ck_assert_str_eq(device.endpoints[1].source, "stun:");
    ck_assert_str_eq(device.endpoints[1].address, "127.0.0.1:41011");
    ck_assert_uint_eq(device.revision, 5);
    ck_assert(!device.relay && !device.symmetric_nat && !device.online);
    ck_assert_int_eq(strncmp(device.sealed_token, "djE=:", 5), 0);
    ck_assert_uint_eq(device.left_out, 0);
    /* The tokens of others are not even looked at. */
    ck_assert_int_eq(api_device_decode(root, API_DEVICE_ANY, &device, error), NX_OK);
    ck_assert_str_eq(device.sealed_token, "");
    document_end();
}
END_TEST

START_TEST(little_is_needed)
{
    struct api_device device;
    ck_assert_int_eq(api_device_decode(document("{\"id\":\"" ID "\"}"), API_DEVICE_OWN, &device, error),
                     NX_OK);
    ck_assert_str_eq(device.public_key, "");
    ck_assert_str_eq(device.hostname, "");
    ck_assert_str_eq(device.owner_id, "");
    ck_assert_str_eq(device.sealed_token, "");
    ck_assert_int_eq(
        api_device_decode(document("{\"id\":\"" ID
                                   "\",\"endpoints\":null,\"advertise_cidrs\":null,\"public_key\":"
                                   "\"\",\"owner_id\":\"\",\"security_group_id\":\"" NIL
                                   "\",\"hostname\":null,\"later\":{\"a\":[1]}}"),
                          API_DEVICE_ANY, &device, error),
        NX_OK);
    ck_assert_str_eq(device.security_group_id, "");
    ck_assert_uint_eq(device.left_out, 0);
    document_end();
}
END_TEST

START_TEST(members_of_wrong_types)
{
    static const struct {
        const char *members, *error;
    } cases[] = {
        {"\"id\":7", "id: not a string"},
        {"\"id\":\"x\"", "id: not a UUID"},
        {"\"id\":null", "id: missing"},
        {"\"id\":\"\"", "id: missing"},
        {"\"owner_id\":\"me\"", "owner_id: not a UUID"},
        {"\"vpc_id\":[]", "vpc_id: not a string"},
        {"\"security_group_id\":\"" ID "x\"", "security_group_id: not a UUID"},
        {"\"public_key\":{}", "public_key: not a string"},
        {"\"hostname\":true", "hostname: not a string"},
        {"\"hostname\":\"a\\u0000b\"", "hostname: has a NUL byte inside"},
        {"\"os\":1", "os: not a string"},
        {"\"allowed_ips\":\"100.64.0.3\"", "allowed_ips: not an array"},
        {"\"allowed_ips\":{}", "allowed_ips: not an array"},
        {"\"allowed_ips\":[\"1.2.3.4/32\",null]", "allowed_ips[1]: not a string"},
        {"\"advertise_cidrs\":[7]", "advertise_cidrs[0]: not a string"},
        {"\"ipv4_tunnel_ips\":7", "ipv4_tunnel_ips: not an array"},
        {"\"ipv4_tunnel_ips\":[\"100.64.0.3\"]", "ipv4_tunnel_ips[0]: not an object"},
        {"\"ipv6_tunnel_ips\":[{\"address\":6}]", "ipv6_tunnel_ips[0].address: not a string"},
        {"\"ipv6_tunnel_ips\":[{\"cidr\":6}]", "ipv6_tunnel_ips[0].cidr: not a string"},
        {"\"endpoints\":{}", "endpoints: not an array"},
        {"\"endpoints\":[{},null]", "endpoints[1]: not an object"},
        {"\"endpoints\":[{\"address\":[]}]", "endpoints[0].address: not a string"},
        {"\"endpoints\":[{\"source\":4}]", "endpoints[0].source: not a string"},
        {"\"relay\":\"true\"", "relay: neither true nor false"},
        {"\"symmetric_nat\":1", "symmetric_nat: neither true nor false"},
        {"\"online\":0", "online: neither true nor false"},
        {"\"revision\":\"5\"", "revision: not a number"},
        {"\"revision\":-5", "revision: not a whole number"},
        {"\"revision\":99999999999999999999", "revision: not within 0..9223372036854775807"},
        {"\"bearer_token\":7", "bearer_token: not a string"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        struct api_device device;
        snprintf(text, sizeof text, "{\"id\":\"" ID "\",%s}", cases[i].members);
        ck_assert_msg(api_device_decode(document(text), API_DEVICE_OWN, &device, error) == NX_EINVAL, "%s",
                      text);
        ck_assert_str_eq(error, cases[i].error);
        ck_assert_uint_eq(device.allowed_ip_count + device.endpoint_count, 0);
    }
    struct api_device device;
    ck_assert_int_eq(api_device_decode(document("[]"), API_DEVICE_ANY, &device, error), NX_EINVAL);
    ck_assert_str_eq(error, "not an object");
    document_end();
}
END_TEST

START_TEST(what_cannot_be_read_is_left_out)
{
    struct api_device device;
    ck_assert_int_eq(
        api_device_decode(document("{\"id\":\"" ID "\",\"public_key\":\"xyz\",\"hostname\":\"a "
                                   "b\",\"allowed_ips\":[\"100.64.0.50\",\"nonsense\","
                                   "\"\",\"10.0.0.0/33\",\"200::33\"],\"advertise_cidrs\":[\"300.0.0.0/"
                                   "8\",\"10.0.0.7/8\"],\"endpoints\":[{"
                                   "\"source\":\"local\",\"address\":\"invalid "
                                   "AddrPort\"},{},{\"source\":\"stun:\",\"address\":\"192.0.2.1:0\"},{"
                                   "\"address\":\"192.0.2.1:9\"}],\"ipv4_tunnel_ips\":[{\"address\":\"200::"
                                   "1\"},{\"address\":\"100.64.0.9\","
                                   "\"cidr\":\"::/0\"}],\"ipv6_tunnel_ips\":[{}]}"),
                          API_DEVICE_ANY, &device, error),
        NX_OK);
    ck_assert_str_eq(device.public_key, "");
    ck_assert_str_eq(device.hostname, "");
    ck_assert_uint_eq(device.allowed_ip_count, 2);
    ck_assert_str_eq(device.allowed_ips[1], "200::33");
    ck_assert_uint_eq(device.advertise_cidr_count, 1);
    ck_assert_uint_eq(device.endpoint_count, 1);
    ck_assert_str_eq(device.endpoints[0].address, "192.0.2.1:9");
    ck_assert_str_eq(device.endpoints[0].source, "");
    ck_assert_uint_eq(device.ipv4_tunnel_ip_count, 1);
    ck_assert_str_eq(device.ipv4_tunnel_ips[0].cidr, "");
    ck_assert_uint_eq(device.ipv6_tunnel_ip_count, 0);
    ck_assert_uint_eq(device.left_out, 2 + 3 + 1 + 3 + 1 + 1);
    /* No device can have this key. */
    ck_assert_int_eq(api_device_decode(document("{\"id\":\"" ID "\",\"public_key\":"
                                                "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}"),
                                       API_DEVICE_ANY, &device, error),
                     NX_OK);
    ck_assert_str_eq(device.public_key, "");
    document_end();
}
END_TEST

/* A list of `count` times the same element. */
static const struct json_value *list_of(const char *name, const char *element, size_t count)
{
    char *const text = malloc(256 + count * (strlen(element) + 1));
    ck_assert_ptr_nonnull(text);
    char *at = text + sprintf(text, "{\"id\":\"" ID "\",\"%s\":[", name);
    for (size_t i = 0; i < count; i++)
        at += sprintf(at, "%s%s", i ? "," : "", element);
    sprintf(at, "]}");
    const struct json_value *const root = document(text);
    free(text);
    return root;
}

START_TEST(lists_have_ends)
{
    static const struct {
        const char *name, *element, *error;
    } cases[] = {
        {"allowed_ips", "\"10.0.0.1/32\"", "allowed_ips: too long"},
        {"advertise_cidrs", "\"10.0.0.0/8\"", "advertise_cidrs: too long"},
        {"endpoints", "{\"address\":\"192.0.2.1:9\"}", "endpoints: too long"},
        {"ipv4_tunnel_ips", "{\"address\":\"100.64.0.1\"}", "ipv4_tunnel_ips: too long"},
        {"ipv6_tunnel_ips", "{\"address\":\"200::1\"}", "ipv6_tunnel_ips: too long"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct api_device device;
        ck_assert_int_eq(api_device_decode(list_of(cases[i].name, cases[i].element, API_LIST_MAX),
                                           API_DEVICE_ANY, &device, error),
                         NX_OK);
        const size_t kept = device.allowed_ip_count + device.advertise_cidr_count + device.endpoint_count +
                            device.ipv4_tunnel_ip_count + device.ipv6_tunnel_ip_count;
        ck_assert_uint_gt(kept, 0);
        ck_assert_uint_eq(kept + device.left_out, API_LIST_MAX);
        ck_assert_int_eq(api_device_decode(list_of(cases[i].name, cases[i].element, API_LIST_MAX + 1),
                                           API_DEVICE_ANY, &device, error),
                         NX_EINVAL);
        ck_assert_str_eq(error, cases[i].error);
    }
    document_end();
}
END_TEST

START_TEST(devices_come_back_from_a_cache)
{
    struct api_device device, again;
    const char *text;
    size_t length;
    ck_assert_int_eq(api_device_decode(document_file("device-own.json"), API_DEVICE_OWN, &device, error),
                     NX_OK);
    struct json_writer *const writer = json_writer_new(8192);
    api_device_write(writer, NULL, &device);
    ck_assert_int_eq(json_writer_end(writer, &text, &length), NX_OK);
    ck_assert_ptr_null(strstr(text, "bearer_token"));
    ck_assert_ptr_null(strstr(text, "djE="));
    struct json_reader *const reader = json_reader_new(&json_limits_answer);
    const struct json_value *root;
    ck_assert_int_eq(json_read(reader, text, length, &root, error), NX_OK);
    ck_assert_int_eq(api_device_decode(root, API_DEVICE_OWN, &again, error), NX_OK);
    ck_assert_str_eq(again.hostname, device.hostname);
    ck_assert_uint_eq(again.endpoint_count, 2);
    ck_assert_str_eq(again.endpoints[0].source, "local");
    ck_assert_uint_eq(again.allowed_ip_count, 2);
    ck_assert_str_eq(again.ipv6_tunnel_ips[0].cidr, "200::/64");
    ck_assert_uint_eq(again.revision, device.revision);
    ck_assert_uint_eq(again.left_out, 0);
    /* What is written of what was read is the same text. */
    struct json_writer *const second = json_writer_new(8192);
    const char *text_again;
    api_device_write(second, NULL, &again);
    ck_assert_int_eq(json_writer_end(second, &text_again, &length), NX_OK);
    ck_assert_str_eq(text_again, text);
    json_writer_free(second);
    json_writer_free(writer);
    json_reader_free(reader);
    document_end();
}
END_TEST

START_TEST(peering_takes_it)
{
    struct api_device device;
    struct api_peering_scratch scratch;
    struct peering_device out;
    struct member member;
    ck_assert_int_eq(
        api_device_decode(
            document("{\"id\":\"" ID "\",\"public_key\":\"" KEY "\",\"hostname\":\"node\",\"relay\":true,"
                     "\"symmetric_nat\":true,\"allowed_ips\":[\"100.64.0.3/32\",\"200::3/128\"],"
                     "\"ipv4_tunnel_ips\":[{\"address\":\"100.64.0.3\"}],\"ipv6_tunnel_ips\":[{"
                     "\"address\":\"200::3\"}],\"advertise_cidrs\":[\"10.9.0.0/16\"],\"endpoints\":[{"
                     "\"source\":\"local\",\"address\":\"192.0.2.7:1\"},{\"source\":\"stun:\",\"address\":"
                     "\"198.51.100.9:2\"}]}"),
            API_DEVICE_ANY, &device, error),
        NX_OK);
    api_device_to_peering(&device, &scratch, &out);
    ck_assert_int_eq(member_read(&out, &member), NX_OK);
    ck_assert_str_eq(member.id, ID);
    ck_assert_str_eq(member.hostname, "node");
    ck_assert_uint_eq(member.claim_count, 3);
    ck_assert_uint_eq(member.local.port, 1);
    ck_assert_uint_eq(member.reflexive.port, 2);
    ck_assert_int_eq(member.tunnel_v4.family, NETADDR_V4);
    ck_assert_int_eq(member.tunnel_v6.family, NETADDR_V6);
    ck_assert(member.relay && member.symmetric_nat && member.relay_type == RELAY_WIREGUARD);
    member_free(&member);
    /* One without a key is refused there, and does no harm. */
    ck_assert_int_eq(api_device_decode(document("{\"id\":\"" ID "\"}"), API_DEVICE_ANY, &device, error),
                     NX_OK);
    api_device_to_peering(&device, &scratch, &out);
    ck_assert_int_eq(member_read(&out, &member), NX_EINVAL);
    document_end();
}
END_TEST

START_TEST(vpcs_keys_and_users)
{
    struct api_vpc vpc;
    struct api_reg_key key;
    struct api_user user;
    ck_assert_int_eq(api_vpc_decode(document_file("vpc.json"), &vpc, error), NX_OK);
    ck_assert_str_eq(vpc.id, OTHER);
    ck_assert_str_eq(vpc.organization_id, OTHER);
    ck_assert_str_eq(vpc.description, "default vpc");
    ck_assert_str_eq(vpc.ipv4_cidr, "100.64.0.0/10");
    ck_assert_str_eq(vpc.ipv6_cidr, "200::/64");
    ck_assert(!vpc.private_cidr);
    ck_assert_uint_eq(vpc.revision, 3);
    ck_assert_int_eq(api_reg_key_decode(document_file("reg-key.json"), &key, error), NX_OK);
    ck_assert_str_eq(key.vpc_id, OTHER);
    ck_assert_str_eq(key.device_id, "");
    ck_assert_str_eq(key.security_group_id, "");
    ck_assert_uint_eq(key.expires_at_ms, 0);
    ck_assert_int_eq(
        api_reg_key_decode(document("{\"id\":\"" ID
                                    "\",\"expires_at\":\"2026-11-23T09:52:57Z\",\"device_id\":\"" OTHER
                                    "\",\"security_group_id\":\"" OTHER "\"}"),
                           &key, error),
        NX_OK);
    ck_assert_uint_eq(key.expires_at_ms, UINT64_C(1795427577000));
    ck_assert_str_eq(key.device_id, OTHER);
    ck_assert_str_eq(key.security_group_id, OTHER);
    ck_assert_int_eq(api_user_decode(document_file("user.json"), &user, error), NX_OK);
    ck_assert_str_eq(user.username, "kitteh4");
    ck_assert(uuid_valid(user.id));
    document_end();
}
END_TEST

static int vpc_error(const char *text)
{
    struct api_vpc vpc;
    return api_vpc_decode(document(text), &vpc, error);
}

static int reg_key_error(const char *text)
{
    struct api_reg_key key;
    return api_reg_key_decode(document(text), &key, error);
}

static int user_error(const char *text)
{
    struct api_user user;
    return api_user_decode(document(text), &user, error);
}

static int metadata_error(const char *text)
{
    struct api_device_metadata metadata;
    return api_device_metadata_decode(document(text), &metadata, error);
}

static int group_error(const char *text)
{
    struct api_security_group group;
    const int err = api_security_group_decode(document(text), &group, error);
    if (err)
        ck_assert_ptr_null(group.memory);
    else
        api_security_group_free(&group);
    return err;
}

START_TEST(other_objects_that_are_wrong)
{
    static const struct {
        int (*decode)(const char *text);
        const char *text, *error;
    } cases[] = {
        {vpc_error, "[]", "not an object"},
        {vpc_error, "{\"id\":\"" ID "\"}", "ipv4_cidr: missing, and ipv6_cidr too"},
        {vpc_error, "{\"id\":\"" ID "\",\"ipv4_cidr\":\"200::/64\"}", "ipv4_cidr: not an IPv4 prefix"},
        {vpc_error, "{\"id\":\"" ID "\",\"ipv6_cidr\":\"100.64.0.0/10\"}", "ipv6_cidr: not an IPv6 prefix"},
        {vpc_error, "{\"id\":\"" ID "\",\"ipv4_cidr\":\"100.64.0.0/40\"}", "ipv4_cidr: not an IPv4 prefix"},
        {vpc_error, "{\"id\":\"" ID "\",\"ipv4_cidr\":7}", "ipv4_cidr: not a string"},
        {vpc_error, "{\"id\":\"" ID "\",\"private_cidr\":7}", "private_cidr: neither true nor false"},
        {vpc_error, "{\"ipv4_cidr\":\"100.64.0.0/10\"}", "id: missing"},
        {reg_key_error, "{}", "id: missing"},
        {reg_key_error, "{\"id\":\"" ID "\",\"vpc_id\":\"vpc\"}", "vpc_id: not a UUID"},
        {reg_key_error, "{\"id\":\"" ID "\",\"expires_at\":\"tomorrow\"}", "expires_at: not a time"},
        {reg_key_error, "{\"id\":\"" ID "\",\"expires_at\":7}", "expires_at: not a string"},
        {user_error, "{\"id\":\"me\"}", "id: not a UUID"},
        {user_error, "{\"id\":\"" ID "\",\"username\":[]}", "username: not a string"},
        {metadata_error, "{\"device_id\":\"" ID "\"}", "key: missing"},
        {metadata_error, "{\"device_id\":\"" ID "\",\"key\":\"\"}", "key: empty"},
        {metadata_error, "{\"key\":\"relay\"}", "device_id: missing"},
        {metadata_error, "{\"device_id\":\"" ID "\",\"key\":\"relay\",\"revision\":1.5}",
         "revision: not a whole number"},
        {group_error, "[]", "not an object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_msg(cases[i].decode(cases[i].text) == NX_EINVAL, "%s", cases[i].text);
        ck_assert_str_eq(error, cases[i].error);
    }
    document_end();
}
END_TEST

START_TEST(a_recorded_group)
{
    struct api_security_group group;
    ck_assert_int_eq(api_security_group_decode(document_file("security-group.json"), &group, error), NX_OK);
    ck_assert_str_eq(group.description, "web and dns");
    ck_assert_str_eq(group.vpc_id, OTHER);
    ck_assert_uint_eq(group.revision, 8);
    ck_assert_uint_eq(group.inbound_count, 2);
    ck_assert_uint_eq(group.outbound_count, 1);
    ck_assert_int_eq(group.inbound[0].protocol, API_PROTOCOL_UDP);
    ck_assert_uint_eq(group.inbound[0].from_port, 53);
    ck_assert_uint_eq(group.inbound[0].range_count, 2);
    char text[NETADDR_TEXT_MAX];
    ck_assert_str_eq(netaddr_format(&group.inbound[0].ranges[0].first, text), "100.64.0.0");
    ck_assert_str_eq(netaddr_format(&group.inbound[0].ranges[0].last, text), "100.127.255.255");
    ck_assert_str_eq(netaddr_format(&group.inbound[0].ranges[1].last, text), "200::ffff:ffff:ffff:ffff");
    ck_assert_int_eq(group.inbound[1].protocol, API_PROTOCOL_TCP);
    ck_assert_uint_eq(group.inbound[1].to_port, 0);
    ck_assert_uint_eq(group.inbound[1].range_count, 0);
    ck_assert_int_eq(group.outbound[0].protocol, API_PROTOCOL_ICMP);
    ck_assert_str_eq(api_protocol_name(group.outbound[0].protocol), "icmp");
    api_security_group_free(&group);
    ck_assert_int_eq(api_security_group_decode(document("{\"id\":\"" ID "\"}"), &group, error), NX_OK);
    ck_assert_uint_eq(group.inbound_count + group.outbound_count, 0);
    api_security_group_free(&group);
    document_end();
}
END_TEST

/* A group with this one inbound rule. */
static int rule_error(const char *rule)
{
    char text[512];
    snprintf(text, sizeof text, "{\"id\":\"" ID "\",\"inbound_rules\":[%s]}", rule);
    return group_error(text);
}

START_TEST(rules_are_read_or_the_group_is_refused)
{
    static const char *const good[] = {"{}",
                                       "{\"ip_protocol\":\"\",\"ip_ranges\":null}",
                                       "{\"ip_protocol\":\"icmpv6\"}",
                                       "{\"ip_ranges\":[\"\"]}",
                                       "{\"ip_ranges\":[\"10.0.0.1\",\"10.0.0.0/8\",\"10.0.0.5-10.0.0.9\"]}",
                                       "{\"ip_ranges\":[\"200::1-200::ff\",\"0.0.0.0/0\",\"::/0\"]}",
                                       "{\"from_port\":1,\"to_port\":65535}",
                                       "{\"ip_ranges\":[\"10.0.0.1-10.0.0.1\"]}"};
    static const struct {
        const char *rule, *error;
    } bad[] = {
        {"7", "inbound_rules[0]: not an object"},
        {"{},null", "inbound_rules[1]: not an object"},
        {"{\"ip_protocol\":\"sctp\"}", "inbound_rules[0].ip_protocol: not a protocol that is known"},
        {"{\"ip_protocol\":\"TCP\"}", "inbound_rules[0].ip_protocol: not a protocol that is known"},
        {"{\"ip_protocol\":6}", "inbound_rules[0].ip_protocol: not a string"},
        {"{\"from_port\":5,\"to_port\":4}", "inbound_rules[0].to_port: no range of ports with from_port"},
        {"{\"from_port\":5}", "inbound_rules[0].to_port: no range of ports with from_port"},
        {"{\"to_port\":5}", "inbound_rules[0].to_port: no range of ports with from_port"},
        {"{\"from_port\":1,\"to_port\":65536}", "inbound_rules[0].to_port: not within 0..65535"},
        {"{\"from_port\":\"1\"}", "inbound_rules[0].from_port: not a number"},
        {"{\"ip_ranges\":\"10.0.0.0/8\"}", "inbound_rules[0].ip_ranges: not an array"},
        {"{\"ip_ranges\":[7]}", "inbound_rules[0].ip_ranges[0]: not a string"},
        {"{\"ip_ranges\":[\"any\"]}",
         "inbound_rules[0].ip_ranges[0]: neither an address, nor a prefix, nor a range"},
        {"{\"ip_ranges\":[\"10.0.0.9-10.0.0.5\"]}", NULL},
        {"{\"ip_ranges\":[\"10.0.0.9-200::1\"]}", NULL},
        {"{\"ip_ranges\":[\"10.0.0.9-\"]}", NULL},
        {"{\"ip_ranges\":[\"-10.0.0.9\"]}", NULL},
        {"{\"ip_ranges\":[\"10.0.0.1/33\"]}", NULL},
        {"{\"ip_ranges\":[\"0000000000000000000000000000000000000000000000000000000000-1.2.3.4\"]}", NULL},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ck_assert_msg(rule_error(good[i]) == NX_OK, "%s: %s", good[i], error);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_msg(rule_error(bad[i].rule) == NX_EINVAL, "%s", bad[i].rule);
        if (bad[i].error)
            ck_assert_str_eq(error, bad[i].error);
    }
    ck_assert_int_eq(group_error("{\"id\":\"" ID "\",\"outbound_rules\":{}}"), NX_EINVAL);
    ck_assert_str_eq(error, "outbound_rules: not an array");
    struct api_security_group group;
    ck_assert_int_eq(api_security_group_decode(list_of("inbound_rules", "{}", API_RULES_MAX), &group, error),
                     NX_OK);
    ck_assert_uint_eq(group.inbound_count, API_RULES_MAX);
    api_security_group_free(&group);
    ck_assert_int_eq(
        api_security_group_decode(list_of("outbound_rules", "{}", API_RULES_MAX + 1), &group, error),
        NX_EINVAL);
    ck_assert_str_eq(error, "outbound_rules: too many rules");
    document_end();
}
END_TEST

START_TEST(metadata_of_relays)
{
    static const struct {
        const char *value;
        enum relay_type type;
        const char *hostname;
    } cases[] = {
        {"{\"type\":\"derp\",\"hostname\":\"derp.nexodus.test\"}", RELAY_DERP, "derp.nexodus.test"},
        {"{\"type\":\"derp\",\"hostname\":\"a b\"}", RELAY_DERP, ""},
        {"{\"type\":\"derp\",\"hostname\":7}", RELAY_DERP, ""},
        {"{\"type\":\"derp\"}", RELAY_DERP, ""},
        {"{\"type\":\"wireguard\",\"hostname\":\"x\"}", RELAY_WIREGUARD, ""},
        {"{\"type\":7}", RELAY_WIREGUARD, ""},
        {"\"derp\"", RELAY_WIREGUARD, ""},
        {"null", RELAY_WIREGUARD, ""},
    };
    struct api_device_metadata metadata;
    const char *hostname = NULL;
    ck_assert_int_eq(api_device_metadata_decode(document_file("device-metadata.json"), &metadata, error),
                     NX_OK);
    ck_assert_str_eq(metadata.key, "relay");
    ck_assert_uint_eq(metadata.revision, 1);
    ck_assert_int_eq(api_relay_type(&metadata, &hostname), RELAY_DERP);
    ck_assert_str_eq(hostname, "derp.nexodus.test");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"device_id\":\"" ID "\",\"key\":\"relay\",\"value\":%s}",
                 cases[i].value);
        ck_assert_int_eq(api_device_metadata_decode(document(text), &metadata, error), NX_OK);
        ck_assert_int_eq(api_relay_type(&metadata, &hostname), cases[i].type);
        ck_assert_str_eq(hostname, cases[i].hostname);
        ck_assert_int_eq(api_relay_type(&metadata, NULL), cases[i].type);
    }
    document_end();
}
END_TEST

START_TEST(error_bodies)
{
    static const struct {
        const char *body, *error, *field, *id;
    } cases[] = {
        {"{\"id\":\"" ID "\",\"error\":\"resource already exists\"}", "resource already exists", "", ID},
        {"{\"id\":\"../../users/me\",\"error\":\"x\"}", "x", "", ""},
        {"{\"error\":\"required\",\"field\":\"request[0].options.vpc-id\"}", "required",
         "request[0].options.vpc-id", ""},
        {"", "", "", ""},
        {"\n\n", "", "", ""},
        {"Jwt is expired", "Jwt is expired", "", ""},
        {"404 page not found\n", "404 page not found", "", ""},
        {" first \r\nsecond", "first", "", ""},
        {"{\"error\":", "{\"error\":", "", ""},
        {"[1]", "[1]", "", ""},
        {"{\"error\":7,\"field\":{}}", "", "", ""},
        {"\x1b[2J\xff\xe2\x80\xae", "?[2J??\?\?", "", ""},
        {"{\"error\":\"a\\u001b[2J\\u202e\\r\\nb\"}", "a?[2J??\?\?\?b", "", ""},
    };
    struct json_reader *const reader = json_reader_new(&json_limits_answer);
    struct api_error out;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        api_error_decode(reader, cases[i].body, strlen(cases[i].body), &out);
        ck_assert_str_eq(out.error, cases[i].error);
        ck_assert_str_eq(out.field, cases[i].field);
        ck_assert_str_eq(out.id, cases[i].id);
    }
    static const char all[] =
        "{\"error\":\"internal server error\",\"trace_id\":\"ae4e\",\"reason\":\"r\",\"resource\":\"vpc\"}";
    api_error_decode(reader, all, sizeof all - 1, &out);
    ck_assert_str_eq(out.trace_id, "ae4e");
    ck_assert_str_eq(out.reason, "r");
    ck_assert_str_eq(out.resource, "vpc");
    api_error_decode(NULL, "{\"error\":\"x\"}", 13, &out);
    ck_assert_str_eq(out.error, "{\"error\":\"x\"}");
    /* Ten megabytes of it. */
    const size_t size = 10 << 20;
    char *const huge = malloc(size);
    ck_assert_ptr_nonnull(huge);
    memset(huge, 'e', size);
    memcpy(huge, "{\"error\":\"", 10);
    api_error_decode(reader, huge, size, &out);
    ck_assert_uint_eq(strlen(out.error), sizeof out.error - 1);
    free(huge);
    json_reader_free(reader);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, uuids);
    tcase_add_test(tcase, a_recorded_device);
    tcase_add_test(tcase, little_is_needed);
    tcase_add_test(tcase, members_of_wrong_types);
    tcase_add_test(tcase, what_cannot_be_read_is_left_out);
    tcase_add_test(tcase, lists_have_ends);
    tcase_add_test(tcase, devices_come_back_from_a_cache);
    tcase_add_test(tcase, peering_takes_it);
    tcase_add_test(tcase, vpcs_keys_and_users);
    tcase_add_test(tcase, other_objects_that_are_wrong);
    tcase_add_test(tcase, a_recorded_group);
    tcase_add_test(tcase, rules_are_read_or_the_group_is_refused);
    tcase_add_test(tcase, metadata_of_relays);
    tcase_add_test(tcase, error_bodies);
}

int main(void)
{
    return unit_run("nexodus/models", fill);
}
