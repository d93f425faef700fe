/* The fuzz target's seeds, held to the table: one for each message, named after it, that the decoder accepts
 * as that message. Without its seed a fuzzer hardly finds a message's body, as the way, the length and the
 * descriptors must all be right first.
 *
 * With --write it makes the seeds that are missing or are accepted no longer. */
#include "common/err.h"
#include "tests/fuzz/ipc_input.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/ipc/sample.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SEED_MAX = IPC_INPUT_HEAD + IPC_DATAGRAM_MAX, TRIES = 16 };

static char error[IPC_ERROR_MAX];

static void seed_path(const struct ipc_declaration *declaration, char *out, size_t size)
{
    int at = snprintf(out, size, "%s/", IPC_SEEDS);
    ck_assert(at > 0 && (size_t)at + strlen(declaration->name) < size);
    for (const char *c = declaration->name; *c != '\0'; c++)
        out[at++] = (char)tolower(*c);
    out[at] = '\0';
}

/* Does the target take these bytes for that message? */
static bool seed_reaches(const struct ipc_declaration *declaration, const uint8_t *seed, size_t length)
{
    static struct ipc_message message;
    struct ipc_input input;
    snprintf(error, sizeof error, "too short");
    if (!ipc_input_read(seed, length, &input))
        return false;
    bool accepted = ipc_decode(input.wire, input.length, input.fds, input.fd_count, input.from, input.to,
                               &message, error) == NX_OK;
    bool reaches = accepted && message.header.type == declaration->type;
    if (accepted && !reaches)
        snprintf(error, sizeof error, "is a %s", ipc_type_name((enum ipc_type)message.header.type));
    for (size_t i = 0; i < input.fd_count; i++)
        close(input.fds[i]);
    free(input.wire);
    return reaches;
}

/* 0: there is none. */
static size_t seed_read(const struct ipc_declaration *declaration, uint8_t *out)
{
    char path[512];
    seed_path(declaration, path, sizeof path);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return 0;
    size_t length = fread(out, 1, SEED_MAX, file);
    fclose(file);
    return length;
}

START_TEST(seeded)
{
    static uint8_t seed[SEED_MAX];
    size_t length = seed_read(&ipc_table[_i], seed);
    ck_assert_msg(length > 0, "%s has no seed: run test_ipc_seeds --write", ipc_table[_i].name);
    ck_assert_msg(seed_reaches(&ipc_table[_i], seed, length),
                  "the seed of %s: %s: run test_ipc_seeds --write", ipc_table[_i].name, error);
}
END_TEST

/* The shortest of some random ones; its descriptors are found by trying. Returns its length. */
static size_t seed_make(const struct ipc_declaration *declaration, uint8_t *out)
{
    struct sample s;
    size_t length = SIZE_MAX;
    for (uint64_t i = 1; i <= TRIES; i++) {
        sample_make(&s, declaration, SAMPLE_RANDOM, i);
        if (s.length + IPC_INPUT_HEAD < length) {
            length = s.length + IPC_INPUT_HEAD;
            out[0] = ipc_input_way(s.from, s.to);
            memcpy(out + IPC_INPUT_HEAD, s.wire, s.length);
        }
        sample_close(&s);
    }
    for (unsigned which = 0; which <= UINT8_MAX; which++) {
        out[1] = (uint8_t)which;
        if (seed_reaches(declaration, out, length))
            return length;
    }
    ck_abort_msg("%s: fuzz_ipc has not got its descriptors prepared: %s", declaration->name, error);
}

START_TEST(write_seed)
{
    static uint8_t seed[SEED_MAX];
    char path[512];
    size_t length = seed_read(&ipc_table[_i], seed);
    if (length > 0 && seed_reaches(&ipc_table[_i], seed, length))
        return;
    length = seed_make(&ipc_table[_i], seed);
    seed_path(&ipc_table[_i], path, sizeof path);
    FILE *file = fopen(path, "wb");
    ck_assert_msg(file != NULL, "cannot write %s", path);
    ck_assert_uint_eq(fwrite(seed, 1, length, file), length);
    ck_assert_int_eq(fclose(file), 0);
    printf("wrote %s\n", path);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_loop_test(tcase, seeded, 0, (int)ipc_table_count);
}

static void fill_write(TCase *tcase)
{
    tcase_add_loop_test(tcase, write_seed, 0, (int)ipc_table_count);
}

int main(int argc, char **argv)
{
    return unit_run("ipc_seeds", argc == 2 && strcmp(argv[1], "--write") == 0 ? fill_write : fill);
}
