/* Documents that were stored, which a disk may have damaged: the network, the device, the login's token. What
 * is read can be written, and reads the same again. */
#include "common/err.h"
#include "ctld/nexodus/session/auth_token.h"
#include "ctld/nexodus/session/catalog_document.h"
#include "ctld/nexodus/session/device_record.h"
#include "tests/fuzz/fuzz_input.h"

static const struct catalog_owner owner = {.api_base = "https://api.nexodus.test",
                                           .public_key = "eabMOrJswSWBTlQzQw9qr33DYJgSbTjaDYziwo52ezo="};

static void device_ignore(void *arg, const struct peering_device *device)
{
    (void)arg;
    fuzz_require(device->id[0] != '\0');
}

static void network(const char *text, size_t length)
{
    struct catalog catalog, again;
    struct session_vpc vpc;
    char id[UUID_TEXT_LENGTH + 1], error[JSON_ERROR_MAX];
    if (catalog_init(&catalog) != NX_OK)
        return;
    if (catalog_document_read(text, length, &owner, &catalog, &vpc, id, error) == NX_OK) {
        struct catalog_owner writer = owner;
        size_t written;
        struct json_reader *reader = json_reader_new(&json_limits_answer);
        writer.device_id = id;
        catalog_devices(&catalog, reader, device_ignore, NULL);
        json_reader_free(reader);
        char *const copy = catalog_document_write(&catalog, &vpc, &writer, &written);
        fuzz_require(copy && catalog_init(&again) == NX_OK);
        fuzz_require(catalog_document_read(copy, written, &owner, &again, &vpc, id, error) == NX_OK);
        for (size_t kind = 0; kind < CATALOG_KINDS; kind++)
            fuzz_require(again.shelves[kind].count == catalog.shelves[kind].count &&
                         again.shelves[kind].bytes == catalog.shelves[kind].bytes);
        free(copy);
        catalog_destroy(&again);
    }
    catalog_destroy(&catalog);
}

static void device(const char *text, size_t length)
{
    struct device_record record, again;
    char error[JSON_ERROR_MAX];
    const char *written;
    size_t written_length;
    if (device_record_decode(text, length, &record, error) != NX_OK)
        return;
    struct json_writer *writer = json_writer_new(DEVICE_RECORD_BYTES_MAX * 8);
    fuzz_require(device_record_encode(&record, writer, &written, &written_length) == NX_OK);
    if (written_length <= DEVICE_RECORD_BYTES_MAX) { /* escapes may make it longer than what is read */
        fuzz_require(device_record_decode(written, written_length, &again, error) == NX_OK);
        fuzz_require(memcmp(&record, &again, sizeof record) == 0);
    }
    json_writer_free(writer);
}

static void token(const char *text, size_t length)
{
    struct json_reader *reader = json_reader_new(&json_limits_answer);
    struct auth_token read = {0};
    const struct json_value *root;
    char error[JSON_ERROR_MAX];
    if (json_read(reader, text, length, &root, error) == NX_OK &&
        auth_token_decode(root, &read, error) == NX_OK)
        fuzz_require(read.access != NULL);
    auth_token_clear(&read);
    json_reader_free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    char *const text = fuzz_string(bytes, length);
    network(text, strlen(text));
    device(text, strlen(text));
    token(text, strlen(text));
    free(text);
    return 0;
}
