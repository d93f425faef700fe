/* YAML 1.2, chapters 7 and 10, with the words of YAML 1.1 that many readers still take for booleans. A string
 * in double quotes is JSON's. */
#include "nexctl/yaml.h"

#include "common/text.h"
#include "nexctl/printable.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static size_t span(const char **text, const char *set)
{
    size_t length = strspn(*text, set);
    *text += length;
    return length;
}

/* An integer or a floating point number of YAML 1.1 or 1.2. */
static bool is_number(const char *text)
{
    static const char digits[] = "0123456789_";
    text += *text == '+' || *text == '-';
    if (text[0] == '0' && text[1] && strchr("xob", text[1]) && text[2])
        return strspn(text + 2, "0123456789abcdefABCDEF_") == strlen(text + 2);
    size_t count = span(&text, digits);
    if (*text == '.') {
        text++;
        count += span(&text, digits);
    }
    if (count && (*text == 'e' || *text == 'E')) {
        text++;
        text += *text == '+' || *text == '-';
        count = span(&text, digits);
    }
    return count && *text == '\0';
}

static bool is_other_word(const char *text)
{
    static const char *const words[] = {"true", "false", "null", "~",    "yes",   "no",    "on",
                                        "off",  "y",     "n",    ".inf", "+.inf", "-.inf", ".nan"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (text_equal_nocase(text, strlen(text), words[i]))
            return true;
    return false;
}

static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f || printable_is_c1(text))
            return true;
    return false;
}

/* May it stand without quotes? */
static bool is_plain(const char *text)
{
    size_t length = strlen(text);
    bool indicator = strchr("[]{}>|*&!%#`@,\"'", text[0]) != NULL ||
                     (strchr("-?:", text[0]) != NULL && (text[1] == ' ' || text[1] == '\0'));
    return !indicator && text[0] != ' ' && text[length - 1] != ' ' && text[length - 1] != ':' &&
           !strstr(text, ": ") && !strstr(text, " #");
}

static void single_quoted(FILE *out, const char *text)
{
    fputc('\'', out);
    for (; *text; text++)
        fputs(*text == '\'' ? "''" : (const char[]){*text, '\0'}, out);
    fputc('\'', out);
}

void yaml_string_print(FILE *out, const char *text)
{
    if (*text == '\0' || has_control(text) || is_number(text) || is_other_word(text))
        printable_quote(out, text);
    else if (is_plain(text))
        fputs(text, out);
    else
        single_quoted(out, text);
}
