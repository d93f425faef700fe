/* What the files of the JSON reader share; not for others. */
#ifndef NEXD_CTLD_NEXODUS_JSON_TREE_H
#define NEXD_CTLD_NEXODUS_JSON_TREE_H

#include "ctld/nexodus/json.h"

#include <yajl/yajl_parse.h>

struct json_value {
    enum json_type type;
    bool truth;
    uint32_t index, count; /* place among its siblings; elements or members of its own */
    size_t length;         /* of text */
    const char *name;      /* of a member; NULL for elements and the root */
    const char *text;      /* string, decoded, or number as written; terminated */
    struct json_value *parent, *first, *last, *next;
};

struct json_block;

/* A document as it grows; the callbacks' context. */
struct json_tree {
    struct json_limits limits;
    struct json_block *blocks; /* memory, the present one first */
    struct json_value *root, *open;
    const char *name; /* of the member whose value comes next */
    size_t values;
    unsigned depth;
    bool done;        /* the root has ended */
    int err;          /* why a callback stopped, or NX_OK */
    const char *what; /* … in words */
};

extern const yajl_callbacks json_tree_callbacks;
/* Wipes what is freed. */
extern yajl_alloc_funcs json_tree_yajl_memory;
/* Wiped and empty; the limits stay. */
void json_tree_reset(struct json_tree *tree);
/* … and without memory. */
void json_tree_destroy(struct json_tree *tree);

/* Well-formed by RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool json_utf8_valid(const char *text, size_t length);

#endif
