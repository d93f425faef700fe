/* Lists as tables or JSON, chosen by --output. apid/admin only. */
#ifndef NEXD_APID_ADMIN_OUTPUT_H
#define NEXD_APID_ADMIN_OUTPUT_H

#include "apid/json/json.h"

#include <stdbool.h>
#include <stddef.h>

enum { OUTPUT_COLUMNS_MAX = 8 };

struct output {
    bool is_json;
    struct json_out json;      /* an array that is being filled */
    const char *const *titles; /* of the columns; ends with NULL */
    size_t columns;
    char **cells; /* row after row, the titles first; owned */
    size_t count, capacity;
};

void output_begin(struct output *out, bool is_json, const char *const *titles);
/* One row; as many texts as there are columns, copied. NX_ENOMEM. */
int output_row(struct output *out, const char *const *texts);
/* Prints to standard output if `err` is NX_OK, frees in any case, and returns `err`, or what went wrong:
 * NX_ENOMEM, NX_ESYS. */
int output_end(struct output *out, int err);
/* One object alone; frees it. */
int output_object(struct json_out *json);

#endif
