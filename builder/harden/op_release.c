/* op_release.c - the release of the distribution still gets its fixes. */
#include "harden/lines.h"
#include "harden/op.h"

#include "sys/clock.h"
#include <stddef.h>
#include <string.h>

enum { DATE_LENGTH = 10 };

struct release {
	struct strv supported; /* "debian 12 2028-06-30": ID, VERSION_ID, the last day of fixes */
};

static const struct field release_fields[] = {
    {"supported", FIELD_LIST, offsetof(struct release, supported), true},
    {0},
};

static int release_finish(void *want, const struct yaml *at, struct err *e)
{
	struct release *w = want;

	for (size_t i = 0; i < w->supported.n; i++) {
		struct strv words SCOPED(strv_release) = {0};
		char *time SCOPED(mem_freep) = NULL;
		int64_t day;

		line_words(w->supported.v[i], &words);
		if (words.n == 3)
			time = mem_format("%sT00:00:00Z", words.v[2]);
		if (time != NULL && strlen(words.v[2]) == DATE_LENGTH &&
		    clock_parse(time, &day) == 0)
			continue;
		(void)yaml_err(at, e, "\"%s\" is no release", w->supported.v[i]);
		return err_hint(e,
				"Write ID, VERSION_ID and the last day: \"debian 12 2028-06-30\".");
	}
	return 0;
}

/* What os-release says, without quotes; "" when nothing. The caller owns it. */
static char *value_of(const struct strv *lines, const char *key)
{
	size_t n = strlen(key);

	for (size_t i = 0; i < lines->n; i++) {
		const char *v = lines->v[i] + n;

		if (strncmp(lines->v[i], key, n) != 0 || *v != '=')
			continue;
		v++;
		v += strspn(v, "\"'");
		return mem_strndup(v, strcspn(v, "\"'"));
	}
	return mem_strdup("");
}

/* "9" is "9" and "9.4". */
static bool is_version(const char *version, const char *wanted)
{
	size_t n = strlen(wanted);

	return strncmp(version, wanted, n) == 0 && (version[n] == '\0' || version[n] == '.');
}

/* The last day of the release, or NULL; borrowed. ids: ID and the words of ID_LIKE. */
static const char *last_day(const struct release *w, const struct strv *ids, const char *version)
{
	for (size_t i = 0; i < w->supported.n; i++) {
		struct strv words SCOPED(strv_release) = {0};

		line_words(w->supported.v[i], &words);
		if (strv_has(ids, words.v[0]) && is_version(version, words.v[1]))
			return strrchr(w->supported.v[i], ' ') + 1;
	}
	return NULL;
}

static int release_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct release *w = want;
	struct strv lines SCOPED(strv_release) = {0}, ids SCOPED(strv_release) = {0};
	char *id SCOPED(mem_freep) = NULL, *version SCOPED(mem_freep) = NULL;
	char *like SCOPED(mem_freep) = NULL;
	char *now SCOPED(mem_freep) = clock_rfc3339(r->c->today);
	const char *day;

	if (lines_read(r->rootfd, "etc/os-release", &lines, NULL, e) != 0)
		return -1;
	id = value_of(&lines, "ID");
	version = value_of(&lines, "VERSION_ID");
	like = value_of(&lines, "ID_LIKE");
	strv_add(&ids, id);
	line_words(like, &ids);
	day = last_day(w, &ids, version);
	if (day == NULL)
		strv_addf(r->found, "/etc/os-release: \"%s\" \"%s\" is not on the list of releases",
			  id, version);
	else if (strncmp(now, day, DATE_LENGTH) > 0)
		strv_addf(r->found, "/etc/os-release: %s %s has no fixes since %s", id, version,
			  day);
	else if (r->held != NULL)
		strv_addf(r->held, "/etc/os-release: %s %s, fixes until %s", id, version, day);
	return 0;
}

const struct op_kind op_release = {
    .name = "release",
    .size = sizeof(struct release),
    .fields = release_fields,
    .finish = release_finish,
    .check = release_check,
};
