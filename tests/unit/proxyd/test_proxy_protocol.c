/* The PROXY protocol's header byte by byte, and its way into a socket. */
#include "common/err.h"
#include "proxyd/proxy_protocol.h"
#include "unit.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct netsock sock(const char *text)
{
    struct netsock out;
    ck_assert_int_eq(netsock_parse(text, &out), NX_OK);
    return out;
}

static void header_is(const char *source, const char *dest, const void *wanted, size_t length)
{
    const struct netsock from = sock(source), to = sock(dest);
    uint8_t out[PROXY_PROTOCOL_MAX + 1];
    memset(out, 0xaa, sizeof(out));
    ck_assert_uint_eq(proxy_protocol_header(&from, &to, out), length);
    ck_assert_mem_eq(out, wanted, length);
    for (size_t i = length; i < sizeof(out); i++)
        ck_assert_uint_eq(out[i], 0xaa); /* nothing beyond it is touched */
}

START_TEST(ipv4_is_28_bytes)
{
    static const uint8_t wanted[] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49,
                                     0x54, 0x0a, 0x21, 0x11, 0x00, 0x0c, 100,  64,   0,    9,
                                     100,  64,   0,    1,    0x04, 0xd2, 0x1f, 0x90};
    header_is("100.64.0.9:1234", "100.64.0.1:8080", wanted, sizeof(wanted));
}
END_TEST

START_TEST(ipv6_is_52_bytes)
{
    static const uint8_t wanted[] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54,
                                     0x0a, 0x21, 0x21, 0x00, 0x24, 0x02, 0x00, 0,    0,    0,    0,
                                     0,    0,    0,    0,    0,    0,    0,    0,    0xab, 0xcd, 0x02,
                                     0x00, 0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
                                     0,    0,    0,    0x01, 0xff, 0xff, 0x00, 0x01};
    ck_assert_uint_eq(sizeof(wanted), PROXY_PROTOCOL_MAX);
    header_is("[200::abcd]:65535", "[200::1]:1", wanted, sizeof(wanted));
}
END_TEST

START_TEST(families_that_differ_or_are_none_have_no_header)
{
    const struct netsock v4 = sock("100.64.0.9:1"), v6 = sock("[200::1]:1"), none = {0};
    struct netsock odd = v4;
    odd.addr.family = 5;
    uint8_t out[PROXY_PROTOCOL_MAX] = {0};
    ck_assert_uint_eq(proxy_protocol_header(&v4, &v6, out), 0);
    ck_assert_uint_eq(proxy_protocol_header(&v6, &v4, out), 0);
    ck_assert_uint_eq(proxy_protocol_header(&none, &none, out), 0);
    ck_assert_uint_eq(proxy_protocol_header(&none, &v4, out), 0);
    ck_assert_uint_eq(proxy_protocol_header(&odd, &odd, out), 0);
    for (size_t i = 0; i < sizeof(out); i++)
        ck_assert_uint_eq(out[i], 0);
}
END_TEST

/* A stream socket of another family answers as TCP does, and its buffer can be filled to the last byte. */
START_TEST(what_cannot_be_written_as_a_whole_is_an_error)
{
    const struct netsock from = sock("[200::2]:5"), to = sock("[200::1]:6"), v4 = sock("100.64.0.9:1");
    int ends[2];
    uint8_t got[2 * PROXY_PROTOCOL_MAX], filling[4096] = {0};
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    ck_assert_int_eq(proxy_protocol_send(ends[0], &from, &v4), EAFNOSUPPORT);
    ck_assert_int_eq(recv(ends[1], got, sizeof(got), MSG_DONTWAIT), -1);
    ck_assert_int_eq(proxy_protocol_send(ends[0], &from, &to), 0);
    ck_assert_int_eq(recv(ends[1], got, sizeof(got), MSG_DONTWAIT), PROXY_PROTOCOL_MAX);
    while (send(ends[0], filling, sizeof(filling), MSG_DONTWAIT) > 0)
        continue;
    while (send(ends[0], filling, 1, MSG_DONTWAIT) > 0)
        continue;
    ck_assert_int_eq(proxy_protocol_send(ends[0], &from, &to), EAGAIN); /* and does not wait */
    close(ends[1]);
    ck_assert_int_eq(proxy_protocol_send(ends[0], &from, &to), ECONNRESET); /* and no SIGPIPE */
    close(ends[0]);
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_test(tcase, ipv4_is_28_bytes);
    tcase_add_test(tcase, ipv6_is_52_bytes);
    tcase_add_test(tcase, families_that_differ_or_are_none_have_no_header);
    tcase_add_test(tcase, what_cannot_be_written_as_a_whole_is_an_error);
}

int main(void)
{
    return unit_run("proxy_protocol", add, 60);
}
