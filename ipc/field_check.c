/* The rules for the value of a field, the same for who sends and who receives. */
#include "common/text.h"
#include "ipc/table.h"
#include <string.h>

static const char *number_check(const struct ipc_field *field, uint64_t value)
{
    return value < field->a || value > field->b ? "out of range" : NULL;
}

static const char *addr_check(const struct netaddr *addr, bool may_be_absent)
{
    static const uint8_t zero[16];
    switch (addr->family) {
    case NETADDR_NONE:
        return !may_be_absent                       ? "absent"
               : memcmp(addr->bytes, zero, 16) != 0 ? "bytes without a family"
                                                    : NULL;
    case NETADDR_V4:
        return memcmp(addr->bytes + 4, zero, 12) != 0 ? "stray bytes after an IPv4 address" : NULL;
    case NETADDR_V6:
        return NULL;
    default:
        return "unknown address family";
    }
}

static const char *sock_check(const struct netsock *sock, bool may_be_absent)
{
    const char *wrong = addr_check(&sock->addr, may_be_absent);
    if (wrong != NULL)
        return wrong;
    if ((sock->addr.family == NETADDR_NONE) != (sock->port == 0))
        return "bad port";
    if (sock->scope_id != 0 && sock->addr.family != NETADDR_V6)
        return "zone without an IPv6 address";
    return NULL;
}

static const char *prefix_check(const struct netprefix *prefix)
{
    const char *wrong = addr_check(&prefix->addr, false);
    if (wrong != NULL)
        return wrong;
    unsigned bits = prefix->addr.family == NETADDR_V4 ? 32 : 128;
    if (prefix->length > bits)
        return "prefix too long";
    for (unsigned i = prefix->length; i < bits; i++)
        if (prefix->addr.bytes[i / 8] & (0x80u >> i % 8))
            return "bits beyond the prefix";
    return NULL;
}

/* A list field is a count, then its items. */
static const char *list_check(const struct ipc_field *field, const void *value)
{
    const struct {
        uint16_t count;
        struct netprefix item[];
    } *prefixes = value;
    const struct {
        uint16_t count;
        struct netaddr item[];
    } *addrs = value;
    const char *wrong = prefixes->count > field->a ? "too many" : NULL;
    for (size_t i = 0; wrong == NULL && i < prefixes->count; i++)
        wrong = field->kind == IPC_KIND_PREFIXES ? prefix_check(&prefixes->item[i])
                                                 : addr_check(&addrs->item[i], false);
    return wrong;
}

static const char *name_check(const struct ipc_field *field, const char *name)
{
    size_t length = strnlen(name, IPC_NAME_MAX + 1);
    if (length > IPC_NAME_MAX)
        return "too long";
    if (length == 0)
        return field->a != 0 ? NULL : "empty";
    for (size_t i = 0; i < length; i++)
        if (name[i] <= ' ' || name[i] > '~')
            return "blank or unprintable character";
    return NULL;
}

static const char *text_check(const struct ipc_field *field, const char *text)
{
    size_t length = strnlen(text, field->a + 1);
    if (length > field->a)
        return "too long";
    for (size_t at = 0; at < length;) {
        size_t n = text_printable(text + at, length - at);
        if (n == 0)
            return "not printable UTF-8";
        at += n;
    }
    return NULL;
}

const char *ipc_field_check(const struct ipc_field *field, const void *value)
{
    switch (field->kind) {
    case IPC_KIND_U8:
    case IPC_KIND_ENUM:
        return number_check(field, *(const uint8_t *)value);
    case IPC_KIND_U16:
        return number_check(field, *(const uint16_t *)value);
    case IPC_KIND_U32:
        return number_check(field, *(const uint32_t *)value);
    case IPC_KIND_U64:
        return number_check(field, *(const uint64_t *)value);
    case IPC_KIND_BOOL:
    case IPC_KIND_KEY:
    case IPC_KIND_SECRET:
        return NULL;
    case IPC_KIND_ADDR:
        return addr_check(value, field->a != 0);
    case IPC_KIND_SOCK:
        return sock_check(value, field->a != 0);
    case IPC_KIND_PREFIXES:
    case IPC_KIND_ADDRS:
        return list_check(field, value);
    case IPC_KIND_NAME:
        return name_check(field, value);
    case IPC_KIND_TEXT:
        return text_check(field, value);
    case IPC_KIND_BLOB:
        return ((const struct ipc_blob *)value)->length > field->a ? "too long" : NULL;
    case IPC_KIND_FD:
        return *(const int *)value < 0 && field->b == 0 ? "absent" : NULL;
    }
    return "unknown kind";
}
