/* op_packages.c - packages that must or must not be installed. A package that the recipe asks for
 * is justified (PCI DSS 2.2.5): the recipe is reviewed and says so. */
#include "harden/op.h"

#include <stddef.h>
#include <string.h>

struct packages {
	struct strv absent, present;
};

static const struct field packages_fields[] = {
    {"absent", FIELD_LIST, offsetof(struct packages, absent), false},
    {"present", FIELD_LIST, offsetof(struct packages, present), false},
    {0},
};

static bool justified(const struct op_run *r, const char *name)
{
	return r->c->recipe != NULL && strv_has(&r->c->recipe->install, name);
}

static int packages_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct packages *w = want;
	const struct strv *have;

	if (facts_packages(r->facts, &have, e) != 0)
		return -1;
	for (size_t i = 0; i < w->absent.n; i++)
		if (strv_has(have, w->absent.v[i]) && !justified(r, w->absent.v[i]))
			strv_addf(r->found, "package %s is installed and not in the recipe's list",
				  w->absent.v[i]);
	for (size_t i = 0; i < w->present.n; i++)
		if (!strv_has(have, w->present.v[i]))
			strv_addf(r->found, "package %s is not installed", w->present.v[i]);
	return 0;
}

static const char *common(const struct strv *a, const struct strv *b)
{
	for (size_t i = 0; i < a->n; i++)
		if (strv_has(b, a->v[i]))
			return a->v[i];
	return NULL;
}

static char *packages_contradicts(const void *a, const void *b)
{
	const struct packages *one = a, *other = b;
	const char *name = common(&one->present, &other->absent);

	if (name == NULL)
		name = common(&one->absent, &other->present);
	return name == NULL ? NULL : mem_format("package %s cannot be present and absent", name);
}

const struct op_kind op_packages = {
    .name = "packages",
    .size = sizeof(struct packages),
    .fields = packages_fields,
    .check = packages_check,
    .contradicts = packages_contradicts,
};
