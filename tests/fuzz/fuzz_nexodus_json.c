/* JSON of a hostile control plane: however a document is cut the outcome is the same, what is read can be
 * written and read again, and every decoder either takes it or says why in one line. */
#include "common/err.h"
#include "ctld/nexodus/jwk.h"
#include "ctld/nexodus/models.h"
#include "ctld/nexodus/oidc.h"
#include "tests/fuzz/fuzz_input.h"

static char error[JSON_ERROR_MAX];

static int feed(struct json_reader *reader, const char *data, size_t length, size_t piece)
{
    int err = NX_EAGAIN;
    for (size_t at = 0; at < length && err == NX_EAGAIN;) {
        size_t consumed;
        const size_t chunk = length - at < piece ? length - at : piece;
        err = json_reader_feed(reader, data + at, chunk, &consumed, error);
        fuzz_require(consumed <= chunk && (err != NX_EAGAIN || consumed == chunk));
        at += consumed;
    }
    if (err != NX_OK && err != NX_EAGAIN)
        fuzz_require_message(error, sizeof error);
    return err;
}

static void round_trip(const struct json_value *root)
{
    struct json_writer *const writer = json_writer_new(8 << 20), *const second = json_writer_new(8 << 20);
    struct json_reader *const reader = json_reader_new(&json_limits_answer);
    const struct json_value *again;
    const char *text, *text_again;
    size_t length, length_again;
    json_put_value(writer, NULL, root);
    fuzz_require(json_writer_end(writer, &text, &length) == NX_OK);
    /* Escapes can make it longer than what may be read. */
    if (json_read(reader, text, length, &again, error) == NX_OK) {
        json_put_value(second, NULL, again);
        fuzz_require(json_writer_end(second, &text_again, &length_again) == NX_OK);
        fuzz_require(length == length_again && memcmp(text, text_again, length) == 0);
    } else {
        fuzz_require(length > json_limits_answer.bytes_max);
    }
    json_reader_free(reader);
    json_writer_free(writer);
    json_writer_free(second);
}

static void verdict(int err)
{
    if (err)
        fuzz_require_message(error, sizeof error);
}

static void device_check(const struct json_value *root)
{
    struct api_device device;
    struct api_peering_scratch scratch;
    struct peering_device out;
    const int err = api_device_decode(root, API_DEVICE_OWN, &device, error);
    verdict(err);
    if (err)
        return;
    fuzz_require(uuid_valid(device.id));
    api_device_to_peering(&device, &scratch, &out);
    fuzz_require(out.endpoint_count <= MEMBER_ENDPOINTS_MAX && out.allowed_ips.count <= MEMBER_TUNNEL_CLAIMS);
    struct json_writer *const writer = json_writer_new(8 << 20);
    const char *text;
    size_t length;
    api_device_write(writer, NULL, &device);
    fuzz_require(json_writer_end(writer, &text, &length) == NX_OK);
    json_writer_free(writer);
}

static void decode_all(const struct json_value *root)
{
    struct api_vpc vpc;
    struct api_reg_key key;
    struct api_user user;
    struct api_device_metadata metadata;
    struct api_security_group group;
    struct jwk_set *set;
    struct oidc_login_start start;
    struct oidc_provider provider;
    struct oidc_tokens tokens;
    struct oidc_device_authorization code;
    struct oidc_failure failure;
    device_check(root);
    verdict(api_vpc_decode(root, &vpc, error));
    verdict(api_reg_key_decode(root, &key, error));
    verdict(api_user_decode(root, &user, error));
    if (api_device_metadata_decode(root, &metadata, error) == NX_OK)
        api_relay_type(&metadata, NULL);
    const int group_err = api_security_group_decode(root, &group, error);
    verdict(group_err);
    if (!group_err)
        api_security_group_free(&group);
    if (jwk_set_decode(root, &set, error) == NX_OK)
        jwk_set_free(set);
    verdict(oidc_login_start_decode(root, &start, error));
    verdict(oidc_discovery_decode(root, "https://a.b", &provider, error));
    verdict(oidc_tokens_decode(root, &tokens, error));
    verdict(oidc_device_authorization_decode(root, &code, error));
    oidc_failure_decode(root, &failure);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    if (length < 1)
        return 0;
    char *const text = fuzz_string(bytes + 1, length - 1);
    struct json_reader *const whole = json_reader_new(&json_limits_answer), *const cut = json_reader_new(
                                                                                &json_limits_answer);
    const int err = feed(whole, text, length - 1, SIZE_MAX);
    const int err_cut = feed(cut, text, length - 1, bytes[0] % 16U + 1);
    /* Small pieces are gathered, so what is wrong may not have been seen yet. */
    fuzz_require(err_cut == err || (err != NX_OK && err_cut == NX_EAGAIN));
    fuzz_require((json_reader_root(whole) != NULL) == (err == NX_OK));
    if (err == NX_OK) {
        round_trip(json_reader_root(whole));
        decode_all(json_reader_root(whole));
    }
    struct api_error answer;
    api_error_decode(cut, text, length - 1, &answer);
    fuzz_require(answer.id[0] == '\0' || uuid_valid(answer.id));
    json_reader_free(whole);
    json_reader_free(cut);
    free(text);
    return 0;
}
