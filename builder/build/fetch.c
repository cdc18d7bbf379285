#include "build/job.h"

#include "base/log.h"
#include "form/url.h"
#include "http/fetch.h"
#include "http/http.h"
#include "package/archive.h"
#include "package/package.h"
#include "sys/intr.h"
#include <stdlib.h>
#include <string.h>

struct wants {
	struct fetch_job *jobs;
	struct strv *urls;    /* one list a job */
	struct strv names;    /* one a job */
	struct strv pointers; /* one a job, "" for none */
	size_t n;
};

static void wants_release(struct wants *w)
{
	for (size_t i = 0; i < w->n; i++)
		strv_release(&w->urls[i]);
	free(w->urls);
	free(w->jobs);
	strv_release(&w->names);
	strv_release(&w->pointers);
}

static struct fetch_job *want(struct wants *w, const struct digest *d, uint64_t size)
{
	struct fetch_job *job = &w->jobs[w->n++];

	job->digest = *d;
	job->size = size;
	return job;
}

/* A blob that is about to be read: when it is damaged it counts as absent. */
static int recheck(struct job *j, const struct digest *d, const char *what, struct err *e)
{
	bool moved = false;

	if (intr_pending())
		return intr_err(e);
	if (store_recheck(j->s, d, &moved, e) != 0)
		return err_in(e, "%s", what);
	if (moved)
		log_warn("%s: the store's copy was damaged; it is fetched again", what);
	return 0;
}

/* Whether a step that will run mounts the medium. */
static bool will_mount(const struct job *j, const struct recipe_media *m)
{
	for (size_t i = 0; i < j->plan->n; i++) {
		const struct plan_stage *st = &j->plan->v[i];
		const struct recipe_step *step;

		if (st->kind != PLAN_STEP || !job_will_run(j, st))
			continue;
		step = &j->r->steps[st->step];
		for (size_t k = 0; k < step->mounts_n; k++)
			if (strcmp(step->mounts[k].media, m->name) == 0)
				return true;
	}
	return false;
}

static int want_package(struct job *j, const struct lock_package *p, struct wants *w, struct err *e)
{
	char *what SCOPED(mem_freep) = mem_format("package %s %s", p->name, p->version);

	if (job_will_run(j, &j->plan->v[0]) && recheck(j, &p->digest, what, e) != 0)
		return -1;
	if (store_has(j->s, &p->digest, NULL))
		return 0;
	if (package_urls(j->r, p, &w->urls[w->n], e) != 0)
		return err_in(e, "package %s", p->name);
	strv_add(&w->names, what);
	strv_add(&w->pointers, "");
	(void)want(w, &p->digest, p->size);
	return 0;
}

/* The URL of a file, whatever bytes its path has (RFC 3986, 2.3); the caller owns it. */
static char *file_url(const char *path)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~/";
	struct buf b = BUF_INIT(1 << 16);

	buf_addf(&b, "file://");
	for (; *path != '\0'; path++)
		if (strchr(plain, *path) != NULL)
			buf_add(&b, path, 1);
		else
			buf_addf(&b, "%%%02X", (unsigned char)*path);
	return buf_take(&b);
}

/* Whether it comes from the registry of the base. */
static bool is_pulled(const struct job *j, const struct recipe_media *m)
{
	return m->is_base && j->r->plain != NULL && j->r->plain->registry != NULL;
}

static int want_medium(struct job *j, const struct recipe_media *m, struct wants *w, struct err *e)
{
	char *what SCOPED(mem_freep) = mem_format("medium %s", m->name);

	bool read = m->is_base ? job_will_run(j, &j->plan->v[0])
			       : will_mount(j, m) && !job_medium_cached(j, m);

	if (read && recheck(j, &m->digest, what, e) != 0)
		return -1;
	if (store_has(j->s, &m->digest, NULL) || is_pulled(j, m))
		return 0;
	strv_take(&w->urls[w->n], m->is_file ? file_url(m->url) : mem_strdup(m->url));
	strv_add(&w->names, what);
	strv_take(&w->pointers, recipe_pos_text(&m->pos));
	(void)want(w, &m->digest, m->size);
	return 0;
}

/* Where a recorded body may still be: at its own address, and at those that led there, since an
 * address behind a redirect is often good for minutes only. */
static void recorded_urls(const struct lock_recorded *v, size_t n, size_t at, struct strv *ret)
{
	strv_add(ret, v[at].url);
	for (size_t i = 0; i < n; i++) {
		char *to SCOPED(mem_freep) = NULL, *same SCOPED(mem_freep) = NULL;
		struct url u SCOPED(url_release) = {0};
		struct err quiet = ERR_INIT;

		if (v[i].location == NULL ||
		    http_resolve(v[i].url, v[i].location, &to, &quiet) != 0 ||
		    url_parse(to, &u, &quiet) != 0)
			continue;
		same = url_text(&u);
		if (strcmp(same, v[at].url) == 0)
			strv_add(ret, v[i].url);
	}
}

static int want_recorded(struct job *j, const struct recipe_step *st, struct wants *w,
			 struct err *e)
{
	size_t n = 0;
	const struct lock_recorded *v = lock_recorded_of(j->l, st->name, &n);

	for (size_t i = 0; i < n; i++) {
		char *what SCOPED(mem_freep) = mem_format("step %s: %s", st->name, v[i].url);

		if (v[i].size == 0)
			continue;
		if (recheck(j, &v[i].digest, what, e) != 0)
			return -1;
		if (store_has(j->s, &v[i].digest, NULL))
			continue;
		recorded_urls(v, n, i, &w->urls[w->n]);
		strv_add(&w->names, what);
		strv_take(&w->pointers, recipe_pos_text(&st->pos));
		(void)want(w, &v[i].digest, v[i].size);
	}
	return 0;
}

/* The bodies of steps that will run and answer from their record. */
static int want_records(struct job *j, struct wants *w, struct err *e)
{
	for (size_t i = 0; i < j->plan->n; i++) {
		const struct plan_stage *st = &j->plan->v[i];

		if (st->kind == PLAN_STEP && job_will_run(j, st) &&
		    want_recorded(j, &j->r->steps[st->step], w, e) != 0)
			return -1;
	}
	return 0;
}

/* Names what is gone, for the operator and for whoever locks anew. */
static int all_gone(const struct wants *w, struct err *e)
{
	size_t gone = 0;

	for (size_t i = 0; i < w->n; i++)
		if (w->jobs[i].gone) {
			gone++;
			log_warn("%s: neither the store nor a mirror has it any more",
				 w->names.v[i]);
		}
	if (gone == 0)
		return -1;
	e->kind = ERR_REMOTE;
	return err_hint(e, "run posmedia lock --update to take what the mirror has now");
}

static int collect(struct job *j, struct wants *w, struct err *e)
{
	for (size_t i = 0; i < j->l->packages_n; i++)
		if (want_package(j, &j->l->packages[i], w, e) != 0)
			return -1;
	for (size_t i = 0; i < j->r->media_n; i++)
		if (want_medium(j, &j->r->media[i], w, e) != 0)
			return -1;
	if (want_records(j, w, e) != 0)
		return -1;
	for (size_t i = 0; i < w->n; i++) {
		w->jobs[i].name = w->names.v[i];
		w->jobs[i].urls = (const char *const *)w->urls[i].v;
		w->jobs[i].pointer = w->pointers.v[i][0] != '\0' ? w->pointers.v[i] : NULL;
	}
	return 0;
}

int job_fetch(struct job *j, struct err *e)
{
	size_t cap = j->l->packages_n + j->r->media_n + j->l->recorded_n;
	struct wants w SCOPED(wants_release) = {0};
	struct fetch_opts o = {.parallel = j->o->parallel};

	w.jobs = mem_zalloc(cap * sizeof(*w.jobs));
	w.urls = mem_zalloc(cap * sizeof(*w.urls));
	if (collect(j, &w, e) != 0)
		return -1;
	if (w.n > 0)
		log_info("fetching %zu files", w.n);
	if (w.n > 0 && fetch_all(j->s, w.jobs, w.n, &o, e) != 0)
		return all_gone(&w, e);
	if (j->r->plain != NULL && j->r->plain->registry != NULL && job_pull(j, e) != 0)
		return -1;
	return archive_keep(j->s, j->r, j->l, e);
}
