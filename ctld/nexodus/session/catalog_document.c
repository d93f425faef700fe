/* One JSON object: {"version":1,"service":…,"public_key":…,"device_id":…,"vpc":{…},"devices":[…],
 * "security_groups":[…],"relays":[…]}. The entries are texts already, and are joined as they are. */
#include "ctld/nexodus/session/catalog_document.h"

#include "common/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_BYTES_MAX = 4096, DOCUMENT_VERSION = 1 };

static const char *const members[CATALOG_KINDS] = {
    [CATALOG_DEVICES] = "devices", [CATALOG_GROUPS] = "security_groups", [CATALOG_RELAYS] = "relays"};

void session_vpc_set(struct session_vpc *out, const struct api_vpc *vpc)
{
    snprintf(out->id, sizeof out->id, "%s", vpc->id);
    snprintf(out->ipv4_cidr, sizeof out->ipv4_cidr, "%s", vpc->ipv4_cidr);
    snprintf(out->ipv6_cidr, sizeof out->ipv6_cidr, "%s", vpc->ipv6_cidr);
}

/* -- Writing -- */

/* The head alone, an object of its own. */
static int head_write(struct json_writer *writer, const struct session_vpc *vpc,
                      const struct catalog_owner *owner, const char **text, size_t *length)
{
    json_put_object(writer, NULL);
    json_put_u64(writer, "version", DOCUMENT_VERSION);
    json_put_string(writer, "service", owner->api_base);
    json_put_string(writer, "public_key", owner->public_key);
    json_put_string(writer, "device_id", owner->device_id);
    json_put_object(writer, "vpc");
    json_put_string(writer, "id", vpc->id);
    json_put_string(writer, "ipv4_cidr", vpc->ipv4_cidr);
    json_put_string(writer, "ipv6_cidr", vpc->ipv6_cidr);
    json_put_end(writer);
    json_put_end(writer);
    return json_writer_end(writer, text, length);
}

static char *append(char *at, const char *text, size_t length)
{
    memcpy(at, text, length);
    return at + length;
}

static char *shelf_append(char *at, const char *name, const struct catalog_shelf *shelf)
{
    at = append(at, ",\"", 2);
    at = append(at, name, strlen(name));
    at = append(at, "\":[", 3);
    for (size_t i = 0; i < shelf->count; i++) {
        if (i > 0)
            *at++ = ',';
        *at++ = '\n';
        at = append(at, shelf->items[i].text, shelf->items[i].length);
    }
    *at++ = ']';
    return at;
}

char *catalog_document_write(const struct catalog *catalog, const struct session_vpc *vpc,
                             const struct catalog_owner *owner, size_t *length)
{
    struct json_writer *writer = json_writer_new(HEAD_BYTES_MAX);
    const char *head;
    size_t head_length, size = 64;
    char *text = NULL, *at;
    if (!writer || head_write(writer, vpc, owner, &head, &head_length) != NX_OK)
        goto out;
    for (size_t kind = 0; kind < CATALOG_KINDS; kind++)
        size += catalog->shelves[kind].bytes + 2 * catalog->shelves[kind].count + 32;
    text = malloc(size + head_length);
    if (!text)
        goto out;
    at = append(text, head, head_length - 2); /* without "}\n" */
    for (size_t kind = 0; kind < CATALOG_KINDS; kind++)
        at = shelf_append(at, members[kind], &catalog->shelves[kind]);
    at = append(at, "}\n", 2);
    *length = (size_t)(at - text);
out:
    json_writer_free(writer);
    return text;
}

/* -- Reading -- */

static bool member_is(const struct json_value *root, const char *name, const char *wanted)
{
    const char *text = json_text(json_member(root, name), NULL);
    return text && strcmp(text, wanted) == 0;
}

static int head_read(const struct json_value *root, const struct catalog_owner *owner,
                     struct session_vpc *vpc, char *device_id, char *error)
{
    uint64_t version;
    const char *id;
    struct api_vpc read;
    int err = json_require_object(root, error);
    if (!err)
        err = json_get_u64(root, "version", DOCUMENT_VERSION, DOCUMENT_VERSION, &version, error);
    if (!err &&
        (!member_is(root, "service", owner->api_base) || !member_is(root, "public_key", owner->public_key))) {
        snprintf(error, JSON_ERROR_MAX, "of another control plane or key pair");
        err = NX_ENOENT;
    }
    if (!err)
        err = json_get_string(root, "device_id", UUID_TEXT_LENGTH, &id, error);
    if (!err && !uuid_valid(id))
        err = json_fail(root, "device_id", "not a UUID", error);
    if (!err)
        err = api_vpc_decode(json_member(root, "vpc"), &read, error);
    if (err)
        return err;
    memcpy(device_id, id, UUID_TEXT_LENGTH + 1);
    session_vpc_set(vpc, &read);
    return NX_OK;
}

static void entries_read(const struct json_value *root, struct catalog *catalog)
{
    struct api_device device;
    struct api_security_group group;
    struct api_device_metadata metadata;
    char error[JSON_ERROR_MAX];
    const struct json_value *at;
    for (at = json_first(json_member(root, members[CATALOG_DEVICES])); at; at = json_next(at))
        if (api_device_decode(at, API_DEVICE_ANY, &device, error) == NX_OK)
            catalog_put_device(catalog, &device);
    for (at = json_first(json_member(root, members[CATALOG_GROUPS])); at; at = json_next(at))
        if (api_security_group_decode(at, &group, error) == NX_OK) {
            catalog_put_value(catalog, CATALOG_GROUPS, group.id, at);
            api_security_group_free(&group);
        }
    for (at = json_first(json_member(root, members[CATALOG_RELAYS])); at; at = json_next(at))
        if (api_device_metadata_decode(at, &metadata, error) == NX_OK)
            catalog_put_value(catalog, CATALOG_RELAYS, metadata.device_id, at);
}

int catalog_document_read(const char *text, size_t length, const struct catalog_owner *owner,
                          struct catalog *catalog, struct session_vpc *vpc, char *device_id, char *error)
{
    const struct json_limits limits = {
        .bytes_max = 16 << 20, .string_max = 32 << 10, .values_max = 1 << 20, .depth_max = 16};
    struct json_reader *reader = json_reader_new(&limits);
    const struct json_value *root;
    snprintf(error, JSON_ERROR_MAX, "out of memory");
    int err = reader ? json_read(reader, text, length, &root, error) : NX_ENOMEM;
    if (err && err != NX_ENOMEM)
        err = NX_EINVAL;
    if (!err)
        err = head_read(root, owner, vpc, device_id, error);
    if (!err)
        entries_read(root, catalog);
    json_reader_free(reader);
    return err;
}
