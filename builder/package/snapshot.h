/* snapshot.h - an archive of repositories as they were at a time: a URL with "{time}" in it. */
#ifndef PACKAGE_SNAPSHOT_H
#define PACKAGE_SNAPSHOT_H

#include "recipe/recipe.h"

/* "20240115T103000Z" and the NUL. */
enum { SNAPSHOT_TIME = 17 };

/* Reads a time, of UTC: YYYY-MM-DD, YYYY-MM-DDTHH:MM:SSZ or YYYYMMDDTHHMMSSZ. ERR_USAGE. */
int snapshot_time(const char *text, char ret[SNAPSHOT_TIME], struct err *e) MUST_CHECK;

/* The same in seconds, both ways; -1 for a text that is none. */
int64_t snapshot_seconds(const char *time);
void snapshot_format(int64_t seconds, char ret[SNAPSHOT_TIME]);

/* The template with the time in the place of {time}, the day of {date} as YYYY-MM-DD or of {day} as
 * YYYYMMDD, ending in "/"; NULL when it has no place for one. The caller owns it. */
char *snapshot_url(const char *template, const char *time) MUST_CHECK;

/* What the lock calls a suite at a time, "SUITE_TIME"; the caller owns it. */
char *snapshot_id(const char *suite, const char *time) MUST_CHECK;

/* Appends the base URIs of a suite at a time, best first, each ending in "/": the recipe's
 * snapshots, where "system" (which is also meant when it has none) stands for
 * $POSMEDIA_APT_SNAPSHOT, or $POSMEDIA_APT_SECURITY_SNAPSHOT for suites ending in "-security". */
void snapshot_find(const struct recipe_apt *a, const char *suite, const char *time,
		   struct strv *ret);

/* What a lock calls the mirror of that base: as the recipe writes it, else "system". */
const char *snapshot_label(const struct recipe_apt *a, const char *time, const char *uri);

#endif
