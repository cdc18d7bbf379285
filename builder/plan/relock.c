#include "plan/relock.h"

#include "base/log.h"
#include "package/package.h"
#include "plan/base_image.h"
#include "plan/layering.h"
#include "proxy/record.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_medium(const struct recipe_media *m, uint64_t *ret_size, struct err *e)
{
	int fd SCOPED(fd_closep) = open(m->url, O_RDONLY | O_CLOEXEC);
	struct digest got;
	uint64_t n;

	if (fd < 0)
		return recipe_err(&m->pos, e, "medium %s: open %s: %s", m->name, m->url,
				  strerror(errno));
	if (digest_fd(fd, &got, &n, e) != 0)
		return err_in(e, "medium %s", m->name);
	if (!digest_equal(&got, &m->digest) || (m->size != 0 && m->size != n)) {
		(void)recipe_err(&m->pos, e, "medium %s: %s has sha256 %s and %llu bytes", m->name,
				 m->url, digest_hex(&got).s, (unsigned long long)n);
		e->kind = ERR_VERIFY;
		return err_hint(e, "get the right file, or correct sha256 and size if it is right");
	}
	*ret_size = n;
	return 0;
}

/* Files on disk are checked here; remote media when they are fetched. */
static int lock_media_of(const struct recipe *r, struct lock *l, struct err *e)
{
	l->media = mem_zalloc(r->media_n * sizeof(*l->media));
	for (size_t i = 0; i < r->media_n; i++) {
		const struct recipe_media *m = &r->media[i];
		struct lock_media *to = &l->media[i];
		size_t root = strlen(r->root);
		bool inside =
		    m->is_file && strncmp(m->url, r->root, root) == 0 && m->url[root] == '/';

		to->size = m->size;
		if (m->is_file && check_medium(m, &to->size, e) != 0)
			return -1;
		to->name = mem_strdup(m->name);
		to->url = mem_strdup(inside ? m->url + root + 1 : m->url);
		to->digest = m->digest;
		l->media_n++;
	}
	return 0;
}

static bool same_packages(const struct lock *a, const struct lock *b)
{
	if (a->packages_n != b->packages_n)
		return false;
	for (size_t i = 0; i < a->packages_n; i++)
		if (!digest_equal(&a->packages[i].digest, &b->packages[i].digest))
			return false;
	return true;
}

/* The old lock for today's recipe, as a new object, through its own text; its media are `media`'s,
 * which loses them. */
static int again(const struct lock *before, struct lock *media, const char *scratch,
		 struct lock **ret, struct err *e)
{
	char *path SCOPED(mem_freep) = mem_format("%s/before.lock", scratch);
	struct lock *l = NULL;

	if (lock_save(before, path, e) != 0 || lock_load(path, &l, e) != 0)
		return -1;
	l->recipe = media->recipe;
	l->solved = media->solved;
	SWAP(l->media, media->media);
	SWAP(l->media_n, media->media_n);
	*ret = l;
	return 0;
}

/* What the solver has seen, also where the lock keeps an older state of it. */
static void note_seen(const struct lock *l, struct relocked *ret)
{
	ret->seen = mem_zalloc((l->repositories_n + 1) * sizeof(*ret->seen));
	for (size_t i = 0; i < l->repositories_n; i++)
		ret->seen[ret->seen_n++] =
		    (struct lock_repository){.id = mem_strdup(l->repositories[i].id),
					     .release = mem_strdup(l->repositories[i].release),
					     .date = l->repositories[i].date};
}

static int packages(const struct recipe *r, const struct relock_opts *o, const char *scratch,
		    struct relocked *ret, struct err *e)
{
	struct lock *l SCOPED(lock_freep) = mem_zalloc(sizeof(*l));
	char *base SCOPED(mem_freep) = mem_format("%s/base", scratch);
	bool same;

	l->recipe_name = mem_strdup(r->name);
	l->recipe = r->digest;
	l->solved = lock_question(r);
	same = o->before != NULL && !o->update && o->ask.match == NULL && o->ask.times.n == 0 &&
	       digest_equal(&o->before->solved, &l->solved);
	if (lock_media_of(r, l, e) != 0 ||
	    base_image_lock(r, same ? o->before : NULL, scratch, l, e) != 0)
		return -1;
	if (same)
		return again(o->before, l, scratch, &ret->lock, e);
	if (mkdir(base, 0755) != 0)
		return err_sys(e, "make directory %s", base);
	if (package_resolve_ask(r, &o->ask, base, l, e) != 0)
		return -1;
	note_seen(l, ret);
	if (o->before != NULL && same_packages(o->before, l))
		return again(o->before, l, scratch, &ret->lock, e);
	ret->lock = STEAL(l);
	return 0;
}

static void take_records(const struct recipe *r, const struct lock *before, struct store *s,
			 struct relocked *ret)
{
	struct lock *l = ret->lock;
	size_t n = 0;

	lock_recorded_free(l->recorded, l->recorded_n);
	record_merge(s, r, before, &l->recorded, &l->recorded_n);
	for (size_t i = 0; i < r->steps_n; i++)
		if (r->steps[i].network && lock_recorded_of(l, r->steps[i].name, &n) == NULL)
			strv_add(&ret->unrecorded, r->steps[i].name);
	lock_diff(before, l, &ret->changes);
}

/* Steps that do the same make files of the same date, or a lock of newer packages would change
 * every file of an application that stays the same. A lock of before that says nothing of it was
 * made from the same steps if from the same recipe. */
static void date_steps(const struct recipe *r, const struct lock *before, struct lock *l)
{
	l->steps_date = 0;
	if (r->steps_n == 0)
		return;
	l->steps = lock_steps(r);
	l->steps_date = l->epoch;
	if (before == NULL)
		return;
	if (before->steps_date != 0 && digest_equal(&before->steps, &l->steps))
		l->steps_date = before->steps_date;
	else if (before->steps_date == 0 && digest_equal(&before->recipe, &l->recipe))
		l->steps_date = before->epoch;
}

/* The layers of the packages; a recipe that plans them otherwise needs none in its lock. */
static int layers(const struct recipe *r, const struct relock_opts *o, struct lock *l,
		  struct err *e)
{
	struct history h SCOPED(history_release) = {0};
	const struct layering_opts y = {
	    .most = r->layer_budget, .before = o->before, .history = &h, .replan = o->replan};

	lock_set_layers(l, NULL, 0);
	if (strcmp(r->layer_plan, "history") != 0)
		return 0;
	if (o->path != NULL && history_read(o->path, &h, e) != 0)
		return -1;
	layering_make(l, &y);
	return 0;
}

static int resolve(const struct recipe *r, const struct relock_opts *o, const char *scratch,
		   struct relocked *ret, struct err *e)
{
	if (packages(r, o, scratch, ret, e) != 0)
		return -1;
	date_steps(r, o->before, ret->lock);
	return layers(r, o, ret->lock, e);
}

int relock(const struct recipe *r, const struct relock_opts *o, struct store *s,
	   struct relocked *ret, struct err *e)
{
	char *scratch SCOPED(mem_freep) = NULL;
	struct relocked res = {0};
	struct err late = ERR_INIT;
	int rc;

	if (store_scratch(s, "lock", &scratch, e) != 0)
		return -1;
	rc = resolve(r, o, scratch, &res, e);
	if (store_scratch_drop(s, scratch, &late) != 0 && rc == 0)
		log_warn("%s", late.msg);
	if (rc == 0) {
		take_records(r, o->before, s, &res);
		*ret = res;
	} else {
		relocked_release(&res);
	}
	return rc;
}

void relocked_release(struct relocked *r)
{
	lock_free(r->lock);
	for (size_t i = 0; i < r->seen_n; i++) {
		free(r->seen[i].id);
		free(r->seen[i].release);
	}
	free(r->seen);
	strv_release(&r->changes);
	strv_release(&r->unrecorded);
	*r = (struct relocked){0};
}
