/* Each decoder goes through the members in their order and stops at the first that is wrong. Groups and
 * devices have files of their own. */
#include "ctld/nexodus/models.h"

#include "common/err.h"
#include "common/text.h"
#include "ctld/nexodus/models_internal.h"
#include "ctld/nexodus/timestamp.h"

#include <string.h>

static const char nil_uuid[] = "00000000-0000-0000-0000-000000000000";

bool uuid_valid(const char *text)
{
    for (size_t i = 0; i < UUID_TEXT_LENGTH; i++) {
        const char c = text[i];
        const bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if (hyphen ? c != '-' : !text_is_digit(c) && (c < 'a' || c > 'f'))
            return false;
    }
    return text[UUID_TEXT_LENGTH] == '\0';
}

bool uuid_is_nil(const char *text)
{
    return strcmp(text, nil_uuid) == 0;
}

int model_get_uuid_optional(const struct json_value *object, const char *name, const char **out, char *error)
{
    const char *text = "";
    const int err = json_get_string_optional(object, name, API_TEXT_MAX, &text, error);
    if (err)
        return err;
    if (text[0] != '\0' && !uuid_valid(text))
        return json_fail(object, name, "not a UUID", error);
    *out = text;
    return NX_OK;
}

int model_get_uuid(const struct json_value *object, const char *name, const char **out, char *error)
{
    const int err = model_get_uuid_optional(object, name, out, error);
    if (err)
        return err;
    return **out == '\0' ? json_fail(object, name, "missing", error) : NX_OK;
}

int model_get_group_id(const struct json_value *object, const char **out, char *error)
{
    const int err = model_get_uuid_optional(object, "security_group_id", out, error);
    if (!err && uuid_is_nil(*out))
        *out = "";
    return err;
}

int model_get_text(const struct json_value *object, const char *name, const char **out, char *error)
{
    *out = "";
    return json_get_string_optional(object, name, API_TEXT_MAX, out, error);
}

int model_get_revision(const struct json_value *object, uint64_t *out, char *error)
{
    *out = 0;
    return json_get_u64_optional(object, "revision", 0, INT64_MAX, out, error);
}

static int range_get(const struct json_value *object, const char *name, enum netaddr_family family,
                     const char **out, char *error)
{
    struct netprefix prefix;
    const int err = model_get_text(object, name, out, error);
    if (err || **out == '\0')
        return err;
    if (netprefix_parse(*out, true, &prefix) != NX_OK || prefix.addr.family != family)
        return json_fail(object, name, family == NETADDR_V4 ? "not an IPv4 prefix" : "not an IPv6 prefix",
                         error);
    return NX_OK;
}

int api_vpc_decode(const struct json_value *value, struct api_vpc *out, char *error)
{
    int err = json_require_object(value, error);
    memset(out, 0, sizeof *out);
    if (!err)
        err = model_get_uuid(value, "id", &out->id, error);
    if (!err)
        err = model_get_uuid_optional(value, "organization_id", &out->organization_id, error);
    if (!err)
        err = model_get_text(value, "description", &out->description, error);
    if (!err)
        err = json_get_bool_optional(value, "private_cidr", &out->private_cidr, error);
    if (!err)
        err = range_get(value, "ipv4_cidr", NETADDR_V4, &out->ipv4_cidr, error);
    if (!err)
        err = range_get(value, "ipv6_cidr", NETADDR_V6, &out->ipv6_cidr, error);
    if (!err)
        err = model_get_revision(value, &out->revision, error);
    if (!err && out->ipv4_cidr[0] == '\0' && out->ipv6_cidr[0] == '\0')
        err = json_fail(value, "ipv4_cidr", "missing, and ipv6_cidr too", error);
    if (err)
        memset(out, 0, sizeof *out);
    return err;
}

int api_reg_key_decode(const struct json_value *value, struct api_reg_key *out, char *error)
{
    const char *expires = "";
    int err = json_require_object(value, error);
    memset(out, 0, sizeof *out);
    if (!err)
        err = model_get_uuid(value, "id", &out->id, error);
    if (!err)
        err = model_get_uuid_optional(value, "owner_id", &out->owner_id, error);
    if (!err)
        err = model_get_uuid_optional(value, "vpc_id", &out->vpc_id, error);
    if (!err)
        err = model_get_uuid_optional(value, "device_id", &out->device_id, error);
    if (!err)
        err = model_get_group_id(value, &out->security_group_id, error);
    if (!err)
        err = model_get_text(value, "description", &out->description, error);
    if (!err)
        err = model_get_text(value, "expires_at", &expires, error);
    if (!err && expires[0] != '\0' &&
        timestamp_parse_rfc3339(expires, strlen(expires), &out->expires_at_ms) != NX_OK)
        err = json_fail(value, "expires_at", "not a time", error);
    if (err)
        memset(out, 0, sizeof *out);
    return err;
}

int api_user_decode(const struct json_value *value, struct api_user *out, char *error)
{
    int err = json_require_object(value, error);
    memset(out, 0, sizeof *out);
    if (!err)
        err = model_get_uuid(value, "id", &out->id, error);
    if (!err)
        err = model_get_text(value, "username", &out->username, error);
    if (!err)
        err = model_get_text(value, "full_name", &out->full_name, error);
    if (err)
        memset(out, 0, sizeof *out);
    return err;
}

int api_device_metadata_decode(const struct json_value *value, struct api_device_metadata *out, char *error)
{
    int err = json_require_object(value, error);
    memset(out, 0, sizeof *out);
    if (!err)
        err = model_get_uuid(value, "device_id", &out->device_id, error);
    if (!err)
        err = json_get_string(value, "key", API_TEXT_MAX, &out->key, error);
    if (!err && out->key[0] == '\0')
        err = json_fail(value, "key", "empty", error);
    if (!err)
        err = model_get_revision(value, &out->revision, error);
    out->value = json_member(value, "value");
    if (err)
        memset(out, 0, sizeof *out);
    return err;
}

enum relay_type api_relay_type(const struct api_device_metadata *metadata, const char **derp_hostname)
{
    char error[JSON_ERROR_MAX];
    const char *type = "", *hostname = "";
    if (derp_hostname)
        *derp_hostname = "";
    if (json_get_string_optional(metadata->value, "type", API_TEXT_MAX, &type, error) != NX_OK ||
        strcmp(type, "derp") != 0)
        return RELAY_WIREGUARD;
    if (derp_hostname &&
        json_get_string_optional(metadata->value, "hostname", API_TEXT_MAX, &hostname, error) == NX_OK &&
        hostname_valid(hostname))
        *derp_hostname = hostname;
    return RELAY_DERP;
}

/* -- Error answers -- */

static void plain_text_read(const char *body, size_t length, struct api_error *out)
{
    const struct text_span text = text_trim(body, length);
    const char *const line = text.length ? memchr(text.start, '\n', text.length) : NULL;
    const struct text_span first = text_trim(text.start, line ? (size_t)(line - text.start) : text.length);
    json_text_printable(first.start, first.length, out->error, sizeof out->error);
}

void api_error_decode(struct json_reader *reader, const char *body, size_t length, struct api_error *out)
{
    char error[JSON_ERROR_MAX];
    const struct json_value *root = NULL;
    const char *id;
    memset(out, 0, sizeof *out);
    if (length == 0)
        return;
    if (!reader || json_read(reader, body, length, &root, error) != NX_OK || json_type(root) != JSON_OBJECT) {
        plain_text_read(body, length, out);
        goto out;
    }
    json_copy_printable(json_member(root, "error"), out->error, sizeof out->error);
    json_copy_printable(json_member(root, "field"), out->field, sizeof out->field);
    json_copy_printable(json_member(root, "reason"), out->reason, sizeof out->reason);
    json_copy_printable(json_member(root, "resource"), out->resource, sizeof out->resource);
    json_copy_printable(json_member(root, "trace_id"), out->trace_id, sizeof out->trace_id);
    if (json_get_string(root, "id", UUID_TEXT_LENGTH, &id, error) == NX_OK && uuid_valid(id))
        memcpy(out->id, id, UUID_TEXT_LENGTH);
out:
    if (reader)
        json_reader_reset(reader);
}
