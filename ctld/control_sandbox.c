/* SandboxReport: what the kernel took of each process's sandbox. A method of our own, for `nexd
 * sandbox-report`, which reads from the kernel itself whatever the kernel shows. */
#include "ctld/control_methods.h"

#include "sandbox/sandbox.h"

#include <inttypes.h>
#include <stdlib.h>

enum { TEXT_MAX = 64 << 10 };

struct report {
    struct jsonrpc_text text;
    size_t count;
};

static void report_free(void *data)
{
    struct report *report = data;
    jsonrpc_text_free(&report->text);
    free(report);
}

static void put_missing(struct jsonrpc_text *text, uint32_t missing)
{
    const char *before = "";
    jsonrpc_putf(text, ",\"missing\":[");
    for (unsigned layer = 0; layer < SANDBOX_LAYERS; layer++) {
        if (!(missing & UINT32_C(1) << layer))
            continue;
        jsonrpc_putf(text, "%s\"%s\"", before, sandbox_layer_name((enum sandbox_layer)layer));
        before = ",";
    }
    jsonrpc_put(text, "]", 1);
}

static void put_sandbox(struct jsonrpc_text *text, const struct ipc_sandbox *sandbox)
{
    static const char *const names[] = {
        [IPC_PARENT] = "nexd", [IPC_TUNNELD] = "tunneld", [IPC_PROXYD] = "proxyd", [IPC_CTLD] = "ctld"};
    jsonrpc_putf(text, "{\"process\":\"%s\",\"pid\":%" PRIu32 ",\"sandbox\":\"%s\"", names[sandbox->role],
                 sandbox->pid, sandbox->strict ? "strict" : "best-effort");
    put_missing(text, sandbox->missing);
    jsonrpc_putf(text,
                 ",\"landlock_abi\":%" PRIu32 ",\"landlock_fs\":%" PRIu64 ",\"landlock_net\":%" PRIu64
                 ",\"landlock_scoped\":%" PRIu64 "}",
                 sandbox->landlock_abi, sandbox->fs, sandbox->net, sandbox->scoped);
}

static void on_sandbox(struct control_methods *methods, struct control_pending *pending,
                       const struct ipc_message *message)
{
    struct report *report = pending->data;
    struct jsonrpc_text *text = &report->text;
    (void)methods;
    if (message->header.type == IPC_MSG_SANDBOX) {
        jsonrpc_putf(text, report->count++ ? "," : "[");
        put_sandbox(text, &message->body.sandbox);
        return;
    }
    jsonrpc_putf(text, report->count ? "]" : "[]");
    struct jsonrpc_text whole = *text;
    jsonrpc_text_init(text, TEXT_MAX);
    control_answer_built(control_pending_end(pending), &whole);
}

void control_sandbox_report(struct control_methods *methods, struct control_call *call,
                            const struct jsonrpc_request *request)
{
    static const struct ipc_sandbox_query query = {.version = 1};
    (void)request;
    struct report *report = calloc(1, sizeof *report);
    if (!report) {
        control_refuse(call, "out of memory");
        return;
    }
    jsonrpc_text_init(&report->text, TEXT_MAX);
    struct control_pending *pending =
        control_request(methods, call, IPC_PARENT, IPC_MSG_SANDBOX_QUERY, &query, on_sandbox);
    if (!pending) {
        report_free(report);
        return;
    }
    pending->data = report;
    pending->data_free = report_free;
}
