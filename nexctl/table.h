/* Tables as text: "| a | b |", the header centred, a line of dashes under it, numbers to the right. */
#ifndef NEXD_NEXCTL_TABLE_H
#define NEXD_NEXCTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct table_column {
    const char *title;
    bool is_number; /* right-aligned */
};

/* `cells`: row after row, each of `columns` texts; a text with newlines makes several lines. */
void table_print(FILE *out, const struct table_column *columns, size_t column_count, const char *const *cells,
                 size_t row_count, bool header);

/* Prints lines of text, each cut off behind `width` characters (0 = none is); colours do not count. */
void table_clip(FILE *out, const char *text, size_t width);

#endif
