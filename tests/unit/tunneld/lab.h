/* A netstack with both ends of every flow in it: what goes to its own tunnel address comes back in, so a
 * flow's egress half and its ingress half can be watched from one program. proxyd is played by the test; the
 * clock is the test's. */
#ifndef TESTS_TUNNELD_LAB_H
#define TESTS_TUNNELD_LAB_H

#include "common/netaddr.h"
#include "common/rule.h"
#include <check.h>
#include <event2/event.h>
#include <stdbool.h>

enum { LAB_RULE = 7, LAB_PORT = 80, LAB_TURNS = 200000 };

/* What the test's proxyd does when tunneld asks for a connection. */
enum lab_proxyd { LAB_CONNECT, LAB_REFUSE, LAB_SILENT, LAB_DOWN };

struct lab {
    struct event_base *base;
    enum lab_proxyd proxyd;
    int server;        /* the host-side end of the newest ingress connection, -1 = none */
    unsigned connects; /* asked for so far */
    unsigned cancels;
    uint32_t last_request;
    struct netsock dest; /* answered to DEST_QUERY */
    int *ready_pair;     /* taken for the next ingress connection in place of a new TCP pair */
};
extern struct lab lab;

/* Sets up once a process (check forks a process a test). `flows`, `memory`: limits. */
void lab_start(size_t flows, size_t memory);
/* Turns the loop until `done(arg)`; fails the test after LAB_TURNS turns. */
void lab_until(bool (*done)(void *arg), void *arg);
void lab_turns(unsigned count);
/* Moves the clock. */
void lab_advance_ms(uint64_t ms);

/* A connected TCP pair on loopback, both ends non-blocking. */
void lab_tcp_pair(int ends[2]);
/* An egress flow to our own tunnel address (4 or 6) and port; returns the client's end. */
int lab_client(uint8_t family, uint16_t port);
/* As lab_client(), and waits until the server's end is there too. */
int lab_client_connected(int *server);
/* The tunnel's own address. */
struct netaddr lab_own(uint8_t family);
/* An egress flow to any address of the mesh and port. */
int lab_client_to(const struct netaddr *addr, uint16_t port);

/* For a test that plays the mesh (lab_path.c): the clock, what leaves for addresses that are not our own, and
 * one turn (true: more to do at once). */
uint64_t lab_now_ns(void);
void lab_clock_set(uint64_t now_ns);
uint64_t lab_next_timer_ns(void);
bool lab_turn(void);
extern int (*lab_mesh_begin)(const struct netaddr *dst, size_t length, uint8_t **slot);
extern void (*lab_mesh_end)(void);

/* Reads until end of file or error; returns bytes read, and the errno (0 = end of file) in *end. Turns the
 * loop meanwhile. */
size_t lab_read_all(int fd, uint8_t *out, size_t size, int *end);
/* Writes everything, turning the loop. False when the socket fails. */
bool lab_write_all(int fd, const uint8_t *data, size_t size);

#endif
