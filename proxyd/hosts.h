/* The hosts file, read once at start: names that need no name server. */
#ifndef NEXD_PROXYD_HOSTS_H
#define NEXD_PROXYD_HOSTS_H

#include "common/netaddr.h"

enum { HOSTS_FILE_MAX = 1 << 20 /* bytes */, HOSTS_ENTRIES_MAX = 16384 };

struct hosts;

/* Reads `length` bytes of hosts(5) text. Lines and names that are malformed are skipped, as every reader of
 * this file does, and so are addresses with a zone; what is beyond HOSTS_ENTRIES_MAX is ignored. NULL when
 * out of memory. */
struct hosts *hosts_parse(const char *text, size_t length);
/* Reads a file; one that is missing or cannot be read (a warning then) gives an empty table. Before the
 * sandbox's run stage. NULL when out of memory. */
struct hosts *hosts_load(const char *path);
/* NULL is harmless. */
void hosts_free(struct hosts *hosts);

/* The addresses of a name (any case, a trailing dot is ignored) into `out`, at most `max`, in the file's
 * order. Returns how many. */
size_t hosts_lookup(const struct hosts *hosts, const char *name, struct netaddr *out, size_t max);

#endif
