/* A message as one line for debug logs. Secrets are named, never shown. */
#include "ipc/table.h"
#include <stdarg.h>
#include <stdio.h>

struct line {
    char *out;
    size_t size, at;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *format, ...)
{
    va_list args;
    if (line->at + 1 >= line->size)
        return;
    va_start(args, format);
    int n = vsnprintf(line->out + line->at, line->size - line->at, format, args);
    va_end(args);
    line->at += n > 0 ? (size_t)n : 0;
}

static void add_list(struct line *line, const struct ipc_field *field, const void *value)
{
    const struct {
        uint16_t count;
        struct netprefix item[];
    } *prefixes = value;
    const struct {
        uint16_t count;
        struct netaddr item[];
    } *addrs = value;
    char text[NETPREFIX_TEXT_MAX];
    add(line, "[");
    for (size_t i = 0; i < prefixes->count && i < field->a; i++)
        add(line, "%s%s", i > 0 ? "," : "",
            field->kind == IPC_KIND_PREFIXES ? netprefix_format(&prefixes->item[i], text)
                                             : netaddr_format(&addrs->item[i], text));
    add(line, "]");
}

static void add_value(struct line *line, const struct ipc_field *field, const void *value)
{
    char text[NETSOCK_TEXT_MAX];
    const uint8_t *key = value;
    switch (field->kind) {
    case IPC_KIND_U8:
    case IPC_KIND_ENUM:
        add(line, "%u", *key);
        break;
    case IPC_KIND_BOOL:
        add(line, "%s", *(const bool *)value ? "true" : "false");
        break;
    case IPC_KIND_U16:
        add(line, "%u", *(const uint16_t *)value);
        break;
    case IPC_KIND_U32:
        add(line, "%u", *(const uint32_t *)value);
        break;
    case IPC_KIND_U64:
        add(line, "%llu", (unsigned long long)*(const uint64_t *)value);
        break;
    case IPC_KIND_KEY:
        add(line, "%02x%02x%02x%02x…", key[0], key[1], key[2], key[3]);
        break;
    case IPC_KIND_SECRET:
        add(line, "<secret>");
        break;
    case IPC_KIND_ADDR:
        add(line, "%s", netaddr_format(value, text));
        break;
    case IPC_KIND_SOCK:
        add(line, "%s", netsock_format(value, text));
        break;
    case IPC_KIND_PREFIXES:
    case IPC_KIND_ADDRS:
        add_list(line, field, value);
        break;
    case IPC_KIND_NAME:
        add(line, "\"%.*s\"", IPC_NAME_MAX, (const char *)value);
        break;
    case IPC_KIND_TEXT:
        add(line, "\"%.*s\"", (int)field->a, (const char *)value);
        break;
    case IPC_KIND_BLOB:
        add(line, "<secret, %u bytes>", ((const struct ipc_blob *)value)->length);
        break;
    case IPC_KIND_FD:
        add(line, *(const int *)value >= 0 ? "<descriptor>" : "<none>");
        break;
    }
}

char *ipc_print(const struct ipc_message *message, char *out, size_t size)
{
    struct line line = {.out = out, .size = size};
    const struct ipc_declaration *declaration = ipc_table_find(message->header.type);
    if (size > 0)
        out[0] = '\0';
    add(&line, "%s", ipc_type_name((enum ipc_type)message->header.type));
    if (message->header.request != 0)
        add(&line, " #%u", message->header.request);
    size_t count = 0;
    const struct ipc_field *fields = declaration != NULL ? declaration->fields(&count) : NULL;
    for (size_t i = 0; i < count; i++) {
        add(&line, " %s=", fields[i].name);
        add_value(&line, &fields[i], (const uint8_t *)&message->body + fields[i].offset);
    }
    return out;
}
