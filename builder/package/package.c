#include "package/package.h"

#include "package/apt.h"

static int unknown(const struct recipe *r, struct err *e)
{
	return recipe_err(&r->base_pos, e, "base.%s is not supported yet by this version",
			  recipe_base_name(r->base));
}

int package_resolve(const struct recipe *r, const char *scratch, struct lock *l, struct err *e)
{
	switch (r->base) {
	case RECIPE_APT:
		return apt_resolve(r, scratch, l, e);
	case RECIPE_DNF:
	case RECIPE_OCI:
	case RECIPE_TAR:
	case RECIPE_SCRATCH:
		break;
	}
	return unknown(r, e);
}

int package_urls(const struct recipe *r, const struct lock_package *p, struct strv *ret,
		 struct err *e)
{
	switch (r->base) {
	case RECIPE_APT:
		return apt_urls(r, p, ret, e);
	case RECIPE_DNF:
	case RECIPE_OCI:
	case RECIPE_TAR:
	case RECIPE_SCRATCH:
		break;
	}
	return unknown(r, e);
}

int package_install(const struct package_install *in, struct err *e)
{
	switch (in->recipe->base) {
	case RECIPE_APT:
		return apt_install(in, e);
	case RECIPE_DNF:
	case RECIPE_OCI:
	case RECIPE_TAR:
	case RECIPE_SCRATCH:
		break;
	}
	return unknown(in->recipe, e);
}

int package_owned(const char *root, struct map *ret, struct strv *names, struct err *e)
{
	return apt_owned(root, ret, names, e);
}
