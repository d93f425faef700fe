/* Control requests from hostile clients: the input is a stream, cut into pieces whose sizes come from its
 * first byte. However it is cut, the same requests must come out; each answer to them must be one line of
 * valid JSON. */
#include "common/err.h"
#include "ctld/jsonrpc.h"

#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REQUESTS_MAX = 64 };

struct outcome {
    struct jsonrpc_request requests[REQUESTS_MAX];
    size_t count;
    int err;
};

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void parse(const char *data, size_t length, size_t piece, struct outcome *out)
{
    struct jsonrpc_parser *parser = jsonrpc_parser_new();
    size_t at = 0;
    *out = (struct outcome){.err = NX_EAGAIN};
    require(parser != NULL);
    while (at < length && out->count < REQUESTS_MAX) {
        size_t chunk = length - at < piece ? length - at : piece, taken;
        struct jsonrpc_request request;
        out->err = jsonrpc_parse(parser, data + at, chunk, &taken, &request);
        require(taken <= chunk);
        at += taken;
        if (out->err == NX_OK)
            out->requests[out->count++] = request;
        else if (out->err != NX_EAGAIN)
            break;
        else
            require(taken == chunk);
    }
    jsonrpc_parser_free(parser);
}

static void answer_check(const struct jsonrpc_request *request)
{
    struct jsonrpc_text text;
    jsonrpc_text_init(&text, 1 << 20);
    jsonrpc_put_result(&text, request, request->param, strlen(request->param));
    require(!text.failed && memchr(text.data, '\n', text.length) == text.data + text.length - 1);
    yajl_handle yajl = yajl_alloc(NULL, NULL, NULL);
    require(yajl_parse(yajl, (const unsigned char *)text.data, text.length) == yajl_status_ok &&
            yajl_complete_parse(yajl) == yajl_status_ok);
    yajl_free(yajl);
    jsonrpc_text_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct outcome whole, cut;
    if (size < 2)
        return 0;
    parse((const char *)data + 1, size - 1, SIZE_MAX, &whole);
    parse((const char *)data + 1, size - 1, (size_t)data[0] + 1, &cut);
    require(whole.count == cut.count);
    for (size_t i = 0; i < whole.count; i++) {
        require(strcmp(whole.requests[i].method, cut.requests[i].method) == 0);
        require(strcmp(whole.requests[i].param, cut.requests[i].param) == 0);
        require(strcmp(whole.requests[i].id, cut.requests[i].id) == 0);
        answer_check(&whole.requests[i]);
    }
    return 0;
}
