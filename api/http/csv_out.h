/* Fields of CSV (RFC 4180), written straight into a buffer. */
#ifndef NEL_API_HTTP_CSV_OUT_H
#define NEL_API_HTTP_CSV_OUT_H

#include "base/str.h"

/* A text, in quotes when it must be; nothing for NULL. What a spreadsheet would run as a formula gets an apostrophe
 * before it. */
void csv_text(struct str *s, const char *text);

/* Nothing when not finite. */
void csv_double(struct str *s, double number);

#endif
