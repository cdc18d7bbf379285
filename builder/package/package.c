#include "package/package.h"

#include "package/apt.h"
#include "package/dnf.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <unistd.h>

static int unknown(const struct recipe *r, struct err *e)
{
	return recipe_err(&r->base_pos, e, "base.%s is not supported yet by this version",
			  recipe_base_name(r->base));
}

/* Of a list that is of another kind than the base nothing could be had. */
static int check_kind(const struct recipe *r, const struct match *m, struct err *e)
{
	enum inventory_kind want = r->base == RECIPE_DNF ? INVENTORY_RPM : INVENTORY_DEB;

	if (m != NULL && r->plain != NULL)
		return recipe_err(&r->base_pos, e, "base.%s has no packages of ours to match",
				  recipe_base_name(r->base));
	if (m == NULL || m->list->kind == want)
		return 0;
	(void)err_set(e, ERR_RECIPE, "%s is %s, and the base of %s is %s", m->file,
		      inventory_kind_name(m->list->kind), r->file, recipe_base_name(r->base));
	return err_hint(e, "take a recipe of the server's own distribution");
}

int package_resolve_ask(const struct recipe *r, const struct package_ask *ask, const char *scratch,
			struct lock *l, struct err *e)
{
	if (check_kind(r, ask->match, e) != 0)
		return -1;
	switch (r->base) {
	case RECIPE_APT:
		return apt_resolve(r, ask, scratch, l, e);
	case RECIPE_DNF:
		return dnf_resolve(r, ask, scratch, l, e);
	case RECIPE_OCI:
	case RECIPE_TAR:
	case RECIPE_SCRATCH:
		/* nothing to be solved, and no repository whose date the image could have */
		l->solver = mem_strdup("none");
		l->epoch = clock_epoch_s();
		return 0;
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
		return dnf_urls(r, p, ret, e);
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
		return rpm_install(in, e);
	case RECIPE_OCI:
	case RECIPE_TAR:
	case RECIPE_SCRATCH:
		break;
	}
	return unknown(in->recipe, e);
}

int package_link(const char *from, int dir, const char *name, struct err *e)
{
	int a SCOPED(fd_closep) = -1, b SCOPED(fd_closep) = -1;

	if (linkat(AT_FDCWD, from, dir, name, 0) == 0)
		return 0;
	a = open(from, O_RDONLY | O_CLOEXEC);
	b = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (a < 0 || b < 0)
		return err_sys(e, "link %s", from);
	return fs_copy_fd(a, b, NULL, e);
}
