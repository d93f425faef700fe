/* A column is as wide as its widest line, the title included where it is shown. Widths count characters, not
 * bytes. */
#include "nexctl/table.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of the colour that stands here; 0 if none does. */
static size_t colour_length(const char *text)
{
    const char *end = *text == '\x1b' ? strchr(text, 'm') : NULL;
    return end ? (size_t)(end - text) + 1 : 0;
}

static bool is_character(char byte)
{
    return ((unsigned char)byte & 0xc0) != 0x80; /* others continue one, in UTF-8 */
}

/* Characters of the first line, without colours. */
static size_t line_width(const char *text)
{
    size_t width = 0;
    while (*text && *text != '\n') {
        size_t colour = colour_length(text);
        width += !colour && is_character(*text);
        text += colour ? colour : 1;
    }
    return width;
}

static size_t text_width(const char *text)
{
    size_t widest = 0;
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        widest = line_width(line) > widest ? line_width(line) : widest;
    return widest;
}

/* Start of line `number`, NULL if there are fewer. */
static const char *line_at(const char *text, size_t number)
{
    for (; text && number > 0; number--) {
        text = strchr(text, '\n');
        text = text ? text + 1 : NULL;
    }
    return text;
}

static void pad(FILE *out, size_t count, char with)
{
    while (count-- > 0)
        fputc(with, out);
}

static void cell_print(FILE *out, const char *line, size_t width, bool right)
{
    size_t used = line ? line_width(line) : 0;
    fputs("| ", out);
    if (right)
        pad(out, width - used, ' ');
    if (line)
        fwrite(line, 1, strcspn(line, "\n"), out);
    if (!right)
        pad(out, width - used, ' ');
    fputc(' ', out);
}

static void header_print(FILE *out, const struct table_column *columns, size_t count, const size_t *widths)
{
    for (size_t i = 0; i < count; i++) {
        size_t space = widths[i] + 2 - line_width(columns[i].title);
        fputc('|', out);
        pad(out, space / 2, ' ');
        fputs(columns[i].title, out);
        pad(out, space - space / 2, ' ');
    }
    fputs("|\n", out);
    for (size_t i = 0; i < count; i++) {
        fputc('+', out);
        pad(out, widths[i] + 2, '-');
    }
    fputs("+\n", out);
}

static void row_print(FILE *out, const struct table_column *columns, size_t count, const size_t *widths,
                      const char *const *cells)
{
    for (size_t number = 0;; number++) {
        bool any = false;
        for (size_t i = 0; i < count; i++)
            any = any || line_at(cells[i], number);
        if (!any)
            return;
        for (size_t i = 0; i < count; i++)
            cell_print(out, line_at(cells[i], number), widths[i], columns[i].is_number);
        fputs("|\n", out);
    }
}

void table_print(FILE *out, const struct table_column *columns, size_t column_count, const char *const *cells,
                 size_t row_count, bool header)
{
    size_t *widths = calloc(column_count, sizeof *widths);
    if (!widths)
        return;
    for (size_t i = 0; i < column_count; i++) {
        widths[i] = header ? line_width(columns[i].title) : 0;
        for (size_t row = 0; row < row_count; row++) {
            size_t width = text_width(cells[row * column_count + i]);
            widths[i] = width > widths[i] ? width : widths[i];
        }
    }
    if (header)
        header_print(out, columns, column_count, widths);
    for (size_t row = 0; row < row_count; row++)
        row_print(out, columns, column_count, widths, cells + row * column_count);
    free(widths);
}

void table_clip(FILE *out, const char *text, size_t width)
{
    size_t at = 0; /* in the line */
    while (*text) {
        size_t colour = colour_length(text), length = colour ? colour : 1;
        if (*text == '\n')
            at = 0;
        else if (!colour)
            at += is_character(*text);
        if (colour || *text == '\n' || width == 0 || at <= width)
            fwrite(text, 1, length, out);
        text += length;
    }
}
