/* mounted.c - no data of a site on another disk than the one that is meant for it. */
#include "stage/parts.h"

#include "harden/mounts.h"
#include <stdlib.h>

static int check_path(const char *path, struct err *e)
{
	char *at SCOPED(mem_freep) = NULL;

	if (mounts_missing(path, &at, e) != 0)
		return -1;
	if (at == NULL)
		return 0;
	(void)err_set(e, ERR_FAIL, "%s is not mounted, where %s belongs", at, path);
	return err_hint(e, "mount %.200s, or take it out of /etc/fstab", at);
}

int stage_check_mounted(const struct site *s, const struct stage_opts *o, struct err *e)
{
	char *dir SCOPED(mem_freep) =
	    mem_format("%s/%s/%s", o->state, s->shop, site_env_word(s->env));

	for (size_t i = 0; i < s->data_n; i++) {
		char *path SCOPED(mem_freep) = mem_format("%s/%s", dir, s->data[i].name);

		if (check_path(path, e) != 0)
			return -1;
	}
	return check_path(dir, e);
}
