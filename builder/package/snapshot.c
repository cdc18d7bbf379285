#include "package/snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool ends(const char *s, const char *with)
{
	size_t n = strlen(s), w = strlen(with);

	return n >= w && strcmp(s + n - w, with) == 0;
}

int64_t snapshot_seconds(const char *time)
{
	static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y%m%dT%H%M%SZ"};
	static const size_t lengths[] = {10, 20, 16};

	for (size_t i = 0; i < 3; i++) {
		struct tm tm = {0};
		const char *end = NULL;

		if (strlen(time) == lengths[i])
			end = strptime(time, forms[i], &tm);
		if (end != NULL && *end == '\0' && tm.tm_year >= 70)
			return timegm(&tm);
	}
	return -1;
}

void snapshot_format(int64_t seconds, char ret[SNAPSHOT_TIME])
{
	time_t t = (time_t)seconds;
	struct tm tm = {0};

	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(ret, SNAPSHOT_TIME, "%Y%m%dT%H%M%SZ", &tm) != SNAPSHOT_TIME - 1)
		memcpy(ret, "19700101T000000Z", SNAPSHOT_TIME);
}

int snapshot_time(const char *text, char ret[SNAPSHOT_TIME], struct err *e)
{
	int64_t seconds = snapshot_seconds(text);

	if (seconds < 0) {
		(void)err_set(e, ERR_USAGE, "\"%.40s\" is no time", text);
		return err_hint(e, "write YYYY-MM-DD, or YYYY-MM-DDTHH:MM:SSZ");
	}
	snapshot_format(seconds, ret);
	return 0;
}

char *snapshot_id(const char *suite, const char *time)
{
	return mem_format("%s_%s", suite, time);
}

char *snapshot_url(const char *template, const char *time)
{
	static const char *const places[] = {"{time}", "{date}", "{day}"};
	int64_t seconds = snapshot_seconds(time);
	char full[SNAPSHOT_TIME];

	snapshot_format(seconds, full);
	for (size_t i = 0; i < 3 && seconds >= 0; i++) {
		const char *at = strstr(template, places[i]);
		char *text SCOPED(mem_freep) = NULL;

		if (at == NULL)
			continue;
		if (i == 1)
			text = mem_format("%.4s-%.2s-%.2s", full, full + 4, full + 6);
		else
			text = i == 0 ? mem_strdup(full) : mem_strndup(full, 8);
		return mem_format("%.*s%s%s%s", (int)(at - template), template, text,
				  at + strlen(places[i]), ends(template, "/") ? "" : "/");
	}
	return NULL;
}

static void add(const char *template, const char *time, struct strv *ret)
{
	char *uri = template != NULL ? snapshot_url(template, time) : NULL;

	if (uri != NULL && uri[strcspn(uri, " \t\r\n\"'[];\\")] == '\0')
		strv_take(ret, uri);
	else
		free(uri);
}

void snapshot_find(const struct recipe_apt *a, const char *suite, const char *time,
		   struct strv *ret)
{
	const char *system = getenv(ends(suite, "-security") ? "POSMEDIA_APT_SECURITY_SNAPSHOT"
							     : "POSMEDIA_APT_SNAPSHOT");

	if (a->snapshots.n == 0)
		add(system, time, ret);
	for (size_t i = 0; i < a->snapshots.n; i++)
		add(strcmp(a->snapshots.v[i], "system") == 0 ? system : a->snapshots.v[i], time,
		    ret);
}

const char *snapshot_label(const struct recipe_apt *a, const char *time, const char *uri)
{
	for (size_t i = 0; i < a->snapshots.n; i++) {
		char *own SCOPED(mem_freep) = snapshot_url(a->snapshots.v[i], time);

		if (own != NULL && strcmp(own, uri) == 0)
			return a->snapshots.v[i];
	}
	return "system";
}
