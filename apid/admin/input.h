/* What command lines name: files, times, rules. apid/admin only. */
#ifndef NEXD_APID_ADMIN_INPUT_H
#define NEXD_APID_ADMIN_INPUT_H

#include "apid/store/store.h"

#include <stddef.h>

enum { INPUT_ERROR_MAX = 512, INPUT_FILE_MAX = 1 << 20 };

/* Reads a file whole, or standard input where `path` is "-". *out is terminated and the caller's to free (and
 * wipe). NX_EINVAL: `error` is one line that names the file. */
int input_file(const char *path, char **out, size_t *length, char error[INPUT_ERROR_MAX]);
/* The first line of such a file without blanks at its ends, as nexd reads its --password-file. A file that
 * everybody may read is warned of on standard error. The caller wipes `out`. */
int input_secret(const char *path, char *out, size_t size, char error[INPUT_ERROR_MAX]);

/* "90s", "30m", "24h", "7d", "1d12h" from `now_s`, or a time in RFC 3339 after it; at most ten years away. To
 * Unix seconds. */
int input_expiry(const char *text, uint64_t now_s, uint64_t *out, char error[INPUT_ERROR_MAX]);

/* "tcp:8000-8100,100.64.0.0/24,200::5": only its form is checked; what it means, the store checks. */
int input_rule(const char *text, struct store_rule *out, char error[INPUT_ERROR_MAX]);
/* The same text from a rule; into `out` (`size` bytes). */
const char *input_rule_text(const struct store_rule *rule, char *out, size_t size);

/* A JSON object with "inbound_rules" and "outbound_rules", as in the API. What is there is replaced in
 * `group`; *changes gets its enum store_security_group_change. */
int input_rules(const char *text, size_t length, struct store_security_group *group, unsigned *changes,
                char error[INPUT_ERROR_MAX]);

#endif
