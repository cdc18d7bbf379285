#include "store/check.h"

#include "base/fault.h"
#include "base/log.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOBS "blobs/sha256"

void store_report_release(struct store_report *r)
{
	for (size_t i = 0; i < r->wrong_n; i++) {
		free(r->wrong[i].name);
		free(r->wrong[i].why);
	}
	free(r->wrong);
	strv_release(&r->leftovers);
	*r = (struct store_report){0};
}

static int open_blob(const struct store *s, const char *name, int *ret_fd)
{
	char *path SCOPED(mem_freep) = fs_join(BLOBS, name);

	/* O_NONBLOCK: a pipe of that name must not hold us up */
	*ret_fd = openat(store_fd(s), path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return *ret_fd < 0 ? -1 : 0;
}

/* NULL when the open file is what its name says, else what it is instead; the caller owns it. */
static char *wrong_bytes(int fd, const struct digest *want, uint64_t *ret_size)
{
	struct err why = ERR_INIT;
	struct digest got;

	if (digest_fd(fd, &got, ret_size, &why) != 0) /* a worn disk says so when it is read */
		return mem_format("cannot be read: %s", why.msg);
	if (digest_equal(&got, want))
		return NULL;
	return mem_format("is %s of %llu bytes", digest_text(&got).s,
			  (unsigned long long)*ret_size);
}

static char *wrong(const struct store *s, const char *name, uint64_t *ret_size)
{
	int fd SCOPED(fd_closep) = -1;
	struct digest want;
	struct stat st;

	if (digest_parse_hex(name, &want) != 0)
		return mem_strdup("is no digest");
	if (open_blob(s, name, &fd) != 0)
		return mem_format("cannot be opened: %s", strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return mem_strdup("is no file");
	return wrong_bytes(fd, &want, ret_size);
}

/* One rename: the next look finds the blob absent, and its bytes can still be examined. */
static int put_aside(struct store *s, const char *name, struct err *e)
{
	char *from SCOPED(mem_freep) = fs_join(BLOBS, name);
	char *to SCOPED(mem_freep) = fs_join("damaged", name);
	int blobs SCOPED(fd_closep) = -1;

	if (fs_mkdirs(store_fd(s), "damaged", 0755, e) != 0 ||
	    fs_rmtree(store_fd(s), to, e) != 0 || /* from last time; a directory stops a rename */
	    fs_open_dir(store_fd(s), BLOBS, &blobs, e) != 0)
		return -1;
	fault_point("before aside");
	if (renameat(store_fd(s), from, store_fd(s), to) != 0)
		return err_sys(e, "store: move %s away", name);
	fault_point("aside");
	return fsync(blobs) == 0 ? 0 : err_sys(e, "store: sync");
}

int store_recheck(struct store *s, const struct digest *d, bool *ret_moved, struct err *e)
{
	struct digest_hex h = digest_hex(d);
	char *path SCOPED(mem_freep) = fs_join(BLOBS, h.s);
	char *why SCOPED(mem_freep) = NULL;
	int fd SCOPED(fd_closep) = -1;
	struct stat ours, there;
	uint64_t size = 0;

	*ret_moved = false;
	if (!store_has(s, d, NULL))
		return 0;
	if (open_blob(s, h.s, &fd) != 0)
		return errno == ENOENT ? 0 : err_sys(e, "store: blob sha256:%s", h.s);
	why = wrong_bytes(fd, d, &size);
	if (why == NULL)
		return 0;
	/* another build may have found it too, and have a good one in its place already */
	if (fstat(fd, &ours) != 0 || fstatat(store_fd(s), path, &there, AT_SYMLINK_NOFOLLOW) != 0 ||
	    ours.st_ino != there.st_ino)
		return 0;
	log_debug("blob sha256:%s %s", h.s, why);
	if (put_aside(s, h.s, e) != 0)
		return -1;
	*ret_moved = true;
	return 0;
}

static int check_one(struct store *s, const char *name, bool repair, struct store_report *r,
		     struct err *e)
{
	uint64_t size = 0;
	char *why = wrong(s, name, &size);

	if (why == NULL) {
		r->blobs++;
		r->bytes += size;
		return 0;
	}
	r->wrong = mem_resize(r->wrong, r->wrong_n + 1, sizeof(*r->wrong));
	r->wrong[r->wrong_n++] = (struct store_wrong){mem_strdup(name), why};
	return repair ? put_aside(s, name, e) : 0;
}

static int check_all(struct store *s, bool repair, struct store_report *r, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0}, partial SCOPED(strv_release) = {0};

	if (fs_list(store_fd(s), BLOBS, &names, e) != 0 ||
	    fs_list(store_fd(s), "partial", &partial, e) != 0 ||
	    store_leftovers(s, &r->leftovers, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		log_progress("verify", i, names.n);
		if (intr_pending())
			return intr_err(e);
		if (check_one(s, names.v[i], repair, r, e) != 0)
			return -1;
	}
	log_progress("verify", names.n, names.n);
	for (size_t i = 0; i < partial.n; i++)
		if (strchr(partial.v[i], '.') == NULL) /* HEX.lock is no download */
			r->partial_n++;
	return 0;
}

int store_check(struct store *s, bool repair, struct store_report *ret, struct err *e)
{
	struct store_report r SCOPED(store_report_release) = {0};

	if (check_all(s, repair, &r, e) != 0)
		return err_in(e, "store %s", store_path(s));
	*ret = r;
	r = (struct store_report){0};
	return 0;
}
