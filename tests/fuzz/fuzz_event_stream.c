/* Streams of events from a hostile control plane: the first byte says how the rest is cut; however it is, the
 * same events come out, and each value can be given to the decoders. */
#include "common/err.h"
#include "ctld/nexodus/event_stream.h"
#include "ctld/nexodus/models.h"
#include "tests/fuzz/fuzz_input.h"

struct outcome {
    uint64_t digest;
    unsigned events, refused;
    int err;
    size_t pending;
};

static void value_check(const struct event *event)
{
    static struct api_device device;
    struct api_security_group group;
    struct api_device_metadata metadata;
    struct api_vpc vpc;
    char error[JSON_ERROR_MAX];
    if (event->kind == EVENT_DEVICE)
        api_device_decode(event->value, API_DEVICE_ANY, &device, error);
    else if (event->kind == EVENT_DEVICE_METADATA)
        api_device_metadata_decode(event->value, &metadata, error);
    else if (event->kind == EVENT_VPC)
        api_vpc_decode(event->value, &vpc, error);
    else if (event->kind == EVENT_SECURITY_GROUP &&
             api_security_group_decode(event->value, &group, error) == NX_OK)
        api_security_group_free(&group);
}

static struct outcome feed(const char *data, size_t length, size_t piece)
{
    struct event_stream *const stream = event_stream_new();
    struct outcome out = {.err = NX_EAGAIN};
    for (size_t at = 0; at < length && (out.err == NX_OK || out.err == NX_EAGAIN || out.err == NX_EINVAL);) {
        char error[JSON_ERROR_MAX];
        struct event event;
        size_t consumed;
        const size_t chunk = length - at < piece ? length - at : piece;
        out.err = event_stream_feed(stream, data + at, chunk, &consumed, &event, error);
        fuzz_require(consumed <= chunk && (consumed > 0 || out.err < 0));
        at += consumed;
        if (out.err == NX_OK) {
            fuzz_require(event.type != EVENT_CHANGE || json_type(event.value) == JSON_OBJECT);
            out.events++;
            out.digest = out.digest * 31 + (uint64_t)event.kind * 7 + (uint64_t)event.type + event.revision;
            value_check(&event);
        } else if (out.err != NX_EAGAIN) {
            out.refused += out.err == NX_EINVAL;
            fuzz_require_message(error, sizeof error);
        }
    }
    out.pending = event_stream_pending(stream);
    event_stream_free(stream);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    if (length < 1)
        return 0;
    char *const text = fuzz_string(bytes + 1, length - 1);
    const struct outcome whole = feed(text, length - 1, SIZE_MAX),
                         cut = feed(text, length - 1, bytes[0] % 32U + 1);
    fuzz_require(whole.events == cut.events && whole.refused == cut.refused && whole.digest == cut.digest);
    free(text);
    return 0;
}
