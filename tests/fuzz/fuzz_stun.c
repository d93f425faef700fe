/* STUN answers from arbitrary bytes. The transaction id is taken from the input itself, so that the parser
 * behind that check is reached; the same answer must fail for any other id. */
#include "common/err.h"
#include "common/stun.h"
#include "tests/fuzz/fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    uint8_t txid[STUN_TXID_BYTES] = {0};
    struct netsock mapped = {0}, again = {0};
    if (length >= STUN_HEADER_BYTES)
        memcpy(txid, bytes + 8, sizeof txid);
    const int err = stun_answer_read(bytes, length, txid, &mapped);
    if (err != NX_OK) {
        fuzz_require(mapped.addr.family == NETADDR_NONE && mapped.port == 0);
        return 0;
    }
    fuzz_require(stun_is_answer(bytes, length) && mapped.port != 0 && mapped.scope_id == 0);
    fuzz_require(mapped.addr.family == NETADDR_V4 || mapped.addr.family == NETADDR_V6);
    struct netaddr unmapped = mapped.addr;
    netaddr_unmap(&unmapped);
    fuzz_require(netaddr_equal(&unmapped, &mapped.addr));
    fuzz_require(stun_answer_read(bytes, length, txid, &again) == NX_OK && netsock_equal(&mapped, &again));
    txid[length % STUN_TXID_BYTES] ^= 1;
    fuzz_require(stun_answer_read(bytes, length, txid, &again) == NX_ENOENT);
    return 0;
}
