/* The list of peers as nexd answers it, and its printed forms. */
#ifndef NEXD_NEXCTL_PEERS_H
#define NEXD_NEXCTL_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum output_form { OUTPUT_COLUMN = 0, OUTPUT_NO_HEADER, OUTPUT_JSON, OUTPUT_JSON_RAW, OUTPUT_YAML };

struct peer_row {
    char *public_key, *endpoint, *latest_handshake;
    char **allowed; /* NULL with `allowed_null` */
    size_t allowed_count;
    bool allowed_null, healthy;
    uint64_t tx, rx;
};

struct peer_list {
    struct peer_row *rows;
    size_t count;
    bool relay_present, relay_required;
};

/* Parses the result of ListPeers. NX_EPROTO: not what it should be; NX_ENOMEM. */
int peers_parse(const char *text, struct peer_list *out);
void peers_free(struct peer_list *list);
/* `unix_s`: now, for the age of handshakes. */
void peers_print(FILE *out, const struct peer_list *list, enum output_form form, uint64_t unix_s);

#endif
