/* What a nexd answers to flows, rules stats, peers ping and top: any text must be refused or printed, in
 * every form, without control characters reaching the terminal. */
#include "common/err.h"
#include "nexctl/listing.h"
#include "nexctl/top.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* C0, DEL, and C1 as UTF-8 has them; newlines are nexctl's own. */
static void printed_check(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)text[i], next = (unsigned char)text[i + 1];
        if ((c < 0x20 && c != '\n') || c == 0x7f || (c == 0xc2 && next >= 0x80 && next <= 0x9f))
            abort();
    }
}

static void listings_print(const char *json, enum output_form form)
{
    for (enum listing_kind kind = LISTING_CONNECTIVITY; kind <= LISTING_RULE_STATS; kind++) {
        const struct listing_style style = {.form = form, .unix_s = 1700000000};
        char *text = NULL;
        size_t length = 0;
        bool truncated;
        FILE *out = open_memstream(&text, &length);
        if (!out)
            abort();
        int err = listing_print(out, kind, json, &style, &truncated);
        fclose(out);
        if (err != NX_OK && length > 0)
            abort();
        printed_check(text, length);
        free(text);
    }
}

static void top_show(const char *json, enum output_form form)
{
    struct top_sample before, now;
    if (top_sample_parse(json, json, 1, &before) != NX_OK)
        return;
    if (top_sample_parse(json, json, 1000000001, &now) == NX_OK) {
        const struct top_style style = {.form = form, .lines = 24};
        char *text = NULL;
        size_t length = 0;
        FILE *out = open_memstream(&text, &length);
        if (!out)
            abort();
        top_rate(&before, &now);
        if (top_print(out, &now, &style) != NX_OK)
            abort();
        fclose(out);
        printed_check(text, length);
        free(text);
        top_sample_free(&now);
    }
    top_sample_free(&before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    for (enum output_form form = OUTPUT_COLUMN; form <= OUTPUT_YAML; form++) {
        listings_print(text, form);
        top_show(text, form);
    }
    free(text);
    return 0;
}
