/* The store as the source of event streams. apid/rest only. */
#ifndef NEXD_APID_WATCH_SOURCE_H
#define NEXD_APID_WATCH_SOURCE_H

#include "apid/events/feed.h"

/* A feed_fetch; `arg` is the struct store. */
int watch_source_fetch(void *arg, const struct feed_query *query, uint64_t after, struct feed_page *page);

#endif
