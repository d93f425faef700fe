/* /healthz says that ctld's loop turns, which is all that a restart could mend; what else is wrong is for
 * /readyz, which tells the reason. */
#include "ctld/metrics/pages.h"

#include "common/err.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 12 << 20 };

static const char plain[] = "text/plain; charset=utf-8";

static struct metrics_view view_of(const struct pages *pages, const struct gathered *gathered)
{
    return (struct metrics_view){.device = pages->device,
                                 .peers = pages->peers,
                                 .gathered = gathered,
                                 .api = pages->api,
                                 .version = NEXD_VERSION};
}

static void answer_plain(struct scrape_call *call, unsigned status, const char *text)
{
    scrape_answer(call, status, plain, text, strlen(text));
}

static void metrics_gathered(void *arg, void *token, const struct gathered *gathered)
{
    const struct metrics_view view = view_of(arg, gathered);
    struct jsonrpc_text text;
    jsonrpc_text_init(&text, TEXT_MAX);
    metrics_text(&text, &view);
    if (text.failed)
        answer_plain(token, 503, "the metrics do not fit into memory\n");
    else
        scrape_answer(token, 200, "text/plain; version=0.0.4; charset=utf-8", text.data, text.length);
    jsonrpc_text_free(&text);
}

static void readiness_gathered(void *arg, void *token, const struct gathered *gathered)
{
    const struct metrics_view view = view_of(arg, gathered);
    const char *missing = metrics_not_ready(&view);
    char text[128];
    snprintf(text, sizeof text, "%s%s\n", missing ? "not ready: " : "ready", missing ? missing : "");
    answer_plain(token, missing ? 503 : 200, text);
}

static void on_get(void *arg, struct scrape_call *call, const char *path)
{
    struct pages *pages = arg;
    gather_done_fn done = strcmp(path, "/metrics") == 0  ? metrics_gathered
                          : strcmp(path, "/readyz") == 0 ? readiness_gathered
                                                         : NULL;
    if (strcmp(path, "/healthz") == 0)
        answer_plain(call, 200, "ok\n");
    else if (!done)
        answer_plain(call, 404, "there are /metrics, /healthz and /readyz\n");
    else if (gather_request(pages->gather, done, pages, call, pages->now_ns()))
        answer_plain(call, 503, "too many ask at once\n");
}

static void on_cancel(void *arg, struct scrape_call *call)
{
    struct pages *pages = arg;
    gather_cancel(pages->gather, call);
}

const struct scrape_handler pages_handler = {.get = on_get, .cancel = on_cancel};
