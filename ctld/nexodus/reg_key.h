/* How a device is told where its service is and what lets it in: the service's URL, the registration key, or
 * both in one text "URL#KEY".
 *
 * A key is opaque to us: mostly "RK:" and base64, sometimes a JWT. What is checked is that it can stand in a
 * header. Pure functions. nexd (checks of options) and ctld. */
#ifndef NEXD_CTLD_NEXODUS_REG_KEY_H
#define NEXD_CTLD_NEXODUS_REG_KEY_H

#include "ctld/nexodus/url.h"

enum { REG_KEY_MAX = 4096, REG_KEY_ERROR_MAX = 512 };
#define REG_KEY_SERVICE_DEFAULT "https://try.nexodus.io"

struct reg_key_options {
    const char *service_url;                /* --service-url or its variable; NULL or "" = not given */
    const char *positional;                 /* the deprecated argument; NULL = not given */
    const char *reg_key;                    /* NULL or "" = none */
    const char *vpc_id, *security_group_id; /* NULL or "" = not given */
};

struct reg_key_service {
    struct url service;
    char api_host[HOST_MAX + 1];           /* "api." and the service's host */
    char api_base[URL_AUTHORITY_MAX + 16]; /* "https://api.HOST[:PORT]", without a slash at the end */
    char key[REG_KEY_MAX + 1];             /* "" = none; a secret */
    bool service_defaulted;                /* nothing was given: REG_KEY_SERVICE_DEFAULT */
};

/* The checks in upstream's order and words. NX_EINVAL: `error` (REG_KEY_ERROR_MAX bytes) holds one line, in
 * which the key never stands; `out` is wiped. An address cannot be the service: "api." cannot stand before
 * it. */
int reg_key_resolve(const struct reg_key_options *options, struct reg_key_service *out, char *error);
/* Wipes. */
void reg_key_clear(struct reg_key_service *service);

#endif
