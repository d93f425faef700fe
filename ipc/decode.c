/* From a datagram of the other side to a struct. Nothing is believed: every length is checked before it is
 * used, every value against its declaration, every descriptor against the kernel's word; what is left over is
 * an error too. */
#include "common/err.h"
#include "ipc/table.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct reader {
    const uint8_t *at, *end;
    const int *fds;
    size_t fd_count, fd_at;
    uint8_t last_enum; /* what IPC_FD_BY_PROTOCOL refers to */
};

static bool take(struct reader *r, void *out, size_t length)
{
    if ((size_t)(r->end - r->at) < length)
        return false;
    if (length > 0)
        memcpy(out, r->at, length);
    r->at += length;
    return true;
}

static bool take_addr(struct reader *r, struct netaddr *out)
{
    return take(r, &out->family, 1) && take(r, out->bytes, sizeof out->bytes);
}

/* `max` without the terminating zero, for which there is room. A zero inside would end the text early:
 * refused. */
static const char *take_string(struct reader *r, char *out, size_t max)
{
    uint16_t length;
    if (!take(r, &length, sizeof length))
        return "truncated";
    if (length > max)
        return "too long";
    if (!take(r, out, length))
        return "truncated";
    out[length] = '\0';
    return strlen(out) == length ? NULL : "zero byte in text";
}

static const char *take_blob(struct reader *r, struct ipc_blob *out, size_t max)
{
    uint16_t length;
    if (!take(r, &length, sizeof length))
        return "truncated";
    if (length > max)
        return "too long";
    if (!take(r, out->data, length))
        return "truncated";
    out->length = length;
    return NULL;
}

static const char *take_list(struct reader *r, const struct ipc_field *field, void *value)
{
    struct {
        uint16_t count;
        struct netprefix item[];
    } *prefixes = value;
    struct {
        uint16_t count;
        struct netaddr item[];
    } *addrs = value;
    uint16_t count;
    if (!take(r, &count, sizeof count))
        return "truncated";
    if (count > field->a)
        return "too many";
    prefixes->count = count;
    for (size_t i = 0; i < count; i++) {
        bool there = field->kind == IPC_KIND_PREFIXES
                         ? take_addr(r, &prefixes->item[i].addr) && take(r, &prefixes->item[i].length, 1)
                         : take_addr(r, &addrs->item[i]);
        if (!there)
            return "truncated";
    }
    return NULL;
}

static const char *take_fd(struct reader *r, const struct ipc_field *field, int *out)
{
    uint8_t present;
    *out = -1;
    if (!take(r, &present, 1))
        return "truncated";
    if (present > 1)
        return "neither there nor absent";
    if (present == 0)
        return NULL; /* ipc_field_check() knows whether it may be */
    if (r->fd_at == r->fd_count)
        return "descriptor missing";
    int fd = r->fds[r->fd_at++];
    if (!ipc_fd_is(fd, (enum ipc_fd_kind)field->a, r->last_enum))
        return "descriptor of another kind";
    *out = fd;
    return NULL;
}

static const char *take_field(struct reader *r, const struct ipc_field *field, void *value)
{
    static const size_t sizes[] = {
        [IPC_KIND_U8] = 1,  [IPC_KIND_ENUM] = 1, [IPC_KIND_U16] = 2,     [IPC_KIND_U32] = 4,
        [IPC_KIND_U64] = 8, [IPC_KIND_KEY] = 32, [IPC_KIND_SECRET] = 32,
    };
    switch (field->kind) {
    case IPC_KIND_BOOL: {
        uint8_t byte;
        if (!take(r, &byte, 1))
            return "truncated";
        *(bool *)value = byte == 1;
        return byte <= 1 ? NULL : "neither true nor false";
    }
    case IPC_KIND_ADDR:
        return take_addr(r, value) ? NULL : "truncated";
    case IPC_KIND_SOCK: {
        struct netsock *sock = value;
        return take_addr(r, &sock->addr) && take(r, &sock->port, 2) && take(r, &sock->scope_id, 4)
                   ? NULL
                   : "truncated";
    }
    case IPC_KIND_PREFIXES:
    case IPC_KIND_ADDRS:
        return take_list(r, field, value);
    case IPC_KIND_NAME:
        return take_string(r, value, IPC_NAME_MAX);
    case IPC_KIND_TEXT:
        return take_string(r, value, field->a);
    case IPC_KIND_BLOB:
        return take_blob(r, value, field->a);
    case IPC_KIND_FD:
        return take_fd(r, field, value);
    default:
        if (!take(r, value, sizes[field->kind]))
            return "truncated";
        if (field->kind == IPC_KIND_ENUM)
            r->last_enum = *(uint8_t *)value;
        return NULL;
    }
}

static int fail(struct ipc_message *out, char *error, const char *message, const char *field,
                const char *wrong)
{
    explicit_bzero(out, sizeof *out);
    snprintf(error, IPC_ERROR_MAX, "%s.%s: %s", message, field, wrong);
    return NX_EPROTO;
}

/* Descriptor fields start out absent, so that releasing a message never closes descriptor 0. */
static void fds_clear(const struct ipc_field *fields, size_t count, union ipc_body *body)
{
    for (size_t i = 0; i < count; i++)
        if (fields[i].kind == IPC_KIND_FD)
            *(int *)(void *)((uint8_t *)body + fields[i].offset) = -1;
}

int ipc_decode(const uint8_t *data, size_t length, const int *fds, size_t fd_count, enum ipc_role from,
               enum ipc_role to, struct ipc_message *out, char *error)
{
    memset(out, 0, sizeof *out);
    if (length < sizeof out->header)
        return fail(out, error, "header", "length", "truncated");
    memcpy(&out->header, data, sizeof out->header);
    const struct ipc_declaration *declaration = ipc_table_find(out->header.type);
    if (out->header.version != IPC_VERSION)
        return fail(out, error, "header", "version", "of another build");
    if (declaration == NULL)
        return fail(out, error, "header", "type", "unknown");
    if (out->header.length != length - sizeof out->header)
        return fail(out, error, declaration->name, "length", "does not match the datagram");
    if (!(declaration->ways & IPC_WAY(from, to)))
        return fail(out, error, declaration->name, "type", "not from this sender");

    struct reader r = {
        .at = data + sizeof out->header, .end = data + length, .fds = fds, .fd_count = fd_count};
    size_t count;
    const struct ipc_field *fields = declaration->fields(&count);
    fds_clear(fields, count, &out->body);
    for (size_t i = 0; i < count; i++) {
        void *value = (uint8_t *)&out->body + fields[i].offset;
        const char *wrong = take_field(&r, &fields[i], value);
        if (wrong == NULL)
            wrong = ipc_field_check(&fields[i], value);
        if (wrong != NULL)
            return fail(out, error, declaration->name, fields[i].name, wrong);
    }
    if (r.at != r.end)
        return fail(out, error, declaration->name, "length", "bytes left over");
    if (r.fd_at != fd_count)
        return fail(out, error, declaration->name, "descriptors", "more than declared");
    return NX_OK;
}

void ipc_message_release(struct ipc_message *message)
{
    const struct ipc_declaration *declaration = ipc_table_find(message->header.type);
    size_t count = 0;
    const struct ipc_field *fields = declaration != NULL ? declaration->fields(&count) : NULL;
    for (size_t i = 0; i < count; i++) {
        uint8_t *value = (uint8_t *)&message->body + fields[i].offset;
        if (fields[i].kind == IPC_KIND_SECRET)
            explicit_bzero(value, 32);
        if (fields[i].kind == IPC_KIND_BLOB)
            explicit_bzero(value, sizeof(struct ipc_blob) + fields[i].a);
        if (fields[i].kind != IPC_KIND_FD)
            continue;
        int *fd = (int *)(void *)value;
        if (*fd >= 0)
            close(*fd);
        *fd = -1;
    }
}
