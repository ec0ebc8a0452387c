#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static _Atomic int64_t fake_ms = -1;

static int64_t read_ms(clockid_t id)
{
	int64_t fake = atomic_load(&fake_ms);
	if (fake >= 0)
		return fake;
	struct timespec ts;
	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_now_ms(void)
{
	return read_ms(CLOCK_REALTIME);
}

int64_t clock_now_s(void)
{
	return clock_now_ms() / 1000;
}

int64_t clock_mono_ms(void)
{
	return read_ms(CLOCK_MONOTONIC);
}

int64_t clock_mono_us(void)
{
	int64_t fake = atomic_load(&fake_ms);
	if (fake >= 0)
		return fake * 1000;
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void clock_fake_set_ms(int64_t ms)
{
	atomic_store(&fake_ms, ms);
}

const char *clock_rfc3339(int64_t at_s, char buf[CLOCK_RFC3339_SIZE])
{
	struct tm tm;
	time_t t = (time_t)at_s;
	if (gmtime_r(&t, &tm) == NULL || strftime(buf, CLOCK_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(buf, CLOCK_RFC3339_SIZE, "1970-01-01T00:00:00Z");
	return buf;
}

int clock_parse_rfc3339(const char *text, int64_t *ret_s)
{
	struct tm tm = {0};
	const char *p = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (p == NULL)
		return -1;
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9'; p++)
			;
	int64_t offset_s = 0;
	if (strcmp(p, "Z") != 0 && strcmp(p, "z") != 0) {
		int hours = 0;
		int minutes = 0;
		int used = 0;
		if ((*p != '+' && *p != '-') || sscanf(p + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 ||
		    p[1 + used] != '\0')
			return -1;
		offset_s = (hours * 3600 + minutes * 60) * (*p == '-' ? -1 : 1);
	}
	*ret_s = (int64_t)timegm(&tm) - offset_s;
	return 0;
}
