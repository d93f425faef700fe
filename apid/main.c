/* apid: the embedded control plane as a program.
 *
 *   administration ("apid --data DIR user add …") is handed over before anything else.
 *   server: sandbox [start] ─> folder, lock ─> certificates ─> listening socket ─> database ─> issuer
 *           ─> sandbox [run] ─> one line on standard output ─> the loop ─> SIGTERM, SIGINT: everything is
 * closed */
#include "apid/admin/admin.h"
#include "apid/listen.h"
#include "apid/options.h"
#include "apid/service.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/log.h"
#include "sandbox/sandbox.h"
#include "seccomp/apid.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { SPARE_FILES = 64 };

/* Made where it is missing; held against a second server. Returns the lock. */
static int folder_lock(const char *folder)
{
    if (mkdir(folder, 0700) && errno != EEXIST)
        log_fatal("the data folder %s cannot be made: %s", folder, strerror(errno));
    FD_AUTO int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        log_fatal("the data folder %s cannot be opened: %s", folder, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB))
        log_fatal("the data folder %s is in use by another apid", folder);
    return fd_release(&fd);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    (void)what;
    log_info("signal %d: ending", (int)number);
    event_base_loopbreak(arg);
}

/* The sandbox's names for this process; `paths` has room for two. */
static struct sandbox_spec sandbox_of(const struct apid_options *options, struct sandbox_path paths[2])
{
    paths[0] = (struct sandbox_path){.path = options->data};
    paths[1] = (struct sandbox_path){0};
    return (struct sandbox_spec){
        .name = "apid",
        .start = apid_start_filter,
        .start_count = sizeof(apid_start_filter) / sizeof(apid_start_filter[0]),
        .run = apid_run_filter,
        .run_count = sizeof(apid_run_filter) / sizeof(apid_run_filter[0]),
        .max_files = options->limits.connections + SPARE_FILES,
        .max_file_bytes = RLIM_INFINITY,
        .no_tcp = true,
        .stands_alone = true,
        .read_write = paths,
    };
}

static void ready_tell(const struct service *service, const struct apid_options *options)
{
    printf("apid is ready: %s\n", service_url(service));
    fflush(stdout);
    if (options->tls_cert[0] == '\0')
        log_info("nodes trust it with %s/ca.crt", options->data);
}

static void serve(const struct apid_options *options)
{
    char error[SERVICE_ERROR_MAX];
    struct sandbox_path paths[2];
    const struct sandbox_spec sandbox = sandbox_of(options, paths);
    struct service *service;
    uint16_t port;
    int listen_fd;
    signal(SIGPIPE, SIG_IGN);
    sandbox_start(&sandbox, options->sandbox);
    int lock = folder_lock(options->data);
    struct event_base *const base = event_base_new();
    if (base == NULL)
        log_fatal("out of memory");
    if (listen_open(&options->listen, &listen_fd, &port)) {
        char where[NETSOCK_TEXT_MAX];
        log_fatal("listening at %s: %s", netsock_format(&options->listen, where), strerror(errno));
    }
    if (service_new(options, base, listen_fd, port, &service, error))
        log_fatal("%s", error);
    struct event *const term = evsignal_new(base, SIGTERM, on_signal, base);
    struct event *const interrupt = evsignal_new(base, SIGINT, on_signal, base);
    if (term == NULL || interrupt == NULL || event_add(term, NULL) || event_add(interrupt, NULL))
        log_fatal("out of memory");
    sandbox_enter(&sandbox, options->sandbox);
    ready_tell(service, options);
    event_base_dispatch(base);
    service_free(service);
    event_free(term);
    event_free(interrupt);
    event_base_free(base);
    fd_close(&lock);
}

int main(int argc, char **argv)
{
    struct apid_options options;
    char error[OPTIONS_ERROR_MAX];
    if (sodium_init() < 0) {
        fputs("apid: libsodium cannot be used\n", stderr);
        return EXIT_FAILURE;
    }
    if (options_is_admin(argc, argv))
        return apid_admin_main(argc, argv);
    switch (options_read(argc, argv, &options, error)) {
    case OPTIONS_DONE:
        return EXIT_SUCCESS;
    case OPTIONS_BAD:
        fprintf(stderr, "apid: %s\n", error);
        return EXIT_FAILURE;
    case OPTIONS_RUN:
        break;
    }
    log_init("apid", options.log_level);
    serve(&options);
    return EXIT_SUCCESS;
}
