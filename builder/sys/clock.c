#include "sys/clock.h"

#include "base/num.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int fixed(uint64_t *ret)
{
	const char *s = getenv("SOURCE_DATE_EPOCH");

	return s != NULL && num_u64(s, INT64_C(253402300799), ret) == 0;
}

int clock_epoch_is_fixed(void)
{
	uint64_t v;

	return fixed(&v);
}

int64_t clock_epoch_s(void)
{
	uint64_t v;

	return fixed(&v) ? (int64_t)v : (int64_t)time(NULL);
}

int64_t clock_wall_s(void)
{
	return (int64_t)time(NULL);
}

int64_t clock_wall_ms(void)
{
	struct timespec ts = {0};

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + (int64_t)ts.tv_nsec / 1000000;
}

uint64_t clock_mono_ms(void)
{
	struct timespec ts = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

char *clock_rfc3339(int64_t s)
{
	time_t t = (time_t)s;
	struct tm tm = {0};

	(void)gmtime_r(&t, &tm);
	return mem_format("%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1,
			  tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* "Z", or hours and minutes east of it; in seconds. */
static int parse_zone(const char *s, int64_t *ret)
{
	struct tm tm = {0};
	const char *end;

	if (strcmp(s, "Z") == 0 || strcmp(s, "z") == 0) {
		*ret = 0;
		return 0;
	}
	if (*s != '+' && *s != '-')
		return -1;
	end = strptime(s + 1, "%H:%M", &tm);
	if (end == NULL || *end != '\0')
		return -1;
	*ret = (tm.tm_hour * 3600 + tm.tm_min * 60) * (*s == '-' ? -1 : 1);
	return 0;
}

int clock_parse(const char *text, int64_t *ret)
{
	struct tm tm = {0};
	const char *s;
	int64_t zone;

	/* strptime(3) would also take blanks and years of other lengths */
	if (strspn(text, "0123456789") != 4 || strchr(text, ' ') != NULL)
		return -1;
	s = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (s != NULL && *s == '.')
		s += 1 + strspn(s + 1, "0123456789");
	if (s == NULL || parse_zone(s, &zone) != 0)
		return -1;
	*ret = (int64_t)timegm(&tm) - zone;
	return 0;
}
