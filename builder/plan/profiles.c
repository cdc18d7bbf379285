/* profiles.c - the recipe's control profiles before anything is built: they load, and their
 * controls agree. */
#include "plan/plan.h"

#include "harden/harden.h"
#include <stdlib.h>

struct loaded {
	struct harden_profile **v;
	size_t n;
};

static void loaded_release(struct loaded *l)
{
	for (size_t i = 0; i < l->n; i++)
		harden_profile_free(l->v[i]);
	free(l->v);
}

int plan_check_profiles(const struct recipe *r, struct err *e)
{
	struct loaded l SCOPED(loaded_release) = {0};

	l.v = mem_zalloc((r->profiles.n + 1) * sizeof(struct harden_profile *));
	for (size_t i = 0; i < r->profiles.n; i++, l.n++)
		if (harden_profile_load(r->profiles.v[i], &l.v[i], e) != 0)
			return -1;
	return harden_contradictions((const struct harden_profile *const *)l.v, l.n, e);
}
