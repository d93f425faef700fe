/* Documents in pieces, in both directions. */
#include "common/err.h"
#include "ctld/documents.h"
#include "tests/unit/common/unit.h"

#include <stdlib.h>
#include <string.h>

static struct documents documents;
static struct ipc_stored piece;

static void end(void)
{
    documents_free(&documents);
}

static void take(enum ipc_slot slot, bool first, bool last, const char *text)
{
    piece = (struct ipc_stored){.slot = (uint8_t)slot, .first = first, .last = last};
    piece.data.length = (uint16_t)strlen(text);
    memcpy(piece.data.data, text, strlen(text));
    documents_take(&documents, &piece);
}

static const char *text_of(enum ipc_slot slot)
{
    size_t length;
    const char *text = documents_text(&documents, slot, &length);
    ck_assert_uint_eq(strlen(text), length);
    return text;
}

START_TEST(pieces_are_put_together)
{
    take(IPC_SLOT_DEVICE, true, false, "{\"a\"");
    take(IPC_SLOT_NETWORK, true, true, "{}");
    take(IPC_SLOT_DEVICE, false, true, ":1}");
    ck_assert_str_eq(text_of(IPC_SLOT_DEVICE), "{\"a\":1}");
    ck_assert_str_eq(text_of(IPC_SLOT_NETWORK), "{}");
    ck_assert_str_eq(text_of(IPC_SLOT_AUTH_TOKEN), "");
    take(IPC_SLOT_DEVICE, true, true, "[]");
    ck_assert_str_eq(text_of(IPC_SLOT_DEVICE), "[]");
    documents_forget(&documents, IPC_SLOT_DEVICE);
    ck_assert_str_eq(text_of(IPC_SLOT_DEVICE), "");
}
END_TEST

START_TEST(a_document_that_is_too_long_is_none)
{
    piece = (struct ipc_stored){.slot = IPC_SLOT_NETWORK, .first = true};
    piece.data.length = IPC_STORED_MAX;
    memset(piece.data.data, ' ', IPC_STORED_MAX);
    for (size_t sent = 0; sent <= DOCUMENT_BYTES_MAX; sent += IPC_STORED_MAX) {
        documents_take(&documents, &piece);
        piece.first = false;
    }
    ck_assert_str_eq(text_of(IPC_SLOT_NETWORK), "");
    take(IPC_SLOT_NETWORK, false, true, "the rest of it");
    ck_assert_str_eq(text_of(IPC_SLOT_NETWORK), "");
    take(IPC_SLOT_NETWORK, true, true, "another");
    ck_assert_str_eq(text_of(IPC_SLOT_NETWORK), "another");
}
END_TEST

/* Sends one piece; false: there is none. */
static bool send_piece(void)
{
    if (!documents_next(&documents, &piece))
        return false;
    documents_sent(&documents, &piece);
    return true;
}

START_TEST(a_document_is_cut_into_pieces)
{
    static char text[3 * IPC_STORED_MAX];
    const size_t lengths[] = {1, IPC_STORED_MAX - 1, IPC_STORED_MAX, IPC_STORED_MAX + 1, sizeof text};
    struct documents other = {0};
    const size_t length = lengths[_i];
    for (size_t i = 0; i < length; i++)
        text[i] = (char)('a' + i % 23);
    ck_assert_int_eq(documents_store(&documents, IPC_SLOT_NETWORK, text, length), NX_OK);
    bool first = true, last = false;
    while (send_piece()) {
        ck_assert(!last && piece.first == first && piece.data.length > 0);
        first = false;
        last = piece.last;
        documents_take(&other, &piece);
    }
    ck_assert(last);
    size_t got;
    const char *whole = documents_text(&other, IPC_SLOT_NETWORK, &got);
    ck_assert(got == length && memcmp(whole, text, length) == 0);
    documents_free(&other);
}
END_TEST

START_TEST(an_empty_document_empties_the_slot)
{
    ck_assert_int_eq(documents_store(&documents, IPC_SLOT_DEVICE, NULL, 0), NX_OK);
    ck_assert(send_piece());
    ck_assert(piece.slot == IPC_SLOT_DEVICE && piece.first && piece.last && piece.data.length == 0);
    ck_assert(!send_piece());
}
END_TEST

START_TEST(only_the_newest_counts_and_none_is_mixed)
{
    static char old[2 * IPC_STORED_MAX];
    memset(old, 'o', sizeof old);
    documents_store(&documents, IPC_SLOT_NETWORK, "never sent", 10);
    documents_store(&documents, IPC_SLOT_NETWORK, old, sizeof old);
    ck_assert(send_piece());
    ck_assert(piece.first && !piece.last && piece.data.data[0] == 'o');
    documents_store(&documents, IPC_SLOT_NETWORK, "middle", 6);
    documents_store(&documents, IPC_SLOT_NETWORK, "new", 3);
    ck_assert(send_piece());
    ck_assert(!piece.first && piece.last && piece.data.data[0] == 'o');
    ck_assert(send_piece());
    ck_assert(piece.first && piece.last && piece.data.length == 3 && piece.data.data[0] == 'n');
    ck_assert(!send_piece());
}
END_TEST

START_TEST(a_piece_that_was_not_sent_is_the_next_again)
{
    documents_store(&documents, IPC_SLOT_DEVICE, "text", 4);
    struct ipc_stored again;
    ck_assert(documents_next(&documents, &piece) && documents_next(&documents, &again));
    ck_assert(again.first && again.data.length == 4);
    ck_assert(send_piece() && !send_piece());
}
END_TEST

START_TEST(more_than_may_be_is_refused)
{
    char *text = calloc(1, DOCUMENT_BYTES_MAX + 1);
    ck_assert_int_eq(documents_store(&documents, IPC_SLOT_NETWORK, text, DOCUMENT_BYTES_MAX + 1), NX_ERANGE);
    ck_assert(!send_piece());
    free(text);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, NULL, end);
    tcase_add_test(tcase, pieces_are_put_together);
    tcase_add_test(tcase, a_document_that_is_too_long_is_none);
    tcase_add_loop_test(tcase, a_document_is_cut_into_pieces, 0, 5);
    tcase_add_test(tcase, an_empty_document_empties_the_slot);
    tcase_add_test(tcase, only_the_newest_counts_and_none_is_mixed);
    tcase_add_test(tcase, a_piece_that_was_not_sent_is_the_next_again);
    tcase_add_test(tcase, more_than_may_be_is_refused);
}

int main(void)
{
    return unit_run("documents", fill);
}
