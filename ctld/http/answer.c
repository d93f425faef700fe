/* A status line begins a new header: what an interim answer (1xx) said is forgotten. */
#include "ctld/http/answer.h"

#include "common/err.h"
#include "common/text.h"
#include "ctld/http/wiping_memory.h"

#include <curl/curl.h>
#include <string.h>

enum { BODY_FIRST_BYTES = 4096 };

void answer_clear(struct answer *answer)
{
    wiping_free(answer->body);
    *answer = (struct answer){0};
}

static bool status_line(struct answer *answer, const char *line, size_t length)
{
    if (answer->in_header || answer->header_whole || length < 5 || memcmp(line, "HTTP/", 5) != 0)
        return false;
    const char *const space = memchr(line, ' ', length);
    uint64_t status = 0;
    if (space && line + length - space > 3)
        (void)text_to_u64(space + 1, 3, 100, 999, &status);
    const size_t header_bytes = answer->header_bytes;
    answer_clear(answer);
    answer->header_bytes = header_bytes;
    answer->status = (unsigned)status;
    answer->in_header = true;
    return true;
}

static void field_take(char *out, size_t size, struct text_span value)
{
    out[0] = '\0';
    if (value.length >= size || memchr(value.start, '\0', value.length))
        return;
    memcpy(out, value.start, value.length);
    out[value.length] = '\0';
}

static void field_read(struct answer *answer, struct text_span name, struct text_span value)
{
    char date[ANSWER_FIELD_MAX];
    if (text_equal_nocase(name.start, name.length, "content-type")) {
        field_take(answer->content_type, sizeof answer->content_type, value);
    } else if (text_equal_nocase(name.start, name.length, "retry-after")) {
        field_take(answer->retry_after, sizeof answer->retry_after, value);
    } else if (text_equal_nocase(name.start, name.length, "location")) {
        field_take(answer->location, sizeof answer->location, value);
    } else if (text_equal_nocase(name.start, name.length, "date")) {
        field_take(date, sizeof date, value);
        const time_t when = curl_getdate(date, NULL);
        answer->date_unix_s = when > 0 ? (int64_t)when : 0;
    }
}

int answer_header(struct answer *answer, const char *line, size_t length)
{
    if (length > ANSWER_HEADER_MAX - answer->header_bytes)
        return NX_ERANGE;
    answer->header_bytes += length;
    if (status_line(answer, line, length))
        return NX_OK;
    const struct text_span whole = text_trim(line, length);
    const char *const colon = whole.length ? memchr(whole.start, ':', whole.length) : NULL;
    if (whole.length == 0) {
        answer->in_header = false;
        answer->header_whole = answer->header_whole || answer->status >= 200;
    }
    if (colon && !answer->header_whole) /* trailers say nothing to us */
        field_read(answer, text_trim(whole.start, (size_t)(colon - whole.start)),
                   text_trim(colon + 1, whole.length - (size_t)(colon + 1 - whole.start)));
    return NX_OK;
}

static int body_make_room(struct answer *answer, size_t bytes, size_t max_bytes)
{
    if (bytes < answer->body_room)
        return NX_OK;
    size_t room = answer->body_room ? answer->body_room : BODY_FIRST_BYTES;
    while (room <= bytes)
        room *= 2;
    if (room > max_bytes + 1)
        room = max_bytes + 1;
    char *const body = wiping_realloc(answer->body, room);
    if (!body)
        return NX_ENOMEM;
    answer->body = body;
    answer->body_room = room;
    return NX_OK;
}

int answer_body(struct answer *answer, const char *data, size_t length, size_t max_bytes)
{
    const size_t left = max_bytes - answer->body_bytes;
    const size_t taken = length < left ? length : left;
    const int err = body_make_room(answer, answer->body_bytes + taken, max_bytes);
    if (err != NX_OK)
        return err;
    memcpy(answer->body + answer->body_bytes, data, taken);
    answer->body_bytes += taken;
    answer->body[answer->body_bytes] = '\0';
    return taken < length ? NX_ERANGE : NX_OK;
}

struct http_answer answer_view(const struct answer *answer, enum http_failure failure, const char *error)
{
    return (struct http_answer){
        .failure = failure,
        .error = error,
        .status = answer->header_whole ? answer->status : 0,
        .content_type = answer->content_type,
        .location = answer->location,
        .retry_after = answer->retry_after,
        .date_unix_s = answer->date_unix_s,
        .body = answer->body ? answer->body : "",
        .body_bytes = answer->body_bytes,
    };
}
