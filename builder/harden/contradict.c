/* contradict.c - controls that cannot all hold: found before anything is built. */
#include "harden/profile.h"

#include <string.h>

/* Words that are for different releases of one distribution never meet in one tree. */
static bool never_meet(const struct strv *a, const struct strv *b)
{
	if (a->n == 0 || b->n == 0)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strv_has(b, a->v[i]))
			return false;
	return true;
}

/* Whether no tree has both apply. */
static bool apart(const struct control *a, const struct control *b)
{
	return (a->target != NULL && b->target != NULL && strcmp(a->target, b->target) != 0) ||
	       never_meet(&a->distributions, &b->distributions);
}

static char *between(const struct control *a, const struct control *b)
{
	for (size_t i = 0; i < a->ops_n; i++) {
		const struct op *o = &a->ops[i];

		for (size_t k = 0; o->kind->contradicts != NULL && k < b->ops_n; k++) {
			char *what = NULL;

			if (b->ops[k].kind == o->kind)
				what = o->kind->contradicts(o->want, b->ops[k].want);
			if (what != NULL)
				return what;
		}
	}
	return NULL;
}

static int look(const struct harden_profile *p, const struct control *a,
		const struct harden_profile *other, struct err *e)
{
	for (size_t i = 0; i < other->n; i++) {
		const struct control *b = &other->controls[i];
		char *what SCOPED(mem_freep) = NULL;

		if (p == other && b <= a)
			continue;
		what = apart(a, b) ? NULL : between(a, b);
		if (what == NULL)
			continue;
		(void)err_set(e, ERR_RECIPE,
			      "control %s of profile %s and control %s of profile %s: %s", a->id,
			      p->id, b->id, other->id, what);
		return err_hint(e, "Use one of them, or a profile that extends both and says "
				   "which holds.");
	}
	return 0;
}

int harden_contradictions(const struct harden_profile *const *v, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = i; k < n; k++)
			for (size_t c = 0; c < v[i]->n; c++)
				if (look(v[i], &v[i]->controls[c], v[k], e) != 0)
					return -1;
	return 0;
}
