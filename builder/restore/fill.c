/* fill.c - one tree: read, filled, read again. */
#include "restore/scanned.h"

#include "base/fault.h"
#include "base/log.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

enum { DIFFERENCES_TOLD = 5 };

struct phase {
	const char *what;
	uint64_t total, files; /* of a writing: bytes and files that there will be */
	struct restore_filter *filter;
	struct restore_view *view; /* what is written, and where */
	const struct restore_target *to;
	const struct apply_memory *memory; /* of what is read, or NULL */
	pthread_mutex_t telling;           /* who finds another at it has nothing better to say */
	uint64_t unsteady;
};

static bool wants(void *ctx, const char *path, enum manifest_type type)
{
	struct phase *p = ctx;

	return p->filter == NULL || restore_filter_wants(p->filter, path, type);
}

static void was_read(void *ctx, const struct manifest_progress *now)
{
	const struct phase *p = ctx;

	log_files(now->files, now->files_total);
	log_progress(p->what, now->bytes, now->bytes_total);
}

static void was_written(void *ctx, uint64_t files, uint64_t bytes, uint64_t written)
{
	struct phase *p = ctx;

	(void)written;
	if (bytes >= p->total || pthread_mutex_trylock(&p->telling) != 0)
		return;
	log_files(files, p->files);
	log_progress(p->what, bytes, p->total);
	(void)pthread_mutex_unlock(&p->telling);
}

static void unsteady(void *ctx, const char *path)
{
	struct phase *p = ctx;
	char *told SCOPED(mem_freep) = NULL;

	if (p->unsteady++ > 0)
		return;
	told = restore_told(path);
	log_info("%s changes while it is read", told);
}

static bool vouch(void *ctx, int fd, const struct stat *st, struct digest *ret)
{
	const struct phase *p = ctx;

	return apply_memory_holds(p->memory, fd, st, ret);
}

static int make(int dirfd, const struct restore_making *how, struct phase *p, struct manifest *ret,
		struct err *e)
{
	const struct manifest_opts o = {.names = how->names,
					.threads = how->threads,
					.wants = wants,
					.progress = how->later ? NULL : was_read,
					.unsteady = how->living ? unsteady : NULL,
					.ctx = p,
					.seen = how->seen,
					.vouch = p->memory != NULL ? vouch : NULL,
					.later = how->later};
	int rc = manifest_make(dirfd, &o, ret, e);

	if (rc == 0 && !how->later)
		log_progress(how->what, ret->bytes, ret->bytes);
	return rc;
}

int restore_make(int dirfd, const struct restore_making *how, struct manifest *ret, struct err *e)
{
	struct phase p = {.what = how->what, .filter = how->filter};

	return make(dirfd, how, &p, ret, e);
}

struct differing {
	struct buf text;
	unsigned n;
};

static void differs(void *ctx, const struct manifest_difference *d)
{
	struct differing *x = ctx;

	char *told SCOPED(mem_freep) = NULL;

	if (x->n++ >= DIFFERENCES_TOLD)
		return;
	told = restore_told(d->path);
	buf_addf(&x->text, "%s%s: %s", x->n > 1 ? "; " : "", told, d->field);
}

static int check(const struct restore_view *v, const struct restore_target *to, const char *what,
		 const struct apply_memory *memory, struct err *e)
{
	const struct restore_making how = {
	    .names = to->names, .threads = to->threads, .what = "verify"};
	struct phase p = {.what = how.what, .memory = memory};
	struct manifest is SCOPED(manifest_release) = {0};
	struct differing x = {BUF_INIT(900), 0};
	uint64_t n;

	if (make(to->dirfd, &how, &p, &is, e) != 0)
		return err_in(e, "%s", what);
	n = manifest_compare(&v->m, &is, differs, &x);
	*to->differences += n;
	if (n > 0)
		(void)err_set(e, ERR_VERIFY, "%s is not what its source is: %llu differences: %s",
			      what, (unsigned long long)n, x.text.data);
	buf_release(&x.text);
	return n > 0 ? -1 : 0;
}

int restore_check(const struct restore_view *v, const struct restore_target *to, const char *what,
		  struct err *e)
{
	struct apply_memory *memory = NULL;
	int rc = to->memory != NULL ? apply_memory_load(to->memfd, to->memory, &memory, e) : 0;

	if (rc == 0)
		rc = check(v, to, what, memory, e);
	apply_memory_free(memory);
	return rc;
}

/* All is written, and each name of a file says what its first one does. */
static int meanwhile(void *ctx, struct err *e)
{
	const struct phase *p = ctx;
	uint64_t begun = clock_mono_ms();
	int rc;

	manifest_settle(&p->view->m);
	rc = check(p->view, p->to, p->to->verify, p->memory, e);
	*p->to->verify_ms += clock_mono_ms() - begun;
	return rc;
}

int restore_fill(struct restore_view *v, const struct restore_target *to, struct apply_result *ret,
		 struct err *e)
{
	struct phase p = {.what = "restore",
			  .view = v,
			  .to = to,
			  .total = v->m.bytes,
			  .files = v->m.files,
			  .telling = PTHREAD_MUTEX_INITIALIZER};
	struct apply_opts o = {.names = to->names,
			       .threads = to->threads,
			       .dry_run = to->dry_run,
			       .progress = was_written,
			       .meanwhile = to->verify != NULL ? meanwhile : NULL,
			       .ctx = &p};
	int rc;

	if (to->memory != NULL && apply_memory_load(to->memfd, to->memory, &o.memory, e) != 0)
		return -1;
	p.memory = o.memory;
	rc = apply_tree(&v->m, &v->content, to->dirfd, &o, ret, e);
	fault_point("restore: applied");
	manifest_settle(&v->m);
	if (rc == 0 && o.memory != NULL && !to->dry_run)
		rc = apply_memory_save(o.memory, to->memfd, to->memory, e);
	apply_memory_free(o.memory);
	if (rc == 0)
		log_progress(p.what, v->m.bytes, v->m.bytes);
	return rc;
}

int restore_own_dir(const char *path, int *ret, struct err *e)
{
	static const char *const acls[] = {"system.posix_acl_default", "system.posix_acl_access"};
	int fd SCOPED(fd_closep) = -1;

	if (fs_mkdirs(AT_FDCWD, path, 0700, e) != 0 || fs_open_dir(AT_FDCWD, path, &fd, e) != 0)
		return -1;
	for (size_t i = 0; i < 2; i++)
		if (fremovexattr(fd, acls[i]) != 0 && errno != ENODATA && errno != EOPNOTSUPP)
			return err_sys(e, "clear the ACL of %s", path);
	*ret = STEAL_FD(fd);
	return 0;
}

struct jval *restore_report_list(const struct strv *l)
{
	struct jval *list = jval_array();

	for (size_t i = 0; i < l->n; i++)
		jval_push(list, jval_text(l->v[i]));
	return list;
}

void restore_report_tree(struct jval *o, const struct manifest *m, const struct apply_result *r)
{
	const struct digest root = manifest_root(m);

	jval_put_text(o, "root", digest_text(&root).s);
	jval_put_int(o, "entries", (int64_t)m->n);
	jval_put_int(o, "files", (int64_t)m->files);
	jval_put_int(o, "bytes", (int64_t)m->bytes);
	jval_put_int(o, "sockets", (int64_t)m->left_out);
	jval_put_int(o, "remembered", (int64_t)m->remembered);
	jval_put_int(o, "made", (int64_t)r->made);
	jval_put_int(o, "changed", (int64_t)r->changed);
	jval_put_int(o, "removed", (int64_t)r->removed);
	jval_put_int(o, "same", (int64_t)r->same);
	jval_put_int(o, "compared-bytes", (int64_t)r->bytes_compared);
	jval_put_int(o, "written-bytes", (int64_t)r->bytes_written);
}
