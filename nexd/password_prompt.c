/* The terminal is put back as it was in any case. Stop signals are blocked in this process since its start,
 * so while we wait they are looked for in a signalfd beside the terminal. */
#include "nexd/password_prompt.h"

#include "common/err.h"
#include "common/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

static int signals_open(void)
{
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGQUIT);
    sigaddset(&stops, SIGHUP);
    return signalfd(-1, &stops, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* One line; true: it is whole. *stopped: a signal came first. */
static bool line_read(int terminal, int signals, char *out, size_t size, bool *stopped)
{
    size_t used = 0;
    while (used < size) {
        struct pollfd ready[2] = {{.fd = terminal, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
        if (poll(ready, 2, -1) < 0 && errno != EINTR)
            return false;
        if (ready[1].revents) {
            *stopped = true;
            return false;
        }
        ssize_t got = read(terminal, out + used, 1);
        if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
            return false;
        if (got == 1 && out[used] == '\n') {
            out[used] = '\0';
            return used > 0;
        }
        used += got == 1;
    }
    return false;
}

static void say(int terminal, const char *text)
{
    ssize_t ignored = write(terminal, text, strlen(text));
    (void)ignored;
}

int password_prompt(const char *prompt, char *out, size_t size)
{
    struct termios before, silent;
    bool stopped = false;
    FD_AUTO int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
    FD_AUTO int signals = signals_open();
    if (terminal < 0 || signals < 0 || tcgetattr(terminal, &before))
        return NX_ENOENT;
    silent = before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    silent.c_lflag |= ICANON | ISIG;
    if (tcsetattr(terminal, TCSAFLUSH, &silent))
        return NX_ENOENT;
    say(terminal, prompt);
    bool whole = line_read(terminal, signals, out, size, &stopped);
    tcsetattr(terminal, TCSAFLUSH, &before);
    say(terminal, "\n");
    if (whole)
        return NX_OK;
    sodium_memzero(out, size);
    if (stopped)
        exit(EXIT_FAILURE);
    return NX_EINVAL;
}
