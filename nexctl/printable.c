/* UTF-8 writes a C1 control character as c2 80 to c2 9f; those bytes are never a part of another character
 * behind c2. */
#include "nexctl/printable.h"

bool printable_is_c1(const char *text)
{
    return (unsigned char)text[0] == 0xc2 && (unsigned char)text[1] >= 0x80 && (unsigned char)text[1] <= 0x9f;
}

void printable_make(char *text, bool lines)
{
    for (unsigned char *c = (unsigned char *)text; c && *c; c++) {
        if (printable_is_c1((const char *)c))
            c[0] = c[1] = '?';
        else if ((*c < 0x20 && !(lines && *c == '\n')) || *c == 0x7f)
            *c = '?';
    }
}

void printable_quote(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fprintf(out, "\\%c", *text);
        else if (printable_is_c1(text))
            fprintf(out, "\\u%04x", (unsigned char)*++text);
        else if ((unsigned char)*text < 0x20 || *text == 0x7f)
            fprintf(out, "\\u%04x", (unsigned char)*text);
        else
            fputc(*text, out);
    }
    fputc('"', out);
}
