/* source_site.c - another instance's data. */
#include "restore/source.h"

#include "restore/instance.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* While its instance runs, two of its files may be of two moments. */
static int check_still(const struct stage *st, const struct source_help *h, struct err *e)
{
	bool runs = false;

	if (!h->last)
		return 0;
	if (instance_runs((struct stage *)(uintptr_t)st, &runs, e) != 0)
		return -1;
	if (!runs)
		return 0;
	(void)err_set(e, ERR_BUSY, "%s runs: its data changes", st->r.current.container);
	return err_hint(e, "posmedia stop %.200s, or restore a snapshot of it", st->s->file);
}

static int open_of(struct source *s, const struct site *site, const struct source_help *h,
		   struct err *e)
{
	struct stage st SCOPED(stage_release) = {.ownfd = -1, .lock = -1};
	struct stage_opts o = *h->stage;

	/* to look at, without its lock */
	o.dry_run = true;
	o.seccomp = NULL;
	if (stage_open_staged(site, &o, &st, e) != 0)
		return -1;
	if (st.r.current.container == NULL)
		return err_set(e, ERR_BUSY, "%s: no staging came to its end", s->text);
	if (stage_check_restored(&st, e) != 0 || check_still(&st, h, e) != 0)
		return -1;
	manifest_names_free(s->names);
	s->names = NULL;
	if (instance_names(&st, &s->names, e) != 0)
		return -1;
	fd_closep(&s->rootfd);
	s->by_name = true;
	return fs_open_dir(AT_FDCWD, st.dir, &s->rootfd, e);
}

int source_open_site(struct source *s, const struct source_help *h, struct err *e)
{
	struct site *site SCOPED(site_freep) = NULL;

	if (h->stage == NULL)
		return err_set(e, ERR_USAGE, "%s: only a site is restored from another one",
			       s->text);
	if (site_load(s->path, &site, e) != 0)
		return -1;
	return open_of(s, site, h, e) == 0 ? 0 : err_in(e, "%s", s->text);
}
