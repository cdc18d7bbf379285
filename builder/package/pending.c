#include "package/pending.h"

#include "package/apt.h"
#include "package/dnf.h"
#include <stdlib.h>
#include <string.h>

void pending_add(struct pending *b, const char *name, const char *version, const char *arch)
{
	struct pending_package *p = mem_zalloc(sizeof(*p));

	p->name = mem_strdup(name);
	p->version = mem_strdup(version);
	p->arch = arch != NULL ? mem_strdup(arch) : NULL;
	p->next = map_put(&b->names, name, p);
	b->v = mem_resize(b->v, b->n + 1, sizeof(*b->v));
	b->v[b->n++] = p;
}

/* What is for every architecture may become a package of one, and the other way round. */
static bool any_arch(const char *arch)
{
	return arch == NULL || strcmp(arch, "all") == 0 || strcmp(arch, "noarch") == 0;
}

static void take(struct pending_package *p, const struct pending_offer *o)
{
	p->known = true;
	if (o->compare(o->version, p->version) <= 0)
		return;
	p->security = p->security || o->security;
	if (o->advisories != NULL)
		strv_extend(&p->advisories, o->advisories);
	if (p->candidate != NULL && o->compare(o->version, p->candidate) <= 0)
		return;
	free(p->candidate);
	free(p->repository);
	p->candidate = mem_strdup(o->version);
	p->repository = mem_strdup(o->where);
}

void pending_offer(struct pending *b, const struct pending_offer *o)
{
	for (struct pending_package *p = map_get(&b->names, o->name); p != NULL; p = p->next)
		if (any_arch(p->arch) || any_arch(o->arch) || strcmp(p->arch, o->arch) == 0)
			take(p, o);
}

void pending_repository(struct pending *b, const char *id, const struct digest *release,
			int64_t date)
{
	struct lock_repository *r;

	b->repositories =
	    mem_resize(b->repositories, b->repositories_n + 1, sizeof(*b->repositories));
	r = &b->repositories[b->repositories_n++];
	*r = (struct lock_repository){
	    .id = mem_strdup(id), .release = mem_strdup(digest_hex(release).s), .date = date};
}

static int by_name(const void *a, const void *b)
{
	const struct pending_package *x = *(struct pending_package *const *)a;
	const struct pending_package *y = *(struct pending_package *const *)b;
	int c = strcmp(x->name, y->name);

	if (c == 0 && x->arch != NULL && y->arch != NULL)
		c = strcmp(x->arch, y->arch);
	return c != 0 ? c : strcmp(x->version, y->version);
}

static int by_id(const void *a, const void *b)
{
	const struct lock_repository *x = a, *y = b;

	return strcmp(x->id, y->id);
}

static int look(const struct recipe *r, const char *scratch, struct pending *b, struct err *e)
{
	switch (r->base) {
	case RECIPE_APT:
		return apt_pending(r, scratch, b, e);
	case RECIPE_DNF:
		return dnf_pending(r, scratch, b, e);
	case RECIPE_OCI:
	case RECIPE_TAR:
	case RECIPE_SCRATCH:
		break;
	}
	return recipe_err(&r->base_pos, e, "base.%s has no repositories of ours to be behind",
			  recipe_base_name(r->base));
}

int pending_look(const struct recipe *r, const char *scratch, struct pending *b, struct err *e)
{
	if (look(r, scratch, b, e) != 0)
		return -1;
	qsort(b->v, b->n, sizeof(*b->v), by_name);
	qsort(b->repositories, b->repositories_n, sizeof(*b->repositories), by_id);
	for (size_t i = 0; i < b->n; i++) {
		strv_sort(&b->v[i]->advisories);
		strv_uniq(&b->v[i]->advisories);
	}
	return 0;
}

void pending_release(struct pending *b)
{
	for (size_t i = 0; i < b->n; i++) {
		struct pending_package *p = b->v[i];

		free(p->name);
		free(p->version);
		free(p->arch);
		free(p->candidate);
		free(p->repository);
		strv_release(&p->advisories);
		free(p);
	}
	free(b->v);
	map_release(&b->names, NULL);
	for (size_t i = 0; i < b->repositories_n; i++) {
		free(b->repositories[i].id);
		free(b->repositories[i].release);
	}
	free(b->repositories);
	*b = (struct pending){0};
}
