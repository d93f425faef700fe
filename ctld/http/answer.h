/* What has come of an answer so far: the few header fields that matter, and the body, both within bounds.
 * ctld only. */
#ifndef NEXD_CTLD_HTTP_ANSWER_H
#define NEXD_CTLD_HTTP_ANSWER_H

#include "ctld/http/http.h"

enum {
    ANSWER_HEADER_MAX = 64 << 10, /* bytes, of all header and trailer lines, interim answers included */
    ANSWER_LOCATION_MAX = 2048,
    ANSWER_FIELD_MAX = 128,
};

struct answer {
    unsigned status;   /* of the latest status line */
    bool in_header;    /* between a status line and the empty line */
    bool header_whole; /* that of a final answer, so past 1xx */
    size_t header_bytes;
    char content_type[ANSWER_FIELD_MAX], retry_after[ANSWER_FIELD_MAX], location[ANSWER_LOCATION_MAX];
    int64_t date_unix_s;
    char *body; /* zero-terminated; NULL while empty */
    size_t body_bytes, body_room;
};

/* Wipes and frees; afterwards as zeroed. */
void answer_clear(struct answer *answer);

/* One header line as it came, with its line end; the empty one ends the header. NX_ERANGE: the header is too
 * large. Fields that are too long for us count as absent. */
int answer_header(struct answer *answer, const char *line, size_t length);

/* Appends to the body. NX_ERANGE: more than `max_bytes`; what fits was appended. NX_ENOMEM. */
int answer_body(struct answer *answer, const char *data, size_t length, size_t max_bytes);

static inline bool answer_succeeds(const struct answer *answer)
{
    return answer->status >= 200 && answer->status < 300;
}

/* As users see it; the texts are those of `answer`. */
struct http_answer answer_view(const struct answer *answer, enum http_failure failure, const char *error);

#endif
