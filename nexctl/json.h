/* JSON of nexd's answers as a tree. */
#ifndef NEXD_NEXCTL_JSON_H
#define NEXD_NEXCTL_JSON_H

#include <yajl/yajl_tree.h>

enum { JSON_DEPTH_MAX = 64 };

/* The caller frees it with yajl_tree_free(), which takes NULL too. NULL: it is no JSON, nested deeper than
 * JSON_DEPTH_MAX, or there is no memory. */
yajl_val json_tree_parse(const char *text);

#endif
