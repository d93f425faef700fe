/* A name server's answer on its way to addresses: c-ares' parser and what we make of its result. */
#include "common/err.h"
#include "proxyd/dns_channel.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse_as(const uint8_t *data, size_t size, enum netaddr_family family)
{
    struct dns_records records;
    dns_answer_parse(data, size, family, &records);
    if (records.count > DNS_ADDRS_MAX || (records.err == NX_OK) != (records.count > 0))
        abort();
    for (size_t i = 0; i < records.count; i++) {
        const struct netaddr *const addr = &records.addrs[i];
        if (addr->family != NETADDR_V4 && addr->family != family)
            abort(); /* IPv4 may have come as a mapped address */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    parse_as(data, size, NETADDR_V4);
    parse_as(data, size, NETADDR_V6);
    return 0;
}
