#include "build/exported.h"

#include "base/log.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { RECORD_MAX = 1 << 20 };

struct exported {
	const struct job *j;
	const struct oci_layout *l;
	char *path;         /* of the record */
	struct jval *was;   /* {digest: state} as it was read, or NULL */
	struct jval *blobs; /* the same of what is there now */
};

/* A file's inode, size and times; NULL when it is not there. The caller owns it. */
static char *state_of(const struct oci_layout *l, const struct oci_desc *d)
{
	int fd SCOPED(fd_closep) = -1;
	struct err quiet = ERR_INIT;
	struct stat st;

	if (oci_layout_blob(l, &d->digest, &fd, NULL, &quiet) != 0 || fstat(fd, &st) != 0)
		return NULL;
	return mem_format("%llu:%llu %lld %lld.%09ld %lld.%09ld", (unsigned long long)st.st_dev,
			  (unsigned long long)st.st_ino, (long long)st.st_size,
			  (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
			  (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
}

static struct jval *read_record(const char *path)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(RECORD_MAX);
	struct err quiet = ERR_INIT;
	struct jval *v = NULL;

	if (fs_get_file(AT_FDCWD, path, &b, &quiet) != 0 ||
	    jval_parse(b.data, b.len, path, &v, &quiet) != 0)
		return NULL;
	return v;
}

struct exported *exported_open(const struct job *j, const struct oci_layout *l)
{
	struct exported *x = mem_zalloc(sizeof(*x));

	x->j = j;
	x->l = l;
	x->path = mem_format("%s/cache/exported/%s", store_path(j->s), j->r->name);
	x->blobs = jval_object();
	if (!j->o->no_cache)
		x->was = read_record(x->path);
	return x;
}

void exported_freep(struct exported **x)
{
	if (*x == NULL)
		return;
	free((*x)->path);
	jval_free((*x)->was);
	jval_free((*x)->blobs);
	free(*x);
	*x = NULL;
}

bool exported_same(const struct exported *x, const struct oci_desc *d)
{
	const char *was = jval_get_str(x->was, digest_text(&d->digest).s);
	char *is SCOPED(mem_freep) = was != NULL ? state_of(x->l, d) : NULL;

	return is != NULL && strcmp(was, is) == 0;
}

void exported_add(struct exported *x, const struct oci_desc *d)
{
	char *is SCOPED(mem_freep) = state_of(x->l, d);

	if (is != NULL)
		jval_put_text(x->blobs, digest_text(&d->digest).s, is);
}

void exported_keep(const struct exported *x)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(RECORD_MAX);
	struct err e = ERR_INIT;

	if (x->was != NULL && jval_equal(x->was, x->blobs))
		return;
	jval_write(x->blobs, &b);
	if (fs_mkdirs(store_fd(x->j->s), "cache/exported", 0700, &e) != 0 ||
	    fs_put_unsynced(x->path, b.data, b.len, 0600, &e) != 0)
		log_debug("the layout's blobs will be read again: %s", e.msg);
}
