/* From a struct to a datagram. Absent optional descriptors are a byte 0 in the body, present ones a byte 1
 * and an SCM_RIGHTS entry. */
#include "common/err.h"
#include "ipc/table.h"
#include <stdio.h>
#include <string.h>

struct writer {
    uint8_t *at, *end;
};

static bool put(struct writer *w, const void *data, size_t length)
{
    if ((size_t)(w->end - w->at) < length)
        return false;
    if (length > 0)
        memcpy(w->at, data, length);
    w->at += length;
    return true;
}

static bool put_u8(struct writer *w, uint8_t value)
{
    return put(w, &value, 1);
}

static bool put_addr(struct writer *w, const struct netaddr *addr)
{
    return put_u8(w, addr->family) && put(w, addr->bytes, sizeof addr->bytes);
}

static bool put_string(struct writer *w, const char *text)
{
    uint16_t length = (uint16_t)strlen(text);
    return put(w, &length, sizeof length) && put(w, text, length);
}

static bool put_list(struct writer *w, const struct ipc_field *field, const void *value)
{
    const struct {
        uint16_t count;
        struct netprefix item[];
    } *prefixes = value;
    const struct {
        uint16_t count;
        struct netaddr item[];
    } *addrs = value;
    bool fits = put(w, &prefixes->count, sizeof prefixes->count);
    for (size_t i = 0; fits && i < prefixes->count; i++)
        fits = field->kind == IPC_KIND_PREFIXES
                   ? put_addr(w, &prefixes->item[i].addr) && put_u8(w, prefixes->item[i].length)
                   : put_addr(w, &addrs->item[i]);
    return fits;
}

static bool put_field(struct writer *w, const struct ipc_field *field, const void *value, int *fds,
                      size_t *fd_count)
{
    switch (field->kind) {
    case IPC_KIND_U8:
    case IPC_KIND_ENUM:
        return put(w, value, 1);
    case IPC_KIND_BOOL:
        return put_u8(w, *(const bool *)value ? 1 : 0);
    case IPC_KIND_U16:
        return put(w, value, 2);
    case IPC_KIND_U32:
        return put(w, value, 4);
    case IPC_KIND_U64:
        return put(w, value, 8);
    case IPC_KIND_KEY:
    case IPC_KIND_SECRET:
        return put(w, value, 32);
    case IPC_KIND_ADDR:
        return put_addr(w, value);
    case IPC_KIND_SOCK: {
        const struct netsock *sock = value;
        return put_addr(w, &sock->addr) && put(w, &sock->port, 2) && put(w, &sock->scope_id, 4);
    }
    case IPC_KIND_PREFIXES:
    case IPC_KIND_ADDRS:
        return put_list(w, field, value);
    case IPC_KIND_NAME:
    case IPC_KIND_TEXT:
        return put_string(w, value);
    case IPC_KIND_BLOB: {
        const struct ipc_blob *blob = value;
        return put(w, &blob->length, 2) && put(w, blob->data, blob->length);
    }
    case IPC_KIND_FD: {
        int fd = *(const int *)value;
        if (fd >= 0)
            fds[(*fd_count)++] = fd;
        return put_u8(w, fd >= 0);
    }
    }
    return false;
}

int ipc_encode(enum ipc_type type, uint32_t request, const void *body, uint8_t *out, int *fds,
               size_t *fd_count, char *error)
{
    const struct ipc_declaration *declaration = ipc_table_find(type);
    *fd_count = 0;
    if (declaration == NULL) {
        snprintf(error, IPC_ERROR_MAX, "no message has type %u", (unsigned)type);
        return NX_EINVAL;
    }
    struct writer w = {.at = out + sizeof(struct ipc_header), .end = out + IPC_DATAGRAM_MAX};
    size_t count;
    const struct ipc_field *fields = declaration->fields(&count);
    for (size_t i = 0; i < count; i++) {
        const void *value = (const uint8_t *)body + fields[i].offset;
        const char *wrong = ipc_field_check(&fields[i], value);
        if (wrong == NULL && !put_field(&w, &fields[i], value, fds, fd_count))
            wrong = "message too long";
        if (wrong != NULL) {
            snprintf(error, IPC_ERROR_MAX, "%s.%s: %s", declaration->name, fields[i].name, wrong);
            return NX_ERANGE;
        }
    }
    struct ipc_header header = {.type = (uint16_t)type,
                                .version = IPC_VERSION,
                                .length = (uint32_t)((size_t)(w.at - out) - sizeof header),
                                .request = request};
    memcpy(out, &header, sizeof header);
    return (int)(w.at - out);
}
