/* yajl's trees are freed, and printed here, by recursion: the depth is bounded before a tree is made. */
#include "nexctl/json.h"

#include <stdbool.h>
#include <stddef.h>

static bool depth_is_bounded(const char *text)
{
    size_t depth = 0;
    bool in_string = false;
    for (; *text; text++) {
        if (in_string && *text == '\\' && text[1])
            text++;
        else if (*text == '"')
            in_string = !in_string;
        else if (!in_string && (*text == '[' || *text == '{')) {
            if (++depth > JSON_DEPTH_MAX)
                return false;
        } else if (!in_string && (*text == ']' || *text == '}') && depth > 0) {
            depth--;
        }
    }
    return true;
}

yajl_val json_tree_parse(const char *text)
{
    char why[128];
    return depth_is_bounded(text) ? yajl_tree_parse(text, why, sizeof why) : NULL;
}
