/* Dates are counted in days of the proleptic Gregorian calendar; nothing of the C library's time functions,
 * which know locales and zones, is used. */
#include "ctld/nexodus/timestamp.h"

#include "common/err.h"
#include "common/text.h"

#include <stdio.h>
#include <string.h>

enum { YEAR_MIN = 1970, YEAR_MAX = 9999, DAY_S = 86400, FRACTION_DIGITS_MAX = 18 };

struct date {
    unsigned year, month, day, hour, minute, second; /* month and day from 1 */
    unsigned ms;
};

/* What is still to be read. */
struct reader {
    const char *at, *end;
};

static bool take(struct reader *reader, const char *literal)
{
    const size_t length = strlen(literal);
    if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, literal, length) != 0)
        return false;
    reader->at += length;
    return true;
}

static bool take_digits(struct reader *reader, size_t count, unsigned *out)
{
    uint64_t value;
    if ((size_t)(reader->end - reader->at) < count ||
        text_to_u64(reader->at, count, 0, 9999, &value) != NX_OK)
        return false;
    reader->at += count;
    *out = (unsigned)value;
    return true;
}

static bool take_clock(struct reader *reader, struct date *date)
{
    return take_digits(reader, 2, &date->hour) && take(reader, ":") &&
           take_digits(reader, 2, &date->minute) && take(reader, ":") &&
           take_digits(reader, 2, &date->second);
}

static bool take_month(struct reader *reader, unsigned *out)
{
    static const char names[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    for (unsigned i = 0; i < 12; i++)
        if (take(reader, names[i])) {
            *out = i + 1;
            return true;
        }
    return false;
}

static bool is_leap(unsigned year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year) ? 1U : 0U);
}

/* Days since 1970; `year` at least that. */
static uint64_t days_before(unsigned year, unsigned month, unsigned day)
{
    const unsigned before = year - 1;
    uint64_t days = (uint64_t)before * 365 + before / 4 - before / 100 + before / 400 - 719162;
    for (unsigned m = 1; m < month; m++)
        days += days_in_month(year, m);
    return days + day - 1;
}

static bool date_to_ms(struct date *date, uint64_t *out_ms)
{
    if (date->second == 60) { /* a leap second */
        date->second = 59;
        date->ms = 999;
    }
    if (date->year < YEAR_MIN || date->year > YEAR_MAX || date->month < 1 || date->month > 12 ||
        date->day < 1 || date->day > days_in_month(date->year, date->month) || date->hour > 23 ||
        date->minute > 59 || date->second > 59)
        return false;
    const uint64_t seconds = days_before(date->year, date->month, date->day) * DAY_S + date->hour * 3600UL +
                             date->minute * 60UL + date->second;
    *out_ms = seconds * 1000 + date->ms;
    return true;
}

static bool take_fraction(struct reader *reader, unsigned *ms)
{
    unsigned scale = 100, digits = 0;
    *ms = 0;
    if (!take(reader, "."))
        return true;
    for (; reader->at < reader->end && text_is_digit(*reader->at); reader->at++, digits++) {
        *ms += (unsigned)(*reader->at - '0') * scale;
        scale /= 10;
    }
    return digits > 0 && digits <= FRACTION_DIGITS_MAX;
}

/* "Z" or "+hh:mm", in minutes east. */
static bool take_offset(struct reader *reader, int *minutes)
{
    unsigned hour, minute;
    *minutes = 0;
    if (take(reader, "Z") || take(reader, "z"))
        return true;
    const bool west = take(reader, "-");
    if (!west && !take(reader, "+"))
        return false;
    if (!take_digits(reader, 2, &hour) || !take(reader, ":") || !take_digits(reader, 2, &minute) ||
        hour > 23 || minute > 59)
        return false;
    *minutes = (int)(hour * 60 + minute) * (west ? -1 : 1);
    return true;
}

int timestamp_parse_rfc3339(const char *text, size_t length, uint64_t *out_ms)
{
    struct reader reader = {text, text + length};
    struct date date;
    int east;
    uint64_t ms;
    const bool whole =
        take_digits(&reader, 4, &date.year) && take(&reader, "-") && take_digits(&reader, 2, &date.month) &&
        take(&reader, "-") && take_digits(&reader, 2, &date.day) &&
        (take(&reader, "T") || take(&reader, "t") || take(&reader, " ")) && take_clock(&reader, &date) &&
        take_fraction(&reader, &date.ms) && take_offset(&reader, &east) && reader.at == reader.end;
    if (!whole || !date_to_ms(&date, &ms))
        return NX_EINVAL;
    const int64_t utc_ms = (int64_t)ms - (int64_t)east * 60000;
    if (utc_ms < 0)
        return NX_EINVAL;
    *out_ms = (uint64_t)utc_ms;
    return NX_OK;
}

/* "Mon, 23 Nov 2026 09:50:57 GMT" */
static bool imf_fixdate(struct reader reader, struct date *date)
{
    return take_digits(&reader, 2, &date->day) && take(&reader, " ") && take_month(&reader, &date->month) &&
           take(&reader, " ") && take_digits(&reader, 4, &date->year) && take(&reader, " ") &&
           take_clock(&reader, date) && take(&reader, " GMT") && reader.at == reader.end;
}

/* "Monday, 23-Nov-26 09:50:57 GMT" */
static bool rfc850_date(struct reader reader, uint64_t now_ms, struct date *date)
{
    const unsigned now_year = YEAR_MIN + (unsigned)(now_ms / 1000 / 31556952 % (YEAR_MAX - YEAR_MIN));
    unsigned year;
    if (!take_digits(&reader, 2, &date->day) || !take(&reader, "-") || !take_month(&reader, &date->month) ||
        !take(&reader, "-") || !take_digits(&reader, 2, &year) || !take(&reader, " ") ||
        !take_clock(&reader, date) || !take(&reader, " GMT") || reader.at != reader.end)
        return false;
    date->year = now_year / 100 * 100 + year;
    if (date->year > now_year + 50)
        date->year -= 100;
    else if (date->year + 50 <= now_year)
        date->year += 100;
    return true;
}

/* "Mon Nov 23 09:50:57 2026", days below ten with a blank before them */
static bool asctime_date(struct reader reader, struct date *date)
{
    return take_month(&reader, &date->month) && take(&reader, " ") &&
           (take(&reader, " ") ? take_digits(&reader, 1, &date->day) : take_digits(&reader, 2, &date->day)) &&
           take(&reader, " ") && take_clock(&reader, date) && take(&reader, " ") &&
           take_digits(&reader, 4, &date->year) && reader.at == reader.end;
}

int timestamp_parse_http(const char *text, size_t length, uint64_t now_ms, uint64_t *out_ms)
{
    struct reader reader = {text, text + length};
    struct date date = {.ms = 0};
    uint64_t ms;
    while (reader.at < reader.end && text_is_alpha(*reader.at))
        reader.at++;
    if (reader.at == text)
        return NX_EINVAL;
    const bool comma = take(&reader, ", ");
    if (!comma && !take(&reader, " "))
        return NX_EINVAL;
    const bool read = comma ? imf_fixdate(reader, &date) || rfc850_date(reader, now_ms, &date)
                            : asctime_date(reader, &date);
    if (!read || !date_to_ms(&date, &ms))
        return NX_EINVAL;
    *out_ms = ms;
    return NX_OK;
}

char *timestamp_format(uint64_t unix_ms, char *out)
{
    uint64_t days = unix_ms / 1000 / DAY_S;
    const unsigned in_day = (unsigned)(unix_ms / 1000 % DAY_S);
    unsigned year = YEAR_MIN, month = 1;
    while (days >= (is_leap(year) ? 366U : 365U) && year < YEAR_MAX)
        days -= is_leap(year++) ? 366U : 365U;
    while (month < 12 && days >= days_in_month(year, month))
        days -= days_in_month(year, month++);
    const unsigned day = (unsigned)(days < 31 ? days : 30) + 1;
    snprintf(out, TIMESTAMP_TEXT_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", year, month, day, in_day / 3600,
             in_day / 60 % 60, in_day % 60, (unsigned)(unix_ms % 1000));
    return out;
}
