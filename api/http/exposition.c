#include "api/http/exposition.h"

#include <math.h>
#include <stddef.h>

void exposition_metric(struct str *s, const char *name, const char *type, const char *help)
{
	str_appendf(s, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void append_label_value(struct str *s, const char *value)
{
	for (const char *p = value; *p != '\0'; p++) {
		if (*p == '\\' || *p == '"')
			str_append_c(s, '\\');
		if (*p == '\n')
			str_append(s, "\\n");
		else
			str_append_c(s, *p);
	}
}

static void append_number(struct str *s, double value)
{
	if (isinf(value))
		str_append(s, value > 0 ? "+Inf" : "-Inf");
	else if (isnan(value))
		str_append(s, "NaN");
	else
		str_appendf(s, "%.15g", value);
}

void exposition_sample(struct str *s, const char *name, const char *const *labels, double value)
{
	str_append(s, name);
	for (size_t i = 0; labels != NULL && labels[i] != NULL; i += 2) {
		str_appendf(s, "%s%s=\"", i == 0 ? "{" : ",", labels[i]);
		append_label_value(s, labels[i + 1]);
		str_append_c(s, '"');
	}
	str_append(s, labels != NULL && labels[0] != NULL ? "} " : " ");
	append_number(s, value);
	str_append_c(s, '\n');
}

void exposition_single(struct str *s, const char *name, const char *type, const char *help, double value)
{
	exposition_metric(s, name, type, help);
	exposition_sample(s, name, NULL, value);
}
