/* nexctl reads what a nexd answers, and that nexd may have been taken over: any text must be refused or
 * printed, in every form, without control characters reaching the terminal. */
#include "common/err.h"
#include "nexctl/peers.h"
#include "nexctl/rpc.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print_check(const struct peer_list *list, enum output_form form)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        abort();
    peers_print(out, list, form, 1700000000);
    fclose(out);
    for (size_t i = 0; i < length; i++)
        if (((unsigned char)text[i] < 0x20 && text[i] != '\n') || text[i] == 0x7f)
            abort();
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *result = NULL, error[RPC_ERROR_MAX];
    struct peer_list list;
    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    if (rpc_answer_parse(text, &result, error) == NX_OK)
        free(result);
    if (peers_parse(text, &list) == NX_OK) {
        for (enum output_form form = OUTPUT_COLUMN; form <= OUTPUT_YAML; form++)
            print_check(&list, form);
        peers_free(&list);
    }
    free(text);
    return 0;
}
