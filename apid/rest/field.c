#include "apid/rest/field.h"

#include "apid/rest/answer.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

bool field_refuse(struct call *call, const char *name, const char *problem)
{
    char text[256];
    snprintf(text, sizeof(text), "request json is invalid: %s: %s", name, problem);
    answer_error(call->request, 400, text, name, NULL);
    return false;
}

static const struct json_value *present(const struct json_value *object, const char *name)
{
    const struct json_value *const member = json_member(object, name);
    return member && member->type != JSON_NULL ? member : NULL;
}

static bool refuse_type(struct call *call, const char *name, const struct json_value *value,
                        const char *wanted)
{
    char problem[64];
    snprintf(problem, sizeof(problem), "cannot take %s for %s", json_type_name(value->type), wanted);
    return field_refuse(call, name, problem);
}

bool field_text(struct call *call, const struct json_value *object, const char *name, size_t size,
                const char **out)
{
    const struct json_value *const value = present(object, name);
    *out = NULL;
    if (value == NULL)
        return true;
    if (value->type != JSON_STRING)
        return refuse_type(call, name, value, "string");
    if (value->length >= size)
        return field_refuse(call, name, "the text is too long");
    *out = value->text;
    return true;
}

bool field_copy(struct call *call, const struct json_value *object, const char *name, char *out, size_t size)
{
    const char *text;
    if (!field_text(call, object, name, size, &text))
        return false;
    snprintf(out, size, "%s", text ? text : "");
    return true;
}

bool field_bool(struct call *call, const struct json_value *object, const char *name, bool *given, bool *out)
{
    const struct json_value *const value = present(object, name);
    *given = value != NULL;
    *out = false;
    if (value == NULL)
        return true;
    if (value->type != JSON_BOOL)
        return refuse_type(call, name, value, "bool");
    *out = value->boolean;
    return true;
}

bool field_id(struct call *call, const struct json_value *object, const char *name, char out[37])
{
    const char *text;
    char problem[64];
    out[0] = '\0';
    if (!field_text(call, object, name, 256, &text))
        return false;
    if (text == NULL)
        return true;
    if (!path_uuid(text, out)) {
        out[0] = '\0';
        if (strlen(text) == 36)
            return field_refuse(call, name, "invalid UUID format");
        snprintf(problem, sizeof(problem), "invalid UUID length: %zu", strlen(text));
        return field_refuse(call, name, problem);
    }
    if (strcmp(out, "00000000-0000-0000-0000-000000000000") == 0)
        out[0] = '\0';
    return true;
}

/* `count` digits, no more, no less. */
static bool digits(const char **at, unsigned count, int *out)
{
    *out = 0;
    for (; count > 0; count--, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        *out = *out * 10 + (**at - '0');
    }
    return true;
}

static bool literal(const char **at, char a, char b)
{
    if (**at != a && **at != b)
        return false;
    (*at)++;
    return true;
}

/* "Z" or "+HH:MM". */
static bool offset_parse(const char **at, int *seconds)
{
    int hours, minutes, sign;
    *seconds = 0;
    if (literal(at, 'Z', 'z'))
        return true;
    sign = **at == '-' ? -1 : 1;
    if (!literal(at, '+', '-') || !digits(at, 2, &hours) || !literal(at, ':', ':') ||
        !digits(at, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

bool field_time_parse(const char *text, uint64_t *out)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct tm tm = {0};
    int year, month, offset;
    const char *at = text;
    if (!digits(&at, 4, &year) || !literal(&at, '-', '-') || !digits(&at, 2, &month) ||
        !literal(&at, '-', '-') || !digits(&at, 2, &tm.tm_mday) || !literal(&at, 'T', 't') ||
        !digits(&at, 2, &tm.tm_hour) || !literal(&at, ':', ':') || !digits(&at, 2, &tm.tm_min) ||
        !literal(&at, ':', ':') || !digits(&at, 2, &tm.tm_sec))
        return false;
    if (*at == '.') {
        at++;
        const size_t fraction = strspn(at, "0123456789");
        if (fraction == 0)
            return false;
        at += fraction;
    }
    if (!offset_parse(&at, &offset) || *at || month < 1 || month > 12 || tm.tm_mday < 1 ||
        tm.tm_mday > days[month - 1] || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60 || year < 1970)
        return false;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    const int day = tm.tm_mday;
    const time_t seconds = timegm(&tm);
    if (tm.tm_mday != day || seconds < offset) /* 29 February of a year without one; before 1970 */
        return false;
    *out = (uint64_t)(seconds - offset);
    return true;
}

bool field_time(struct call *call, const struct json_value *object, const char *name, uint64_t *out)
{
    const char *text;
    *out = 0;
    if (!field_text(call, object, name, 64, &text))
        return false;
    return text == NULL || field_time_parse(text, out) || field_refuse(call, name, "no time as in RFC 3339");
}

bool field_array(struct call *call, const struct json_value *object, const char *name,
                 const struct json_value **out)
{
    const struct json_value *const value = present(object, name);
    *out = value;
    return value == NULL || value->type == JSON_ARRAY || refuse_type(call, name, value, "array");
}
