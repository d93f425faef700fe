/* A plain WireGuard configuration file (wg(8), wg-quick(8)), read into memory.
 *
 * Sections [Interface] (once or repeated, then merged) and [Peer]; section names and keys in any case; '#'
 * starts a comment; list keys may repeat and add up, of other repeated keys the last counts (with a warning).
 * Sections with the same PublicKey are one peer, as for wg(8): what the later one says wins, and its
 * AllowedIPs replace the earlier ones. A peer with this device's own key is left out with a warning.
 *
 * Keys that have no meaning without an interface (DNS, Table, PreUp, …) are reported as warnings; anything
 * else malformed is an error with file and line. The parent process only: it sees secrets. */
#ifndef NEXD_COMMON_WGCONF_H
#define NEXD_COMMON_WGCONF_H

#include "common/key.h"
#include "common/netaddr.h"

enum {
    WGCONF_ERROR_MAX = 512,
    WGCONF_HOST_MAX = 253,
    WGCONF_MTU_DEFAULT = 1420,
    WGCONF_MTU_MIN = 1280,
    WGCONF_MTU_MAX = 9000,
    WGCONF_ADDRESSES_MAX = 16,
    WGCONF_FILE_MAX = 4 << 20
};

struct wgconf_peer {
    uint8_t public_key[KEY_BYTES];
    uint8_t preshared_key[KEY_BYTES];
    bool has_preshared_key;
    char endpoint_host[WGCONF_HOST_MAX + 1]; /* address (zone allowed) or name; "" = none */
    uint16_t endpoint_port;
    uint16_t keepalive_s; /* 0 = off */
    struct netprefix *allowed;
    size_t allowed_count;
    unsigned line;  /* of its [Peer], the first one where several were merged */
    unsigned given; /* internal: which keys its section had */
};

struct wgconf {
    uint8_t private_key[KEY_BYTES];
    struct netprefix *addresses; /* address as written, host bits kept, with its prefix length */
    size_t address_count;
    uint16_t listen_port; /* 0 = any */
    uint16_t mtu;
    struct wgconf_peer *peers;
    size_t peer_count;
};

/* `message` is one line, "NAME:LINE: …", valid during the call. */
typedef void (*wgconf_warn_fn)(void *arg, const char *message);

/* Parses `length` bytes of text; `name` is used in messages ("NAME:LINE: …"). On success there is a private
 * key and at least one address. On error returns NX_EINVAL or NX_ENOMEM, leaves nothing allocated, and
 * `error` (WGCONF_ERROR_MAX bytes) holds one line that never contains a key's value. `warn` may be NULL.
 * `out` is overwritten. */
int wgconf_parse(const char *name, const char *text, size_t length, struct wgconf *out, wgconf_warn_fn warn,
                 void *warn_arg, char *error);
/* Reads and parses a file, a pipe included; warns when every user may read it. NX_ESYS when it cannot be
 * read, NX_ERANGE when it is larger than WGCONF_FILE_MAX, else as wgconf_parse(). The file's bytes are wiped
 * from memory afterwards. */
int wgconf_load(const char *path, struct wgconf *out, wgconf_warn_fn warn, void *warn_arg, char *error);
/* Wipes the secrets, frees and clears. Harmless on a zeroed or freed configuration. */
void wgconf_free(struct wgconf *conf);

#endif
