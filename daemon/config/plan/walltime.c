/* Slurm's time limits (sbatch(1), --time) to seconds and back. */
#include "config/plan/walltime.h"

#include <stdbool.h>
#include <stdio.h>

#define FIELD_DIGITS_MAX 9

/* Reads one to nine digits at *p. */
static bool read_field(const char **p, int64_t *ret_value)
{
	int64_t value = 0;
	int digits = 0;
	for (; **p >= '0' && **p <= '9'; (*p)++) {
		if (++digits > FIELD_DIGITS_MAX)
			return false;
		value = value * 10 + (**p - '0');
	}
	*ret_value = value;
	return digits > 0;
}

int walltime_parse(const char *text, int64_t *ret_s)
{
	int64_t days = 0;
	int64_t fields[3] = {0};
	int count = 0;
	bool has_days = false;
	const char *p = text;
	if (!read_field(&p, &fields[count++]))
		return -1;
	if (*p == '-') {
		has_days = true;
		days = fields[0];
		p++;
		if (!read_field(&p, &fields[0]))
			return -1;
	}
	while (*p == ':' && count < 3) {
		p++;
		if (!read_field(&p, &fields[count++]))
			return -1;
	}
	if (*p != '\0')
		return -1;
	int64_t s = 0;
	if (has_days || count == 3) /* D-HH[:MM[:SS]] and HH:MM:SS */
		s = days * 86400 + fields[0] * 3600 + fields[1] * 60 + fields[2];
	else /* MM[:SS] */
		s = fields[0] * 60 + fields[1];
	if (s <= 0 || s > WALLTIME_MAX_S)
		return -1;
	*ret_s = s;
	return 0;
}

const char *walltime_format(int64_t walltime_s, char buf[WALLTIME_TEXT_SIZE])
{
	snprintf(buf, WALLTIME_TEXT_SIZE, "%02lld:%02lld:%02lld", (long long)(walltime_s / 3600),
		 (long long)(walltime_s / 60 % 60), (long long)(walltime_s % 60));
	return buf;
}
