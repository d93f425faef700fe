/* What the files of the WireGuard configuration reader share; not for others. */
#ifndef NEXD_COMMON_WGCONF_PARSER_H
#define NEXD_COMMON_WGCONF_PARSER_H

#include "common/text.h"
#include "common/wgconf.h"

enum wgconf_section { WGCONF_NO_SECTION, WGCONF_INTERFACE, WGCONF_PEER };
enum { WGCONF_NAME_SHOWN_MAX = 128 };

struct wgconf_parser {
    char name[WGCONF_NAME_SHOWN_MAX]; /* the file's, harmless to print */
    unsigned line;                    /* from 1 */
    enum wgconf_section section;
    struct wgconf *conf;
    size_t address_capacity, peer_capacity;
    size_t allowed_capacity;  /* of the last peer's `allowed` */
    unsigned interface_given; /* bits 1 << enum wgconf_key_id */
    unsigned unused_reported; /* bits by index in the table of unused keys */
    wgconf_warn_fn warn;
    void *warn_arg;
    char *error;
};

/* Bits in wgconf_peer.given and wgconf_parser.interface_given. */
enum wgconf_key_id {
    WGCONF_PRIVATE_KEY,
    WGCONF_ADDRESS,
    WGCONF_LISTEN_PORT,
    WGCONF_MTU,
    WGCONF_PUBLIC_KEY,
    WGCONF_PRESHARED_KEY,
    WGCONF_ALLOWED_IPS,
    WGCONF_ENDPOINT,
    WGCONF_KEEPALIVE,
};

/* Both write "NAME:LINE: …" (without the line for line 0) and cut what is too long. wgconf_fail returns
 * NX_EINVAL. */
int wgconf_fail(const struct wgconf_parser *parser, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void wgconf_warn(const struct wgconf_parser *parser, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int wgconf_out_of_memory(const struct wgconf_parser *parser);

/* For messages: `text` quoted, or words in its place if it may be key material: any longer run of base64
 * characters. `out` has TEXT_QUOTE_MAX bytes; returns it. */
char *wgconf_quote(struct text_span text, char *out);

/* One "Key = value" line of the present section (wgconf_keys.c). */
int wgconf_read_setting(struct wgconf_parser *parser, struct text_span key, struct text_span value);

/* After the last line (wgconf_check.c): required keys are there, peers named twice are merged, ourselves left
 * out. */
int wgconf_check(struct wgconf_parser *parser);

/* Wipes and frees what a peer owns. */
void wgconf_peer_clear(struct wgconf_peer *peer);

#endif
