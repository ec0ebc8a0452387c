#include "base/clock.h"

#include <stdatomic.h>
#include <string.h>

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

struct timespec clock_cond_deadline(int64_t timeout_ms)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += timeout_ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	return until;
}

int clock_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t timeout_ms)
{
	const struct timespec until = clock_cond_deadline(timeout_ms);
	return pthread_cond_timedwait(cond, lock, &until);
}

void clock_fake_set_ms(int64_t ms)
{
	atomic_store(&fake_ms, ms);
}

#define FIRST_S -62135596800LL /* 0001-01-01T00:00:00Z */
#define LAST_S 253402300799LL  /* 9999-12-31T23:59:59Z */

static void put_digits(char *to, unsigned value, int count)
{
	for (int i = count - 1; i >= 0; i--, value /= 10)
		to[i] = (char)('0' + value % 10);
}

/* Days to a date by eras of 400 years, as the proleptic Gregorian calendar repeats after those; without the C library's
 * time zone lock, which all HTTP threads would share. */
const char *clock_rfc3339(int64_t at_s, char buf[CLOCK_RFC3339_SIZE])
{
	at_s = at_s < FIRST_S ? FIRST_S : at_s > LAST_S ? LAST_S : at_s;
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
	memcpy(buf, "0000-00-00T00:00:00Z", sizeof "0000-00-00T00:00:00Z");
	put_digits(buf, year, 4);
	put_digits(buf + 5, month, 2);
	put_digits(buf + 8, day, 2);
	put_digits(buf + 11, (unsigned)second / 3600, 2);
	put_digits(buf + 14, (unsigned)second / 60 % 60, 2);
	put_digits(buf + 17, (unsigned)second % 60, 2);
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

void clock_month(int64_t at_s, int64_t *ret_begin_s, int64_t *ret_end_s)
{
	time_t at = at_s;
	struct tm tm = {0};
	gmtime_r(&at, &tm);
	struct tm begin = {.tm_year = tm.tm_year, .tm_mon = tm.tm_mon, .tm_mday = 1};
	struct tm end = {.tm_year = tm.tm_year, .tm_mon = tm.tm_mon + 1, .tm_mday = 1};
	*ret_begin_s = timegm(&begin);
	*ret_end_s = timegm(&end);
}
