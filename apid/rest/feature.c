/* Feature flags: what of Nexodus this control plane has. */
#include "apid/rest/answer.h"
#include "apid/rest/handlers.h"

#include <string.h>

static const struct {
    const char *name;
    bool on;
} features[] = {
    {"ca", false},    {"devices", true}, {"multi-organization", true}, {"security-groups", true},
    {"sites", false},
};

void features_list(struct call *call)
{
    struct json_out out = {0};
    json_object_begin(&out);
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
        json_put_bool(&out, features[i].name, features[i].on);
    json_object_end(&out);
    answer_json(call->request, 200, &out);
}

void features_get(struct call *call)
{
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
        if (strcmp(call->params.values[0], features[i].name) != 0)
            continue;
        struct json_out out = {0};
        json_object_begin(&out);
        json_put_bool(&out, features[i].name, features[i].on);
        json_object_end(&out);
        answer_json(call->request, 200, &out);
        return;
    }
    answer_not_found(call->request, "fflag");
}

/* Kinds that are always empty here. */
void nothing_list(struct call *call)
{
    struct json_out out = {0};
    json_array_begin(&out);
    json_array_end(&out);
    answer_json(call->request, 200, &out);
}
