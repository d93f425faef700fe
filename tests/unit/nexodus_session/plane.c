#include "tests/unit/nexodus_session/plane.h"

#include "tests/unit/nexodus/document.h"
#include "tests/unit/nexodus_session/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void key_of(unsigned number, char *out)
{
    uint8_t key[KEY_BYTES];
    for (size_t i = 0; i < KEY_BYTES; i++)
        key[i] = (uint8_t)(number * 7 + i);
    key_format(key, out);
}

/* The device as JSON; `sealed` is "" for what everybody may see. */
static char *device_json(const struct plane_device *device, const char *sealed)
{
    char *text = NULL;
    const int length = asprintf(
        &text,
        "{\"id\":\"%s\",\"owner_id\":\"" PLANE_USER "\",\"vpc_id\":\"" PLANE_VPC "\",\"public_key\":\"%s\","
        "\"allowed_ips\":[\"100.64.0.%u/32\",\"200::%x/128\"],"
        "\"ipv4_tunnel_ips\":[{\"address\":\"100.64.0.%u\",\"cidr\":\"100.64.0.0/10\"}],"
        "\"ipv6_tunnel_ips\":[{\"address\":\"200::%x\",\"cidr\":\"200::/64\"}],\"advertise_cidrs\":null,"
        "\"relay\":false,\"symmetric_nat\":false,\"hostname\":\"%s\",\"os\":\"linux\",\"endpoints\":%s,"
        "\"revision\":%llu,\"security_group_id\":\"" PLANE_VPC "\",\"online\":true,\"bearer_token\":\"%s\"}",
        device->id, device->there ? device->key : "", device->number, device->number, device->number,
        device->number, device->hostname, device->endpoints, (unsigned long long)device->revision, sealed);
    ck_assert_int_gt(length, 0);
    return text;
}

static struct plane_device *device_new(struct plane *plane, unsigned number)
{
    ck_assert_uint_lt(plane->count, PLANE_DEVICES);
    struct plane_device *device = &plane->devices[plane->count++];
    *device = (struct plane_device){.there = true, .number = number, .revision = ++plane->revision};
    snprintf(device->id, sizeof device->id, "8ab599fb-462e-4181-8238-%012x", plane->count * 0x1001u);
    snprintf(device->hostname, sizeof device->hostname, "box-%u", number);
    return device;
}

void plane_init(struct plane *plane, struct sim *sim)
{
    *plane = (struct plane){.sim = sim, .revision = 10};
}

/* -- Streams -- */

static void to_stream(struct plane *plane, size_t index, const char *data)
{
    const struct sim_request request = {.number = plane->streams[index].request};
    sim_stream_data(plane->sim, &request, PLANE_LATENCY_MS, data);
}

void plane_event(struct plane *plane, const char *event)
{
    for (size_t i = 0; i < PLANE_STREAMS; i++)
        if (plane->streams[i].request)
            to_stream(plane, i, event);
}

void plane_cut(struct plane *plane, enum http_failure failure)
{
    for (size_t i = 0; i < PLANE_STREAMS; i++) {
        const struct sim_request request = {.number = plane->streams[i].request};
        if (request.number)
            sim_stream_end(plane->sim, &request, 1, failure);
        plane->streams[i].request = 0;
    }
}

static char *device_event(const struct plane_device *device)
{
    char *json = device_json(device, "djE=:poison:poison"), *event;
    ck_assert_int_gt(asprintf(&event, "{\"kind\":\"device\",\"type\":\"%s\",\"value\":%s}\n\n",
                              device->there ? "change" : "delete", json),
                     0);
    free(json);
    return event;
}

static void device_tell(struct plane *plane, struct plane_device *device)
{
    device->revision = ++plane->revision;
    char *event = device_event(device);
    plane_event(plane, event);
    free(event);
}

static uint64_t watched(const char *body, const char *kind, bool *at_tail)
{
    const struct json_value *watch = json_first(document(body));
    uint64_t revision = 0;
    char error[JSON_ERROR_MAX];
    while (watch && strcmp(json_text(json_member(watch, "kind"), NULL), kind) != 0)
        watch = json_next(watch);
    ck_assert_ptr_nonnull(watch);
    *at_tail = false;
    ck_assert_int_eq(json_get_bool_optional(watch, "at_tail", at_tail, error), NX_OK);
    ck_assert_int_eq(json_get_u64_optional(watch, "gt_revision", 0, UINT64_MAX / 2, &revision, error), NX_OK);
    return revision;
}

static void stream_serve(struct plane *plane, struct sim_request *request)
{
    bool at_tail;
    const uint64_t from = watched(request->body, "device", &at_tail);
    size_t i = 0;
    while (i < PLANE_STREAMS && plane->streams[i].request)
        i++;
    if (i == PLANE_STREAMS) {
        memset(plane->streams, 0, sizeof plane->streams);
        i = 0;
    }
    plane->streams[i].request = request->number;
    sim_stream_open(plane->sim, request, PLANE_LATENCY_MS);
    if (!at_tail && plane->stream_extra)
        to_stream(plane, i, plane->stream_extra);
    if (!at_tail) {
        char group[512];
        snprintf(group, sizeof group,
                 "{\"kind\":\"security-group\",\"type\":\"change\",\"value\":{\"id\":\"" PLANE_VPC
                 "\",\"description\":\"\",\"vpc_id\":\"" PLANE_VPC
                 "\",\"inbound_rules\":%s,\"revision\":3}}\n\n",
                 plane->group_rules ? plane->group_rules : "[]");
        to_stream(plane, i, group);
    }
    for (size_t d = 0; d < plane->count; d++) {
        struct plane_device *device = &plane->devices[d];
        if (device->revision <= from || (!at_tail && !device->there))
            continue;
        char *event = device_event(device);
        to_stream(plane, i, event);
        free(event);
    }
    if (!at_tail)
        to_stream(
            plane, i,
            "{\"kind\":\"device\",\"type\":\"tail\"}\n\n{\"kind\":\"security-group\",\"type\":\"tail\"}\n\n"
            "{\"kind\":\"device-metadata\",\"type\":\"tail\"}\n\n");
    if (plane->stream_life_ms)
        sim_stream_end(plane->sim, request, plane->stream_life_ms, HTTP_CUT);
}

/* -- Requests -- */

static struct plane_device *by_id(struct plane *plane, const char *id)
{
    for (size_t i = 0; i < plane->count; i++)
        if (plane->devices[i].there && strcmp(plane->devices[i].id, id) == 0)
            return &plane->devices[i];
    return NULL;
}

static struct plane_device *by_token(struct plane *plane, const struct sim_request *request)
{
    for (size_t i = 0; i < plane->count; i++)
        if (plane->devices[i].there && plane->devices[i].token[0] &&
            strcmp(plane->devices[i].token, request->authorization + strlen("Bearer ")) == 0)
            return &plane->devices[i];
    return NULL;
}

struct plane_device *plane_ours(struct plane *plane)
{
    for (size_t i = 0; i < plane->count; i++)
        if (plane->devices[i].there && plane->devices[i].ours)
            return &plane->devices[i];
    return NULL;
}

static void endpoints_take(struct plane_device *device, const char *body)
{
    const char *from = strstr(body, "\"endpoints\":[");
    ck_assert_ptr_nonnull(from);
    const char *to = strchr(from, ']');
    snprintf(device->endpoints, sizeof device->endpoints, "%.*s", (int)(to - from - 11), from + 12);
    /* Two, always: see the protocol. */
    unsigned sources = 0;
    for (const char *at = device->endpoints; (at = strstr(at, "\"source\"")); at++)
        sources++;
    ck_assert_uint_eq(sources, 2);
}

static void answer_device(struct plane *plane, struct sim_request *request, struct plane_device *device,
                          unsigned status)
{
    char sealed[SEAL_TEXT_MAX] = "";
    uint8_t key[KEY_BYTES];
    ck_assert_int_eq(key_parse(device->key, key), NX_OK);
    if (!plane->no_token)
        seal(key, device->token, sealed);
    char *json = device_json(device, sealed);
    sim_answer(plane->sim, request, PLANE_LATENCY_MS, status, json);
    free(json);
}

static void create(struct plane *plane, struct sim_request *request)
{
    char key[KEY_TEXT_MAX], body[128];
    const char *at = strstr(request->body, "\"public_key\":\"");
    ck_assert_ptr_nonnull(at);
    snprintf(key, sizeof key, "%.*s", (int)strcspn(at + 14, "\""), at + 14);
    if (plane->conflict_foreign) {
        plane->conflict_foreign = false;
        sim_answer(plane->sim, request, PLANE_LATENCY_MS, 409,
                   "{\"id\":\"" PLANE_OTHER "\",\"error\":\"resource already exists\"}");
        return;
    }
    for (size_t i = 0; i < plane->count; i++)
        if (plane->devices[i].there && strcmp(plane->devices[i].key, key) == 0) {
            snprintf(body, sizeof body, "{\"id\":\"%s\",\"error\":\"resource already exists\"}",
                     plane->devices[i].id);
            sim_answer(plane->sim, request, PLANE_LATENCY_MS, 409, body);
            return;
        }
    struct plane_device *device = device_new(plane, 100 + ++plane->registrations);
    device->ours = true;
    memcpy(device->key, key, sizeof key);
    snprintf(device->token, sizeof device->token, "DT:%04u", ++plane->tokens);
    endpoints_take(device, request->body);
    device_tell(plane, device);
    answer_device(plane, request, device, 201);
}

static void update(struct plane *plane, struct sim_request *request, struct plane_device *device)
{
    endpoints_take(device, request->body);
    device_tell(plane, device);
    answer_device(plane, request, device, 200);
}

static void device_serve(struct plane *plane, struct sim_request *request)
{
    struct plane_device *device = by_id(plane, request->path + strlen("/api/devices/"));
    if (!device)
        sim_answer(plane->sim, request, PLANE_LATENCY_MS, 404,
                   "{\"error\":\"not found\",\"resource\":\"device\"}");
    else if (request->method == HTTP_PATCH)
        update(plane, request, device);
    else
        answer_device(plane, request, device, 200);
}

static bool path_is(const struct sim_request *request, const char *prefix)
{
    return strncmp(request->path, prefix, strlen(prefix)) == 0;
}

static bool refused(struct plane *plane, struct sim_request *request)
{
    const bool by_key = strncmp(request->authorization, "Bearer RK:", 10) == 0;
    const bool by_device = strncmp(request->authorization, "Bearer DT:", 10) == 0;
    if (plane->refuses)
        sim_fail(plane->sim, request, 1, HTTP_CONNECT);
    else if (plane->status)
        sim_answer_retry(plane->sim, request, PLANE_LATENCY_MS, plane->status,
                         plane->status_body ? plane->status_body : "",
                         plane->retry_after ? plane->retry_after : "");
    else if (by_key && (plane->key_dead || strcmp(request->authorization, "Bearer " PLANE_KEY) != 0))
        sim_answer(plane->sim, request, PLANE_LATENCY_MS, 401, "{\"error\":\"invalid reg key\"}");
    else if (by_device && (plane->tokens_dead || !by_token(plane, request)))
        sim_answer(plane->sim, request, PLANE_LATENCY_MS, 401, "{\"error\":\"invalid device token\"}");
    else
        return false;
    return true;
}

static void serve(struct sim *sim, struct sim_request *request)
{
    struct plane *plane = sim->server_arg;
    const char *tampered = plane->tamper && !request->stream ? plane->tamper(request) : NULL;
    if (refused(plane, request))
        return;
    if (tampered)
        sim_answer(sim, request, PLANE_LATENCY_MS, 200, tampered);
    else if (path_is(request, "/api/reg-keys/me"))
        sim_answer(sim, request, PLANE_LATENCY_MS, 200,
                   "{\"id\":\"48c62ed3-cb27-4bae-947c-aaf157c15be8\",\"owner_id\":\"" PLANE_USER
                   "\",\"vpc_id\":\"" PLANE_VPC "\",\"security_group_id\":null}");
    else if (path_is(request, "/api/vpcs/" PLANE_VPC))
        sim_answer(sim, request, PLANE_LATENCY_MS, 200,
                   "{\"id\":\"" PLANE_VPC "\",\"organization_id\":\"" PLANE_USER
                   "\",\"ipv4_cidr\":\"100.64.0.0/10\",\"ipv6_cidr\":\"200::/64\",\"revision\":3}");
    else if (strcmp(request->path, "/api/devices") == 0)
        create(plane, request);
    else if (path_is(request, "/api/devices/"))
        device_serve(plane, request);
    else if (path_is(request, "/api/events"))
        stream_serve(plane, request);
    else
        sim_answer(sim, request, PLANE_LATENCY_MS, 404, "404 page not found");
}

/* -- What tests do -- */

struct plane_device *plane_add(struct plane *plane, unsigned number)
{
    struct plane_device *device = device_new(plane, number);
    key_of(number, device->key);
    snprintf(device->endpoints, sizeof device->endpoints,
             "[{\"source\":\"local\",\"address\":\"192.168.0.%u:41000\"},{\"source\":\"stun:\",\"address\":"
             "\"198.51.100.%u:41000\"}]",
             number, number);
    device_tell(plane, device);
    plane->sim->server = serve;
    plane->sim->server_arg = plane;
    return device;
}

void plane_change(struct plane *plane, struct plane_device *device, const char *endpoint)
{
    snprintf(device->endpoints, sizeof device->endpoints,
             "[{\"source\":\"local\",\"address\":\"192.168.0.9:41000\"},{\"source\":\"stun:\",\"address\":\"%"
             "s\"}]",
             endpoint);
    device_tell(plane, device);
}

void plane_delete(struct plane *plane, struct plane_device *device)
{
    device->there = false;
    device->key[0] = '\0';
    device_tell(plane, device);
}
