/* For every message of the table: there and back, and everything that can be wrong with a datagram as a
 * whole. */
#include "common/err.h"
#include "common/rule.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/ipc/sample.h"
#include "tests/unit/ipc/sockets.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { RANDOM_ROUNDS = 100 };

static struct ipc_message message; /* large */
static char error[IPC_ERROR_MAX];

static int decode(const struct sample *s, const uint8_t *wire, size_t length)
{
    return ipc_decode(wire, length, s->fds, s->fd_count, s->from, s->to, &message, error);
}

/* Refused, with a reason; nothing is left in `message`, and the descriptors are still the caller's. */
static void check_refused(const struct sample *s, const uint8_t *wire, size_t length, const char *what)
{
    static const struct ipc_message nothing;
    memset(&message, 0xaa, sizeof message);
    error[0] = '\0';
    ck_assert_msg(decode(s, wire, length) == NX_EPROTO, "%s: %s was accepted", s->declaration->name, what);
    ck_assert_uint_gt(strlen(error), 0);
    ck_assert_mem_eq(&message, &nothing, sizeof message);
    ipc_message_release(&message);
    for (size_t i = 0; i < s->fd_count; i++)
        ck_assert(fd_is_open(s->fds[i]));
}

/* What was decoded encodes to the same bytes, with the same descriptors. */
static void check_round_trip(const struct sample *s)
{
    uint8_t again[IPC_DATAGRAM_MAX];
    int fds[IPC_FDS_MAX];
    size_t fd_count;
    ck_assert_msg(decode(s, s->wire, s->length) == NX_OK, "%s", error);
    ck_assert_uint_eq(message.header.type, s->declaration->type);
    int length =
        ipc_encode(s->declaration->type, message.header.request, &message.body, again, fds, &fd_count, error);
    ck_assert_int_eq(length, (int)s->length);
    ck_assert_mem_eq(again, s->wire, s->length);
    ck_assert_uint_eq(fd_count, s->fd_count);
    for (size_t i = 0; i < fd_count; i++)
        ck_assert_int_eq(fds[i], s->fds[i]);
}

START_TEST(there_and_back)
{
    struct sample s;
    for (uint64_t seed = 0; seed < RANDOM_ROUNDS + 2; seed++) {
        sample_make(&s, &ipc_table[_i],
                    seed == 0   ? SAMPLE_SMALLEST
                    : seed == 1 ? SAMPLE_LARGEST
                                : SAMPLE_RANDOM,
                    seed);
        check_round_trip(&s);
        sample_close(&s);
    }
}
END_TEST

/* In memory of exactly that size, so that a sanitizer sees a read past the end. With the header's length as
 * it was, and put right. */
START_TEST(truncated_anywhere)
{
    struct sample s;
    sample_make(&s, &ipc_table[_i], SAMPLE_LARGEST, 1);
    for (size_t length = 0; length < s.length; length++) {
        uint8_t *wire = malloc(length + 1);
        ck_assert_ptr_nonnull(wire);
        memcpy(wire, s.wire, length);
        uint8_t *exact = realloc(wire, length ? length : 1);
        ck_assert_ptr_nonnull(exact);
        check_refused(&s, exact, length, "a truncated datagram");
        if (length >= sizeof(struct ipc_header)) {
            wire_length_fix(exact, length);
            check_refused(&s, exact, length, "a truncated body");
        }
        free(exact);
    }
    sample_close(&s);
}
END_TEST

START_TEST(one_byte_too_long)
{
    struct sample s;
    uint8_t wire[IPC_DATAGRAM_MAX + 1] = {0};
    for (int size = SAMPLE_SMALLEST; size <= SAMPLE_LARGEST; size++) {
        sample_make(&s, &ipc_table[_i], (enum sample_size)size, 1);
        memcpy(wire, s.wire, s.length);
        wire[s.length] = 0;
        check_refused(&s, wire, s.length + 1, "a byte that the header does not count");
        wire_length_fix(wire, s.length + 1);
        check_refused(&s, wire, s.length + 1, "a byte that no field has");
        sample_close(&s);
    }
}
END_TEST

START_TEST(header_is_checked)
{
    struct sample s;
    sample_make(&s, &ipc_table[_i], SAMPLE_LARGEST, 1);
    struct ipc_header good, bad;
    memcpy(&good, s.wire, sizeof good);
    ck_assert_uint_eq(good.version, IPC_VERSION);
    ck_assert_uint_eq(good.length, s.length - sizeof good);
    static const uint32_t lengths[] = {0, 1, INT32_MAX, UINT32_MAX};
    for (unsigned type = 0; type <= UINT16_MAX; type += type < 256 ? 1 : 251) {
        bad = good;
        bad.type = (uint16_t)type;
        memcpy(s.wire, &bad, sizeof bad);
        if (ipc_table_find(type) == NULL)
            check_refused(&s, s.wire, s.length, "an unknown type");
    }
    for (int delta = -1; delta <= 1; delta += 2) {
        bad = good;
        bad.version = (uint16_t)(good.version + delta);
        memcpy(s.wire, &bad, sizeof bad);
        check_refused(&s, s.wire, s.length, "another version");
        bad = good;
        bad.length = good.length + (uint32_t)delta;
        memcpy(s.wire, &bad, sizeof bad);
        check_refused(&s, s.wire, s.length, "a length of one more or less");
    }
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        bad = good;
        bad.length = lengths[i];
        memcpy(s.wire, &bad, sizeof bad);
        if (bad.length != good.length)
            check_refused(&s, s.wire, s.length, "a wrong length");
    }
    sample_close(&s);
}
END_TEST

START_TEST(only_declared_ways)
{
    struct sample s;
    sample_make(&s, &ipc_table[_i], SAMPLE_LARGEST, 1);
    for (unsigned way = 0; way < 16; way++) {
        way_roles(way, &s.from, &s.to);
        ck_assert_uint_eq(IPC_WAY(s.from, s.to), 1u << way);
        if (s.declaration->ways & 1u << way)
            ck_assert_int_eq(decode(&s, s.wire, s.length), NX_OK);
        else
            check_refused(&s, s.wire, s.length, "a way that is not declared");
        ck_assert(s.from != s.to || !(s.declaration->ways & 1u << way));
    }
    sample_close(&s);
}
END_TEST

START_TEST(printer)
{
    struct sample s;
    char line[2 * IPC_DATAGRAM_MAX], cut[64];
    sample_make(&s, &ipc_table[_i], SAMPLE_RANDOM, 7);
    ck_assert_int_eq(decode(&s, s.wire, s.length), NX_OK);
    ck_assert_ptr_eq(ipc_print(&message, line, sizeof line), line);
    ck_assert_int_eq(strncmp(line, s.declaration->name, strlen(s.declaration->name)), 0);
    ck_assert_ptr_nonnull(strstr(line, " #7"));
    ck_assert_ptr_null(strchr(line, '\n'));
    const struct ipc_field *fields = s.declaration->fields(&s.field_count);
    for (size_t i = 0; i < s.field_count; i++) {
        char named[80];
        snprintf(named, sizeof named, " %s=%s", fields[i].name,
                 fields[i].kind == IPC_KIND_SECRET ? "<secret>"
                 : fields[i].kind == IPC_KIND_BLOB ? "<secret, "
                                                   : "");
        ck_assert_msg(strstr(line, named) != NULL, "no \"%s\" in %s", named, line);
    }
    /* Cut anywhere, it ends in time. */
    for (size_t size = 0; size <= sizeof cut; size++) {
        memset(cut, 'z', sizeof cut);
        ipc_print(&message, cut, size);
        ck_assert_uint_lt(size ? strnlen(cut, size) : 0, size ? size : 1);
        for (size_t i = size; i < sizeof cut; i++)
            ck_assert_int_eq(cut[i], 'z');
    }
    sample_close(&s);
}
END_TEST

/* Two messages that differ in their secrets only print the same. */
START_TEST(printer_hides_secrets)
{
    struct sample s;
    char first[2 * IPC_DATAGRAM_MAX], second[2 * IPC_DATAGRAM_MAX];
    sample_make(&s, &ipc_table[_i], SAMPLE_RANDOM, 7);
    ck_assert_int_eq(decode(&s, s.wire, s.length), NX_OK);
    ipc_print(&message, first, sizeof first);
    const struct ipc_field *fields = s.declaration->fields(&s.field_count);
    for (size_t i = 0; i < s.field_count; i++)
        if (fields[i].kind == IPC_KIND_SECRET)
            memset((uint8_t *)&message.body + fields[i].offset, 0x5e, 32);
        else if (fields[i].kind == IPC_KIND_BLOB)
            memset((uint8_t *)&message.body + fields[i].offset + 2, 0x5e, fields[i].a);
    ck_assert_str_eq(ipc_print(&message, second, sizeof second), first);
    sample_close(&s);
}
END_TEST

START_TEST(release_closes_and_wipes)
{
    static const uint8_t zero[IPC_BODY_MAX];
    struct sample s;
    size_t before = open_fds();
    sample_make(&s, &ipc_table[_i], SAMPLE_LARGEST, 1);
    ck_assert_int_eq(decode(&s, s.wire, s.length), NX_OK);
    s.fd_count = 0; /* the message's now */
    ipc_message_release(&message);
    ck_assert_uint_eq(open_fds(), before);
    const struct ipc_field *fields = s.declaration->fields(&s.field_count);
    for (size_t i = 0; i < s.field_count; i++) {
        const uint8_t *value = (const uint8_t *)&message.body + fields[i].offset;
        if (fields[i].kind == IPC_KIND_SECRET)
            ck_assert_mem_eq(value, zero, 32);
        if (fields[i].kind == IPC_KIND_BLOB)
            ck_assert_mem_eq(value, zero, 2 + fields[i].a);
        if (fields[i].kind == IPC_KIND_FD)
            ck_assert_int_eq(*(const int *)(const void *)value, -1);
    }
    int other = open("/dev/null", O_RDONLY); /* would be closed by a second release that remembers */
    ipc_message_release(&message);
    ck_assert(fd_is_open(other));
    close(other);
}
END_TEST

START_TEST(no_such_message)
{
    uint8_t wire[IPC_DATAGRAM_MAX];
    int fds[IPC_FDS_MAX];
    size_t fd_count = 9;
    ck_assert_int_eq(ipc_encode((enum ipc_type)0, 1, &message.body, wire, fds, &fd_count, error), NX_EINVAL);
    ck_assert_uint_eq(fd_count, 0);
    ck_assert_str_eq(ipc_type_name((enum ipc_type)0), "?");
    ck_assert_str_eq(ipc_type_name(IPC_MSG_HELLO), "HELLO");
    ck_assert_str_eq(ipc_role_name(IPC_CTLD), "ctld");
    ck_assert_str_eq(ipc_role_name((enum ipc_role)0), "?");
    ck_assert_str_eq(ipc_role_name((enum ipc_role)5), "?");
}
END_TEST

/* Limits that the field can hold; a descriptor of a kind there is, or as the protocol before it says. */
static bool field_is_sound(const struct ipc_field *fields, size_t i)
{
    static const uint64_t most[] = {
        [IPC_KIND_U8] = UINT8_MAX,   [IPC_KIND_ENUM] = UINT8_MAX, [IPC_KIND_U16] = UINT16_MAX,
        [IPC_KIND_U32] = UINT32_MAX, [IPC_KIND_U64] = UINT64_MAX,
    };
    const struct ipc_field *field = &fields[i];
    switch (field->kind) {
    case IPC_KIND_U8:
    case IPC_KIND_U16:
    case IPC_KIND_U32:
    case IPC_KIND_U64:
    case IPC_KIND_ENUM:
        return field->a <= field->b && field->b <= most[field->kind];
    case IPC_KIND_FD:
        if (field->a == IPC_FD_BY_PROTOCOL)
            return i > 0 && field[-1].kind == IPC_KIND_ENUM && strcmp(field[-1].name, "protocol") == 0 &&
                   field[-1].a == RULE_TCP && field[-1].b == RULE_UDP;
        return field->a >= IPC_FD_TCP_CONNECTED && field->a <= IPC_FD_UNIX_CLIENT && field->b <= 1;
    default:
        return true;
    }
}

START_TEST(table_is_sound)
{
    for (size_t i = 0; i < ipc_table_count; i++) {
        ck_assert_ptr_eq(ipc_table_find(ipc_table[i].type), &ipc_table[i]); /* no number twice */
        ck_assert_uint_ne(ipc_table[i].ways, 0);
        ck_assert_uint_le(ipc_table[i].size, sizeof(union ipc_body));
        size_t count;
        const struct ipc_field *fields = ipc_table[i].fields(&count);
        for (size_t at = 0; at < count; at++)
            ck_assert_msg(field_is_sound(fields, at), "%s.%s", ipc_table[i].name, fields[at].name);
    }
}
END_TEST

/* The room's README lists each message with its ways. */
START_TEST(listed)
{
    static const char letters[] = "NTXC";
    char row[128], line[512];
    int at = snprintf(row, sizeof row, "| %s |", ipc_table[_i].name);
    for (unsigned way = 0; way < 16; way++)
        if (ipc_table[_i].ways & 1u << way)
            at += snprintf(row + at, sizeof row - (size_t)at, " %c%c", letters[way / 4], letters[way % 4]);
    snprintf(row + at, sizeof row - (size_t)at, " | ");
    FILE *readme = fopen(IPC_README, "r");
    ck_assert_ptr_nonnull(readme);
    bool found = false;
    while (!found && fgets(line, sizeof line, readme) != NULL)
        found = strncmp(line, row, strlen(row)) == 0;
    fclose(readme);
    ck_assert_msg(found, "ipc/README.md has no row that begins with \"%s\"", row);
}
END_TEST

static void fill(TCase *tcase)
{
    open_fds_guard(tcase);
    int count = (int)ipc_table_count;
    tcase_add_loop_test(tcase, there_and_back, 0, count);
    tcase_add_loop_test(tcase, truncated_anywhere, 0, count);
    tcase_add_loop_test(tcase, one_byte_too_long, 0, count);
    tcase_add_loop_test(tcase, header_is_checked, 0, count);
    tcase_add_loop_test(tcase, only_declared_ways, 0, count);
    tcase_add_loop_test(tcase, printer, 0, count);
    tcase_add_loop_test(tcase, printer_hides_secrets, 0, count);
    tcase_add_loop_test(tcase, release_closes_and_wipes, 0, count);
    tcase_add_loop_test(tcase, listed, 0, count);
    tcase_add_test(tcase, no_such_message);
    tcase_add_test(tcase, table_is_sound);
}

int main(void)
{
    return unit_run("ipc_codec", fill);
}
