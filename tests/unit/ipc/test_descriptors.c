/* Descriptors that come with a message: their number, and what they are. */
#include "common/err.h"
#include "common/rule.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/ipc/sample.h"
#include "tests/unit/ipc/sockets.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct ipc_message message;
static char error[IPC_ERROR_MAX];

static int decode(const struct sample *s, const int *fds, size_t fd_count)
{
    int err = ipc_decode(s->wire, s->length, fds, fd_count, s->from, s->to, &message, error);
    for (size_t i = 0; i < fd_count; i++)
        ck_assert(fds[i] < 0 || fd_is_open(fds[i]));
    return err;
}

START_TEST(kind_by_kind)
{
    for (unsigned kind = IPC_FD_TCP_CONNECTED; kind <= IPC_FD_UNIX_CLIENT; kind++) {
        const struct specimen *specimen = &specimens[_i];
        int fd = specimen->make();
        if (fd < 0)
            continue;
        ck_assert_msg(ipc_fd_is(fd, (enum ipc_fd_kind)kind, 0) == !!(specimen->kinds & 1u << kind),
                      "%s as kind %u", specimen->name, kind);
        close(fd);
        ck_assert(!ipc_fd_is(fd, (enum ipc_fd_kind)kind, 0));
    }
}
END_TEST

START_TEST(kind_by_protocol)
{
    const struct specimen *specimen = &specimens[_i];
    int fd = specimen->make();
    if (fd < 0)
        return;
    ck_assert(ipc_fd_is(fd, IPC_FD_BY_PROTOCOL, RULE_TCP) ==
              !!(specimen->kinds & 1u << IPC_FD_TCP_CONNECTED));
    ck_assert(ipc_fd_is(fd, IPC_FD_BY_PROTOCOL, RULE_UDP) ==
              !!(specimen->kinds & 1u << IPC_FD_UDP_CONNECTED));
    close(fd);
}
END_TEST

START_TEST(number)
{
    struct sample s;
    for (int size = SAMPLE_SMALLEST; size <= SAMPLE_LARGEST; size++) {
        sample_make(&s, &ipc_table[_i], (enum sample_size)size, 1);
        int fds[IPC_FDS_MAX + 1];
        memcpy(fds, s.fds, sizeof s.fds);
        for (size_t n = 0; n <= IPC_FDS_MAX; n++) {
            if (n >= s.fd_count)
                fds[n] = socket_of(IPC_FD_UDP_BOUND, 0);
            ck_assert_msg((decode(&s, fds, n) == NX_OK) == (n == s.fd_count), "%s: %zu descriptors of %zu",
                          s.declaration->name, n, s.fd_count);
        }
        for (size_t n = s.fd_count; n <= IPC_FDS_MAX; n++)
            close(fds[n]);
        sample_close(&s);
    }
}
END_TEST

/* The kinds a descriptor of this message may be, in the order of its fields. */
static size_t expected_kinds(const struct sample *s, unsigned *kinds, const struct ipc_field **names)
{
    size_t fields_count, count = 0;
    uint8_t last_enum = 0;
    const struct ipc_field *fields = s->declaration->fields(&fields_count);
    for (size_t i = 0; i < fields_count; i++) {
        const uint8_t *value = (const uint8_t *)&s->body + fields[i].offset;
        if (fields[i].kind == IPC_KIND_ENUM)
            last_enum = *value;
        if (fields[i].kind != IPC_KIND_FD || *(const int *)(const void *)value < 0)
            continue;
        unsigned kind = (unsigned)fields[i].a;
        if (kind == IPC_FD_BY_PROTOCOL)
            kind = last_enum == RULE_TCP ? IPC_FD_TCP_CONNECTED : IPC_FD_UDP_CONNECTED;
        names[count] = &fields[i];
        kinds[count++] = 1u << kind;
    }
    return count;
}

START_TEST(wrong_kind_in_each_place)
{
    struct sample s;
    for (int size = SAMPLE_SMALLEST; size <= SAMPLE_LARGEST; size++) {
        unsigned kinds[IPC_FDS_MAX];
        const struct ipc_field *names[IPC_FDS_MAX];
        sample_make(&s, &ipc_table[_i], (enum sample_size)size, 1);
        ck_assert_uint_eq(expected_kinds(&s, kinds, names), s.fd_count);
        for (size_t place = 0; place < s.fd_count; place++) {
            for (size_t i = 0; i < specimen_count; i++) {
                int fds[IPC_FDS_MAX];
                memcpy(fds, s.fds, sizeof fds);
                fds[place] = specimens[i].make();
                if (fds[place] < 0)
                    continue;
                bool right = specimens[i].kinds & kinds[place];
                ck_assert_msg((decode(&s, fds, s.fd_count) == NX_OK) == right, "%s.%s: %s",
                              s.declaration->name, names[place]->name, specimens[i].name);
                ck_assert(right || strstr(error, names[place]->name) != NULL);
                close(fds[place]);
            }
            int fds[IPC_FDS_MAX];
            memcpy(fds, s.fds, sizeof fds);
            fds[place] = -1;
            ck_assert_int_eq(decode(&s, fds, s.fd_count), NX_EPROTO);
        }
        sample_close(&s);
    }
}
END_TEST

static void fill(TCase *tcase)
{
    open_fds_guard(tcase);
    tcase_add_loop_test(tcase, kind_by_kind, 0, (int)specimen_count);
    tcase_add_loop_test(tcase, kind_by_protocol, 0, (int)specimen_count);
    tcase_add_loop_test(tcase, number, 0, (int)ipc_table_count);
    tcase_add_loop_test(tcase, wrong_kind_in_each_place, 0, (int)ipc_table_count);
}

int main(void)
{
    return unit_run("ipc_descriptors", fill);
}
