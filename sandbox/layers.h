/* The layers of the sandbox, each put in force by one function.
 *
 * Each returns NX_OK, or NX_ESYS with errno set, or NX_ENOTSUP: this kernel lacks it. None logs; sandbox.c
 * decides what a missing layer means. Single-threaded processes only: capabilities and Landlock belong to a
 * thread. */
#ifndef NEXD_SANDBOX_LAYERS_H
#define NEXD_SANDBOX_LAYERS_H

#include "sandbox/sandbox.h"

/* PR_SET_NO_NEW_PRIVS: no set-user-id program gives anything back, and filters may be installed without
 * rights. */
int layer_no_new_privs(void);

/* Empties the ambient, bounding and inheritable sets, leaves `keep` (bits of 1 << CAP_…, of those that are
 * there) of the effective and permitted ones, and locks the securebits. Async-signal-safe. */
int layer_capabilities(uint64_t keep);

/* PR_SET_DUMPABLE 0: no core file, and other processes of this user can neither trace us nor read our /proc
 * files. */
int layer_not_dumpable(void);

/* PR_SET_PDEATHSIG SIGKILL. A parent that died during the call ends the process here; one that died earlier
 * shows as end of file on the link to it. */
int layer_parent_death(void);

/* RLIMIT_CORE 0. */
int layer_no_core(void);

/* RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_NPROC as the spec says. */
int layer_limits(const struct sandbox_spec *spec);

/* Landlock with the highest ABI that kernel and this code share; what is in force then is added to `facts`.
 */
int layer_landlock(const struct sandbox_spec *spec, struct sandbox_facts *facts);

/* Installs a compiled filter on all threads. */
int layer_seccomp(const struct sock_filter *filter, size_t count);

#ifdef NEXD_SELFTEST
/* Test builds only: performs the act that the environment names, after the sandbox is entered.
 * tests/selftest/selftest.c */
void sandbox_selftest(void);
#endif

#endif
