/* zone.c - what the clocks of a place show, by the machine's own data of time zones. */
#include "report/parts.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ZONES "/usr/share/zoneinfo"
enum { ZONE_MAX = 1 << 20, NAME_LONGEST = 64, QUARTER_S = 900 };

static bool name_ok(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_+-/";

	return name[strspn(name, letters)] == '\0' && strlen(name) <= NAME_LONGEST &&
	       fs_relative_ok(name);
}

int zone_use(const char *name, struct err *e)
{
	char *path SCOPED(mem_freep) = mem_format(ZONES "/%s", name);
	struct buf data SCOPED(buf_release) = BUF_INIT(ZONE_MAX);
	struct err quiet = ERR_INIT;

	if (!name_ok(name) ||
	    (strcmp(name, "UTC") != 0 && (fs_get_file(AT_FDCWD, path, &data, &quiet) != 0 ||
					  strncmp(data.data, "TZif", 4) != 0))) {
		(void)err_set(e, ERR_USAGE, "\"%.80s\" is no time zone of this machine", name);
		return err_hint(e, "Those that there are lie below " ZONES
				   " (package tzdata): Europe/Berlin, UTC.");
	}
	(void)unsetenv("TZDIR");
	(void)setenv("TZ", name, 1);
	tzset();
	return 0;
}

struct moment moment_of(int64_t t)
{
	time_t s = (time_t)t;
	struct tm tm = {0};

	(void)localtime_r(&s, &tm);
	return (struct moment){
	    .day = (tm.tm_year + 1900) * 10000 + (tm.tm_mon + 1) * 100 + tm.tm_mday,
	    .month = (tm.tm_year + 1900) * 12 + tm.tm_mon,
	    .weekday = tm.tm_wday,
	    .quarter = (tm.tm_hour * 3600 + tm.tm_min * 60) / QUARTER_S,
	    .hour = tm.tm_hour,
	    .minute = tm.tm_min,
	    .second = tm.tm_sec,
	};
}

char *month_name(int month)
{
	return mem_format("%04d-%02d", month / 12, month % 12 + 1);
}

int64_t day_begin(int day)
{
	struct tm tm = {.tm_year = day / 10000 - 1900,
			.tm_mon = day / 100 % 100 - 1,
			.tm_mday = day % 100,
			.tm_isdst = -1};

	return (int64_t)mktime(&tm);
}
