/* Each field of each message at its limits and beyond them, written into an otherwise valid datagram: the
 * decoder refuses and names message and field. Where a struct can hold the wrong value, the encoder refuses
 * it too. */
#include "common/err.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/ipc/sample.h"
#include "tests/unit/ipc/sockets.h"

#include <stdio.h>
#include <string.h>

static struct ipc_message message;
static char error[IPC_ERROR_MAX];

/* One field of a sample under test. */
struct subject {
    struct sample sample;
    const struct ipc_field *field;
    size_t index;
};

static int decode_with(const struct subject *t, const void *bytes, size_t count)
{
    static uint8_t wire[IPC_DATAGRAM_MAX];
    const struct sample *s = &t->sample;
    size_t length = sample_splice(s, t->index, bytes, count, wire);
    return ipc_decode(wire, length, s->fds, s->fd_count, s->from, s->to, &message, error);
}

static void refused(const struct subject *t, const void *bytes, size_t count, const char *what)
{
    char prefix[80];
    int n = snprintf(prefix, sizeof prefix, "%s.%s: ", t->sample.declaration->name, t->field->name);
    ck_assert_msg(decode_with(t, bytes, count) == NX_EPROTO, "%s%s was accepted", prefix, what);
    ck_assert_msg(strncmp(error, prefix, (size_t)n) == 0, "%s%s: reported as %s", prefix, what, error);
}

static void accepted(const struct subject *t, const void *bytes, size_t count, const char *what)
{
    ck_assert_msg(decode_with(t, bytes, count) == NX_OK, "%s.%s: %s: %s", t->sample.declaration->name,
                  t->field->name, what, error);
}

/* The struct holds the wrong value, of `size` bytes, in that field. */
static void not_encoded(const struct subject *t, const void *value, size_t size, const char *what)
{
    static uint8_t wire[IPC_DATAGRAM_MAX];
    union ipc_body body = t->sample.body;
    int fds[IPC_FDS_MAX];
    size_t fd_count;
    memcpy((uint8_t *)&body + t->field->offset, value, size);
    int result = ipc_encode(t->sample.declaration->type, 0, &body, wire, fds, &fd_count, error);
    ck_assert_msg(result == NX_ERANGE, "%s.%s: %s was encoded", t->sample.declaration->name, t->field->name,
                  what);
}

static void number_limits(const struct subject *t, size_t size)
{
    const uint64_t low = t->field->a, high = t->field->b,
                   most = size == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * size) - 1;
    uint64_t value;
    accepted(t, &low, size, "the lower limit"); /* little-endian or not, … */
    accepted(t, &high, size, "the upper limit");
    if (low > 0) {
        value = low - 1;
        refused(t, &value, size, "less than the lower limit");
        not_encoded(t, &value, size, "less than the lower limit");
    }
    if (high < most) {
        value = high + 1;
        refused(t, &value, size, "more than the upper limit");
        not_encoded(t, &value, size, "more than the upper limit");
        refused(t, &most, size, "the largest number");
    }
}

/* A protocol decides what descriptor comes with it, so that a valid one may still not fit the sample's. */
static bool decides_descriptor(const struct subject *t)
{
    size_t count;
    const struct ipc_field *fields = t->sample.declaration->fields(&count);
    return t->field->kind == IPC_KIND_ENUM && t->index + 1 < count &&
           fields[t->index + 1].kind == IPC_KIND_FD && fields[t->index + 1].a == IPC_FD_BY_PROTOCOL;
}

static void enum_limits(const struct subject *t)
{
    for (unsigned value = 0; value <= UINT8_MAX; value++) {
        uint8_t byte = (uint8_t)value;
        if (value < t->field->a || value > t->field->b) {
            refused(t, &byte, 1, "a value that is not declared");
            not_encoded(t, &byte, 1, "a value that is not declared");
        } else if (!decides_descriptor(t)) {
            accepted(t, &byte, 1, "a declared value");
        }
    }
}

static void bool_limits(const struct subject *t)
{
    for (unsigned value = 0; value <= UINT8_MAX; value++) {
        uint8_t byte = (uint8_t)value;
        if (value > 1)
            refused(t, &byte, 1, "neither true nor false");
        else
            accepted(t, &byte, 1, "a truth value");
    }
}

enum { ADDR_BYTES = 17, SOCK_BYTES = 23, PREFIX_BYTES = 18 };

/* The addresses that no field takes, in front of `size` bytes of wire form whose rest is `good`'s. */
static void addr_wrong(const struct subject *t, size_t skip, const uint8_t *good, size_t size,
                       bool may_be_absent)
{
    uint8_t wire[64];
    for (unsigned family = 0; family <= UINT8_MAX; family++) {
        if (family == NETADDR_V4 || family == NETADDR_V6 || (family == NETADDR_NONE && may_be_absent))
            continue;
        memcpy(wire, good, size);
        wire[skip] = (uint8_t)family;
        refused(t, wire, size, "an unknown family");
    }
    for (size_t i = 5; i < ADDR_BYTES; i++) {
        memcpy(wire, good, size);
        wire[skip] = NETADDR_V4;
        memset(wire + skip + 5, 0, ADDR_BYTES - 5);
        wire[skip + i] = 1;
        refused(t, wire, size, "stray bytes after an IPv4 address");
    }
}

/* None at all is zeros, `wire_size` bytes of them as it travels and `size` in the struct; where it may be
 * absent, nothing may stand beside that. */
static void absent_limits(const struct subject *t, size_t wire_size, size_t size)
{
    static const uint8_t absent[64];
    uint8_t wire[64];
    if (t->field->a == 0) {
        refused(t, absent, wire_size, "none at all");
        not_encoded(t, absent, size, "none at all");
        return;
    }
    accepted(t, absent, wire_size, "none at all");
    for (size_t i = 1; i < wire_size; i++) {
        memcpy(wire, absent, wire_size);
        wire[i] = 1;
        refused(t, wire, wire_size, "something in an absent address");
    }
}

static void addr_limits(const struct subject *t)
{
    static const uint8_t good[ADDR_BYTES] = {NETADDR_V4, 127, 0, 0, 1};
    static const struct netaddr familyless = {.family = NETADDR_V6 + 1},
                                stray = {NETADDR_V4, {127, 0, 0, 1, 1}};
    uint8_t wire[ADDR_BYTES];
    accepted(t, good, sizeof good, "an IPv4 address");
    memset(wire, 0xff, sizeof wire);
    wire[0] = NETADDR_V6;
    accepted(t, wire, sizeof wire, "an IPv6 address");
    addr_wrong(t, 0, good, sizeof good, t->field->a != 0);
    not_encoded(t, &familyless, sizeof familyless, "an unknown family");
    not_encoded(t, &stray, sizeof stray, "stray bytes after an IPv4 address");
    absent_limits(t, sizeof wire, sizeof(struct netaddr));
}

static void sock_limits(const struct subject *t)
{
    uint8_t good[SOCK_BYTES] = {NETADDR_V4, 127, 0, 0, 1, [17] = 1}, wire[SOCK_BYTES];
    const struct netsock portless = {.addr = {NETADDR_V4, {127, 0, 0, 1}}};
    accepted(t, good, sizeof good, "an IPv4 address");
    addr_wrong(t, 0, good, sizeof good, t->field->a != 0);
    memcpy(wire, good, sizeof wire);
    memset(wire + 17, 0, 2);
    refused(t, wire, sizeof wire, "port 0");
    not_encoded(t, &portless, sizeof portless, "port 0");
    memcpy(wire, good, sizeof wire);
    wire[19] = 1;
    refused(t, wire, sizeof wire, "a zone at an IPv4 address");
    wire[0] = NETADDR_V6;
    accepted(t, wire, sizeof wire, "a zone at an IPv6 address");
    absent_limits(t, sizeof wire, sizeof(struct netsock));
}

static void list_count_limits(const struct subject *t, size_t item_bytes, const uint8_t *item)
{
    static uint8_t wire[IPC_DATAGRAM_MAX];
    uint16_t count;
    for (size_t n = 0; n <= t->field->a + 1; n++) {
        count = (uint16_t)n;
        memcpy(wire, &count, 2);
        for (size_t i = 0; i < n; i++)
            memcpy(wire + 2 + i * item_bytes, item, item_bytes);
        if (n <= t->field->a)
            accepted(t, wire, 2 + n * item_bytes, "a list");
        else
            refused(t, wire, 2 + n * item_bytes, "one item too many");
    }
    count = UINT16_MAX;
    memcpy(wire, &count, 2);
    refused(t, wire, 2 + item_bytes, "65535 items that are not there");
    count = (uint16_t)(t->field->a + 1);
    not_encoded(t, &count, 2, "one item too many");
}

static void addrs_limits(const struct subject *t)
{
    uint8_t one[2 + ADDR_BYTES] = {[2] = NETADDR_V4, 10, 0, 0, 1};
    const uint16_t count = 1;
    memcpy(one, &count, 2);
    list_count_limits(t, ADDR_BYTES, one + 2);
    addr_wrong(t, 2, one, sizeof one, false);
    memset(one + 2, 0, ADDR_BYTES);
    refused(t, one, sizeof one, "an item that is absent");
}

static void prefixes_limits(const struct subject *t)
{
    uint8_t one[2 + PREFIX_BYTES] = {[2] = NETADDR_V4, 10, 0, 0, 0, [19] = 8}, wire[2 + PREFIX_BYTES];
    const uint16_t count = 1;
    memcpy(one, &count, 2);
    list_count_limits(t, PREFIX_BYTES, one + 2);
    addr_wrong(t, 2, one, sizeof one, false);
    for (unsigned family = NETADDR_V4; family <= NETADDR_V6; family += 2) {
        unsigned bits = family == NETADDR_V4 ? 32 : 128;
        for (unsigned length = 0; length <= UINT8_MAX; length++) {
            memset(wire + 2, 0, PREFIX_BYTES);
            memcpy(wire, &count, 2);
            wire[2] = (uint8_t)family;
            wire[19] = (uint8_t)length;
            if (length > bits) {
                refused(t, wire, sizeof wire, "a prefix longer than an address");
                continue;
            }
            if (length > 0)
                wire[3 + (length - 1) / 8] = (uint8_t)(0x80u >> (length - 1) % 8);
            accepted(t, wire, sizeof wire, "a prefix");
            if (length == bits)
                continue;
            wire[3 + length / 8] |= (uint8_t)(0x80u >> length % 8);
            refused(t, wire, sizeof wire, "a bit beyond the prefix");
        }
    }
    memset(wire + 2, 0, PREFIX_BYTES);
    refused(t, wire, sizeof wire, "an item that is absent");
}

/* A string of `length` bytes as it travels. */
static size_t string_wire(uint8_t *wire, const void *text, size_t length)
{
    uint16_t count = (uint16_t)length;
    memcpy(wire, &count, 2);
    memcpy(wire + 2, text, length);
    return 2 + length;
}

static void string_length_limits(const struct subject *t, size_t most)
{
    uint8_t wire[IPC_DATAGRAM_MAX], text[IPC_POLICY_LINE_MAX + 2];
    const uint16_t lie = UINT16_MAX;
    memset(text, 'x', sizeof text);
    accepted(t, wire, string_wire(wire, text, most), "the longest text");
    refused(t, wire, string_wire(wire, text, most + 1), "a text too long");
    not_encoded(t, text, most + 1, "a text without an end");
    memcpy(wire, &lie, 2);
    refused(t, wire, 3, "a length that is not there");
    for (size_t at = 0; at < 3; at++) {
        memset(text, 'x', 3);
        text[at] = '\0';
        refused(t, wire, string_wire(wire, text, 3), "a zero byte in text");
    }
}

static void name_limits(const struct subject *t)
{
    uint8_t wire[16];
    string_length_limits(t, IPC_NAME_MAX);
    for (unsigned c = 1; c <= UINT8_MAX; c++) {
        const char name[] = {'a', (char)c, 'b', '\0'};
        if (c > ' ' && c <= '~') {
            accepted(t, wire, string_wire(wire, name, 3), "a printable character");
            continue;
        }
        refused(t, wire, string_wire(wire, name, 3), "an unprintable character");
        not_encoded(t, name, sizeof name, "an unprintable character");
    }
    if (t->field->a != 0) {
        accepted(t, wire, string_wire(wire, "", 0), "an empty name");
    } else {
        refused(t, wire, string_wire(wire, "", 0), "an empty name");
        not_encoded(t, "", 1, "an empty name");
    }
}

static void text_limits(const struct subject *t)
{
    static const char *const bad[] = {
        "\x80",             /* continuation alone */
        "a\xc3",            /* cut */
        "\xe2\x82",         /* cut */
        "\xf0\x9f\x98",     /* cut */
        "\xc0\xaf",         /* overlong */
        "\xe0\x80\xaf",     /* overlong */
        "\xed\xa0\x80",     /* surrogate */
        "\xf4\x90\x80\x80", /* past the last character */
        "\xff",
        "line\nline",
        "\r",
        "\x1b[2J",
        "\x7f",
        "\xc2\x9b",     /* C1 control */
        "\xe2\x80\xae", /* turns the writing direction */
    };
    uint8_t wire[64];
    string_length_limits(t, t->field->a);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        refused(t, wire, string_wire(wire, bad[i], strlen(bad[i])), "text that is no harmless UTF-8");
        not_encoded(t, bad[i], strlen(bad[i]) + 1, "text that is no harmless UTF-8");
    }
    accepted(t, wire, string_wire(wire, "", 0), "no text");
    accepted(t, wire, string_wire(wire, "Gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80", 11), "UTF-8");
}

static void blob_limits(const struct subject *t)
{
    uint8_t wire[IPC_DATAGRAM_MAX], bytes[IPC_BODY_MAX], long_one[2 + IPC_BODY_MAX] = {0};
    const uint16_t lie = UINT16_MAX, too_long = (uint16_t)(t->field->a + 1);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    accepted(t, wire, string_wire(wire, bytes, 0), "no bytes");
    accepted(t, wire, string_wire(wire, bytes, 256), "every byte");
    accepted(t, wire, string_wire(wire, bytes, t->field->a), "the most bytes");
    refused(t, wire, string_wire(wire, bytes, too_long), "too many bytes");
    memcpy(wire, &lie, 2);
    refused(t, wire, 3, "a length that is not there");
    memcpy(long_one, &too_long, 2);
    not_encoded(t, long_one, 2, "too many bytes");
}

static void fd_limits(const struct subject *t)
{
    const int none = -1;
    for (unsigned value = 2; value <= UINT8_MAX; value++) {
        uint8_t byte = (uint8_t)value;
        refused(t, &byte, 1, "neither there nor absent");
    }
    if (t->field->b == 0) {
        refused(t, "\0", 1, "an absent descriptor");
        not_encoded(t, &none, sizeof none, "an absent descriptor");
    } else {
        /* Said to be absent, but it came along. */
        ck_assert_int_eq(decode_with(t, "\0", 1), NX_EPROTO);
    }
}

static void field_limits(const struct subject *t)
{
    switch (t->field->kind) {
    case IPC_KIND_U8:
        number_limits(t, 1);
        break;
    case IPC_KIND_U16:
        number_limits(t, 2);
        break;
    case IPC_KIND_U32:
        number_limits(t, 4);
        break;
    case IPC_KIND_U64:
        number_limits(t, 8);
        break;
    case IPC_KIND_ENUM:
        enum_limits(t);
        break;
    case IPC_KIND_BOOL:
        bool_limits(t);
        break;
    case IPC_KIND_ADDR:
        addr_limits(t);
        break;
    case IPC_KIND_SOCK:
        sock_limits(t);
        break;
    case IPC_KIND_ADDRS:
        addrs_limits(t);
        break;
    case IPC_KIND_PREFIXES:
        prefixes_limits(t);
        break;
    case IPC_KIND_NAME:
        name_limits(t);
        break;
    case IPC_KIND_TEXT:
        text_limits(t);
        break;
    case IPC_KIND_BLOB:
        blob_limits(t);
        break;
    case IPC_KIND_FD:
        fd_limits(t);
        break;
    case IPC_KIND_KEY:
    case IPC_KIND_SECRET:
        break; /* 32 bytes, any */
    }
}

START_TEST(limits)
{
    struct subject t;
    sample_make(&t.sample, &ipc_table[_i], SAMPLE_LARGEST, 1);
    const struct ipc_field *fields = ipc_table[_i].fields(&t.sample.field_count);
    for (t.index = 0; t.index < t.sample.field_count; t.index++) {
        t.field = &fields[t.index];
        field_limits(&t);
    }
    sample_close(&t.sample);
}
END_TEST

static void fill(TCase *tcase)
{
    open_fds_guard(tcase);
    tcase_add_loop_test(tcase, limits, 0, (int)ipc_table_count);
}

int main(void)
{
    return unit_run("ipc_fields", fill);
}
