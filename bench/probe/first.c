/* Start-up: tries to connect over and over, and tells when the first byte came back from the echo server. */
#include "bench/probe/probe.h"

#include <stdio.h>
#include <unistd.h>

enum { PAUSE_US = 1000 };

int command_first(char **arguments)
{
    const struct target target = target_arg(arguments[0], arguments[1]);
    const uint64_t end = now_ns() + (uint64_t)number_arg(arguments[2], 1, 120) * NS_PER_S;
    for (unsigned tries = 1; now_ns() < end; tries++) {
        char in;
        const int fd = dial(&target, 1);
        const bool answered = fd >= 0 && echo_round(fd, "f", &in, 1) == 0;
        if (fd >= 0)
            close(fd);
        if (answered) {
            printf("{\"first_ns\": %lu, \"tries\": %u}\n", (unsigned long)now_ns(), tries);
            return 0;
        }
        usleep(PAUSE_US);
    }
    printf("{\"first_ns\": null}\n");
    return 0;
}
