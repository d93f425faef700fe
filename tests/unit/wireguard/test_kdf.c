/* BLAKE2s, HMAC and HKDF against RFC 7693's vector and values from independent implementations (Python's
 * hashlib and hmac); TAI64N labels. */
#include "suite.h"

#include "tunneld/wireguard/kdf.h"
#include "tunneld/wireguard/messages.h"
#include "tunneld/wireguard/noise.h"
#include "tunneld/wireguard/tai64n.h"
#include <sodium.h>
#include <string.h>

static void expect(const uint8_t *actual, const char *hex)
{
    uint8_t expected[64];
    size_t length;

    ck_assert_int_eq(sodium_hex2bin(expected, sizeof(expected), hex, strlen(hex), NULL, &length, NULL), 0);
    ck_assert_mem_eq(actual, expected, length);
}

static uint8_t counting[100];

static void setup(void)
{
    for (size_t i = 0; i < sizeof(counting); i++)
        counting[i] = (uint8_t)i;
}

START_TEST(blake2s_hashes)
{
    uint8_t out[32], many[1000];

    kdf_hash(out, "abc", 3, NULL, 0);
    expect(out, "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
    kdf_hash(out, "a", 1, "bc", 2);
    expect(out, "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
    memset(many, 'x', sizeof(many));
    kdf_hash(out, many, 999, "x", 1);
    expect(out, "267200e86d237971cc5dac276d6e19b4f20aba6a1cf52c90cd6321d5410c4161");
}
END_TEST

START_TEST(blake2s_macs)
{
    uint8_t out[16];

    kdf_mac(out, counting, 32, counting, 100);
    expect(out, "0b67d33f8b859c3157fbabd9e6e47ed0");
    kdf_mac(out, counting, 32, "", 0);
    expect(out, "9536f9b267655743dee97b8a670f9f53");
}
END_TEST

START_TEST(hmacs)
{
    uint8_t out[32];

    kdf_hmac(out, "test-key", 8, "test-input", 10);
    expect(out, "ed378e02e152b574e0d9e01fb029a7066c3cc687917c28bf9dfe5b042769fa46");
    kdf_hmac(out, "wireguard", 9, "test-input", 10);
    expect(out, "fb897e60a94e03877fc1194fa25cc885b276bec13db0f3a4e1206792db1488ac");
    kdf_hmac(out, "", 0, NULL, 0);
    expect(out, "eaf4bb25938f4d20e72656bbbc7a9bf63c0c18537333c35bdb67db1402661acd");
    kdf_hmac(out, counting, 100, "long key", 8);
    expect(out, "096d2dec44b647196383c466daf27592cf0c187793f83d1e9f8a19efc137d0d1");
}
END_TEST

START_TEST(hkdf_outputs)
{
    uint8_t first[32], second[32], third[32], key[32];

    kdf_derive(first, second, third, counting, "input", 5);
    expect(first, "87b7f70b24183c6db5dc4f6d9f4c47cdb203321aa2a0bef714896adb3107a040");
    expect(second, "538a02e1eb2e31b7e4d4b82476d1fe2acf50085d3fb584537279195f5d1f5824");
    expect(third, "9ad858025593be88de0f9442a589cfe84a88dc19e4753d93684d1c5efc4837f9");
    /* Fewer outputs are the same ones, and the first may replace the key, as in the handshake. */
    memcpy(key, counting, 32);
    kdf_derive(key, second, NULL, key, "input", 5);
    ck_assert_mem_eq(key, first, 32);
    memcpy(key, counting, 32);
    kdf_derive(key, NULL, NULL, key, "input", 5);
    ck_assert_mem_eq(key, first, 32);
}
END_TEST

START_TEST(handshake_constants)
{
    uint8_t chaining_key[32], hash[32];

    noise_constants(chaining_key, hash);
    expect(chaining_key, "60e26daef327efc02ec335e2a025d2d016eb4206f87277f52d38d1988b78cd36");
    expect(hash, "2211b361081ac566691243db458ad5322d9c6c662293e8b70ee19c65ba079ef3");
}
END_TEST

START_TEST(tai64n_labels)
{
    uint8_t out[12], later[12];

    tai64n_from_unix(out, 0);
    expect(out, "400000000000000a00000000");
    tai64n_from_unix(out, 1700000000 * NS_PER_S + 999999999);
    expect(out, "400000006553f10a3b000000");
    tai64n_from_unix(out, 1700000000 * NS_PER_S + (1 << 24) - 1);
    expect(out, "400000006553f10a00000000");
    tai64n_from_unix(later, 1700000000 * NS_PER_S + (1 << 24));
    ck_assert_int_lt(memcmp(out, later, 12), 0);
    /* Every initiation that the peer would accept has a later label than the one before. */
    for (uint64_t i = 1; i < 200; i++) {
        tai64n_from_unix(out, 1700000000 * NS_PER_S + (i - 1) * NS_PER_S / INITIATIONS_PER_SECOND);
        tai64n_from_unix(later, 1700000000 * NS_PER_S + i * NS_PER_S / INITIATIONS_PER_SECOND);
        ck_assert_int_lt(memcmp(out, later, 12), 0);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("kdf");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, blake2s_hashes);
    tcase_add_test(tcase, blake2s_macs);
    tcase_add_test(tcase, hmacs);
    tcase_add_test(tcase, hkdf_outputs);
    tcase_add_test(tcase, handshake_constants);
    tcase_add_test(tcase, tai64n_labels);
    return suite_run("wireguard kdf", tcase);
}
