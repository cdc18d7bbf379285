/* list.c - a server's list of packages as one of the sides. */
#include "diff/compare.h"

#include "form/version.h"
#include <stdlib.h>
#include <string.h>

/* The architecture that most packages are for: the server's own; NULL when the list names none. */
static const char *native_arch(const struct inventory *l)
{
	const char *best = NULL;
	struct map counts = {0};
	size_t most = 0;
	size_t *n = mem_zalloc((l->n + 1) * sizeof(*n));

	for (size_t i = 0; i < l->n; i++) {
		const char *arch = l->v[i].arch;
		size_t *seen = arch != NULL ? map_get(&counts, arch) : NULL;

		if (arch == NULL || strcmp(arch, "all") == 0 || strcmp(arch, "noarch") == 0)
			continue;
		if (seen == NULL) {
			seen = &n[i];
			(void)map_put(&counts, arch, seen);
		}
		if (++*seen > most) {
			most = *seen;
			best = arch;
		}
	}
	map_release(&counts, NULL);
	free(n);
	return best;
}

void side_list(struct side *s)
{
	const struct inventory *l = s->in->list;
	const char *native = native_arch(l);

	for (size_t i = 0; i < l->n; i++) {
		const struct inventory_package *p = &l->v[i];
		bool foreign = p->arch != NULL && native != NULL && strcmp(p->arch, native) != 0 &&
			       strcmp(p->arch, "all") != 0 && strcmp(p->arch, "noarch") != 0;
		char *name SCOPED(mem_freep) =
		    mem_format("%s%s%s", p->name, foreign ? ":" : "", foreign ? p->arch : "");

		(void)side_fact(s, DIFF_PACKAGES, name, mem_strdup(p->version));
	}
}

static int compare(const struct inventory *l, const char *a, const char *b)
{
	if (!l->epochs) {
		a = version_without_epoch(a);
		b = version_without_epoch(b);
	}
	return l->kind == INVENTORY_DEB ? version_compare_deb(a, b) : version_compare_rpm(a, b);
}

void compare_list(const struct inventory *list, bool list_is, struct diff_list *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		struct diff_item *d = &l->v[i];
		const char *own = list_is ? d->was : d->is, *listed = list_is ? d->is : d->was;
		int c = own != NULL && listed != NULL ? compare(list, own, listed) : 1;

		if (c == 0) {
			free(d->name);
			free(d->was);
			free(d->is);
			continue;
		}
		d->note = mem_strdup(own == NULL      ? "missing"
				     : listed == NULL ? "extra"
				     : c < 0          ? "older"
						      : "newer");
		l->v[n++] = *d;
	}
	l->n = n;
}
