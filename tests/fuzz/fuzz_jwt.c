/* ID tokens from anybody. Nobody here knows a private key, so none may ever be accepted: not the recorded one
 * either, as it is for another client. */
#include "common/err.h"
#include "ctld/nexodus/jwt.h"
#include "tests/fuzz/fuzz_input.h"

/* A published pair of keys whose private halves were thrown away. */
static const char published[] =
    "{\"keys\":[{\"kid\":\"RT9WGON-eyebcgjgKdnoX_mW1l4onllAc6fzMO5wwKo\",\"kty\":\"RSA\",\"alg\":\"RS"
    "256\",\"use\":\"sig\",\"n\":\"22u37zs7nWgrNTy1kdEZFbovZwxpnq56fBCW0YVP4ksGVD1zmIPgkiKZBkB_NPvFwE"
    "ZoKDkLI9AsdhniDGm-df62JGYfn6jgLdAedACNPB4FG78pfu-WPQC9BpfDDQwQQG6ICkUQeyTwHz5MmvopDQJ5p4P6CJt4rz"
    "ZBsu_3vZ5My-4EmlwuOh_z5eRoUVCsyjGEA_yoPfd2erRzyP0r-LlOhurKr3if-fEhSQY7OpeY0UZ1OJvS312mUOHLn8szO5"
    "HWC_lOKspozUMFwGjqfU0bSFQ5eQhSDcXb2C-Daoz_uZW4Qeg1un_7KnHrUDoqQa84OoXRVow_-sagftGS_Q\",\"e\":\"A"
    "QAB\"},{\"kid\":\"e\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"gobQnHFhtznh3u_FtUThzHXHt_F0Io_ee"
    "nquDi_R-L0\",\"y\":\"ouq3BlCrtYRAGM0Cy6O-jjHN0RyOnfmerqgipbPRl4U\"}]}";

static struct jwk_set *keys_read(void)
{
    struct json_reader *const reader = json_reader_new(&json_limits_answer);
    const struct json_value *root;
    struct jwk_set *set = NULL;
    char error[JSON_ERROR_MAX];
    fuzz_require(json_read(reader, published, sizeof published - 1, &root, error) == NX_OK);
    fuzz_require(jwk_set_decode(root, &set, error) == NX_OK && jwk_set_count(set) == 2);
    json_reader_free(reader);
    return set;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static struct jwk_set *keys;
    if (!keys)
        keys = keys_read();
    const struct jwt_expected expected = {.issuer = "https://auth.nexodus.test/realms/nexodus",
                                          .client_id = "fuzz",
                                          .now_ms = UINT64_C(1795427457000)};
    struct jwt_claims claims;
    char error[JWT_ERROR_MAX];
    char *const text = fuzz_string(bytes, length);
    fuzz_require(jwt_verify(text, length, keys, &expected, &claims, error) != NX_OK);
    fuzz_require_message(error, sizeof error);
    fuzz_require(claims.expires_s == 0 && claims.subject[0] == '\0');
    free(text);
    return 0;
}
