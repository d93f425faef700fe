/* From the macros of messages.h to tables. A field list does not know its struct, which offsetof() needs; so
 * each list is expanded inside a function of its own, where ROW_STRUCT names the struct. */
#include "ipc/table.h"
#include <stddef.h>

#define IPC_ROW(kind, name, a, b) {IPC_KIND_##kind, #name, offsetof(ROW_STRUCT, name), (a), (b)},

#define IPC_ROWS(NAME, lower, n, w)                                                                          \
    static const struct ipc_field *rows_##lower(size_t *count)                                               \
    {                                                                                                        \
        typedef struct ipc_##lower ROW_STRUCT;                                                               \
        static const struct ipc_field rows[] = {IPC_FIELDS_##NAME(IPC_ROW)};                                 \
        *count = sizeof rows / sizeof rows[0];                                                               \
        return rows;                                                                                         \
    }
IPC_MESSAGES(IPC_ROWS)

/* Each message fits, whatever its fields hold: IPC_FDS_MAX descriptors, IPC_BODY_MAX bytes. */
#define IPC_BYTES_U8(a)              1
#define IPC_BYTES_U16(a)             2
#define IPC_BYTES_U32(a)             4
#define IPC_BYTES_U64(a)             8
#define IPC_BYTES_BOOL(a)            1
#define IPC_BYTES_ENUM(a)            1
#define IPC_BYTES_KEY(a)             32
#define IPC_BYTES_SECRET(a)          32
#define IPC_BYTES_ADDR(a)            17
#define IPC_BYTES_SOCK(a)            23
#define IPC_BYTES_PREFIXES(a)        (2 + 18 * (a))
#define IPC_BYTES_ADDRS(a)           (2 + 17 * (a))
#define IPC_BYTES_NAME(a)            (2 + IPC_NAME_MAX)
#define IPC_BYTES_TEXT(a)            (2 + (a))
#define IPC_BYTES_BLOB(a)            (2 + (a))
#define IPC_BYTES_FD(a)              1
#define IPC_ADD_BYTES(kind, n, a, b) +IPC_BYTES_##kind(a)
#define IPC_ADD_FDS(kind, n, a, b)   +(IPC_KIND_##kind == IPC_KIND_FD)
#define IPC_ASSERT(NAME, lower, n, w)                                                                        \
    _Static_assert(0 IPC_FIELDS_##NAME(IPC_ADD_BYTES) <= IPC_BODY_MAX, #NAME " is too long");                \
    _Static_assert(0 IPC_FIELDS_##NAME(IPC_ADD_FDS) <= IPC_FDS_MAX, #NAME " has too many descriptors");
IPC_MESSAGES(IPC_ASSERT)

#define IPC_DECLARATION(NAME, lower, n, w)                                                                   \
    {.type = IPC_MSG_##NAME,                                                                                 \
     .name = #NAME,                                                                                          \
     .ways = (w),                                                                                            \
     .size = sizeof(struct ipc_##lower),                                                                     \
     .fields = rows_##lower},
const struct ipc_declaration ipc_table[] = {IPC_MESSAGES(IPC_DECLARATION)};
const size_t ipc_table_count = sizeof ipc_table / sizeof ipc_table[0];

const struct ipc_declaration *ipc_table_find(unsigned type)
{
    for (size_t i = 0; i < ipc_table_count; i++)
        if ((unsigned)ipc_table[i].type == type)
            return &ipc_table[i];
    return NULL;
}

const char *ipc_type_name(enum ipc_type type)
{
    const struct ipc_declaration *declaration = ipc_table_find(type);
    return declaration != NULL ? declaration->name : "?";
}

const char *ipc_role_name(enum ipc_role role)
{
    static const char *const names[] = {"?", "nexd", "tunneld", "proxyd", "ctld"};
    return role >= IPC_PARENT && role <= IPC_CTLD ? names[role] : names[0];
}
