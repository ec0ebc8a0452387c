/* Owns how values are written as JSON text. */
#include "api/http/json_out.h"

#include "api/http/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Appends the character at p, which is not plain; returns its size. */
static size_t append_special(struct str *s, const unsigned char *p, size_t left)
{
	if (*p == '"' || *p == '\\') {
		str_append_c(s, '\\');
		str_append_c(s, (char)*p);
		return 1;
	}
	if (*p < 0x20) {
		str_appendf(s, "\\u%04x", *p);
		return 1;
	}
	size_t size = utf8_character(p, left);
	if (size == 0) {
		OUT(s, "\\ufffd");
		return 1;
	}
	str_append_n(s, p, size);
	return size;
}

void out_string(struct str *s, const char *text)
{
	if (text == NULL) {
		OUT(s, "null");
		return;
	}
	const unsigned char *p = (const unsigned char *)text;
	size_t left = strlen(text);
	str_append_c(s, '"');
	while (left > 0) {
		size_t plain = 0;
		while (plain < left && is_plain(p[plain]))
			plain++;
		if (plain == 0)
			plain = append_special(s, p, left);
		else
			str_append_n(s, p, plain);
		p += plain;
		left -= plain;
	}
	str_append_c(s, '"');
}

void out_int(struct str *s, int64_t number)
{
	char digits[24];
	char *p = digits + sizeof digits;
	uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
	do
		*--p = (char)('0' + rest % 10);
	while ((rest /= 10) != 0);
	if (number < 0)
		*--p = '-';
	str_append_n(s, p, (size_t)(digits + sizeof digits - p));
}

void out_int_or_null(struct str *s, int64_t number, bool known)
{
	if (known)
		out_int(s, number);
	else
		OUT(s, "null");
}

/* The shortest of 15 to 17 digits that reads back as the same number. */
void out_double(struct str *s, double number)
{
	char text[40];
	if (!isfinite(number)) {
		OUT(s, "null");
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, number);
		if (strtod(text, NULL) == number)
			break;
	}
	str_append(s, text);
}

void out_bool(struct str *s, bool value)
{
	str_append(s, value ? "true" : "false");
}

static void put_digits(char *to, unsigned value, int count)
{
	for (int i = count - 1; i >= 0; i--, value /= 10)
		to[i] = (char)('0' + value % 10);
}

/* As clock_rfc3339(), but without the C library's time zone lock, which all HTTP threads would share. Days to a date by
 * eras of 400 years, as the proleptic Gregorian calendar repeats after those. */
void out_time(struct str *s, int64_t at_s)
{
	if (at_s == 0) {
		OUT(s, "null");
		return;
	}
	int64_t second = at_s % 86400;
	int64_t days = at_s / 86400;
	if (second < 0) {
		second += 86400;
		days--;
	}
	days += 719468; /* from 0000-03-01 */
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	unsigned day_of_era = (unsigned)(days - era * 146097);
	unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	unsigned shifted_month = (5 * day_of_year + 2) / 153; /* March is 0 */
	unsigned day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
	unsigned month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
	unsigned year = (unsigned)(year_of_era + (unsigned)(era * 400) + (month <= 2));
	char text[] = "\"0000-00-00T00:00:00Z\"";
	put_digits(text + 1, year, 4);
	put_digits(text + 6, month, 2);
	put_digits(text + 9, day, 2);
	put_digits(text + 12, (unsigned)second / 3600, 2);
	put_digits(text + 15, (unsigned)second / 60 % 60, 2);
	put_digits(text + 18, (unsigned)second % 60, 2);
	str_append_n(s, text, sizeof text - 1);
}
