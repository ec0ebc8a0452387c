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

void clock_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attributes);
	pthread_condattr_destroy(&attributes);
}

int clock_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t timeout_ms)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += timeout_ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	return pthread_cond_timedwait(cond, lock, &until);
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

/* Two digits within [min, max]; -1 when they are not there. */
static int two_digits(const char *p, int min, int max)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return -1;
	int number = (p[0] - '0') * 10 + p[1] - '0';
	return number >= min && number <= max ? number : -1;
}

/* "Z" or "+hh:mm", and nothing behind it. */
static int parse_offset(const char *p, int64_t *ret_s)
{
	*ret_s = 0;
	if (strcmp(p, "Z") == 0 || strcmp(p, "z") == 0)
		return 0;
	if ((*p != '+' && *p != '-') || strlen(p) != strlen("+hh:mm") || p[3] != ':')
		return -1;
	int hours = two_digits(p + 1, 0, 23);
	int minutes = two_digits(p + 4, 0, 59);
	*ret_s = (hours * 3600 + minutes * 60) * (*p == '-' ? -1 : 1);
	return hours < 0 || minutes < 0 ? -1 : 0;
}

int clock_parse_rfc3339(const char *text, int64_t *ret_s)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd";
	for (size_t i = 0; i < sizeof shape - 1; i++)
		if (shape[i] == 'd' ? text[i] < '0' || text[i] > '9'
				    : text[i] != shape[i] && text[i] != (shape[i] | 0x20))
			return -1;
	struct tm tm = {.tm_year = two_digits(text, 0, 99) * 100 + two_digits(text + 2, 0, 99) - 1900,
			.tm_mon = two_digits(text + 5, 1, 12) - 1,
			.tm_mday = two_digits(text + 8, 1, 31),
			.tm_hour = two_digits(text + 11, 0, 23),
			.tm_min = two_digits(text + 14, 0, 59),
			.tm_sec = two_digits(text + 17, 0, 60)};
	const char *p = text + sizeof shape - 1;
	int64_t offset_s = 0;
	if (tm.tm_mon < 0 || tm.tm_mday < 0 || tm.tm_hour < 0 || tm.tm_min < 0 || tm.tm_sec < 0)
		return -1;
	if (*p == '.') {
		size_t digits = strspn(p + 1, "0123456789");
		if (digits == 0)
			return -1;
		p += digits + 1;
	}
	if (parse_offset(p, &offset_s) != 0)
		return -1;
	int day = tm.tm_mday;
	struct tm midnight = {.tm_year = tm.tm_year, .tm_mon = tm.tm_mon, .tm_mday = day};
	timegm(&midnight); /* makes March of a 30th of February */
	if (midnight.tm_mday != day)
		return -1;
	*ret_s = (int64_t)timegm(&tm) - offset_s;
	return 0;
}
