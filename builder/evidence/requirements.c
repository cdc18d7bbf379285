/* requirements.c - the results by the requirement of a standard that they answer. */
#include "evidence/parts.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *id, *title;
} standards[] = {
    {"pa-dss", "PA-DSS"},
    {"pci-dss", "PCI DSS"},
    {"cis", "CIS"},
    {"stig", "STIG"},
    {"ssg", "SSG"},
    {"posmedia", "posmedia"},
    {"legacy", "earlier process"},
};

const char *standard_title(const char *standard)
{
	for (size_t i = 0; i < sizeof(standards) / sizeof(standards[0]); i++)
		if (strcmp(standards[i].id, standard) == 0)
			return standards[i].title;
	return standard;
}

static bool names(const struct evidence *v, const char *standard)
{
	for (size_t i = 0; i < v->n; i++)
		for (size_t k = 0; k < v->results[i].sources_n; k++)
			if (strcmp(v->results[i].sources[k].standard, standard) == 0)
				return true;
	return false;
}

static void add(struct requirements *r, const char *number, size_t result)
{
	struct requirement *q = NULL;

	for (size_t i = 0; i < r->n && q == NULL; i++)
		if (strcmp(r->v[i].number, number) == 0)
			q = &r->v[i];
	if (q == NULL) {
		r->v = mem_resize(r->v, r->n + 1, sizeof(*r->v));
		q = &r->v[r->n++];
		*q = (struct requirement){.number = number};
	}
	if (q->n > 0 && q->results[q->n - 1] == result)
		return;
	q->results = mem_resize(q->results, q->n + 1, sizeof(*q->results));
	q->results[q->n++] = result;
}

/* Numbers by their value, everything else by its bytes: 3.1.9, 3.1.10, 3.2, A1. */
static int by_number(const void *a, const void *b)
{
	const char *x = ((const struct requirement *)a)->number;
	const char *y = ((const struct requirement *)b)->number;

	while (*x != '\0' && *y != '\0') {
		size_t n = strspn(x, "0123456789"), m = strspn(y, "0123456789");

		if (n > 0 && m > 0 && n != m)
			return n < m ? -1 : 1;
		/* what has digits on one side only differs in its first byte */
		if (strncmp(x, y, n > 0 ? n : 1) != 0)
			return strncmp(x, y, n > 0 ? n : 1);
		x += n > 0 ? n : 1;
		y += n > 0 ? n : 1;
	}
	return (*x != '\0') - (*y != '\0');
}

void requirements_of(const struct evidence *v, struct requirements *ret)
{
	const char *own = v->from == NULL ? NULL : harden_profile_standard(v->from);

	*ret = (struct requirements){0};
	if (own != NULL && names(v, own))
		ret->standard = own;
	for (size_t i = 0; i < 3 && ret->standard == NULL; i++)
		if (names(v, standards[i].id))
			ret->standard = standards[i].id;
	if (ret->standard == NULL)
		return;
	for (size_t i = 0; i < v->n; i++)
		for (size_t k = 0; k < v->results[i].sources_n; k++)
			if (strcmp(v->results[i].sources[k].standard, ret->standard) == 0)
				add(ret, v->results[i].sources[k].number, i);
	qsort(ret->v, ret->n, sizeof(*ret->v), by_number);
}

void requirements_release(struct requirements *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->v[i].results);
	free(r->v);
	*r = (struct requirements){0};
}
