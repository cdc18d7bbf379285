#include "build/job.h"

#include "base/log.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEEP = 12 };

struct stage {
	char *name;
	int64_t used; /* when it was made, seconds */
};

static int newest_first(const void *a, const void *b)
{
	const struct stage *x = a, *y = b;

	if (x->used != y->used)
		return x->used > y->used ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* Whether this build used the stage of that name, or it may at least be used again. */
static bool of_use(const struct job *j, const char *name, size_t rank)
{
	struct digest key;

	if (digest_parse_hex(name, &key) != 0 || !plan_stage_usable(j->s, &key, NULL))
		return false;
	for (size_t i = 0; i < j->plan->n; i++)
		if (digest_equal(&j->plan->v[i].key, &key))
			return true;
	return rank < KEEP;
}

static int drop(struct job *j, const char *name, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join("cache/stages", name);

	return store_drop(j->s, path, e);
}

static int prune(struct job *j, int fd, const struct strv *names, struct err *e)
{
	struct stage *v SCOPED(mem_freep) = mem_zalloc(names->n * sizeof(*v));

	for (size_t i = 0; i < names->n; i++) {
		char *boot SCOPED(mem_freep) = fs_join(names->v[i], "boot");
		struct stat st;

		v[i].name = names->v[i];
		v[i].used = fstatat(fd, boot, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_mtime : 0;
	}
	qsort(v, names->n, sizeof(*v), newest_first);
	for (size_t i = 0; i < names->n; i++)
		if (!of_use(j, v[i].name, i) && drop(j, v[i].name, e) != 0)
			return -1;
	return 0;
}

void job_prune(struct job *j)
{
	struct strv names SCOPED(strv_release) = {0};
	int lock SCOPED(fd_closep) = -1, fd SCOPED(fd_closep) = -1;
	struct err e = ERR_INIT;

	if (store_alone(j->s, &lock, &e) != 0)
		return; /* another build is at work; it will prune */
	if (faccessat(store_fd(j->s), "cache/stages", F_OK, 0) != 0)
		return;
	if (fs_open_dir(store_fd(j->s), "cache/stages", &fd, &e) != 0 ||
	    fs_list(fd, ".", &names, &e) != 0 || prune(j, fd, &names, &e) != 0)
		log_warn("pruning the cache: %s", e.msg);
}
