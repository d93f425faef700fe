/* What the files of the JSON reader share; not for others. */
#ifndef NEXD_CTLD_NEXODUS_JSON_TREE_H
#define NEXD_CTLD_NEXODUS_JSON_TREE_H

#include "ctld/nexodus/json.h"

struct json_value {
    enum json_type type;
    bool truth;
    uint32_t index, count; /* place among its siblings; elements or members of its own */
    size_t length;         /* of text */
    const char *name;      /* of a member; NULL for elements and the root */
    const char *text;      /* string, decoded, or number as written; terminated */
    struct json_value *parent, *first, *last, *next;
};

/* Well-formed by RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool json_utf8_valid(const char *text, size_t length);

#endif
