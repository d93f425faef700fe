/* Two ends of a link on one event loop, which note what happens to them. */
#ifndef NEXD_TESTS_IPC_ENDS_H
#define NEXD_TESTS_IPC_ENDS_H

#include "ipc/link.h"

enum end_free_when { FREE_NEVER = 0, FREE_IN_MESSAGE, FREE_IN_CLOSE, FREE_IN_WRITABLE };

struct end {
    struct ipc_link *link;
    unsigned messages, closes, writables;
    uint32_t last_request; /* the messages' request ids are expected to be 1, 2, … */
    int err;               /* of on_close */
    char why[IPC_ERROR_MAX];
    enum end_free_when free_when;
    int fds_taken[8]; /* descriptors of EGRESS_UDP messages, kept open */
    unsigned fd_count;
    void (*then)(struct end *end); /* after each message, and when there is room again. May be NULL */
};

extern const struct ipc_link_ops end_ops;

/* A loop, and the socket pair that test and links use. */
struct ends {
    struct event_base *base;
    int fds[2]; /* raw; -1 once a link has it */
    struct end a, b;
};

/* Only end `a` is a link; the test holds the other socket in fds[1]. */
void ends_open_one(struct ends *ends, enum ipc_role self, enum ipc_role peer, size_t queue_max);
/* Both ends are links: `a` is proxyd's, `b` tunneld's. */
void ends_open(struct ends *ends, size_t queue_max);
/* Frees what is left, and checks that no descriptor is. */
void ends_close(struct ends *ends);

/* Runs the loop until *counter has reached `least`; fails after 10 s. */
void ends_wait(struct ends *ends, const unsigned *counter, unsigned least);
/* Handles what is ready now. */
void ends_poll(struct ends *ends);

/* RESULT with that request id, from proxyd to tunneld or back. */
int result_send(struct ipc_link *link, uint32_t request);
int egress_udp_send(struct ipc_link *link, uint32_t request, int fd);
/* The same as bytes, without a link. Fails the test when the socket does not take it. */
void result_write(int fd, uint32_t request);
/* Any bytes and descriptors in one datagram. 0, or the error number. */
int raw_write(int fd, const void *data, size_t length, const int *fds, size_t fd_count);
/* Reads one datagram that is there, closes its descriptors; its request id. 0: none is there. */
uint32_t raw_read(int fd);
/* Fills the socket of end `a` to the brim, past its link: *count messages with request ids 1, 2, … */
uint32_t socket_fill(struct ends *ends);

#endif
