/*
 * time_parse.c: RFC 3339 times to microseconds since 1970. Accepts what the
 * RFC's grammar has (lower case t and z and a space for the T, too) and a date
 * alone; refuses days that do not exist. Digits beyond the microsecond are cut.
 * A leap second counts as the second after it. No locale, no time zone of the
 * machine, no state; any thread.
 */
#include "index/filter.h"

#define MICROS 1000000
#define DAYS_TO_1970 719162 /* from 0001-01-01 */

struct reader {
    const char *at, *end;
};

/* Exactly `count` digits. */
static bool digits(struct reader *in, int count, int *out) {
    int value = 0;
    if (in->end - in->at < count)
        return false;
    for (int i = 0; i < count; i++) {
        char c = *in->at++;
        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    *out = value;
    return true;
}

static bool literal(struct reader *in, char c) {
    if (in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

static bool is_leap(int year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days since 1970-01-01 of a Gregorian date, year 0..9999; 400 years, which
 * are 146,097 days, are added and taken away to stay positive in year 0. */
static bool days_of(int year, int month, int day, int64_t *days) {
    static const short before[] = {0,   31,  59,  90,  120, 151, 181,
                                   212, 243, 273, 304, 334, 365};
    if (month < 1 || month > 12)
        return false;
    int leap_day = is_leap(year);
    int length = before[month] - before[month - 1] + (month == 2 && leap_day);
    if (day < 1 || day > length)
        return false;
    int64_t years = year - 1 + 400;
    *days = years * 365 + years / 4 - years / 100 + years / 400 - 146097 -
            DAYS_TO_1970 + before[month - 1] + (month > 2 && leap_day) + day -
            1;
    return true;
}

static bool fraction(struct reader *in, int64_t *micros) {
    int64_t unit = MICROS;
    *micros = 0;
    if (!literal(in, '.'))
        return true;
    const char *start = in->at;
    for (; in->at < in->end && *in->at >= '0' && *in->at <= '9'; in->at++) {
        unit /= 10;
        *micros += unit * (*in->at - '0'); /* unit is 0 from the 7th on */
    }
    return in->at > start;
}

/* Minutes east of UTC. */
static bool offset(struct reader *in, int *minutes) {
    int hour;
    int minute;
    *minutes = 0;
    if (literal(in, 'Z') || literal(in, 'z'))
        return true;
    bool west = literal(in, '-');
    if (!west && !literal(in, '+'))
        return false;
    if (!digits(in, 2, &hour) || !literal(in, ':') || !digits(in, 2, &minute) ||
        hour > 23 || minute > 59)
        return false;
    *minutes = (west ? -1 : 1) * (hour * 60 + minute);
    return true;
}

/* The part behind the T, in seconds and microseconds after midnight UTC. */
static bool time_of_day(struct reader *in, int64_t *seconds, int64_t *micros) {
    int hour;
    int minute;
    int second;
    int east;
    if (!digits(in, 2, &hour) || !literal(in, ':') || !digits(in, 2, &minute) ||
        !literal(in, ':') || !digits(in, 2, &second) || hour > 23 ||
        minute > 59 || second > 60 || !fraction(in, micros) ||
        !offset(in, &east))
        return false;
    int utc = hour * 60 + minute - east;
    /* leap seconds end a UTC day: 23:59:60Z */
    if (second == 60 && (utc + 2 * 1440) % 1440 != 1439)
        return false;
    *seconds = (int64_t)utc * 60 + second;
    return true;
}

bool inv_time_parse(const char *text, size_t len, int64_t *micros) {
    struct reader in = {text, text + len};
    int year;
    int month;
    int day;
    int64_t days;
    int64_t seconds = 0;
    int64_t part = 0;
    if (!digits(&in, 4, &year) || !literal(&in, '-') ||
        !digits(&in, 2, &month) || !literal(&in, '-') ||
        !digits(&in, 2, &day) || !days_of(year, month, day, &days))
        return false;
    if (in.at < in.end) {
        if (!literal(&in, 'T') && !literal(&in, 't') && !literal(&in, ' '))
            return false;
        if (!time_of_day(&in, &seconds, &part) || in.at != in.end)
            return false;
    }
    *micros = (days * 86400 + seconds) * MICROS + part;
    return true;
}
