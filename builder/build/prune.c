#include "build/job.h"

#include "base/log.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Stages: at most so many, and when there are more, so many fewer. Removing one takes longer than
 * making it did, so it is not done in each build. */
enum { MOST = 28, KEEP = 20 };

/* Decompressed packages: those of some recipes of a thousand packages each. */
static const uint64_t unpacked_max = UINT64_C(4) << 30;

/* Unpacked media: some discs. */
static const uint64_t media_max = UINT64_C(16) << 30;

struct item {
	char *name;
	int64_t used; /* when it was made or last of use, seconds */
	uint64_t size;
};

static int newest_first(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->used != y->used)
		return x->used > y->used ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* The names in the directory fd as items, last used first; `mark` is the file below each whose time
 * says when that was, "" = its own. The caller frees them. */
static struct item *by_use(int fd, const struct strv *names, const char *mark)
{
	struct item *v = mem_zalloc((names->n + 1) * sizeof(*v));

	for (size_t i = 0; i < names->n; i++) {
		char *path SCOPED(mem_freep) =
		    mark[0] != '\0' ? fs_join(names->v[i], mark) : mem_strdup(names->v[i]);
		struct stat st;

		v[i].name = names->v[i];
		if (fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		v[i].used = st.st_mtime;
		v[i].size = (uint64_t)st.st_size;
	}
	qsort(v, names->n, sizeof(*v), newest_first);
	return v;
}

/* Whether this build used the stage of that name, or it may at least be used again: `keep` of
 * them. */
static bool of_use(const struct job *j, const char *name, size_t rank, size_t keep)
{
	struct digest key;

	if (digest_parse_hex(name, &key) != 0 || !plan_stage_usable(j->s, &key, NULL))
		return false;
	for (size_t i = 0; i < j->plan->n; i++)
		if (digest_equal(&j->plan->v[i].key, &key))
			return true;
	return rank < keep;
}

static int drop(struct job *j, const char *name, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join("cache/stages", name);

	return store_drop(j->s, path, e);
}

static int prune_stages(struct job *j, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};
	struct item *v SCOPED(mem_freep) = NULL;
	size_t keep;
	int fd SCOPED(fd_closep) = -1;

	if (faccessat(store_fd(j->s), "cache/stages", F_OK, 0) != 0)
		return 0;
	if (fs_open_dir(store_fd(j->s), "cache/stages", &fd, e) != 0 ||
	    fs_list(fd, ".", &names, e) != 0)
		return -1;
	v = by_use(fd, &names, "boot");
	keep = names.n > MOST ? KEEP : MOST;
	for (size_t i = 0; i < names.n; i++)
		if (!of_use(j, v[i].name, i, keep) && drop(j, v[i].name, e) != 0)
			return -1;
	return 0;
}

static int prune_unpacked(struct job *j, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};
	struct item *v SCOPED(mem_freep) = NULL;
	int fd SCOPED(fd_closep) = -1;
	uint64_t sum = 0;

	if (faccessat(store_fd(j->s), "cache/debs", F_OK, 0) != 0)
		return 0;
	if (fs_open_dir(store_fd(j->s), "cache/debs", &fd, e) != 0 ||
	    fs_list(fd, ".", &names, e) != 0)
		return -1;
	v = by_use(fd, &names, "");
	for (size_t i = 0; i < names.n; i++) {
		sum += v[i].size;
		if (sum > unpacked_max && unlinkat(fd, v[i].name, 0) != 0)
			return err_sys(e, "remove %s", v[i].name);
	}
	return 0;
}

/* What the record of an unpacked medium says it holds; a damaged one holds more than there is room
 * for. */
static uint64_t medium_bytes(int fd, const char *name)
{
	char *record SCOPED(mem_freep) = fs_join(name, "record");
	struct buf b SCOPED(buf_release) = BUF_INIT(4096);
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;
	int64_t n;

	if (fs_get_file(fd, record, &b, &quiet) != 0 ||
	    jval_parse(b.data, b.len, record, &v, &quiet) != 0 ||
	    jval_get_int(v, "bytes", &n) != 0 || n < 0)
		return media_max;
	return (uint64_t)n;
}

/* One that this build used stays, however large it is. */
static int prune_media(struct job *j, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};
	struct item *v SCOPED(mem_freep) = NULL;
	int fd SCOPED(fd_closep) = -1;
	uint64_t sum = 0;

	if (faccessat(store_fd(j->s), "cache/media", F_OK, 0) != 0)
		return 0;
	if (fs_open_dir(store_fd(j->s), "cache/media", &fd, e) != 0 ||
	    fs_list(fd, ".", &names, e) != 0)
		return -1;
	v = by_use(fd, &names, "record");
	for (size_t i = 0; i < names.n; i++) {
		char *path SCOPED(mem_freep) = fs_join("cache/media", v[i].name);

		sum += medium_bytes(fd, v[i].name);
		if (sum > media_max && !map_has(&j->media, path) && store_drop(j->s, path, e) != 0)
			return -1;
	}
	return 0;
}

void job_prune(struct job *j)
{
	int lock SCOPED(fd_closep) = -1;
	struct err e = ERR_INIT;

	if (faccessat(store_fd(j->s), "cache/stages", F_OK, 0) != 0)
		return; /* builds without cache leave no stages */
	if (store_alone(j->s, &lock, &e) != 0)
		return; /* another build is at work; it will prune */
	if (prune_stages(j, &e) != 0 || prune_unpacked(j, &e) != 0 || prune_media(j, &e) != 0)
		log_warn("pruning the cache: %s", e.msg);
}
