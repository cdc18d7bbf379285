#include "snapshot/open.h"

#include <stdlib.h>
#include <string.h>

void snapshot_verified_release(struct snapshot_verified *v)
{
	strv_release(&v->faults);
	strv_release(&v->lost);
	*v = (struct snapshot_verified){0};
}

static void add_lost(const struct snapshot *s, const bool *lost, struct strv *ret)
{
	for (size_t i = 0; i < s->m.n; i++)
		if (lost[i])
			strv_addf(ret, "%s %s", s->body.info.id, s->m.v[i].path);
}

/* What is damaged of a snapshot is told; other trouble ends it. */
static int check_snapshot(struct snapshot_repo *r, const struct snapshot_info *i,
			  const struct sign_wanted *signers, struct snapshot_verified *ret,
			  struct err *e)
{
	struct snapshot *s SCOPED(snapshot_closep) = NULL;
	bool *lost SCOPED(mem_freep) = NULL;
	struct err why = ERR_INIT;

	if (i->fault != NULL) {
		strv_add(&ret->faults, i->fault);
		return 0;
	}
	if (snapshot_load(r, i->id, &s, &why) != 0) {
		if (why.kind == ERR_FAIL || why.kind == ERR_REMOTE) {
			*e = why;
			return -1;
		}
		strv_add(&ret->faults, why.msg);
		strv_addf(&ret->lost, "%s (all of it)", i->id);
		return 0;
	}
	if (signers != NULL && body_check_signed(&s->body, signers, &why) != 0)
		strv_add(&ret->faults, why.msg);
	if (snapshot_find_lost(s, &lost, e) != 0)
		return -1;
	add_lost(s, lost, &ret->lost);
	return 0;
}

static void count(const struct snapshot_repo *r, struct snapshot_verified *ret)
{
	for (size_t i = 0; i < r->packs_n; i++)
		ret->bytes += r->packs[i].there;
	ret->packs = r->packs_n;
	ret->chunks = r->table.n;
}

int snapshot_verify(struct snapshot_repo *r, const struct snapshot_check *how,
		    struct snapshot_verified *ret, struct err *e)
{
	struct snapshot_infos all SCOPED(snapshot_infos_release) = {0};
	struct snapshot_verified v SCOPED(snapshot_verified_release) = {0};

	if (repo_load(r, e) != 0 || snapshot_list(r, &all, e) != 0)
		return -1;
	strv_extend(&v.faults, &r->faults);
	strv_extend(&v.faults, &r->gone);
	count(r, &v);
	if (how->read && check_segments(r, NULL, &v.faults, e) != 0)
		return -1;
	for (size_t i = 0; i < all.missing.n; i++)
		strv_addf(&v.faults, "snapshots/%s.json: is gone, and was not pruned",
			  all.missing.v[i]);
	for (size_t i = 0; i < all.n; i++)
		if (check_snapshot(r, &all.v[i], how->signers, &v, e) != 0)
			return -1;
	v.snapshots = all.n;
	strv_sort(&v.faults);
	strv_uniq(&v.faults);
	*ret = v;
	v = (struct snapshot_verified){0};
	return 0;
}
