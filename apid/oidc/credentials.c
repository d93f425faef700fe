/* Passwords are checked with Argon2id, which takes time and memory on purpose: so attempts are limited before
 * it runs, by client and by name. A name's bucket is taken from by failures only, a client's by every
 * attempt. */
#include "apid/oidc/endpoints.h"
#include "apid/store/store.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/text.h"

#include <stdio.h>

enum { PAIR_MAX = 512 };

int credentials_check(struct issuer *issuer, const char *client, const char *name, const char *password,
                      char *user_id)
{
    static struct log_ratelimit limit = {.per_second = 1, .burst = 10};
    const uint64_t now_ns = clock_now_ns();
    char quoted[TEXT_QUOTE_MAX], pair[PAIR_MAX];
    snprintf(pair, sizeof(pair), "%s %s", client, name);
    if (!limiter_allows(&issuer->by_pair, pair, now_ns) || !limiter_allows(&issuer->by_user, name, now_ns) ||
        !limiter_take(&issuer->by_client, client, now_ns))
        return NX_EAGAIN;
    const int err = store_user_verify(issuer->store, name, password, user_id);
    if (err != NX_EPERM && err != NX_ENOENT)
        return err;
    limiter_take(&issuer->by_user, name, now_ns);
    limiter_take(&issuer->by_pair, pair, now_ns);
    if (log_ratelimit_ok(&limit))
        log_info("a wrong password for %s from %s", text_quote(name, quoted, sizeof(quoted)), client);
    return NX_EPERM;
}
