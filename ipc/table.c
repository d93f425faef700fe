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
