/* The echo server: one thread, many connections, what comes goes back. Ends with the process that started it
 * (its standard input closes) or after an hour. */
#include "bench/probe/probe.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { LIFE_S = 3600, EVENTS = 256, BACKLOG = 8192 };

static int listen_on(const struct target *target)
{
    const int on = 1;
    const int fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, (const struct sockaddr *)&target->address, target->length) != 0 || listen(fd, BACKLOG) != 0)
        fail("echo: listen");
    return fd;
}

static void watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        fail("echo: epoll_ctl");
}

static void accept_all(int epoll, int listener)
{
    const int on = 1;
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        watch(epoll, fd);
    }
}

/* Messages are small: one that does not fit the socket's buffer ends the connection. */
static void serve(int fd)
{
    static char buffer[65536];
    const ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0 || write(fd, buffer, (size_t)got) != got)
        close(fd);
}

int command_echo(char **arguments)
{
    const struct target target = target_arg(arguments[0], arguments[1]);
    const int listener = listen_on(&target);
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    const uint64_t end = now_ns() + LIFE_S * NS_PER_S;
    if (epoll < 0)
        fail("echo: epoll_create1");
    watch(epoll, listener);
    watch(epoll, STDIN_FILENO);
    printf("{\"ready\": true}\n");
    fflush(stdout);
    while (now_ns() < end) {
        struct epoll_event events[EVENTS];
        const int count = epoll_wait(epoll, events, EVENTS, 1000);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == STDIN_FILENO)
                return 0;
            if (events[i].data.fd == listener)
                accept_all(epoll, listener);
            else
                serve(events[i].data.fd);
        }
    }
    return 0;
}
