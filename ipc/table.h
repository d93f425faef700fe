/* The declarations of messages.h as data, for the files of this room. */
#ifndef NEXD_IPC_TABLE_H
#define NEXD_IPC_TABLE_H

#include "ipc/codec.h"

enum ipc_field_kind {
    IPC_KIND_U8,
    IPC_KIND_U16,
    IPC_KIND_U32,
    IPC_KIND_U64,
    IPC_KIND_BOOL,
    IPC_KIND_ENUM,
    IPC_KIND_KEY,
    IPC_KIND_SECRET,
    IPC_KIND_ADDR,
    IPC_KIND_SOCK,
    IPC_KIND_PREFIXES,
    IPC_KIND_ADDRS,
    IPC_KIND_NAME,
    IPC_KIND_TEXT,
    IPC_KIND_BLOB,
    IPC_KIND_FD,
};

struct ipc_field {
    enum ipc_field_kind kind;
    const char *name;
    size_t offset; /* in the message's struct */
    uint64_t a, b; /* as in messages.h */
};

/* How the struct holds a BLOB. */
struct ipc_blob {
    uint16_t length;
    uint8_t data[];
};

struct ipc_declaration {
    enum ipc_type type;
    const char *name;
    uint32_t ways;
    size_t size; /* of the struct */
    const struct ipc_field *(*fields)(size_t *count);
};

/* Every message; ipc_table_count of them. */
extern const struct ipc_declaration ipc_table[];
extern const size_t ipc_table_count;
/* NULL when there is no such message. */
const struct ipc_declaration *ipc_table_find(unsigned type);

/* fd_check.c: is `fd` of that kind? For IPC_FD_BY_PROTOCOL, `protocol` decides. */
bool ipc_fd_is(int fd, enum ipc_fd_kind kind, uint8_t protocol);

/* field_check.c: the rules that encoder and decoder share. NULL, or what is wrong. */
const char *ipc_field_check(const struct ipc_field *field, const void *value);

#endif
