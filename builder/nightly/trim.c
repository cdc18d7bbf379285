/* trim.c - the layout of a recipe's images, without those that are in the repository anyway: a new
 * one with the tags that stay takes its place. */
#include "nightly/parts.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static int copy_tag(const struct step_spec *step, const char *from, const char *to, const char *tag,
		    struct err *e)
{
	struct strv argv SCOPED(strv_release) = {0};
	struct step_spec s = *step;
	struct stepped did SCOPED(stepped_release) = {0};

	strv_add(&argv, "copy");
	strv_addf(&argv, "oci:%s:%s", from, tag);
	strv_addf(&argv, "oci:%s:%s", to, tag);
	strv_add(&argv, "--json");
	s.argv = &argv;
	if (step_run(&s, &did, e) != 0)
		return -1;
	return did.status == 0 ? 0 : err_set(e, ERR_FAIL, "copy of %s: %s", tag, did.why);
}

int layout_trim(const struct step_spec *step, const char *layout, const struct strv *tags,
		struct err *e)
{
	char *fresh SCOPED(mem_freep) = mem_format("%s.trimmed", layout);
	char *dir SCOPED(mem_freep) = fs_dirname(layout), *name SCOPED(mem_freep) = NULL;
	int at SCOPED(fd_closep) = -1;

	name = fs_basename(fresh);
	/* what a night that was killed has left of it */
	if (fs_open_dir(AT_FDCWD, dir, &at, e) != 0 || fs_rmtree(at, name, e) != 0)
		return -1;
	for (size_t i = 0; i < tags->n; i++)
		if (copy_tag(step, layout, fresh, tags->v[i], e) != 0)
			return -1;
	if (renameat2(AT_FDCWD, fresh, AT_FDCWD, layout, RENAME_EXCHANGE) != 0)
		return err_sys(e, "exchange %s and %s", fresh, layout);
	return fs_rmtree(at, name, e);
}
