/* old_ahead.c - the old server reads its data while that still goes over the link. */
#include "cutover/old.h"

#include "sys/aside.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct old_ahead {
	struct old_opts opts;
	const struct strv *exclude;
	struct old_list *lists; /* shared with the child */
	size_t size;
	struct aside child;
};

static int list(void *arg, struct err *e)
{
	struct old_ahead *a = arg;
	struct old *o SCOPED(old_closep) = NULL;

	return old_open(&a->opts, &o, e) != 0 ? -1 : old_list(o, a->exclude, a->lists, e);
}

int old_list_ahead(const struct old_opts *opts, const struct strv *exclude, struct old_ahead **ret,
		   struct err *e)
{
	struct old_ahead *a = mem_zalloc(sizeof(*a));

	a->opts = *opts;
	a->opts.installed = true;
	a->exclude = exclude;
	a->size = (opts->plan->data_n + 1) * sizeof(*a->lists);
	a->lists = mmap(NULL, a->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (a->lists == MAP_FAILED) {
		free(a);
		return err_sys(e, "share memory with a child");
	}
	if (aside_start(list, a, &a->child, e) != 0) {
		old_ahead_end(a);
		return -1;
	}
	*ret = a;
	return 0;
}

int old_ahead_take(struct old_ahead *a, struct old_list *ret, struct err *e)
{
	if (aside_join(&a->child, e) != 0)
		return -1;
	memcpy(ret, a->lists, a->opts.plan->data_n * sizeof(*ret));
	return 0;
}

void old_ahead_end(struct old_ahead *a)
{
	if (a == NULL)
		return;
	aside_stop(&a->child);
	(void)munmap(a->lists, a->size);
	free(a);
}
