#include "apid/rest/path.h"

#include "common/text.h"

#include <stddef.h>
#include <string.h>

static bool segment_decode(const char *text, size_t length, char out[PATH_PARAM_MAX])
{
    size_t to = 0;
    for (size_t from = 0; from < length; from++) {
        char c = text[from];
        if (c == '%') {
            const int value = text_percent_value(text + from, length - from);
            if (value < 0)
                return false;
            c = (char)value;
            from += 2;
        }
        if (c == '\0' || to + 1 == PATH_PARAM_MAX)
            return false;
        out[to++] = c;
    }
    out[to] = '\0';
    return to > 0;
}

bool path_match(const char *pattern, const char *path, struct path_params *out)
{
    out->count = 0;
    while (*pattern && *path) {
        if (*pattern != '{') {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        const size_t length = strcspn(path, "/");
        if (out->count == PATH_PARAMS_MAX || !segment_decode(path, length, out->values[out->count]))
            return false;
        out->count++;
        path += length;
        pattern = strchr(pattern, '}') + 1;
    }
    return *pattern == '\0' && *path == '\0';
}

bool path_uuid(const char *text, char *out)
{
    for (size_t i = 0; i < 36; i++) {
        const bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if (hyphen ? text[i] != '-' : text_hex_value(text[i]) < 0)
            return false; /* also at the end of a shorter text */
        out[i] = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] - 'A' + 'a') : text[i];
    }
    out[36] = '\0';
    return text[36] == '\0';
}
