/* Forbidden acts, by name; see selftest.c. All are made of bare system calls, so that no library stands
 * between the filter and the act. Results are syscall(2)'s: -1 with errno set, or a success. */
#ifndef NEXD_TESTS_SELFTEST_ACTS_H
#define NEXD_TESTS_SELFTEST_ACTS_H

#include <stdbool.h>
#include <stddef.h>

/* Descriptors that the test has prepared: an unbound socket of each kind, a regular file opened for reading.
 */
struct act_fds {
    int tcp, udp, file;
};
extern struct act_fds act_fds;

/* Names in order; NULL past the last. */
const char *call_name(size_t index);
const char *act_name(size_t index);

/* False: no such act. */
bool call_perform(const char *name, long *result);
bool act_perform(const char *name, long *result);

#endif
