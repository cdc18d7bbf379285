#include "build/job.h"

#include "base/log.h"
#include "http/fetch.h"
#include "package/apt.h"
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

static int want_package(struct job *j, const struct lock_package *p, struct wants *w, struct err *e)
{
	if (store_has(j->s, &p->digest, NULL))
		return 0;
	if (apt_urls(j->r, p, &w->urls[w->n], e) != 0)
		return err_in(e, "package %s", p->name);
	strv_addf(&w->names, "package %s %s", p->name, p->version);
	strv_add(&w->pointers, "");
	(void)want(w, &p->digest, p->size);
	return 0;
}

static void want_medium(struct job *j, const struct recipe_media *m, struct wants *w)
{
	if (store_has(j->s, &m->digest, NULL))
		return;
	strv_addf(&w->urls[w->n], "%s%s", m->is_file ? "file://" : "", m->url);
	strv_addf(&w->names, "medium %s", m->name);
	strv_take(&w->pointers, recipe_pos_text(&m->pos));
	(void)want(w, &m->digest, m->size);
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
		want_medium(j, &j->r->media[i], w);
	for (size_t i = 0; i < w->n; i++) {
		w->jobs[i].name = w->names.v[i];
		w->jobs[i].urls = (const char *const *)w->urls[i].v;
		w->jobs[i].pointer = w->pointers.v[i][0] != '\0' ? w->pointers.v[i] : NULL;
	}
	return 0;
}

int job_fetch(struct job *j, struct err *e)
{
	size_t cap = j->l->packages_n + j->r->media_n;
	struct wants w SCOPED(wants_release) = {0};
	struct fetch_opts o = {.parallel = j->o->parallel};

	w.jobs = mem_zalloc(cap * sizeof(*w.jobs));
	w.urls = mem_zalloc(cap * sizeof(*w.urls));
	if (collect(j, &w, e) != 0)
		return -1;
	if (w.n == 0)
		return 0;
	log_info("fetching %zu files", w.n);
	if (fetch_all(j->s, w.jobs, w.n, &o, e) != 0)
		return all_gone(&w, e);
	return 0;
}
