/* yajl calls back for each token; the callbacks hang values into the tree below the innermost open array or
 * object. The end of the root stops yajl ("cancel"), which tells how far it has read.
 *
 * Values, names and texts live in blocks that belong to the tree; the first block is kept for the next
 * document. yajl does not look whether it got memory: without any, the process ends. */
#include "ctld/nexodus/json_tree.h"

#include "common/err.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 8192, ALIGNMENT = 16 };

struct json_block {
    struct json_block *next;
    size_t size, used;
    _Alignas(ALIGNMENT) unsigned char bytes[];
};

/* -- Memory -- */

/* Each allocation of yajl's remembers its size, so that it can be wiped. */
static void *yajl_memory_new(void *arg, size_t size)
{
    (void)arg;
    size_t *const memory = size > SIZE_MAX - ALIGNMENT ? NULL : malloc(ALIGNMENT + size);
    if (!memory)
        log_fatal("out of memory while reading JSON");
    *memory = size;
    return (unsigned char *)memory + ALIGNMENT;
}

static void yajl_memory_free(void *arg, void *pointer)
{
    (void)arg;
    if (!pointer)
        return;
    void *const memory = (unsigned char *)pointer - ALIGNMENT;
    explicit_bzero(memory, ALIGNMENT + *(size_t *)memory);
    free(memory);
}

static void *yajl_memory_resize(void *arg, void *pointer, size_t size)
{
    void *const grown = yajl_memory_new(arg, size);
    if (pointer) {
        const size_t old = *(size_t *)(void *)((unsigned char *)pointer - ALIGNMENT);
        memcpy(grown, pointer, old < size ? old : size);
        yajl_memory_free(arg, pointer);
    }
    return grown;
}

yajl_alloc_funcs json_tree_yajl_memory = {
    .malloc = yajl_memory_new, .realloc = yajl_memory_resize, .free = yajl_memory_free};

static void block_free(struct json_block *block)
{
    explicit_bzero(block, sizeof *block + block->used);
    free(block);
}

static void *take(struct json_tree *tree, size_t size)
{
    struct json_block *block = tree->blocks;
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (!block || block->size - block->used < size) {
        const size_t room = size > BLOCK_BYTES ? size : BLOCK_BYTES;
        block = malloc(sizeof *block + room);
        if (!block)
            return NULL;
        *block = (struct json_block){.next = tree->blocks, .size = room};
        tree->blocks = block;
    }
    void *const memory = block->bytes + block->used;
    block->used += size;
    return memory;
}

/* -- The tree grows -- */

enum { GO_ON = 1, STOP = 0 };

static int stop(struct json_tree *tree, int err, const char *what)
{
    tree->err = err;
    tree->what = what;
    return STOP;
}

bool json_utf8_valid(const char *text, size_t length)
{
    const unsigned char *byte = (const unsigned char *)text, *const end = byte + length;
    while (byte < end) {
        const unsigned char lead = *byte++;
        if (lead < 0x80)
            continue;
        const size_t more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
        if (lead < 0xc2 || lead > 0xf4 || (size_t)(end - byte) < more)
            return false;
        /* The second byte tells overlong forms, surrogates and what is beyond U+10FFFF. */
        const unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
        const unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
        if (byte[0] < low || byte[0] > high)
            return false;
        for (size_t i = 1; i < more; i++)
            if ((byte[i] & 0xc0) != 0x80)
                return false;
        byte += more;
    }
    return true;
}

static const char *text_keep(struct json_tree *tree, const void *text, size_t length)
{
    if (length > tree->limits.string_max) {
        stop(tree, NX_ERANGE, "a string is too long");
        return NULL;
    }
    if (!json_utf8_valid(text, length)) {
        stop(tree, NX_EPROTO, "not UTF-8");
        return NULL;
    }
    char *const kept = take(tree, length + 1);
    if (!kept) {
        stop(tree, NX_ENOMEM, "out of memory");
        return NULL;
    }
    memcpy(kept, text, length);
    kept[length] = '\0';
    return kept;
}

static struct json_value *value_add(struct json_tree *tree, enum json_type type)
{
    if (tree->values++ >= tree->limits.values_max) {
        stop(tree, NX_ERANGE, "too many values");
        return NULL;
    }
    if (!tree->open && type != JSON_ARRAY && type != JSON_OBJECT) {
        stop(tree, NX_EPROTO, "neither an object nor an array");
        return NULL;
    }
    struct json_value *const value = take(tree, sizeof *value), *const parent = tree->open;
    if (!value) {
        stop(tree, NX_ENOMEM, "out of memory");
        return NULL;
    }
    *value = (struct json_value){.type = type, .name = tree->name, .parent = parent};
    tree->name = NULL;
    if (!parent) {
        tree->root = value;
        return value;
    }
    value->index = parent->count++;
    if (parent->last)
        parent->last->next = value;
    else
        parent->first = value;
    parent->last = value;
    return value;
}

static int text_add(struct json_tree *tree, enum json_type type, const void *text, size_t length)
{
    const char *const kept = text_keep(tree, text, length);
    struct json_value *const value = kept ? value_add(tree, type) : NULL;
    if (!value)
        return STOP;
    value->text = kept;
    value->length = length;
    return GO_ON;
}

static int on_null(void *arg)
{
    return value_add(arg, JSON_NULL) ? GO_ON : STOP;
}

static int on_boolean(void *arg, int truth)
{
    struct json_value *const value = value_add(arg, JSON_BOOL);
    if (value)
        value->truth = truth != 0;
    return value ? GO_ON : STOP;
}

static int on_number(void *arg, const char *text, size_t length)
{
    return text_add(arg, JSON_NUMBER, text, length);
}

static int on_string(void *arg, const unsigned char *text, size_t length)
{
    return text_add(arg, JSON_STRING, text, length);
}

static int on_name(void *arg, const unsigned char *text, size_t length)
{
    struct json_tree *const tree = arg;
    if (memchr(text, '\0', length))
        return stop(tree, NX_EPROTO, "a name with a NUL byte inside");
    tree->name = text_keep(tree, text, length);
    return tree->name ? GO_ON : STOP;
}

static int begin(struct json_tree *tree, enum json_type type)
{
    if (tree->depth++ >= tree->limits.depth_max)
        return stop(tree, NX_ERANGE, "nested too deeply");
    struct json_value *const value = value_add(tree, type);
    if (value)
        tree->open = value;
    return value ? GO_ON : STOP;
}

static int on_array(void *arg)
{
    return begin(arg, JSON_ARRAY);
}

static int on_object(void *arg)
{
    return begin(arg, JSON_OBJECT);
}

static int on_end(void *arg)
{
    struct json_tree *const tree = arg;
    tree->open = tree->open->parent;
    tree->depth--;
    tree->done = tree->depth == 0;
    return tree->done ? STOP : GO_ON;
}

const yajl_callbacks json_tree_callbacks = {.yajl_null = on_null,
                                            .yajl_boolean = on_boolean,
                                            .yajl_number = on_number,
                                            .yajl_string = on_string,
                                            .yajl_start_map = on_object,
                                            .yajl_map_key = on_name,
                                            .yajl_end_map = on_end,
                                            .yajl_start_array = on_array,
                                            .yajl_end_array = on_end};

void json_tree_reset(struct json_tree *tree)
{
    const struct json_limits limits = tree->limits;
    struct json_block *block = tree->blocks;
    while (block && block->next) {
        struct json_block *const next = block->next;
        block_free(block);
        block = next;
    }
    if (block) {
        explicit_bzero(block->bytes, block->used);
        block->used = 0;
    }
    *tree = (struct json_tree){.limits = limits, .blocks = block};
}

void json_tree_destroy(struct json_tree *tree)
{
    json_tree_reset(tree);
    if (tree->blocks)
        block_free(tree->blocks);
    tree->blocks = NULL;
}
