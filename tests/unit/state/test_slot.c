/* What the state folder holds for a control plane's network: key pair, port, files of older agents, and the
 * documents that another process wants kept, of which only whole JSON objects of bounded size are taken. */
#include "common/err.h"
#include "nexd/state/lock_owner.h"
#include "nexd/state/slot.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static char folder[256], error[STATE_ERROR_MAX];
static struct state *state;

static const char *path_of(const char *name)
{
    static char path[320];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const char *text)
{
    FILE *file = fopen(path_of(name), "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

/* The file's content, or NULL. */
static const char *get(const char *name)
{
    static char text[8192];
    FILE *file = fopen(path_of(name), "r");
    if (!file)
        return NULL;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void open_well(void)
{
    state_close(state);
    state = NULL;
    ck_assert_msg(state_open(folder, &state_sys_default, &state, error) == NX_OK, "%s", error);
}

static void set_up(void)
{
    snprintf(folder, sizeof folder, "%s/nexd-slot-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    state = NULL;
    open_well();
}

static void tear_down(void)
{
    static const char *const names[] = {"state.json",      "state.json.new",  "device.json",
                                        "device.json.new", "network.json",    "network.json.new",
                                        "apitoken.json",   "proxy-rules.json"};
    state_close(state);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(path_of(names[i]));
    ck_assert_int_eq(rmdir(folder), 0);
}

static void expect_token(const char *expected)
{
    char *json;
    ck_assert_int_eq(state_auth_token(state, &json, error), NX_OK);
    ck_assert_str_eq(json, expected);
    state_text_free(json);
}

/* -- Key pair and port -- */

/* A state file of the Nexodus agent, with a key that was made for this test. */
static const char agent_state[] = "{\n  \"public-key\": \"eabMOrJswSWBTlQzQw9qr33DYJgSbTjaDYziwo52ezo=\",\n"
                                  "  \"private-key\": \"kDyda\\/bEi62aGfS192NKUy06PsBeaHUU2T3YrqMvn24=\",\n"
                                  "  \"port\": 51000\n}\n";

START_TEST(test_key_pair_survives)
{
    uint8_t private_key[KEY_BYTES] = {1, 2, 3, [31] = 0x40}, public_key[KEY_BYTES] = {9}, again[KEY_BYTES];
    struct stat status;
    ck_assert_int_eq(state_private_key(state, again, error), NX_ENOENT);
    ck_assert_int_eq(state_store_keys(state, private_key, public_key, error), NX_OK);
    open_well();
    ck_assert_int_eq(state_private_key(state, again, error), NX_OK);
    ck_assert_mem_eq(again, private_key, KEY_BYTES);
    ck_assert_int_eq(stat(path_of("state.json"), &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0600);
}
END_TEST

START_TEST(test_agents_state_is_taken_over)
{
    uint8_t key[KEY_BYTES];
    char text[KEY_TEXT_MAX];
    put("state.json", agent_state);
    open_well();
    ck_assert_int_eq(state_private_key(state, key, error), NX_OK);
    ck_assert_str_eq(key_format(key, text), "kDyda/bEi62aGfS192NKUy06PsBeaHUU2T3YrqMvn24=");
    ck_assert_uint_eq(state_port(state), 51000);
    ck_assert_int_eq(state_store_port(state, 51001, error), NX_OK);
    open_well();
    ck_assert_uint_eq(state_port(state), 51001);
    ck_assert_int_eq(state_private_key(state, key, error), NX_OK);
}
END_TEST

START_TEST(test_bad_private_keys)
{
    static const char *const values[] = {
        "7",
        "{}",
        "\"short\"",
        "\"kDyda/bEi62aGfS192NKUy06PsBeaHUU2T3YrqMvn24\\u003d\"",
        "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"",
        "\"kDyda/bEi62aGfS192NKUy06PsBeaHUU2T3YrqMvn24=kDyda/bEi62aGfS192NKUy06PsBeaHUU2T3YrqMvn24=\""};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[256];
        uint8_t key[KEY_BYTES];
        snprintf(text, sizeof text, "{\"private-key\": %s}", values[i]);
        put("state.json", text);
        open_well();
        ck_assert_msg(state_private_key(state, key, error) == NX_EINVAL, "%s", values[i]);
        ck_assert_ptr_nonnull(strstr(error, "state.json: \"private-key\""));
        ck_assert_ptr_null(strstr(error, "kDyda"));
    }
}
END_TEST

START_TEST(test_no_private_key)
{
    static const char *const texts[] = {"{}", "{\"private-key\": \"\"}", "{\"private-key\": null}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        uint8_t key[KEY_BYTES];
        put("state.json", texts[i]);
        open_well();
        ck_assert_int_eq(state_private_key(state, key, error), NX_ENOENT);
    }
}
END_TEST

START_TEST(test_odd_ports)
{
    static const char *const values[] = {"0", "-1", "65536", "\"51820\"", "null", "1e3"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[64];
        snprintf(text, sizeof text, "{\"port\": %s}", values[i]);
        put("state.json", text);
        open_well();
        ck_assert_uint_eq(state_port(state), 0);
    }
}
END_TEST

/* -- Files of older agents -- */

START_TEST(test_legacy_files_are_taken_over)
{
    size_t count;
    put("apitoken.json", " {\"access_token\": \"x\"}\n");
    put("proxy-rules.json", "{\"egress\":[\"tcp:80:h:90\"],\"ingress\":[]}");
    put("state.json", "{\"port\": 7}");
    open_well();
    ck_assert_msg(state_migrate(state, error) == NX_OK, "%s", error);
    ck_assert_ptr_nonnull(state_rules(state, &count));
    ck_assert_uint_eq(count, 1);
    ck_assert_ptr_null(get("apitoken.json"));
    ck_assert_ptr_null(get("proxy-rules.json"));
    open_well();
    expect_token("{\"access_token\": \"x\"}");
    state_rules(state, &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(state_port(state), 7);
}
END_TEST

START_TEST(test_legacy_token_does_not_replace_a_newer_one)
{
    put("apitoken.json", "{\"access_token\": \"old\"}");
    put("state.json", "{\"auth-token\": {\"access_token\": \"new\"}}");
    open_well();
    ck_assert_int_eq(state_migrate(state, error), NX_OK);
    expect_token("{\"access_token\": \"new\"}");
    ck_assert_ptr_null(get("apitoken.json"));
}
END_TEST

START_TEST(test_bad_legacy_files_stay)
{
    static const char *const names[] = {"apitoken.json", "proxy-rules.json", "proxy-rules.json"};
    static const char *const texts[] = {"[]", "{\"egress\": [7]}", "{\"egress\": "};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        put(names[i], texts[i]);
        open_well();
        ck_assert_int_eq(state_migrate(state, error), NX_EINVAL);
        ck_assert_msg(strstr(error, names[i]) != NULL, "%s", error);
        ck_assert_str_eq(get(names[i]), texts[i]);
        ck_assert_ptr_null(get("state.json"));
        unlink(path_of(names[i]));
    }
}
END_TEST

START_TEST(test_nothing_to_migrate_writes_nothing)
{
    ck_assert_int_eq(state_migrate(state, error), NX_OK);
    ck_assert_ptr_null(get("state.json"));
}
END_TEST

/* -- Documents -- */

static int store_in_pieces(enum ipc_slot slot, const char *text, size_t piece)
{
    struct slot_writer writer;
    size_t length = strlen(text), sent = 0;
    int err;
    slot_writer_init(&writer, slot);
    do {
        size_t now = length - sent < piece ? length - sent : piece;
        err = slot_write_piece(state, &writer, sent == 0, sent + now == length, (const uint8_t *)text + sent,
                               now);
        sent += now;
    } while (sent < length);
    snprintf(error, sizeof error, "%s", writer.error);
    slot_write_drop(state, &writer);
    return err;
}

static const char *load(enum ipc_slot slot)
{
    static uint8_t text[8192];
    struct slot_reader reader;
    size_t length = 0;
    ck_assert_int_eq(slot_read_begin(state, slot, &reader, error), NX_OK);
    while (reader.left > 0)
        length += slot_read_piece(&reader, text + length, 5);
    slot_read_end(&reader);
    text[length] = '\0';
    return (const char *)text;
}

START_TEST(test_documents_survive)
{
    static const char *const texts[] = {"{}", "{\"a\": [1, {\"b\": \"\\u0041 \xc3\xa9\"}], \"c\": null}"};
    for (enum ipc_slot slot = 1; slot <= IPC_SLOT_LAST; slot++) {
        ck_assert_str_eq(load(slot), "");
        for (size_t i = 0; i < 2; i++)
            for (size_t piece = 1; piece < 50; piece += 7) {
                ck_assert_msg(store_in_pieces(slot, texts[i], piece) == NX_OK, "%s", error);
                open_well();
                ck_assert_str_eq(load(slot), texts[i]);
            }
        ck_assert_int_eq(store_in_pieces(slot, "", 1), NX_OK);
        open_well();
        ck_assert_str_eq(load(slot), "");
    }
    ck_assert_ptr_null(get("device.json"));
    ck_assert_ptr_null(get("network.json"));
}
END_TEST

START_TEST(test_what_is_no_object_is_refused)
{
    static const char *const texts[] = {
        "[]",      "7",   "\"x\"", "null",          "{",        "{} {}",      "{\"a\": 1",
        "{\"a\"}", "{}x", " ",     "{\"\xff\": 1}", "{'a': 1}", "{\"a\": 01}"};
    for (enum ipc_slot slot = 1; slot <= IPC_SLOT_LAST; slot++) {
        ck_assert_int_eq(store_in_pieces(slot, "{\"good\": 1}", 4), NX_OK);
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
            for (size_t piece = 1; piece < 4; piece++) {
                ck_assert_msg(store_in_pieces(slot, texts[i], piece) == NX_EINVAL, "slot %d: %s", slot,
                              texts[i]);
                ck_assert_str_eq(load(slot), "{\"good\": 1}");
            }
    }
    ck_assert_ptr_null(get("device.json.new"));
    ck_assert_ptr_null(get("network.json.new"));
}
END_TEST

START_TEST(test_bounds)
{
    static const size_t max[] = {[IPC_SLOT_AUTH_TOKEN] = SLOT_AUTH_TOKEN_BYTES_MAX,
                                 [IPC_SLOT_DEVICE] = SLOT_DEVICE_BYTES_MAX,
                                 [IPC_SLOT_NETWORK] = SLOT_NETWORK_BYTES_MAX};
    for (enum ipc_slot slot = 1; slot <= IPC_SLOT_LAST; slot++)
        for (size_t excess = 0; excess < 2; excess++) {
            size_t length = max[slot] + excess;
            char *text = malloc(length + 1);
            ck_assert_ptr_nonnull(text);
            memset(text, ' ', length);
            text[0] = '{';
            text[length - 1] = '}';
            text[length] = '\0';
            ck_assert_int_eq(store_in_pieces(slot, text, IPC_STORED_MAX), excess ? NX_ERANGE : NX_OK);
            free(text);
        }
}
END_TEST

START_TEST(test_depth_bomb_is_refused)
{
    char text[2 * 1024 + 8] = "{\"a\":";
    memset(text + 5, '[', 1024);
    text[5 + 1024] = '\0';
    ck_assert_int_eq(store_in_pieces(IPC_SLOT_NETWORK, text, 100), NX_EINVAL);
}
END_TEST

START_TEST(test_pieces_out_of_order)
{
    struct slot_writer writer;
    slot_writer_init(&writer, IPC_SLOT_DEVICE);
    ck_assert_int_eq(slot_write_piece(state, &writer, false, true, (const uint8_t *)"{}", 2), NX_EPROTO);
    /* One that begins anew while another is under way replaces it. */
    ck_assert_int_eq(slot_write_piece(state, &writer, true, false, (const uint8_t *)"{\"a\":", 5), NX_OK);
    ck_assert_int_eq(slot_write_piece(state, &writer, true, true, (const uint8_t *)"{}", 2), NX_OK);
    ck_assert_str_eq(load(IPC_SLOT_DEVICE), "{}");
    ck_assert_int_eq(slot_write_piece(state, &writer, false, true, (const uint8_t *)"{}", 2), NX_EPROTO);
    /* What its sender leaves half-way is gone. */
    ck_assert_int_eq(slot_write_piece(state, &writer, true, false, (const uint8_t *)"{\"a\":", 5), NX_OK);
    slot_write_drop(state, &writer);
    ck_assert_ptr_null(get("device.json.new"));
    ck_assert_str_eq(load(IPC_SLOT_DEVICE), "{}");
}
END_TEST

START_TEST(test_without_a_state_folder)
{
    struct slot_writer writer;
    struct slot_reader reader;
    slot_writer_init(&writer, IPC_SLOT_NETWORK);
    ck_assert_int_eq(slot_write_piece(NULL, &writer, true, true, (const uint8_t *)"{}", 2), NX_EPERM);
    ck_assert_str_ne(writer.error, "");
    ck_assert_int_eq(slot_read_begin(NULL, IPC_SLOT_NETWORK, &reader, error), NX_OK);
    ck_assert_uint_eq(reader.left, 0);
}
END_TEST

START_TEST(test_file_that_is_too_long_reads_as_empty)
{
    struct slot_reader reader;
    put("network.json", "{}");
    ck_assert_int_eq(truncate(path_of("network.json"), SLOT_NETWORK_BYTES_MAX + 1), 0);
    ck_assert_int_eq(slot_read_begin(state, IPC_SLOT_NETWORK, &reader, error), NX_ERANGE);
    ck_assert_uint_eq(reader.left, 0);
    ck_assert_ptr_nonnull(strstr(error, "network.json"));
}
END_TEST

/* -- The lock -- */

START_TEST(test_second_instance_is_told_the_pid)
{
    struct state *second = NULL;
    char who[32];
    snprintf(who, sizeof who, "(pid %d)", (int)getpid());
    ck_assert_int_eq(state_open(folder, &state_sys_default, &second, error), NX_EEXIST);
    ck_assert_ptr_null(second);
    if (access("/proc/locks", R_OK) == 0 && lock_owner_find(state_folder(state)->folder_fd) != 0)
        ck_assert_msg(strstr(error, who) != NULL, "%s", error);
    ck_assert_ptr_nonnull(strstr(error, folder));
}
END_TEST

START_TEST(test_lock_table)
{
    static const char locks[] = "1: POSIX  ADVISORY  WRITE 11 08:01:1234 0 EOF\n"
                                "2: FLOCK  ADVISORY  WRITE 22 08:01:1235 0 EOF\n"
                                "3: -> FLOCK  ADVISORY  WRITE 33 08:01:1234 0 EOF\n"
                                "4: FLOCK  ADVISORY  WRITE 0 08:02:1234 0 EOF\n"
                                "nonsense\n"
                                "5: FLOCK  ADVISORY  WRITE 44 08:01:1234 0 EOF";
    ck_assert_int_eq(lock_owner_in(locks, makedev(8, 1), 1234), 44);
    ck_assert_int_eq(lock_owner_in(locks, makedev(8, 1), 1235), 22);
    ck_assert_int_eq(lock_owner_in(locks, makedev(8, 2), 1234), 0);
    ck_assert_int_eq(lock_owner_in("", makedev(8, 1), 1234), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state of a network");
    TCase *tc = tcase_create("all");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_key_pair_survives);
    tcase_add_test(tc, test_agents_state_is_taken_over);
    tcase_add_test(tc, test_bad_private_keys);
    tcase_add_test(tc, test_no_private_key);
    tcase_add_test(tc, test_odd_ports);
    tcase_add_test(tc, test_legacy_files_are_taken_over);
    tcase_add_test(tc, test_legacy_token_does_not_replace_a_newer_one);
    tcase_add_test(tc, test_bad_legacy_files_stay);
    tcase_add_test(tc, test_nothing_to_migrate_writes_nothing);
    tcase_add_test(tc, test_documents_survive);
    tcase_add_test(tc, test_what_is_no_object_is_refused);
    tcase_add_test(tc, test_bounds);
    tcase_add_test(tc, test_depth_bomb_is_refused);
    tcase_add_test(tc, test_pieces_out_of_order);
    tcase_add_test(tc, test_without_a_state_folder);
    tcase_add_test(tc, test_file_that_is_too_long_reads_as_empty);
    tcase_add_test(tc, test_second_instance_is_told_the_pid);
    tcase_add_test(tc, test_lock_table);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
