#include "package/search.h"

#include "base/log.h"
#include "package/index.h"
#include "package/repos.h"
#include "package/snapshot.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DAY    (24 * 3600LL)
#define STEP   (30 * DAY)       /* how far back the first look goes */
#define FAR    (12 * 365 * DAY) /* longer than a release is kept up */
#define NARROW (6 * 3600LL)     /* archives are read four times a day */
#define LOOKS  40

/* Where the time of one version must lie. */
struct span {
	int64_t old;   /* it was not there yet; -1 = not known */
	int64_t young; /* there was a newer one */
	bool gone;     /* no snapshot has it */
};

static bool is_missing(const struct match_want *w)
{
	return !w->left_out && !w->exact;
}

static int offer(void *ctx, const struct repos_index *x, struct err *e)
{
	return index_offer(x->path, x->repo->id, ctx, e);
}

/* What the snapshot of that time has; *absent when there is none. */
static int look(const struct search *s, const char *time, struct match *found, bool *absent,
		struct err *e)
{
	struct repos r SCOPED(repos_release) = {0};
	char *dir SCOPED(mem_freep) = mem_format("%s/at-%s", s->scratch, time);
	struct err late = ERR_INIT;
	int rc;

	*absent = false;
	if (fs_mkdirs(AT_FDCWD, dir, 0755, e) != 0 || repos_make(s->recipe, dir, &r, e) != 0)
		return -1;
	repos_add(&r, time);
	rc = repos_update(&r, absent, e);
	if (rc != 0 && *absent)
		rc = 0;
	else if (rc == 0)
		rc = repos_each(&r, offer, found, e);
	/* an index is large, and there will be others */
	if (fs_rmtree(AT_FDCWD, dir, &late) != 0)
		log_warn("%s", late.msg);
	return rc;
}

/* Narrows every span by what was there at a time. */
static void learn(const struct search *s, const struct match *found, int64_t at, struct span *spans)
{
	for (size_t i = 0; i < s->match->n; i++) {
		struct match_want *w = &s->match->v[i];
		const struct match_want *f = &found->v[i];

		if (!is_missing(w))
			continue;
		if (f->version != NULL)
			match_offer(s->match, w->package->name, f->version,
				    w->package->arch != NULL ? w->package->arch : "", f->where);
		if (f->version != NULL && !f->exact && match_is_newer(found, f))
			spans[i].young = at < spans[i].young ? at : spans[i].young;
		else if (at > spans[i].old)
			spans[i].old = at;
	}
}

/* The next time to look at for one of them, or -1 when there is none left. */
static int64_t next_time(const struct span *sp, int64_t now)
{
	int64_t at;

	if (sp->old < 0)
		at = sp->young - (now - sp->young + STEP);
	else
		at = sp->old + (sp->young - sp->old) / 2;
	if (at < now - FAR || at < 0)
		return -1;
	return sp->old >= 0 && sp->young - sp->old <= NARROW ? -1 : at;
}

/* The first of them that still has a time to look at. */
static int64_t choose(const struct search *s, struct span *spans)
{
	for (size_t i = 0; i < s->match->n; i++) {
		int64_t at;

		if (!is_missing(&s->match->v[i]) || spans[i].gone)
			continue;
		at = next_time(&spans[i], s->now);
		if (at >= 0)
			return at;
		spans[i].gone = true;
	}
	return -1;
}

static int look_at(const struct search *s, int64_t at, struct span *spans, struct err *e)
{
	struct match found SCOPED(match_release) = {0};
	char time[SNAPSHOT_TIME];
	bool absent;

	snapshot_format(at, time);
	match_begin(&found, s->match->file, s->match->list, true);
	for (size_t i = 0; i < found.n; i++)
		found.v[i].left_out = !is_missing(&s->match->v[i]);
	log_info("snapshot of %s: looking for %zu packages", time, match_missing(s->match));
	if (look(s, time, &found, &absent, e) != 0)
		return -1;
	learn(s, &found, at, spans);
	return 0;
}

/* What today's repositories have only older, or do not know at all, is not of their past. */
static struct span begin(const struct search *s, const struct match_want *w)
{
	bool newer = w->version != NULL && match_is_newer(s->match, w);

	return (struct span){.old = -1, .young = s->now, .gone = !newer};
}

int search_snapshots(const struct search *s, struct err *e)
{
	struct span *spans SCOPED(mem_freep) = mem_zalloc((s->match->n + 1) * sizeof(*spans));
	struct strv known SCOPED(strv_release) = {0};

	snapshot_find(s->recipe->apt, s->recipe->apt->suite, "1970-01-01", &known); /* any day */
	if (known.n == 0)
		return 0;
	for (size_t i = 0; i < s->match->n; i++)
		spans[i] = begin(s, &s->match->v[i]);
	for (int n = 0; n < LOOKS; n++) {
		int64_t at = choose(s, spans);

		if (at < 0)
			return 0;
		if (look_at(s, at, spans, e) != 0)
			return -1;
	}
	return 0;
}
