/* The sizes of fields on the wire are written down here once more, so that the encoder is held to the format
 * and not to itself. */
#include "tests/unit/ipc/sample.h"

#include "tests/unit/ipc/sockets.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

uint64_t sample_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

struct filler {
    enum sample_size size;
    uint64_t seed;
};

static uint64_t number(struct filler *f, uint64_t low, uint64_t high)
{
    if (f->size != SAMPLE_RANDOM)
        return f->size == SAMPLE_SMALLEST ? low : high;
    uint64_t span = high - low + 1; /* 0: everything */
    uint64_t value = sample_random(&f->seed);
    return span == 0 ? value : low + value % span;
}

static void bytes_fill(struct filler *f, uint8_t *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (uint8_t)number(f, 0, 255);
}

static void addr_fill(struct filler *f, bool may_be_absent, struct netaddr *out)
{
    static const uint8_t families[] = {NETADDR_NONE, NETADDR_V4, NETADDR_V6};
    memset(out, 0, sizeof *out);
    out->family = families[number(f, may_be_absent ? 0 : 1, 2)];
    if (out->family != NETADDR_NONE)
        bytes_fill(f, out->bytes, out->family == NETADDR_V4 ? 4 : 16);
}

static void sock_fill(struct filler *f, bool may_be_absent, struct netsock *out)
{
    memset(out, 0, sizeof *out);
    addr_fill(f, may_be_absent, &out->addr);
    if (out->addr.family != NETADDR_NONE)
        out->port = (uint16_t)number(f, 1, 65535);
    if (out->addr.family == NETADDR_V6)
        out->scope_id = (uint32_t)number(f, 0, UINT32_MAX);
}

static void prefix_fill(struct filler *f, struct netprefix *out)
{
    addr_fill(f, false, &out->addr);
    unsigned bits = out->addr.family == NETADDR_V4 ? 32 : 128;
    out->length = (uint8_t)number(f, 0, bits);
    for (unsigned i = out->length; i < bits; i++)
        out->addr.bytes[i / 8] &= (uint8_t) ~(0x80u >> i % 8);
}

static void list_fill(struct filler *f, const struct ipc_field *field, uint8_t *value)
{
    uint16_t count = (uint16_t)number(f, 0, field->a);
    memcpy(value, &count, sizeof count);
    for (size_t i = 0; i < count; i++) {
        if (field->kind == IPC_KIND_PREFIXES)
            prefix_fill(f, (struct netprefix *)(value + 2) + i);
        else
            addr_fill(f, false, (struct netaddr *)(value + 2) + i);
    }
}

static void name_fill(struct filler *f, const struct ipc_field *field, char *out)
{
    size_t length = number(f, field->a != 0 ? 0 : 1, IPC_NAME_MAX);
    for (size_t i = 0; i < length; i++)
        out[i] = (char)number(f, '!', '~');
    out[length] = '\0';
}

static void text_fill(struct filler *f, const struct ipc_field *field, char *out)
{
    static const char *const letters[] = {" ", "~", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    size_t length = number(f, 0, field->a), at = 0;
    while (at < length) {
        const char *letter = letters[number(f, 0, 4)];
        if (strlen(letter) > length - at)
            letter = "x";
        memcpy(out + at, letter, strlen(letter));
        at += strlen(letter);
    }
    out[at] = '\0';
}

static void blob_fill(struct filler *f, const struct ipc_field *field, struct ipc_blob *out)
{
    out->length = (uint16_t)number(f, 0, field->a);
    bytes_fill(f, out->data, out->length);
}

static void field_fill(struct filler *f, const struct ipc_field *field, uint8_t *value, uint8_t *last_enum)
{
    switch (field->kind) {
    case IPC_KIND_ENUM:
        *last_enum = *value = (uint8_t)number(f, field->a, field->b);
        break;
    case IPC_KIND_U8:
        *value = (uint8_t)number(f, field->a, field->b);
        break;
    case IPC_KIND_U16:
        *(uint16_t *)(void *)value = (uint16_t)number(f, field->a, field->b);
        break;
    case IPC_KIND_U32:
        *(uint32_t *)(void *)value = (uint32_t)number(f, field->a, field->b);
        break;
    case IPC_KIND_U64:
        *(uint64_t *)(void *)value = number(f, field->a, field->b);
        break;
    case IPC_KIND_BOOL:
        *(bool *)value = number(f, 0, 1) != 0;
        break;
    case IPC_KIND_KEY:
    case IPC_KIND_SECRET:
        bytes_fill(f, value, 32);
        break;
    case IPC_KIND_ADDR:
        addr_fill(f, field->a != 0, (struct netaddr *)value);
        break;
    case IPC_KIND_SOCK:
        sock_fill(f, field->a != 0, (struct netsock *)(void *)value);
        break;
    case IPC_KIND_PREFIXES:
    case IPC_KIND_ADDRS:
        list_fill(f, field, value);
        break;
    case IPC_KIND_NAME:
        name_fill(f, field, (char *)value);
        break;
    case IPC_KIND_TEXT:
        text_fill(f, field, (char *)value);
        break;
    case IPC_KIND_BLOB:
        blob_fill(f, field, (struct ipc_blob *)(void *)value);
        break;
    case IPC_KIND_FD:
        *(int *)(void *)value =
            number(f, field->b != 0 ? 0 : 1, 1) ? socket_of((enum ipc_fd_kind)field->a, *last_enum) : -1;
        break;
    }
}

static size_t wire_bytes(const struct ipc_field *field, const uint8_t *value)
{
    static const size_t fixed[] = {
        [IPC_KIND_U8] = 1,    [IPC_KIND_U16] = 2,   [IPC_KIND_U32] = 4,  [IPC_KIND_U64] = 8,
        [IPC_KIND_BOOL] = 1,  [IPC_KIND_ENUM] = 1,  [IPC_KIND_KEY] = 32, [IPC_KIND_SECRET] = 32,
        [IPC_KIND_ADDR] = 17, [IPC_KIND_SOCK] = 23, [IPC_KIND_FD] = 1,
    };
    uint16_t count;
    switch (field->kind) {
    case IPC_KIND_PREFIXES:
    case IPC_KIND_ADDRS:
        memcpy(&count, value, sizeof count);
        return 2 + count * (field->kind == IPC_KIND_PREFIXES ? 18u : 17u);
    case IPC_KIND_NAME:
    case IPC_KIND_TEXT:
        return 2 + strlen((const char *)value);
    case IPC_KIND_BLOB:
        memcpy(&count, value, sizeof count);
        return 2u + count;
    default:
        return fixed[field->kind];
    }
}

void way_roles(unsigned way, enum ipc_role *from, enum ipc_role *to)
{
    *from = (enum ipc_role)(way / 4 + 1);
    *to = (enum ipc_role)(way % 4 + 1);
}

void sample_make(struct sample *sample, const struct ipc_declaration *declaration, enum sample_size size,
                 uint64_t seed)
{
    struct filler filler = {size, seed};
    uint8_t last_enum = 0;
    char error[IPC_ERROR_MAX] = "";
    memset(sample, 0, sizeof *sample);
    sample->declaration = declaration;
    way_roles((unsigned)__builtin_ctz(declaration->ways), &sample->from, &sample->to);
    const struct ipc_field *fields = declaration->fields(&sample->field_count);
    ck_assert_uint_lt(sample->field_count, sizeof sample->at / sizeof sample->at[0]);
    sample->at[0] = sizeof(struct ipc_header);
    for (size_t i = 0; i < sample->field_count; i++) {
        uint8_t *value = (uint8_t *)&sample->body + fields[i].offset;
        field_fill(&filler, &fields[i], value, &last_enum);
        sample->at[i + 1] = sample->at[i] + wire_bytes(&fields[i], value);
    }
    int length = ipc_encode(declaration->type, (uint32_t)seed, &sample->body, sample->wire, sample->fds,
                            &sample->fd_count, error);
    ck_assert_msg(length > 0, "%s: %s", declaration->name, error);
    sample->length = (size_t)length;
    ck_assert_uint_eq(sample->length, sample->at[sample->field_count]);
}

void sample_close(struct sample *sample)
{
    for (size_t i = 0; i < sample->fd_count; i++)
        ck_assert_int_eq(close(sample->fds[i]), 0);
    sample->fd_count = 0;
}

void wire_length_fix(uint8_t *wire, size_t length)
{
    struct ipc_header header;
    memcpy(&header, wire, sizeof header);
    header.length = (uint32_t)(length - sizeof header);
    memcpy(wire, &header, sizeof header);
}

size_t sample_splice(const struct sample *sample, size_t field, const void *bytes, size_t count, uint8_t *out)
{
    size_t at = sample->at[field], after = sample->at[field + 1], rest = sample->length - after;
    ck_assert_uint_le(at + count + rest, IPC_DATAGRAM_MAX);
    memcpy(out, sample->wire, at);
    memcpy(out + at, bytes, count);
    memcpy(out + at + count, sample->wire + after, rest);
    wire_length_fix(out, at + count + rest);
    return at + count + rest;
}
