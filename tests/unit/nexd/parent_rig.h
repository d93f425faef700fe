/* What tests of the parent with fake children (fake_child.c) share: a tree of their own with the parent in
 * bin/ and the children in libexec/nexd/, and ways to wait for reports of the children on the test's socket,
 * for notifications and for the parent's exit. Every wait is for an event, and fails the test after WAIT_MS.
 */
#ifndef NEXD_TESTS_UNIT_NEXD_PARENT_RIG_H
#define NEXD_TESTS_UNIT_NEXD_PARENT_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { WAIT_MS = 10000, LINE_BYTES = 256, CLIENTS_MAX = 32, BACKLOG_MAX = 128, PATH_BYTES = 256 };

/* A child that has connected to the test's socket, and what it has said. */
struct client {
    int fd;
    pid_t pid;
    char role[16];
    char lines[BACKLOG_MAX][LINE_BYTES];
    size_t line_count, read_count;
};

extern char tree[PATH_BYTES], socket_name[64];
extern int pid_fd;
extern int output_fd;           /* the parent's standard output and error */
extern bool with_state;         /* the parent gets a state folder in the tree */
extern const char *with_policy; /* the operator's, as text; then there is a control socket in the tree, too */
extern bool with_network;       /* it is to join a control plane's network */
extern bool unattended;         /* there never will be a control socket */
extern const char *vigil_ms;    /* how often children are asked whether they are alive; NULL: as usual */
extern pid_t parent_pid;
extern struct client *clients[CLIENTS_MAX];
extern size_t client_count;
extern uint16_t rule_port; /* the first of four that are free */

/* Fixture. */
void rig_set_up(void);
void rig_tear_down(void);

/* A path in the tree; good until the next call. */
const char *tree_path(const char *name);
bool port_is_free(uint16_t port);
/* Starts the parent with one rule a host, in new namespaces (CLONE_NEW… flags) if wanted. */
void parent_start(int namespaces, const char *host, const char *second_host);
/* Waits for something to happen at the children's sockets. */
void pump(uint64_t deadline_ns);
/* The next child of that role to appear, after `seen` of them. */
struct client *await_child(const char *role, size_t seen);
/* The next line, from where the last search ended, that begins with `start`. */
const char *await_line(struct client *client, const char *start);
void order(const struct client *client, const char *text);
/* The next notification that begins with `expected`. */
void await_notification(const char *expected);
/* The parent's exit status; what it wrote to standard output and error into `written` if wanted. */
int await_exit(char *written, size_t written_bytes);
uint64_t elapsed_ms(uint64_t since_ns);
bool alive(pid_t pid);
bool port_connects(uint16_t port);
void order_wish(struct client *ctld, const char *verb, unsigned port, const char *host);
/* What that client said, from first to last, that is exactly `line`. */
size_t lines_equal(const struct client *client, const char *line);

#endif
