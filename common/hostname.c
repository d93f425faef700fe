/* Host names by RFC 1123 section 2.1. Underscores are let through because service names and container names
 * use them. A name that ends in a number can only be a mistyped IPv4 address: no top-level domain is one. */
#include "common/netaddr.h"
#include "common/text.h"

#include <string.h>

enum { HOSTNAME_MAX = 253, LABEL_MAX = 63 };

static bool label_valid(const char *label, size_t length)
{
    if (length == 0 || length > LABEL_MAX || label[0] == '-' || label[length - 1] == '-')
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!text_is_alpha(label[i]) && !text_is_digit(label[i]) && label[i] != '-' && label[i] != '_')
            return false;
    }
    return true;
}

bool hostname_valid(const char *name)
{
    size_t length = strnlen(name, HOSTNAME_MAX + 1);
    if (length > HOSTNAME_MAX)
        return false;
    if (length > 0 && name[length - 1] == '.')
        length--;
    const char *label = name, *const end = name + length;
    for (;;) {
        const char *const dot = memchr(label, '.', (size_t)(end - label));
        const size_t size = (size_t)((dot == NULL ? end : dot) - label);
        if (!label_valid(label, size))
            return false;
        if (dot == NULL)
            return strspn(label, "0123456789") < size;
        label = dot + 1;
    }
}
