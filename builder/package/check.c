#include "package/bootstrap.h"

#include "base/map.h"
#include "form/deb822.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <string.h>

#define STATUS_MAX (256 << 20)

static int check_one(const struct lock_package *want, const struct deb822 *st, struct err *e)
{
	char *version SCOPED(mem_freep) = deb822_field(st, "Version");
	char *arch SCOPED(mem_freep) = deb822_field(st, "Architecture");
	char *status SCOPED(mem_freep) = deb822_field(st, "Status");

	if (status == NULL || strcmp(status, "install ok installed") != 0)
		return err_set(e, ERR_STEP, "package %s ended as \"%s\"", want->name,
			       status == NULL ? "unknown" : status);
	if (version == NULL || strcmp(version, want->version) != 0 || arch == NULL ||
	    strcmp(arch, want->arch) != 0)
		return err_set(e, ERR_STEP, "package %s: installed %s %s, locked %s %s", want->name,
			       version == NULL ? "?" : version, arch == NULL ? "?" : arch,
			       want->version, want->arch);
	return 0;
}

/* Takes each package that dpkg knows out of `missing` (sets its value to NULL). */
static int check_all(struct map *missing, struct deb822 rest, struct err *e)
{
	struct deb822 st;

	while (deb822_next(&rest, &st) == 1) {
		char *name SCOPED(mem_freep) = deb822_field(&st, "Package");
		const struct lock_package *want = name == NULL ? NULL : map_get(missing, name);

		if (want == NULL)
			return err_set(e, ERR_STEP, "package %s is in the tree but not in the lock",
				       name == NULL ? "without a name" : name);
		if (check_one(want, &st, e) != 0)
			return -1;
		(void)map_put(missing, name, NULL);
	}
	return 0;
}

int bootstrap_check(const struct package_install *in, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(STATUS_MAX);
	char *path SCOPED(mem_freep) = fs_join(in->root, "var/lib/dpkg/status");
	struct map missing = {0};
	int r;

	if (fs_get(AT_FDCWD, path, &b, e) != 0)
		return -1;
	for (size_t i = 0; i < in->lock->packages_n; i++) {
		struct lock_package *p = &in->lock->packages[i];

		if (!strv_has(&in->recipe->remove, p->name))
			(void)map_put(&missing, p->name, p);
	}
	r = check_all(&missing, (struct deb822){b.data, b.len}, e);
	for (size_t i = 0; r == 0 && i < in->lock->packages_n; i++)
		if (map_get(&missing, in->lock->packages[i].name) != NULL)
			r = err_set(e, ERR_STEP, "package %s is in the lock but not in the tree",
				    in->lock->packages[i].name);
	map_release(&missing, NULL);
	return r;
}
