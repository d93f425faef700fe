/* User codes are of consonants that look and sound unlike each other, so no words appear and they can be read
 * out (RFC 8628, 6.1): 20^8 of them, against attempts that are limited. */
#include "apid/oidc/device_grant.h"

#include "common/clock.h"

#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char letters[] = "BCDFGHJKLMNPQRSTVWXZ";

void device_grants_init(struct device_grants *grants)
{
    TAILQ_INIT(&grants->all);
    grants->count = 0;
}

static void grant_remove(struct device_grants *grants, struct device_grant *grant)
{
    TAILQ_REMOVE(&grants->all, grant, entry);
    grants->count--;
    sodium_memzero(grant, sizeof(*grant));
    free(grant);
}

void device_grants_free(struct device_grants *grants)
{
    while (!TAILQ_EMPTY(&grants->all))
        grant_remove(grants, TAILQ_FIRST(&grants->all));
}

static void expired_remove(struct device_grants *grants, uint64_t now_ns)
{
    struct device_grant *grant;
    while ((grant = TAILQ_FIRST(&grants->all)) != NULL &&
           grant->expires_ns + DEVICE_EXPIRED_KEPT_S * NS_PER_S <= now_ns)
        grant_remove(grants, grant);
}

const struct device_grant *device_grant_start(struct device_grants *grants, const char *scope,
                                              uint64_t now_ns)
{
    unsigned char random[32];
    expired_remove(grants, now_ns);
    if (strlen(scope) >= DEVICE_SCOPE_MAX)
        return NULL;
    if (grants->count == DEVICE_GRANTS_MAX)
        grant_remove(grants, TAILQ_FIRST(&grants->all));
    struct device_grant *const grant = calloc(1, sizeof(*grant));
    if (grant == NULL)
        return NULL;
    randombytes_buf(random, sizeof(random));
    sodium_bin2base64(grant->device_code, sizeof(grant->device_code), random, sizeof(random),
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    do {
        for (size_t i = 0; i < DEVICE_USER_CODE_MAX - 1; i++)
            grant->user_code[i] = i == 4 ? '-' : letters[randombytes_uniform(sizeof(letters) - 1)];
    } while (device_grant_find(grants, grant->user_code, now_ns) != NULL);
    memcpy(grant->scope, scope, strlen(scope) + 1);
    grant->expires_ns = now_ns + DEVICE_EXPIRES_S * NS_PER_S;
    TAILQ_INSERT_TAIL(&grants->all, grant, entry);
    grants->count++;
    return grant;
}

enum device_poll device_grant_poll(struct device_grants *grants, const char *device_code, uint64_t now_ns,
                                   char user[DEVICE_USER_MAX], char scope[DEVICE_SCOPE_MAX])
{
    struct device_grant *grant;
    const size_t length = strlen(device_code);
    expired_remove(grants, now_ns);
    TAILQ_FOREACH (grant, &grants->all, entry)
        if (length == strlen(grant->device_code) &&
            sodium_memcmp(grant->device_code, device_code, length) == 0)
            break;
    if (grant == NULL)
        return DEVICE_POLL_UNKNOWN;
    if (grant->expires_ns <= now_ns)
        return DEVICE_POLL_EXPIRED;
    if (grant->state == DEVICE_DENIED)
        return DEVICE_POLL_DENIED;
    if (grant->state == DEVICE_APPROVED) {
        memcpy(user, grant->user, sizeof(grant->user));
        memcpy(scope, grant->scope, sizeof(grant->scope));
        grant_remove(grants, grant);
        return DEVICE_POLL_GRANTED;
    }
    /* A client's timer is allowed to be a little early. */
    const uint64_t interval = DEVICE_INTERVAL_S * NS_PER_S - NS_PER_S / 2;
    const bool early = grant->polled_ns != 0 && now_ns - grant->polled_ns < interval;
    grant->polled_ns = now_ns;
    return early ? DEVICE_POLL_SLOW_DOWN : DEVICE_POLL_PENDING;
}

struct device_grant *device_grant_find(struct device_grants *grants, const char *user_code, uint64_t now_ns)
{
    char code[DEVICE_USER_CODE_MAX] = "";
    size_t length = 0;
    struct device_grant *grant;
    for (const char *at = user_code; *at; at++) {
        const char c = *at >= 'a' && *at <= 'z' ? (char)(*at - 'a' + 'A') : *at;
        if (c == '-' || c == ' ')
            continue;
        if (length == 4)
            code[length++] = '-';
        if (length + 1 >= sizeof(code) || strchr(letters, c) == NULL)
            return NULL;
        code[length++] = c;
    }
    TAILQ_FOREACH (grant, &grants->all, entry)
        if (grant->state == DEVICE_PENDING && grant->expires_ns > now_ns &&
            strcmp(grant->user_code, code) == 0)
            return grant;
    return NULL;
}

void device_grant_approve(struct device_grant *grant, const char *user)
{
    strncpy(grant->user, user, sizeof(grant->user) - 1);
    grant->state = DEVICE_APPROVED;
}

void device_grant_deny(struct device_grant *grant)
{
    grant->state = DEVICE_DENIED;
}
