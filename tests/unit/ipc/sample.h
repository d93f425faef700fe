/* Bodies for every message of the table, made from its declaration, and datagrams with one field replaced. */
#ifndef NEXD_TESTS_IPC_SAMPLE_H
#define NEXD_TESTS_IPC_SAMPLE_H

#include "ipc/table.h"

enum sample_size {
    SAMPLE_SMALLEST, /* every field at its lower limit, what may be absent is */
    SAMPLE_LARGEST,
    SAMPLE_RANDOM
};

/* A message ready to be sent. */
struct sample {
    const struct ipc_declaration *declaration;
    union ipc_body body;
    enum ipc_role from, to; /* the first declared way */
    uint8_t wire[IPC_DATAGRAM_MAX];
    size_t length, fd_count;
    int fds[IPC_FDS_MAX];
    /* Where each field begins in `wire`, and where the last one ends. */
    size_t field_count, at[24];
};

/* Fills in, and encodes. Descriptors are the sample's until sample_close(). */
void sample_make(struct sample *sample, const struct ipc_declaration *declaration, enum sample_size size,
                 uint64_t seed);
void sample_close(struct sample *sample);
/* A way, 0 … 15, as roles. */
void way_roles(unsigned way, enum ipc_role *from, enum ipc_role *to);

/* The sample's datagram with the wire form of one field replaced, and the header's length put right. `out`
 * has IPC_DATAGRAM_MAX bytes. Returns the datagram's length. */
size_t sample_splice(const struct sample *sample, size_t field, const void *bytes, size_t count,
                     uint8_t *out);
void wire_length_fix(uint8_t *wire, size_t length);

uint64_t sample_random(uint64_t *state);

#endif
