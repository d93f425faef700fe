/* What all parts of the session share: the way to the API, time, and randomness. All of it comes from
 * outside, so that tests run hours in milliseconds. ctld only. */
#ifndef NEXD_CTLD_NEXODUS_SESSION_ENV_H
#define NEXD_CTLD_NEXODUS_SESSION_ENV_H

#include "ctld/http/http.h"
#include "ctld/nexodus/server_clock.h"

struct session_env {
    struct http *http;
    char api_base[320];             /* "https://api.HOST[:PORT]" */
    uint64_t (*now_ns)(void *arg);  /* monotonic */
    uint64_t (*wall_ms)(void *arg); /* Unix time */
    uint64_t (*random)(void *arg);  /* 64 random bits */
    void *arg;
    struct server_clock clock; /* what answers have told of the server's */
};

static inline uint64_t env_now_ns(const struct session_env *env)
{
    return env->now_ns(env->arg);
}
static inline uint64_t env_wall_ms(const struct session_env *env)
{
    return env->wall_ms(env->arg);
}
static inline uint64_t env_random(const struct session_env *env)
{
    return env->random(env->arg);
}

#endif
