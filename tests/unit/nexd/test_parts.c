/* The parent's small parts: kept sockets, readiness, the vault, the control socket and notifications. */
#include "common/err.h"
#include "common/log.h"
#include "nexd/control_socket.h"
#include "nexd/kept.h"
#include "nexd/notify.h"
#include "nexd/readiness.h"
#include "nexd/vault.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* -- Kept sockets -- */

static int loopback_udp(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, length), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static const struct netaddr anywhere = {.family = NETADDR_NONE};

START_TEST(kept_sockets_must_be_at_the_address_that_is_wanted)
{
    const struct netaddr loopback = {NETADDR_V4, {127, 0, 0, 1}}, other = {NETADDR_V4, {127, 0, 0, 2}};
    const struct netaddr loopback6 = {NETADDR_V6, {[15] = 1}};
    struct kept kept;
    uint16_t port;
    kept_init(&kept);
    int fd = loopback_udp(&port);
    ck_assert_int_eq(kept_put(&kept, RULE_UDP, port, &other, &fd), NX_EPROTO);
    ck_assert_int_eq(kept_put(&kept, RULE_UDP, port, &loopback6, &fd), NX_EPROTO);
    ck_assert_uint_eq(kept.count, 0);
    ck_assert_int_eq(kept_put(&kept, RULE_UDP, port, &loopback, &fd), NX_OK);
    kept_free(&kept);
}
END_TEST

START_TEST(kept_sockets_must_be_what_they_are_said_to_be)
{
    struct kept kept;
    uint16_t port, other_port;
    kept_init(&kept);
    int fd = loopback_udp(&port), other = loopback_udp(&other_port), none = -1;
    ck_assert_int_eq(kept_put(&kept, RULE_UDP, other_port, &anywhere, &fd), NX_EPROTO);
    ck_assert_int_ge(fd, 0); /* still the caller's */
    ck_assert_int_eq(kept_put(&kept, RULE_UDP, port, &anywhere, &fd), NX_OK);
    ck_assert_int_eq(fd, -1);
    ck_assert_uint_eq(kept.count, 1);
    /* Another one for the same port replaces it, and the old one is closed. */
    int old = kept.sockets[0].fd, copy = dup(old);
    ck_assert_int_eq(kept_put(&kept, RULE_UDP, port, &anywhere, &copy), NX_OK);
    ck_assert_uint_eq(kept.count, 1);
    ck_assert_int_eq(fcntl(old, F_GETFD), -1);
    ck_assert_int_eq(kept_put_tunnel(&kept, port, &other, &none), NX_EPROTO);
    ck_assert_int_eq(kept_put_tunnel(&kept, other_port, &other, &none), NX_OK);
    fd = loopback_udp(&port);
    ck_assert_int_eq(kept_put_tunnel(&kept, port, &fd, &none), NX_EEXIST);
    close(fd);
    int held = kept.tunnel4;
    kept_free(&kept);
    ck_assert_int_eq(fcntl(held, F_GETFD), -1);
}
END_TEST

/* -- Readiness -- */

START_TEST(ready_needs_everything_and_comes_once)
{
    struct readiness r;
    ck_assert_int_eq(readiness_init(&r, 2), NX_OK);
    readiness_tunnel(&r);
    readiness_peers(&r);
    readiness_rule_bound(&r, 0);
    readiness_rule_bound(&r, 0); /* twice is once */
    readiness_rule_bound(&r, 7); /* no such rule */
    ck_assert(!readiness_check(&r));
    readiness_child_gone(&r, IPC_PROXYD); /* what it had bound counts no more */
    readiness_rule_bound(&r, 1);
    ck_assert(!readiness_check(&r));
    readiness_rule_bound(&r, 0);
    readiness_child_gone(&r, IPC_TUNNELD);
    ck_assert(!readiness_check(&r));
    readiness_tunnel(&r);
    readiness_child_gone(&r, IPC_CTLD);
    ck_assert(!readiness_check(&r));
    readiness_peers(&r);
    ck_assert(readiness_check(&r));
    ck_assert(!readiness_check(&r));
    readiness_child_gone(&r, IPC_PROXYD);
    ck_assert(!readiness_check(&r));
    ck_assert(r.reached);
    readiness_free(&r);
}
END_TEST

START_TEST(no_rules_are_ready_too)
{
    struct readiness r;
    ck_assert_int_eq(readiness_init(&r, 0), NX_OK);
    readiness_tunnel(&r);
    ck_assert(!readiness_check(&r));
    readiness_peers(&r);
    ck_assert(readiness_check(&r));
    readiness_free(&r);
}
END_TEST

/* -- The vault -- */

static void conf_fill(struct wgconf *conf, struct wgconf_peer peers[2])
{
    memset(peers, 0, 2 * sizeof *peers);
    *conf = (struct wgconf){.peers = peers, .peer_count = 2};
    memset(conf->private_key, 0x11, KEY_BYTES);
    peers[1].has_preshared_key = true;
    memset(peers[1].public_key, 0x22, KEY_BYTES);
    memset(peers[1].preshared_key, 0x33, KEY_BYTES);
}

START_TEST(the_vault_takes_secrets_over)
{
    struct wgconf conf;
    struct wgconf_peer peers[2];
    struct vault *vault;
    uint8_t key[KEY_BYTES], expected[KEY_BYTES];
    struct ipc_peer_secret secret;
    ck_assert_int_ge(sodium_init(), 0);
    conf_fill(&conf, peers);
    crypto_scalarmult_base(expected, conf.private_key);
    ck_assert_int_eq(vault_take(&conf, &vault), NX_OK);
    ck_assert(sodium_is_zero(conf.private_key, KEY_BYTES));
    ck_assert(sodium_is_zero(peers[1].preshared_key, KEY_BYTES));
    ck_assert(peers[1].has_preshared_key);
    ck_assert_mem_eq(vault_public_key(vault), expected, KEY_BYTES);
    for (unsigned again = 0; again < 2; again++) {
        vault_private_key(vault, key);
        ck_assert_uint_eq(key[0], 0x11);
        ck_assert_uint_eq(key[KEY_BYTES - 1], 0x11);
        vault_preshared(vault, 0, &secret);
        ck_assert_uint_eq(secret.public_key[5], 0x22);
        ck_assert_uint_eq(secret.preshared_key[5], 0x33);
    }
    ck_assert_uint_eq(vault_preshared_count(vault), 1);
    vault_free(vault);
}
END_TEST

/* Occurrences of the key whose complement is `mark` in one readable and writable range, `page` itself left
 * out. */
static size_t range_search(int memory, unsigned long start, unsigned long end, const uint8_t mark[KEY_BYTES])
{
    static uint8_t page[1 << 16];
    const unsigned long own = (unsigned long)(uintptr_t)page;
    size_t found = 0;
    for (unsigned long at = start; at < end; at += sizeof page - KEY_BYTES) {
        size_t want = end - at < sizeof page ? end - at : sizeof page;
        ssize_t got = pread(memory, page, want, (off_t)at);
        for (ssize_t i = 0; i + KEY_BYTES <= got; i++) {
            size_t same = 0;
            while (same < KEY_BYTES && (page[i + (ssize_t)same] ^ mark[same]) == 0xff)
                same++;
            const unsigned long place = at + (unsigned long)i;
            found += same == KEY_BYTES && (place < own || place >= own + sizeof page);
        }
    }
    return found;
}

static size_t memory_search(const uint8_t mark[KEY_BYTES])
{
    unsigned long start, end;
    char line[512], rights[8];
    size_t found = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    ck_assert(maps && memory >= 0);
    while (fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%lx %7s", &start, &end, rights) == 3 && rights[0] == 'r' && rights[1] == 'w')
            found += range_search(memory, start, end, mark);
    fclose(maps);
    close(memory);
    return found;
}

/* Nothing of the key is left in this process's ordinary memory once the vault has it. */
START_TEST(the_key_is_not_left_lying_about)
{
#ifdef NEXD_SANITIZE
    const bool too_large = true; /* the shadow memory */
#else
    const bool too_large = false;
#endif
    if (too_large) {
        fprintf(stderr, "skipped: a sanitizer build has too much memory to search\n");
        return;
    }
    struct wgconf conf;
    struct wgconf_peer peers[2];
    struct vault *vault;
    uint8_t mark[KEY_BYTES];
    ck_assert_int_ge(sodium_init(), 0);
    conf_fill(&conf, peers);
    randombytes_buf(conf.private_key, KEY_BYTES);
    for (size_t i = 0; i < KEY_BYTES; i++) /* the complement, or the search would find what it looks for */
        mark[i] = conf.private_key[i] ^ 0xff;
    ck_assert_uint_ge(memory_search(mark), 1); /* it is there, and the search finds it */
    ck_assert_int_eq(vault_take(&conf, &vault), NX_OK);
    ck_assert_uint_eq(memory_search(mark), 0);
    vault_free(vault);
}
END_TEST

/* -- The control socket -- */

static char folder[128], path[256];

static void folder_make(void)
{
    snprintf(folder, sizeof folder, "%s/nexd-parts-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/nexd.sock", folder);
}

static void folder_remove(void)
{
    unlink(path);
    ck_assert_int_eq(rmdir(folder), 0); /* nothing is left */
}

START_TEST(the_control_socket_is_private_and_goes_away)
{
    struct control_socket control;
    char error[CONTROL_SOCKET_ERROR_MAX];
    struct stat status;
    mode_t mask = umask(0);
    ck_assert_int_eq(control_socket_open(path, false, &control, error), NX_OK);
    ck_assert_uint_eq(umask(mask), 0); /* as it was */
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0600);
    control_socket_close(&control);
    ck_assert_int_eq(stat(path, &status), -1);
}
END_TEST

START_TEST(a_shared_control_socket_has_the_group_and_no_other)
{
    struct control_socket control;
    struct stat status;
    char error[CONTROL_SOCKET_ERROR_MAX];
    ck_assert_int_eq(control_socket_open(path, false, &control, error), NX_OK);
    ck_assert_int_eq(control_socket_share(&control, getgid(), error), NX_OK);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0660);
    ck_assert_uint_eq(status.st_gid, getgid());
    /* A file that somebody put in its place keeps its rights. */
    ck_assert_int_eq(unlink(path), 0);
    int other = open(path, O_CREAT | O_WRONLY, 0600);
    ck_assert_int_ge(other, 0);
    close(other);
    ck_assert_int_eq(control_socket_share(&control, getgid(), error), NX_ESYS);
    ck_assert_ptr_nonnull(strstr(error, "somebody else replaced it"));
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0600);
    unlink(path);
    control_socket_close(&control);
}
END_TEST

START_TEST(a_stale_control_socket_is_replaced_a_live_one_is_not)
{
    struct control_socket first, second;
    char error[CONTROL_SOCKET_ERROR_MAX];
    ck_assert_int_eq(control_socket_open(path, false, &first, error), NX_OK);
    ck_assert_int_eq(control_socket_open(path, false, &second, error), NX_EEXIST);
    ck_assert_msg(strstr(error, path) && strstr(error, "another nexd"), "%s", error);
    shutdown(first.fd, SHUT_RDWR); /* nobody listens any more, but the file stays */
    ck_assert_int_eq(control_socket_open(path, false, &second, error), NX_OK);
    /* The first one's end must not take the second one's file along. */
    control_socket_close(&first);
    ck_assert_int_eq(access(path, F_OK), 0);
    control_socket_close(&second);
}
END_TEST

START_TEST(other_files_are_left_alone)
{
    struct control_socket control;
    char error[CONTROL_SOCKET_ERROR_MAX], target[300];
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(write(fd, "data", 4), 4);
    close(fd);
    ck_assert_int_eq(control_socket_open(path, false, &control, error), NX_EEXIST);
    ck_assert_int_eq(control.fd, -1);
    ck_assert_int_eq(access(path, F_OK), 0);
    /* Nor is a symbolic link followed. */
    unlink(path);
    snprintf(target, sizeof target, "%s/target", folder);
    ck_assert_int_eq(symlink(target, path), 0);
    ck_assert_int_eq(control_socket_open(path, false, &control, error), NX_EEXIST);
}
END_TEST

START_TEST(paths_that_cannot_be)
{
    struct control_socket control;
    char error[CONTROL_SOCKET_ERROR_MAX], longer[200], nested[300];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    ck_assert_int_eq(control_socket_open(longer, false, &control, error), NX_ERANGE);
    ck_assert_int_eq(control_socket_open("", false, &control, error), NX_ERANGE);
    snprintf(nested, sizeof nested, "%s/sub/nexd.sock", folder);
    ck_assert_int_eq(control_socket_open(nested, false, &control, error), NX_ESYS);
    ck_assert_msg(strstr(error, nested) && strstr(error, "No such file"), "%s", error);
    /* Its folder is made where that is wanted: one level, for us alone. */
    struct stat status;
    ck_assert_int_eq(control_socket_open(nested, true, &control, error), NX_OK);
    control_socket_close(&control);
    snprintf(nested, sizeof nested, "%s/sub", folder);
    ck_assert_int_eq(stat(nested, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0700);
    ck_assert_int_eq(rmdir(nested), 0);
}
END_TEST

/* -- Notifications -- */

START_TEST(notifications_reach_an_abstract_name_and_a_path)
{
    char name[64], variable[300], text[64], pid[16];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(name, sizeof name, "nexd-parts-%d", (int)getpid());
    socklen_t length;
    if (_i == 0) {
        memcpy(address.sun_path + 1, name, strlen(name));
        length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
        snprintf(variable, sizeof variable, "@%s", name);
    } else {
        strcpy(address.sun_path, path);
        length = sizeof address;
        snprintf(variable, sizeof variable, "%s", path);
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, length), 0);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("NOTIFY_SOCKET", variable, 1);
    setenv("WATCHDOG_USEC", "3000000", 1);
    setenv("WATCHDOG_PID", pid, 1);
    struct notify notify;
    notify_open(&notify);
    ck_assert_ptr_null(getenv("NOTIFY_SOCKET"));
    ck_assert_uint_eq(notify.watchdog_interval_ns, UINT64_C(1500000000));
    notify_send(&notify, "READY=1");
    ck_assert_int_eq(recv(fd, text, sizeof text, MSG_DONTWAIT), 7);
    ck_assert_mem_eq(text, "READY=1", 7);
    close(fd);
    notify_send(&notify, "STOPPING=1"); /* nobody there: no harm */
    notify_close(&notify);
}
END_TEST

START_TEST(notification_variables_that_are_wrong)
{
    static const char *const bad[] = {"relative", "@", "/nonexistent/socket"};
    struct notify notify;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setenv("NOTIFY_SOCKET", bad[i], 1);
        setenv("WATCHDOG_USEC", "1000", 1);
        notify_open(&notify);
        ck_assert_int_eq(notify.fd, -1);
        ck_assert_uint_eq(notify.watchdog_interval_ns, 0);
        notify_send(&notify, "READY=1");
        notify_close(&notify);
    }
}
END_TEST

int main(void)
{
    log_init("test", LOG_LEVEL_ERROR);
    Suite *suite = suite_create("parts");
    TCase *plain = tcase_create("plain");
    tcase_add_test(plain, kept_sockets_must_be_at_the_address_that_is_wanted);
    tcase_add_test(plain, kept_sockets_must_be_what_they_are_said_to_be);
    tcase_add_test(plain, ready_needs_everything_and_comes_once);
    tcase_add_test(plain, no_rules_are_ready_too);
    tcase_add_test(plain, the_vault_takes_secrets_over);
    tcase_add_test(plain, the_key_is_not_left_lying_about);
    tcase_add_test(plain, notification_variables_that_are_wrong);
    suite_add_tcase(suite, plain);
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, folder_make, folder_remove);
    tcase_add_test(files, the_control_socket_is_private_and_goes_away);
    tcase_add_test(files, a_shared_control_socket_has_the_group_and_no_other);
    tcase_add_test(files, a_stale_control_socket_is_replaced_a_live_one_is_not);
    tcase_add_test(files, other_files_are_left_alone);
    tcase_add_test(files, paths_that_cannot_be);
    tcase_add_loop_test(files, notifications_reach_an_abstract_name_and_a_path, 0, 2);
    suite_add_tcase(suite, files);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
