/* Plain YAML 1.1 scalars: what a text without quotes means (as PyYAML reads it, without sexagesimal numbers), and how
 * numbers are written. No I/O. */
#ifndef NEL_CONFIG_TEXT_SCALAR_H
#define NEL_CONFIG_TEXT_SCALAR_H

#include <jansson.h>
#include <stdbool.h>

enum scalar_kind { SCALAR_NULL, SCALAR_BOOL, SCALAR_INT, SCALAR_REAL, SCALAR_NOT_FINITE, SCALAR_STRING };

/* What kind of value a plain scalar is. SCALAR_NOT_FINITE: an infinity or not-a-number, which JSON has not. */
enum scalar_kind scalar_kind(const char *text);

/* What is said of an integer that scalar_value() had to make a real. */
#define SCALAR_TOO_LARGE "does not fit into 64 bits: quote it if a string is meant, write it with .0 if a float is"

/* And of one that has no value in JSON. */
#define SCALAR_NO_VALUE "has no value in JSON: quote it if a string is meant"

/* The value of a plain scalar of that kind (SCALAR_NOT_FINITE: the string; SCALAR_INT: a real where it does not fit
 * into 64 bits). A new reference. */
json_t *scalar_value(const char *text, enum scalar_kind kind);

#define SCALAR_REAL_SIZE 48
/* The shortest decimal digits that read back as `value`, as Python's repr() writes them: "0.95", "1e-05", "1e+16",
 * "3.0". value is finite. Returns buf. */
const char *scalar_format_real(double value, char buf[SCALAR_REAL_SIZE]);

/* Is this a string that PyYAML, or a reader of YAML 1.2, would take for something other than a string when it stands
 * without quotes? Covers what scalar_kind() knows, and timestamps, sexagesimal numbers, "y", "n", "=", "<<". */
bool scalar_needs_quotes(const char *text);

#endif
