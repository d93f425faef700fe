/* Points in time as texts: RFC 3339 of the API, and HTTP dates (RFC 9110 section 5.6.7: the present form and
 * both obsolete ones). Unix time in milliseconds, years 1970..9999. Pure functions without locale or time
 * zone. ctld only. */
#ifndef NEXD_CTLD_NEXODUS_TIMESTAMP_H
#define NEXD_CTLD_NEXODUS_TIMESTAMP_H

#include <stddef.h>
#include <stdint.h>

enum { TIMESTAMP_TEXT_MAX = 32 };

/* "2026-11-23T09:50:57.074156861Z", any offset, any number of digits after the point. NX_EINVAL. A leap
 * second counts as the second before it. */
int timestamp_parse_rfc3339(const char *text, size_t length, uint64_t *out_ms);
/* "Mon, 23 Nov 2026 09:50:57 GMT". The day of the week is not compared with the date. `now_ms` places
 * two-digit years (not more than 50 years ahead). NX_EINVAL. */
int timestamp_parse_http(const char *text, size_t length, uint64_t now_ms, uint64_t *out_ms);
/* RFC 3339 in UTC with milliseconds. `out` has TIMESTAMP_TEXT_MAX bytes; returns it. */
char *timestamp_format(uint64_t unix_ms, char *out);

#endif
