/* The loop: a sample, a wait, a sample, a picture. A terminal gets each picture in the place of the last one;
 * nothing of its state is changed, so that an interrupt needs no repair. */
#include "nexctl/top.h"

#include "common/clock.h"
#include "common/err.h"
#include "nexctl/rpc.h"
#include "nexctl/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

static int sample_take(top_call_fn call, const void *arg, struct top_sample *out, char *error)
{
    char *rules = NULL, *peers = NULL;
    *out = (struct top_sample){0};
    int err = call(arg, "ListRuleStats", &rules, error);
    if (!err)
        err = call(arg, "ListPeers", &peers, error);
    if (!err) {
        err = top_sample_parse(rules, peers, clock_now_ns(), out);
        if (err)
            snprintf(error, RPC_ERROR_MAX, "the answer cannot be understood: %s", nx_strerror(err));
    }
    free(rules);
    free(peers);
    return err;
}

static void interval_wait(unsigned interval_s)
{
    struct timespec left = {.tv_sec = interval_s};
    while (nanosleep(&left, &left) && errno == EINTR)
        ;
}

/* One picture, in place of the last one and in one piece; what is wider than the terminal is cut off. */
static int picture_show(FILE *out, const struct top_sample *sample, struct top_style *style)
{
    struct winsize size = {0};
    char *text = NULL;
    size_t length = 0;
    FILE *memory = open_memstream(&text, &length);
    if (!memory)
        return NX_ENOMEM;
    (void)ioctl(fileno(out), TIOCGWINSZ, &size); /* unknown: no bounds */
    style->lines = size.ws_row;
    int err = top_print(memory, sample, style);
    if (fclose(memory) && !err)
        err = NX_ENOMEM;
    if (!err) {
        fputs("\x1b[H\x1b[2J", out);
        table_clip(out, text, size.ws_col);
        err = fflush(out) ? NX_ESYS : NX_OK;
    }
    free(text);
    return err;
}

int top_run(FILE *out, unsigned interval_s, bool terminal, struct top_style style, top_call_fn call,
            const void *arg, char *error)
{
    struct top_sample before, now;
    bool refresh = terminal && (style.form == OUTPUT_COLUMN || style.form == OUTPUT_NO_HEADER);
    int err = sample_take(call, arg, &before, error);
    if (err)
        return err;
    do {
        interval_wait(interval_s);
        err = sample_take(call, arg, &now, error);
        if (err && refresh) { /* nexd, or a process of it, is being started again */
            fprintf(out, "\x1b[H\x1b[2Jnexd does not answer: %s\n", error);
            err = fflush(out) ? NX_ESYS : NX_OK;
            continue;
        }
        if (err)
            break;
        top_rate(&before, &now);
        err = refresh ? picture_show(out, &now, &style) : top_print(out, &now, &style);
        if (err)
            snprintf(error, RPC_ERROR_MAX, "%s", err == NX_ESYS ? strerror(errno) : nx_strerror(err));
        top_sample_free(&before);
        before = now;
    } while (refresh && !err);
    top_sample_free(&before);
    return err;
}
