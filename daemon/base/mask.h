/* Takes known secret values out of text that comes from a job: as they are, with \" and \\ as between quotes,
 * URL-encoded (any of the characters), and within base64 (either alphabet, at any place, also over line breaks). Of a
 * value of several lines each line counts, too; at both ends of a text that may have been cut there, so does a part of
 * a value. No other encoding is recognised. Time and memory are linear in text and values. */
#ifndef NEL_BASE_MASK_H
#define NEL_BASE_MASK_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

/* Shorter values, lines and parts stay: without "1" or "yes" a text could not be read. */
#define MASK_VALUE_MIN 4

struct mask;

/* The texts of a JSON object's members are the values. Copies them; mask_free() wipes. */
struct mask *mask_new(const json_t *values);
void mask_free(struct mask *mask); /* accepts NULL */
DEFINE_FREEP(struct mask, mask, mask_free)

/* Puts "****" in the place of each value. cut: the text may be a part of another. Accepts NULL for mask and text. */
void mask_text(const struct mask *mask, char *text, bool cut);

/* Puts a '*' in the place of each byte of a value but line ends: for what is read by offsets and lines. */
void mask_bytes(const struct mask *mask, char *data, size_t size, bool cut);

#endif
