/* Owns how values are written as CSV. */
#include "api/http/csv_out.h"

#include "base/json_out.h"

#include <math.h>
#include <string.h>

/* What begins with one of these is a formula to spreadsheets, and names come from configs and clusters. With an
 * apostrophe before it, it is text (OWASP, "CSV Injection"). */
static bool is_formula(const char *text)
{
	return text[0] != '\0' && strchr("=+-@\t\r", text[0]) != NULL;
}

void csv_text(struct str *s, const char *text)
{
	if (text == NULL)
		return;
	bool quoted = strpbrk(text, "\",\r\n") != NULL;
	if (quoted)
		str_append_c(s, '"');
	if (is_formula(text))
		str_append_c(s, '\'');
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '"')
			str_append_c(s, '"');
		str_append_c(s, *p);
	}
	if (quoted)
		str_append_c(s, '"');
}

void csv_double(struct str *s, double number)
{
	if (isfinite(number))
		out_digits(s, number);
}
