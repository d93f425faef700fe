/* Whom TLS believes: one set of authorities for all connections, read before the sandbox closes, and what
 * verification found wrong last, for messages to operators. ctld only. */
#ifndef NEXD_CTLD_HTTP_TRUST_H
#define NEXD_CTLD_HTTP_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TRUST_FILE_MAX = 4 << 20, TRUST_TEXT_MAX = 512 };

struct ssl_ctx_st;
struct trust;

/* Reads the authorities: PEM certificates in `ca_file`, from the open file `ca_fd` where that is not -1 (it
 * stays the caller's), or, if `ca_file` is NULL, the system's. A `ca_file` is taken apart here; the system's,
 * which hold more than a hundred, when the first connection needs them. NULL, and `error` (TRUST_TEXT_MAX
 * bytes) says why: `ca_file` is unreadable or holds no certificate; out of memory. A system without any is no
 * failure: then no server is believed, and trust_explain() says so. */
struct trust *trust_new(const char *ca_file, int ca_fd, char *error);
void trust_free(struct trust *trust);

/* Makes connections of `context` believe those authorities, and nobody else. NX_OK or NX_ENOMEM. The trust
 * outlives the context. */
int trust_apply(struct trust *trust, struct ssl_ctx_st *context);

/* Has a verification failed since a connection's context was made last? Asked once: it is forgotten then. */
bool trust_refused(struct trust *trust);

/* Why the certificate that was verified last was not believed, as one sentence about `host` that says what to
 * do; `now_s` is Unix time. `out` has TRUST_TEXT_MAX bytes; returns it. */
char *trust_explain(const struct trust *trust, const char *host, int64_t now_s, char *out);

#endif
