/* The keys, in two tables: those we act on, each with the function that reads its value and an example for
 * its errors, and those that wg(8) and wg-quick(8) know but that mean nothing where there is no network
 * interface. */
#include "common/wgconf_parser.h"

#include "common/array.h"
#include "common/err.h"
#include "common/host.h"

#include <sodium.h>
#include <string.h>

struct wgconf_key {
    const char *name;
    enum wgconf_section section;
    int (*read)(struct wgconf_parser *parser, const struct wgconf_key *key, struct text_span value);
    bool is_list, may_be_empty;
    const char *example;
};

static struct wgconf_peer *present_peer(const struct wgconf_parser *parser)
{
    return &parser->conf->peers[parser->conf->peer_count - 1];
}

/* "Key: PROBLEM PART; example: Key = …" */
static int value_fail(const struct wgconf_parser *parser, const struct wgconf_key *key, const char *problem,
                      struct text_span part)
{
    char quoted[TEXT_QUOTE_MAX] = "";
    if (part.length > 0)
        wgconf_quote(part, quoted);
    return wgconf_fail(parser, parser->line, "%s: %s%s%s; example: %s = %s", key->name, problem,
                       part.length > 0 ? " " : "", quoted, key->name, key->example);
}

/* Reads key material; the value never shows. */
static int read_key_bytes(struct wgconf_parser *parser, const struct wgconf_key *key, struct text_span value,
                          uint8_t out[KEY_BYTES])
{
    char text[KEY_TEXT_MAX];
    int err = NX_EINVAL;
    if (value.length == KEY_TEXT_MAX - 1) {
        memcpy(text, value.start, value.length);
        text[value.length] = '\0';
        err = key_parse(text, out);
        sodium_memzero(text, sizeof(text));
    }
    if (err != NX_OK)
        return wgconf_fail(parser, parser->line,
                           "%s: the value (not shown) must be 44 characters of base64 for 32 bytes; "
                           "example: %s = %s",
                           key->name, key->name, key->example);
    return NX_OK;
}

static int read_private_key(struct wgconf_parser *parser, const struct wgconf_key *key,
                            struct text_span value)
{
    const int err = read_key_bytes(parser, key, value, parser->conf->private_key);
    if (err == NX_OK && sodium_is_zero(parser->conf->private_key, KEY_BYTES))
        return wgconf_fail(parser, parser->line, "%s: all zero is no key; make one with: wg genkey",
                           key->name);
    return err;
}

/* The points of small order: a secret shared with one of them is zero, so no peer can have such a key. The
 * bit above the field does not count. */
static bool is_small_order(const uint8_t key[KEY_BYTES])
{
    static const uint8_t points[][KEY_BYTES] = {
        {0},
        {1},
        {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
         0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
        {0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
         0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
    };
    uint8_t y[KEY_BYTES], largest[KEY_BYTES];
    memcpy(y, key, KEY_BYTES);
    y[KEY_BYTES - 1] &= 0x7f;
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
        if (memcmp(y, points[i], KEY_BYTES) == 0)
            return true;
    /* -1, 0 and 1 once more, as p - 1, p and p + 1 with p = 2^255 - 19. */
    memset(largest, 0xff, sizeof(largest));
    largest[KEY_BYTES - 1] = 0x7f;
    return memcmp(y + 1, largest + 1, KEY_BYTES - 1) == 0 && y[0] >= 0xec && y[0] <= 0xee;
}

static int read_public_key(struct wgconf_parser *parser, const struct wgconf_key *key, struct text_span value)
{
    uint8_t *const public_key = present_peer(parser)->public_key;
    const int err = read_key_bytes(parser, key, value, public_key);
    if (err == NX_OK && sodium_is_zero(public_key, KEY_BYTES))
        return wgconf_fail(parser, parser->line,
                           "%s: all zero is no key; the peer shows its own with: wg pubkey", key->name);
    if (err == NX_OK && is_small_order(public_key))
        return wgconf_fail(parser, parser->line,
                           "%s: no peer can have this key; the peer shows its own with: wg pubkey",
                           key->name);
    return err;
}

/* For the protocol an all-zero preshared key is none. */
static int read_preshared_key(struct wgconf_parser *parser, const struct wgconf_key *key,
                              struct text_span value)
{
    struct wgconf_peer *const peer = present_peer(parser);
    const int err = read_key_bytes(parser, key, value, peer->preshared_key);
    if (err == NX_OK)
        peer->has_preshared_key = !sodium_is_zero(peer->preshared_key, KEY_BYTES);
    return err;
}

static int read_number(struct wgconf_parser *parser, const struct wgconf_key *key, struct text_span value,
                       uint16_t min, uint16_t max, uint16_t *out)
{
    uint64_t number;
    if (text_to_u64(value.start, value.length, min, max, &number) != NX_OK) {
        char quoted[TEXT_QUOTE_MAX];
        return wgconf_fail(parser, parser->line,
                           "%s: must be a number from %u to %u, not %s; example: %s = %s", key->name, min,
                           max, wgconf_quote(value, quoted), key->name, key->example);
    }
    *out = (uint16_t)number;
    return NX_OK;
}

static int read_listen_port(struct wgconf_parser *parser, const struct wgconf_key *key,
                            struct text_span value)
{
    return read_number(parser, key, value, 0, UINT16_MAX, &parser->conf->listen_port);
}

static int read_mtu(struct wgconf_parser *parser, const struct wgconf_key *key, struct text_span value)
{
    return read_number(parser, key, value, WGCONF_MTU_MIN, WGCONF_MTU_MAX, &parser->conf->mtu);
}

static int read_keepalive(struct wgconf_parser *parser, const struct wgconf_key *key, struct text_span value)
{
    struct wgconf_peer *const peer = present_peer(parser);
    if (text_equal_nocase(value.start, value.length, "off")) {
        peer->keepalive_s = 0;
        return NX_OK;
    }
    return read_number(parser, key, value, 0, UINT16_MAX, &peer->keepalive_s);
}

static int read_endpoint(struct wgconf_parser *parser, const struct wgconf_key *key, struct text_span value)
{
    struct wgconf_peer *const peer = present_peer(parser);
    struct text_span host, port;
    struct host_problem problem;
    struct netaddr addr;
    uint64_t number;
    if (host_split_port(value, &host, &port, &problem) != NX_OK ||
        host_parse(host, peer->endpoint_host, &addr, &problem) != NX_OK)
        return value_fail(parser, key, problem.text, problem.part);
    if (text_to_u64(port.start, port.length, 1, UINT16_MAX, &number) != NX_OK)
        return value_fail(parser, key, "the port must be a number from 1 to 65535 in", value);
    peer->endpoint_port = (uint16_t)number;
    return NX_OK;
}

/* One element of a list, read by `parse`, appended to the array. */
static int append_prefix(struct wgconf_parser *parser, const struct wgconf_key *key, struct text_span item,
                         struct netprefix **items, size_t *count, size_t *capacity)
{
    char text[NETPREFIX_TEXT_MAX];
    struct netprefix prefix;
    if (item.length == 0)
        return value_fail(parser, key, "an empty element in the list", item);
    int err = NX_EINVAL;
    if (item.length < sizeof(text)) {
        memcpy(text, item.start, item.length);
        text[item.length] = '\0';
        err = items == &parser->conf->addresses ? netprefix_parse_own(text, &prefix)
                                                : netprefix_parse(text, true, &prefix);
    }
    if (err != NX_OK)
        return value_fail(parser, key, "not an address with an optional /LENGTH:", item);
    struct netprefix *const grown = array_reserve(*items, capacity, *count + 1, sizeof(*grown));
    if (grown == NULL)
        return wgconf_out_of_memory(parser);
    *items = grown;
    grown[(*count)++] = prefix;
    return NX_OK;
}

static int read_prefixes(struct wgconf_parser *parser, const struct wgconf_key *key, struct text_span value,
                         struct netprefix **items, size_t *count, size_t *capacity)
{
    const char *at = value.start, *const end = value.start + value.length;
    for (;;) {
        const char *const comma = memchr(at, ',', (size_t)(end - at));
        const char *const item_end = comma == NULL ? end : comma;
        const int err =
            append_prefix(parser, key, text_trim(at, (size_t)(item_end - at)), items, count, capacity);
        if (err != NX_OK || comma == NULL)
            return err;
        at = comma + 1;
    }
}

static int read_allowed_ips(struct wgconf_parser *parser, const struct wgconf_key *key,
                            struct text_span value)
{
    struct wgconf_peer *const peer = present_peer(parser);
    if (value.length == 0)
        return NX_OK;
    return read_prefixes(parser, key, value, &peer->allowed, &peer->allowed_count, &parser->allowed_capacity);
}

/* A tunnel address must be one that a single device can have, and be given once. */
static int check_addresses(const struct wgconf_parser *parser, const struct wgconf_key *key, size_t from)
{
    const struct wgconf *const conf = parser->conf;
    for (size_t i = from; i < conf->address_count; i++) {
        char text[NETADDR_TEXT_MAX], name[HOST_MAX + 1];
        struct netaddr addr;
        struct host_problem problem;
        netaddr_format(&conf->addresses[i].addr, text);
        const struct text_span part = {text, strlen(text)};
        if (host_parse(part, name, &addr, &problem) != NX_OK ||
            !netaddr_equal(&addr, &conf->addresses[i].addr))
            return value_fail(parser, key, "a device cannot have this address:", part);
        for (size_t j = 0; j < i; j++) {
            if (netaddr_equal(&conf->addresses[j].addr, &addr))
                return value_fail(parser, key, "given twice:", part);
        }
    }
    return NX_OK;
}

static int read_addresses(struct wgconf_parser *parser, const struct wgconf_key *key, struct text_span value)
{
    struct wgconf *const conf = parser->conf;
    const size_t before = conf->address_count;
    const int err =
        read_prefixes(parser, key, value, &conf->addresses, &conf->address_count, &parser->address_capacity);
    if (err != NX_OK)
        return err;
    if (conf->address_count > WGCONF_ADDRESSES_MAX)
        return wgconf_fail(parser, parser->line, "%s: more than %d addresses", key->name,
                           WGCONF_ADDRESSES_MAX);
    return check_addresses(parser, key, before);
}

static const struct wgconf_key keys[] = {
    [WGCONF_PRIVATE_KEY] = {"PrivateKey", WGCONF_INTERFACE, read_private_key, false, false,
                            "(what `wg genkey` prints)"},
    [WGCONF_ADDRESS] = {"Address", WGCONF_INTERFACE, read_addresses, true, false,
                        "100.64.0.7/32, 200::7/128"},
    [WGCONF_LISTEN_PORT] = {"ListenPort", WGCONF_INTERFACE, read_listen_port, false, false, "51820"},
    [WGCONF_MTU] = {"MTU", WGCONF_INTERFACE, read_mtu, false, false, "1420"},
    [WGCONF_PUBLIC_KEY] = {"PublicKey", WGCONF_PEER, read_public_key, false, false,
                           "(what `wg pubkey` prints for the peer's private key)"},
    [WGCONF_PRESHARED_KEY] = {"PresharedKey", WGCONF_PEER, read_preshared_key, false, false,
                              "(what `wg genpsk` prints)"},
    [WGCONF_ALLOWED_IPS] = {"AllowedIPs", WGCONF_PEER, read_allowed_ips, true, true,
                            "100.64.0.8/32, 200::8/128"},
    [WGCONF_ENDPOINT] = {"Endpoint", WGCONF_PEER, read_endpoint, false, false, "vpn.example.org:51820"},
    [WGCONF_KEEPALIVE] = {"PersistentKeepalive", WGCONF_PEER, read_keepalive, false, false, "25"},
};
static const char *const unused_keys[] = {"DNS",     "Table",    "PreUp",      "PostUp",
                                          "PreDown", "PostDown", "SaveConfig", "FwMark"};
enum {
    KEY_COUNT = sizeof(keys) / sizeof(keys[0]),
    UNUSED_COUNT = sizeof(unused_keys) / sizeof(unused_keys[0])
};

static const char *section_name(enum wgconf_section section)
{
    return section == WGCONF_PEER ? "[Peer]" : "[Interface]";
}

static int fail_unknown(const struct wgconf_parser *parser, struct text_span name)
{
    char quoted[TEXT_QUOTE_MAX], word[TEXT_QUOTE_MAX] = "";
    const char *nearest = NULL;
    size_t best = SIZE_MAX;
    memcpy(word, name.start, name.length < sizeof(word) ? name.length : sizeof(word) - 1);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const size_t distance = text_typing_errors(word, keys[i].name);
        if (keys[i].section == parser->section && distance < best) {
            best = distance;
            nearest = keys[i].name;
        }
    }
    wgconf_quote(name, quoted);
    if (nearest != NULL)
        return wgconf_fail(parser, parser->line, "unknown key %s in %s; did you mean %s?", quoted,
                           section_name(parser->section), nearest);
    return wgconf_fail(parser, parser->line, "unknown key %s in %s; keys there are %s", quoted,
                       section_name(parser->section),
                       parser->section == WGCONF_PEER
                           ? "PublicKey, PresharedKey, AllowedIPs, Endpoint and PersistentKeepalive"
                           : "PrivateKey, Address, ListenPort and MTU");
}

/* True if the key is one of those without a meaning here; said once for each. */
static bool report_unused(struct wgconf_parser *parser, struct text_span name)
{
    for (size_t i = 0; i < UNUSED_COUNT; i++) {
        if (parser->section != WGCONF_INTERFACE ||
            !text_equal_nocase(name.start, name.length, unused_keys[i]))
            continue;
        if ((parser->unused_reported & 1U << i) == 0)
            wgconf_warn(parser, parser->line, "%s is not used: there is no network interface to apply it to",
                        unused_keys[i]);
        parser->unused_reported |= 1U << i;
        return true;
    }
    return false;
}

int wgconf_read_setting(struct wgconf_parser *parser, struct text_span name, struct text_span value)
{
    size_t id = 0;
    while (id < KEY_COUNT && !text_equal_nocase(name.start, name.length, keys[id].name))
        id++;
    if (id == KEY_COUNT)
        return report_unused(parser, name) ? NX_OK : fail_unknown(parser, name);
    const struct wgconf_key *const key = &keys[id];
    if (key->section != parser->section)
        return wgconf_fail(parser, parser->line, "%s belongs into %s, not %s", key->name,
                           section_name(key->section), section_name(parser->section));
    if (value.length == 0 && !key->may_be_empty)
        return value_fail(parser, key, "the value is missing", value);
    unsigned *const given =
        parser->section == WGCONF_PEER ? &present_peer(parser)->given : &parser->interface_given;
    if ((*given & 1U << id) != 0 && !key->is_list)
        wgconf_warn(parser, parser->line, "%s is given again; this one counts", key->name);
    *given |= 1U << id;
    return key->read(parser, key, value);
}
