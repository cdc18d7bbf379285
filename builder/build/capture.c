#include "build/job.h"

#include "build/shared.h"

#include "base/fault.h"
#include "base/log.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* JSON is UTF-8 and a path is any bytes: '%' and what is not plain ASCII as %XX. */
static struct jval *path_text(const char *path)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(3 * 4097);

	for (const unsigned char *c = (const unsigned char *)path; *c != '\0'; c++)
		if (*c > 0x20 && *c < 0x7f && *c != '%')
			buf_add(&b, c, 1);
		else
			buf_addf(&b, "%%%02X", *c);
	return jval_text(b.data);
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The path in a record, which nobody but us should have written: it stays below the tree. */
static int path_of(const struct jval *v, char **ret, struct err *e)
{
	const char *text = jval_str(v);
	struct buf b SCOPED(buf_release) = BUF_INIT(4097);

	for (const char *c = text != NULL ? text : ""; *c != '\0'; c++) {
		int hi = *c == '%' ? hex(c[1]) : -1, lo = hi >= 0 ? hex(c[2]) : -1;
		char byte = lo >= 0 ? (char)(hi * 16 + lo) : *c;

		buf_add(&b, &byte, 1);
		c += lo >= 0 ? 2 : 0;
	}
	if (buf_over(&b) || strlen(b.data) != b.len || !fs_relative_ok(b.data))
		return err_set(e, ERR_VERIFY, "a capture's record has a path that is none");
	*ret = buf_take(&b);
	return 0;
}

struct marks {
	struct jval *gone, *opaque;
};

void packed_tree_release(struct packed_tree *p)
{
	jval_free(p->marks);
	p->marks = NULL;
}

static int note(void *ctx, const struct fs_entry *en, struct err *e)
{
	struct marks *m = ctx;

	(void)e;
	if (S_ISCHR(en->st.st_mode) && en->st.st_rdev == 0)
		jval_push(m->gone, path_text(en->path));
	else if (S_ISDIR(en->st.st_mode) && job_is_opaque(en))
		jval_push(m->opaque, path_text(en->path));
	return 0;
}

int job_tree_pack(struct job *j, const char *tree, const struct sink *to, struct packed_tree *ret,
		  struct err *e)
{
	struct pack_opts o = {
	    .compression = PACK_ZSTD, .threads = j->o->threads, .epoch = j->l->epoch};
	struct jval *marks SCOPED(jval_freep) = jval_object();
	struct marks m = {jval_array(), jval_array()};
	struct tree t SCOPED(tree_release) = {0};
	int fd SCOPED(fd_closep) = -1;

	jval_put(marks, "gone", m.gone);
	jval_put(marks, "opaque", m.opaque);
	if (fs_open_dir(AT_FDCWD, tree, &fd, e) != 0 || fs_walk(fd, note, &m, e) != 0 ||
	    tree_scan(fd, &t, NULL, e) != 0 || pack_layer(fd, &t, &o, to, &ret->packed, e) != 0)
		return -1;
	ret->marks = STEAL(marks);
	return 0;
}

static int capture(struct job *j, const struct plan_stage *st, const char *tree, struct err *e)
{
	struct packed_tree p SCOPED(packed_tree_release) = {.marks = NULL};
	struct store_put *put SCOPED(store_put_freep) = NULL;
	struct digest blob;
	struct sink to;

	if (store_put_begin(j->s, &put, e) != 0)
		return -1;
	to = store_put_sink(put);
	if (job_tree_pack(j, tree, &to, &p, e) != 0 ||
	    store_put_commit(put, &p.packed.digest, &blob, NULL, e) != 0)
		return -1;
	fault_point("captured");
	return plan_capture_save(j->s, &st->key, &blob, p.marks, e);
}

int job_capture(struct job *j, const struct plan_stage *st, const char *tree, struct err *e)
{
	if (capture(j, st, tree, e) != 0)
		return err_in(e, "capture %s", st->name);
	fault_point("capture recorded");
	log_info("%s: output captured", st->name);
	return 0;
}

/* A whiteout, as overlayfs wants it (Documentation/filesystems/overlayfs.rst). */
static int hide_one(int dir, const char *name, struct err *e)
{
	return mknodat(dir, name, S_IFCHR, 0) == 0 ? 0 : err_sys(e, "mark %s as removed", name);
}

static int empty_one(int dir, const char *name, struct err *e)
{
	char *full SCOPED(mem_freep) = mem_format("/proc/self/fd/%d/%s", dir, name);

	if (lsetxattr(full, sandbox_opaque_mark(), "y", 1, 0) != 0)
		return err_sys(e, "mark %s as emptied", name);
	return 0;
}

static int apply(int fd, const struct jval *list,
		 int (*mark)(int dir, const char *name, struct err *e), struct err *e)
{
	for (size_t i = 0; i < jval_len(list); i++) {
		char *path SCOPED(mem_freep) = NULL, *dir SCOPED(mem_freep) = NULL;
		char *name SCOPED(mem_freep) = NULL;
		int parent SCOPED(fd_closep) = -1;

		if (path_of(jval_at(list, i), &path, e) != 0)
			return -1;
		dir = fs_dirname(path);
		name = fs_basename(path);
		if (fs_open_in_root(fd, dir, O_RDONLY | O_DIRECTORY, &parent, e) != 0 ||
		    mark(parent, name, e) != 0)
			return -1;
	}
	return 0;
}

int job_tree_unpack(int blob, const struct jval *marks, const char *tree,
		    const struct unpack_opts *o, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	if (unpack(blob, tree, o, e) != 0 || fs_open_dir(AT_FDCWD, tree, &fd, e) != 0)
		return -1;
	if (apply(fd, jval_get(marks, "opaque"), empty_one, e) != 0)
		return -1;
	return apply(fd, jval_get(marks, "gone"), hide_one, e);
}

static int release_it(struct job *j, const struct plan_capture *c, const char *tree, struct err *e)
{
	struct unpack_opts o = {.what = "captured output", .tar = true, .keep_owner = true};
	int blob SCOPED(fd_closep) = -1;

	if (store_get(j->s, &c->blob, &blob, e) != 0)
		return -1;
	return job_tree_unpack(blob, c->marks, tree, &o, e);
}

int job_release_capture(struct job *j, const struct plan_stage *st, const char *tree,
			bool *ret_done, struct err *e)
{
	struct plan_capture c SCOPED(plan_capture_release) = {0};
	bool moved = false;

	if (!plan_capture_load(j->s, &st->key, &c))
		return 0;
	if (store_recheck(j->s, &c.blob, &moved, e) != 0)
		return -1;
	if (moved) {
		log_warn("%s: the store's copy of its captured output was damaged; it runs again",
			 st->name);
		return 0;
	}
	if (release_it(j, &c, tree, e) != 0)
		return err_in(e, "%s", st->name);
	*ret_done = true;
	return 0;
}
