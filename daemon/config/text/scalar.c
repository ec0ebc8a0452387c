/* Plain YAML 1.1 scalars. The patterns are those of the YAML 1.1 type repository (https://yaml.org/type/) in the form
 * that PyYAML's resolver.py gives them: a float needs a dot, and its exponent a sign. */
#include "config/text/scalar.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
static const char *const trues[] = {"yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", NULL};
static const char *const falses[] = {"no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", NULL};
static const char *const not_finite[] = {".inf",  ".Inf",  ".INF", "+.inf", "+.Inf", "+.INF", "-.inf",
					 "-.Inf", "-.INF", ".nan", ".NaN",  ".NAN",  NULL};

#define WORD_MAX 5 /* bytes of the longest of these */

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *skip_sign(const char *p)
{
	return *p == '-' || *p == '+' ? p + 1 : p;
}

/* The integer's base and, past sign and prefix, its digits; 0 when text is not an integer. */
static int int_base(const char *text, const char **ret_digits)
{
	const char *p = skip_sign(text);
	int base = 10;
	const char *allowed = "0123456789_";
	if (p[0] == '0' && p[1] == 'b') {
		base = 2;
		allowed = "01_";
		p += 2;
	} else if (p[0] == '0' && p[1] == 'x') {
		base = 16;
		allowed = "0123456789abcdefABCDEF_";
		p += 2;
	} else if (p[0] == '0' && p[1] != '\0') {
		base = 8;
		allowed = "01234567_";
	} else if (!digit(*p)) {
		return 0;
	}
	size_t length = strspn(p, allowed);
	if (length == 0 || p[length] != '\0' || strspn(p, "_") == length)
		return 0;
	*ret_digits = p;
	return base;
}

/* As OmegaConf's loader, which the launcher reads configs with: wider than PyYAML's, 1e-5 and 1.5e3 are numbers. */
static bool is_real(const char *text)
{
	const char *p = text;
	bool exponent_wanted = false;
	if (*p == '.') { /* no sign here, says the pattern */
		if (!digit(p[1]))
			return false;
	} else {
		p = skip_sign(p);
		if (!digit(*p))
			return false;
		p += strspn(p, "0123456789_");
		exponent_wanted = *p != '.';
	}
	if (!exponent_wanted) {
		p++;
		p += strspn(p, "0123456789_");
	}
	if (*p == 'e' || *p == 'E') {
		p = skip_sign(p + 1);
		size_t length = strspn(p, "0123456789");
		if (length == 0)
			return false;
		p += length;
		exponent_wanted = false;
	}
	return *p == '\0' && !exponent_wanted;
}

/* The text without its underscores, at `from`; the sign of `text` is kept before it. */
static char *digits_of(const char *text, const char *from)
{
	CLEANUP(str_done) struct str out = {0};
	if (from != text && *text == '-')
		str_append_c(&out, '-');
	for (; *from != '\0'; from++)
		if (*from != '_')
			str_append_c(&out, *from);
	return str_take(&out);
}

static double int_as_real(const char *digits, int base)
{
	const char *p = skip_sign(digits);
	double value = 0;
	if (base == 10)
		return strtod(digits, NULL);
	for (; *p != '\0'; p++)
		value = value * base + (digit(*p) ? *p - '0' : (*p | 0x20) - 'a' + 10);
	return *digits == '-' ? -value : value;
}

enum scalar_kind scalar_kind(const char *text)
{
	bool word = strnlen(text, WORD_MAX + 1) <= WORD_MAX;
	if (word && str_in(text, nulls))
		return SCALAR_NULL;
	if (word && (str_in(text, trues) || str_in(text, falses)))
		return SCALAR_BOOL;
	if (word && str_in(text, not_finite))
		return SCALAR_NOT_FINITE;
	const char *digits = NULL;
	int base = int_base(text, &digits);
	CLEANUP(mem_freep) char *clean = NULL;
	if (base != 0) {
		clean = digits_of(text, digits);
		return isfinite(int_as_real(clean, base)) ? SCALAR_INT : SCALAR_STRING;
	}
	if (is_real(text)) {
		clean = digits_of(text, skip_sign(text));
		return isfinite(strtod(clean, NULL)) ? SCALAR_REAL : SCALAR_NOT_FINITE;
	}
	return SCALAR_STRING;
}

static json_t *int_value(const char *text)
{
	const char *digits = NULL;
	int base = int_base(text, &digits);
	assert(base != 0);
	CLEANUP(mem_freep) char *clean = digits_of(text, digits);
	errno = 0;
	long long value = strtoll(clean, NULL, base);
	return errno == ERANGE ? json_real(int_as_real(clean, base)) : json_integer(value);
}

json_t *scalar_value(const char *text, enum scalar_kind kind)
{
	CLEANUP(mem_freep) char *clean = NULL;
	switch (kind) {
	case SCALAR_NULL: return json_null();
	case SCALAR_BOOL: return json_boolean(str_in(text, trues));
	case SCALAR_INT: return int_value(text);
	case SCALAR_REAL: clean = digits_of(text, skip_sign(text)); return json_real(strtod(clean, NULL));
	case SCALAR_NOT_FINITE:
	case SCALAR_STRING: break;
	}
	return json_string_nocheck(text);
}

/* The fewest digits after the first that read back as the same double; 16 always do. More are never further off than
 * fewer, so that halving finds them. */
static int find_precision(double value)
{
	char digits[SCALAR_REAL_SIZE];
	int low = 0;
	int high = 16;
	while (low < high) {
		int middle = (low + high) / 2;
		snprintf(digits, sizeof digits, "%.*e", middle, value);
		if (strtod(digits, NULL) == value)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

const char *scalar_format_real(double value, char buf[SCALAR_REAL_SIZE])
{
	char digits[SCALAR_REAL_SIZE];
	int precision = find_precision(value);
	snprintf(digits, sizeof digits, "%.*e", precision, value);
	char *e = strchr(digits, 'e');
	long exponent = strtol(e + 1, NULL, 10);
	if (exponent < -4 || exponent >= 16) {
		snprintf(buf, SCALAR_REAL_SIZE, "%s", digits);
	} else {
		int decimals = precision - (int)exponent;
		snprintf(buf, SCALAR_REAL_SIZE, "%.*f", decimals > 1 ? decimals : 1, value);
	}
	return buf;
}

/* "2024-01-31", "12:30:00", "1e5", "0o17", "-.5": made of the characters of numbers and dates, or starting like one. */
static bool looks_numeric(const char *text)
{
	const char *p = skip_sign(text);
	if (*p == '.')
		p++;
	if (!digit(*p))
		return false;
	return text[strspn(text, "0123456789abcdefABCDEFxXoOTtZz_.:+- ")] == '\0';
}

bool scalar_needs_quotes(const char *text)
{
	static const char *const others[] = {"y", "Y", "n", "N", "=", "<<", NULL};
	return scalar_kind(text) != SCALAR_STRING || looks_numeric(text) || str_in(text, others);
}
