/* The small clients and servers of benchmarks and scale tests, in one program:
 *
 *   probe echo  ADDRESS PORT                      echo server
 *   probe crr   ADDRESS PORT CLIENTS SECONDS N    connect, a byte there and back, close; at most N times
 *   probe ping  ADDRESS PORT SIZE SECONDS         ping-pong of SIZE bytes over one connection
 *   probe hold  ADDRESS PORT COUNT                idle connections, proved at the start and, after a line on
 *                                                 standard input, at the end
 *   probe first ADDRESS PORT SECONDS              when does the first echo come
 *   probe sink  ADDRESS PORT SECONDS              counts datagrams
 *   probe blast ADDRESS PORT SIZE RATE SECONDS    sends them, RATE a second, 0: as fast as it can
 *   probe spoof ADDRESS PORT FILE SIZE RATE SECONDS
 *                                                 sends those of a file, each under another source */
#include "bench/probe/probe.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int arguments;
    int (*run)(char **arguments);
} commands[] = {
    {"echo", 2, command_echo},   {"crr", 5, command_crr},     {"ping", 4, command_ping},
    {"hold", 3, command_hold},   {"first", 3, command_first}, {"sink", 3, command_sink},
    {"blast", 5, command_blast}, {"spoof", 6, command_spoof},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(argv[1], commands[i].name) == 0 && argc - 2 == commands[i].arguments)
            return commands[i].run(argv + 2);
    fprintf(stderr,
            "usage: probe echo|crr|ping|hold|first|sink|blast|spoof ADDRESS PORT …; see bench/README.md\n");
    return 2;
}
