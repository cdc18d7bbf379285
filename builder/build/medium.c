/* Media are unpacked once: cache/media/KEY/tree is what a step sees of the medium with that digest,
 * KEY/record says which medium it is, how much it is, and the digest of the tree, by which a
 * damaged one shows. The medium itself is hashed when it comes into the store and again before it
 * is unpacked, so that no step sees bytes that nobody has checked. */
#include "build/job.h"

#include "archive/unpack.h"
#include "base/log.h"
#include "plan/parts.h"
#include "sys/intr.h"
#include "sys/lock.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Media unpack to about their own size; a few bytes that claim to be many are a trap. */
enum { MEDIUM_GROWTH = 20, MEDIUM_SPARE = 64 << 20, RECORD_MAX = 4096, LOCK_TRIES = 3000 };

/* Raised when the same medium is unpacked to something else. */
enum { SCHEMA = 2 };

static struct digest key_of(const struct recipe_media *m)
{
	struct jval *v SCOPED(jval_freep) = jval_object(), *inside = jval_array();
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
	char *file SCOPED(mem_freep) = parts_plain_name(m->file);

	for (size_t i = 0; i < m->inside.n; i++) {
		char *path SCOPED(mem_freep) = parts_plain_name(m->inside.v[i]);

		jval_push(inside, jval_text(path));
	}
	jval_put_int(v, "schema", SCHEMA);
	jval_put_text(v, "medium", digest_text(&m->digest).s);
	jval_put_text(v, "file", file);
	jval_put(v, "as-file", jval_bool(m->as_file));
	jval_put(v, "inside", inside);
	jval_write(v, &b);
	return digest_of(b.data, b.len);
}

/* cache/media/KEY, below the store. */
static char *cache_path(const struct recipe_media *m)
{
	struct digest key = key_of(m);

	return mem_format("cache/media/%s", digest_hex(&key).s);
}

bool job_medium_cached(const struct job *j, const struct recipe_media *m)
{
	char *path SCOPED(mem_freep) = cache_path(m);
	char *record SCOPED(mem_freep) = fs_join(path, "record");

	return faccessat(store_fd(j->s), record, F_OK, 0) == 0;
}

/* The digest of a whole unpacked medium, times included, and its bytes. */
static int sum_up(const char *tree, struct digest *ret, uint64_t *ret_bytes, struct err *e)
{
	const struct contents_times all = {.kept = true, .epoch = INT64_MAX};
	struct contents c SCOPED(contents_release) = {0};

	if (contents_scan(tree, &all, &c, e) != 0)
		return -1;
	*ret = c.output;
	*ret_bytes = 0;
	for (size_t i = 0; i < c.tree.n; i++)
		*ret_bytes += c.tree.v[i].size;
	return 0;
}

/* Whether the cached tree is what it was. */
static bool whole(const struct job *j, const char *dir)
{
	char *record SCOPED(mem_freep) = fs_join(dir, "record");
	char *tree SCOPED(mem_freep) = mem_format("%s/%s/tree", store_path(j->s), dir);
	struct buf b SCOPED(buf_release) = BUF_INIT(RECORD_MAX);
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;
	const char *text = NULL;
	struct digest want, is;
	uint64_t bytes;

	if (fs_get_file(store_fd(j->s), record, &b, &quiet) == 0 &&
	    jval_parse(b.data, b.len, record, &v, &quiet) == 0)
		text = jval_get_str(v, "tree");
	return text != NULL && digest_parse(text, &want) == 0 &&
	       sum_up(tree, &is, &bytes, &quiet) == 0 && digest_equal(&want, &is);
}

static int write_record(const struct recipe_media *m, const char *dir, const char *tree,
			struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(dir, "record");
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct buf b SCOPED(buf_release) = BUF_INIT(RECORD_MAX);
	struct digest d;
	uint64_t bytes;

	if (sum_up(tree, &d, &bytes, e) != 0)
		return -1;
	jval_put_text(v, "medium", digest_text(&m->digest).s);
	jval_put_text(v, "tree", digest_text(&d).s);
	jval_put_int(v, "bytes", (int64_t)bytes);
	jval_write(v, &b);
	return fs_put_path(path, b.data, b.len, 0644, e);
}

/* The store's copy may have been left unhashed, when a cached tree was to be used. */
static int open_medium(struct job *j, const struct recipe_media *m, int *ret, uint64_t *ret_size,
		       struct err *e)
{
	bool moved = false;

	if (store_recheck(j->s, &m->digest, &moved, e) != 0)
		return -1;
	if (moved) {
		(void)err_set(e, ERR_VERIFY, "the store's copy was damaged");
		return err_hint(e, "build again, and it is fetched anew");
	}
	if (!store_has(j->s, &m->digest, ret_size))
		return err_set(e, ERR_FAIL, "it is not in the store");
	return store_get(j->s, &m->digest, ret, e);
}

static int unpack_into(struct job *j, const struct recipe_media *m, const char *tree, struct err *e)
{
	struct unpack_medium u = {.name = m->file,
				  .as_file = m->as_file,
				  .inside = &m->inside,
				  .bytes_max = m->bytes_max,
				  .entries_max = m->files_max};
	int fd SCOPED(fd_closep) = -1;
	uint64_t size = 0;

	if (open_medium(j, m, &fd, &size, e) != 0)
		return -1;
	if (u.bytes_max == 0)
		u.bytes_max = size * MEDIUM_GROWTH + MEDIUM_SPARE;
	return unpack_medium(fd, m->name, tree, &u, e);
}

/* By one rename from the scratch. */
static int keep(struct job *j, const char *dir, const char *cached, char **ret, struct err *e)
{
	char *to SCOPED(mem_freep) = fs_join(store_path(j->s), cached);

	if (fs_mkdirs(store_fd(j->s), "cache/media", 0755, e) != 0)
		return -1;
	if (rename(dir, to) != 0) {
		if (errno != ENOTEMPTY && errno != EEXIST)
			return err_sys(e, "keep %s", cached);
		/* another build was faster: that one is not checked yet */
		*ret = fs_join(dir, "tree");
		return 0;
	}
	*ret = fs_join(to, "tree");
	return 0;
}

static int unpack_recorded(struct job *j, const struct recipe_media *m, const char *dir,
			   struct err *e)
{
	char *tree SCOPED(mem_freep) = fs_join(dir, "tree");

	if (mkdir(tree, 0755) != 0)
		return err_sys(e, "make directory %s", tree);
	if (unpack_into(j, m, tree, e) != 0)
		return -1;
	return write_record(m, dir, tree, e);
}

/* Unpacks it in the scratch, and gives it its place. A step may go on after an image that cannot be
 * unpacked, and ask for the next: nothing of the first is left. */
static int make(struct job *j, const struct recipe_media *m, const char *cached, char **ret,
		struct err *e)
{
	char *dir SCOPED(mem_freep) = mem_format("%s/medium.%zu", j->scratch, j->unpacked++);
	struct err quiet = ERR_INIT;

	if (mkdir(dir, 0755) != 0)
		return err_sys(e, "make directory %s", dir);
	if (unpack_recorded(j, m, dir, e) == 0 && keep(j, dir, cached, ret, e) == 0)
		return 0;
	if (fs_rmtree(AT_FDCWD, dir, &quiet) != 0)
		log_warn("leaves %s behind: %s", dir, quiet.msg);
	return -1;
}

/* Waits for its turn: whoever has the lock renames one directory. */
static int lock_media(struct job *j, int *ret, struct err *e)
{
	if (fs_mkdirs(store_fd(j->s), "locks", 0755, e) != 0 ||
	    fs_mkdirs(store_fd(j->s), "damaged", 0755, e) != 0)
		return -1;
	for (int i = 0;; i++) {
		if (lock_take(store_fd(j->s), "locks/media", ret, e) == 0)
			return 0;
		if (e->kind != ERR_BUSY || i == LOCK_TRIES || intr_pending())
			return -1;
		*e = (struct err)ERR_INIT;
		(void)poll(NULL, 0, 10);
	}
}

/* Takes the damaged tree out of the way, unless another build has done so and put a new one there.
 * It goes to damaged/, whole: a step of yet another build may be reading it. */
static int put_aside(struct job *j, const char *cached, ino_t judged, struct err *e)
{
	char *name SCOPED(mem_freep) = fs_basename(cached);
	char *to SCOPED(mem_freep) =
	    mem_format("damaged/medium-%s.%llu", name, (unsigned long long)judged);
	int lock SCOPED(fd_closep) = -1;
	struct stat st;

	if (lock_media(j, &lock, e) != 0)
		return -1;
	if (fstatat(store_fd(j->s), cached, &st, AT_SYMLINK_NOFOLLOW) != 0 || st.st_ino != judged)
		return 0;
	if (fs_rmtree(store_fd(j->s), to, e) != 0)
		return -1;
	return renameat(store_fd(j->s), cached, store_fd(j->s), to) == 0
		   ? 0
		   : err_sys(e, "put %s aside", cached);
}

static int find(struct job *j, const struct recipe_media *m, const char *cached, char **ret,
		struct err *e)
{
	struct stat st;

	for (int i = 0; i < 2 && job_medium_cached(j, m); i++) {
		if (fstatat(store_fd(j->s), cached, &st, AT_SYMLINK_NOFOLLOW) != 0)
			break;
		if (whole(j, cached)) {
			char *record SCOPED(mem_freep) = fs_join(cached, "record");

			(void)utimensat(store_fd(j->s), record, NULL, 0); /* for job_prune */
			*ret = mem_format("%s/%s/tree", store_path(j->s), cached);
			return 0;
		}
		log_warn("medium %s: what was unpacked of it is damaged; it is unpacked again",
			 m->name);
		if (put_aside(j, cached, st.st_ino, e) != 0)
			return -1;
	}
	return make(j, m, cached, ret, e);
}

int job_medium(struct job *j, const struct recipe_media *m, const char **ret, struct err *e)
{
	char *cached SCOPED(mem_freep) = cache_path(m);
	const char *known = map_get(&j->media, cached);
	char *tree = NULL;

	if (known == NULL) {
		if (find(j, m, cached, &tree, e) != 0) {
			char *at SCOPED(mem_freep) = recipe_pos_text(&m->pos);

			return err_in(e, "%s: medium %s", at, m->name);
		}
		(void)map_put(&j->media, cached, tree);
		known = tree;
	}
	*ret = known;
	return 0;
}
