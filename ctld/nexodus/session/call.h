/* One request to the API or the login server at a time, and its JSON answer. Learns the server's clock from
 * each answer. ctld only. */
#ifndef NEXD_CTLD_NEXODUS_SESSION_CALL_H
#define NEXD_CTLD_NEXODUS_SESSION_CALL_H

#include "ctld/nexodus/outcome.h"
#include "ctld/nexodus/session/env.h"

enum {
    CALL_TIMEOUT_MS = 30000,
    CALL_ANSWER_MAX = 256 << 10,
    CALL_TEXT_MAX = OUTCOME_ADVICE_MAX, /* bytes of a sentence for operators, its end included */
};

struct call_answer {
    unsigned status;               /* 0 = there is no (whole) answer: see `text` */
    enum http_failure failure;     /* why not */
    const struct json_value *root; /* the body, if it is JSON; lives during the callback */
    struct api_error error;        /* of an answer that is not 2xx */
    uint64_t retry_after_ms;       /* 0 = not said */
    char text[CALL_TEXT_MAX];      /* why there is no answer, or no JSON in it; printable */
};

struct call {
    struct session_env *env;
    struct http_exchange *exchange; /* NULL = nothing is under way */
    struct json_reader *reader;
    void (*done)(void *arg, const struct call_answer *answer);
    void *arg;
    uint64_t sent_ms;
};

/* NX_ENOMEM. */
int call_init(struct call *call, struct session_env *env);
/* Cancels and frees; one that was not initialised, but is zero, is fine. */
void call_destroy(struct call *call);
/* `done` is called once, later, unless call_cancel() comes first; from within it, the next request may be
 * sent. Limits of size and time are filled in here; "/…" as URL is a path of the API. NX_ENOMEM: it cannot be
 * sent. */
int call_send(struct call *call, const struct http_request *request,
              void (*done)(void *arg, const struct call_answer *answer), void *arg);
void call_cancel(struct call *call);

/* What the answer means, as outcome_classify(); `text` (CALL_TEXT_MAX bytes) becomes the sentence for
 * operators. An answer that should have a body and has none that can be read is transient. */
enum outcome call_outcome(const struct call_answer *answer, enum outcome_request request,
                          enum outcome_credential credential, char *text);
/* For a body of the wrong kind: the sentence, with what the decoder said. Returns OUTCOME_TRANSIENT. */
enum outcome call_unusable(const char *what, const char *error, char *text);
/* Fills in Retry-After and what the answer tells of the server's clock; for streams, which are no calls. */
uint64_t call_times(struct session_env *env, const struct http_answer *answer, uint64_t sent_ms);

#endif
