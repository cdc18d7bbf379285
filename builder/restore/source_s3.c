/* source_s3.c - the objects below a prefix of a bucket, as files of root's: an object has no owner
 * and no mode. One that is there with the same size and time is not fetched again. */
#include "restore/source.h"

#include "base/log.h"
#include "base/num.h"
#include "form/sigv4.h"
#include "form/xml.h"
#include "remote/s3.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGES_MAX = 100000, STALL_MS = 300000 };

struct object {
	char *key; /* behind the prefix */
	uint64_t size;
	int64_t time;
};

struct bucket {
	struct s3 *s3;
	struct http *http;
	char *prefix; /* "" or ends in a slash */
	int tofd;     /* where it all goes */
	struct object *v;
	size_t n, cap;
	struct map keys; /* with all directories above them */
	char *next;      /* of the list */
	struct restore_filter *filter;
	bool again;
};

static void bucket_release(struct bucket *b)
{
	for (size_t i = 0; i < b->n; i++)
		free(b->v[i].key);
	free(b->v);
	free(b->prefix);
	free(b->next);
	map_release(&b->keys, NULL);
	s3_free(b->s3);
	http_free(b->http);
	fd_closep(&b->tofd);
}

static int add(struct bucket *b, const char *key, struct err *e)
{
	size_t n = strlen(b->prefix);

	if (strncmp(key, b->prefix, n) != 0)
		return err_set(e, ERR_REMOTE, "a key that was not asked for: %s", key);
	if (b->n == b->cap)
		b->v = mem_resize(b->v, b->cap = b->cap * 2 + 64, sizeof(*b->v));
	b->v[b->n++] = (struct object){.key = mem_strdup(key + n)};
	return 0;
}

static int leaf(void *ctx, const char *path, const char *text, struct err *e)
{
	struct bucket *b = ctx;
	struct object *last = b->n > 0 ? &b->v[b->n - 1] : NULL;

	if (strcmp(path, "ListBucketResult/Contents/Key") == 0)
		return add(b, text, e);
	if (strcmp(path, "ListBucketResult/NextContinuationToken") == 0) {
		free(b->next);
		b->next = mem_strdup(text);
	} else if (strcmp(path, "ListBucketResult/Contents/Size") == 0 && last != NULL) {
		if (num_u64(text, INT64_MAX, &last->size) != 0)
			return err_set(e, ERR_REMOTE, "a size that is none: %s", text);
	} else if (strcmp(path, "ListBucketResult/Contents/LastModified") == 0 && last != NULL &&
		   clock_parse(text, &last->time) != 0) {
		return err_set(e, ERR_REMOTE, "a time that is none: %s", text);
	}
	return 0;
}

static int get(struct bucket *b, const char *url, const struct sink *to, struct err *e)
{
	const struct xml_reader x = {leaf, NULL, b};
	struct http_request q = {.method = "GET",
				 .url = url,
				 .body_fd = -1,
				 .to = to,
				 .stall_ms = STALL_MS,
				 .via = b->http};
	struct http_reply r = {0};
	int rc;

	if (s3_send(b->s3, &q, NULL, &r, e) != 0)
		return -1;
	rc = r.status != 200 ? s3_refused(&q, &r, e)
	     : to == NULL    ? xml_read(r.body.data, r.body.len, &x, e)
			     : 0;
	http_reply_release(&r);
	return rc;
}

static int list(struct bucket *b, struct err *e)
{
	char *escaped SCOPED(mem_freep) = sigv4_escape(b->prefix, true);

	for (unsigned n = 0; n == 0 || b->next != NULL; n++) {
		char *from SCOPED(mem_freep) = STEAL(b->next);
		char *after SCOPED(mem_freep) = from != NULL ? sigv4_escape(from, true) : NULL;
		char *url SCOPED(mem_freep) = mem_format(
		    "%s/?list-type=2&prefix=%s%s%s", b->s3->base, escaped,
		    after != NULL ? "&continuation-token=" : "", after != NULL ? after : "");

		if (n == PAGES_MAX)
			return err_set(e, ERR_REMOTE, "a list that does not end");
		if (get(b, url, NULL, e) != 0)
			return -1;
	}
	return 0;
}

static int to_file(void *ctx, const void *p, size_t n, struct err *e)
{
	return fs_write_all(*(int *)ctx, p, n, e);
}

struct fetching {
	struct bucket *b;
	const struct object *o;
	const char *url;
};

static int fill(void *ctx, int fd, struct err *e)
{
	const struct fetching *f = ctx;
	const struct sink to = {to_file, &fd};
	const struct timespec times[] = {{f->o->time, 0}, {f->o->time, 0}};
	struct stat st;

	if (get(f->b, f->url, &to, e) != 0)
		return -1;
	if (fstat(fd, &st) != 0)
		return err_sys(e, "look at %s", f->o->key);
	if ((uint64_t)st.st_size != f->o->size)
		return err_set(e, ERR_REMOTE, "%s has %lld bytes, and was said to have %llu",
			       f->o->key, (long long)st.st_size, (unsigned long long)f->o->size);
	return futimens(fd, times) == 0 ? 0 : err_sys(e, "set the time of %s", f->o->key);
}

static void note(struct bucket *b, const char *key)
{
	char *path SCOPED(mem_freep) = mem_strdup(key);
	char *slash;

	(void)map_put(&b->keys, path, NULL);
	while ((slash = strrchr(path, '/')) != NULL) {
		*slash = '\0';
		(void)map_put(&b->keys, path, NULL);
	}
}

static int fetch_one(struct bucket *b, const struct object *o, struct err *e)
{
	char *key SCOPED(mem_freep) = mem_format("%s%s", b->prefix, o->key);
	char *escaped SCOPED(mem_freep) = sigv4_escape(key, false);
	char *url SCOPED(mem_freep) = mem_format("%s/%s", b->s3->base, escaped);
	char *parent SCOPED(mem_freep) = fs_dirname(o->key),
		     *base SCOPED(mem_freep) = fs_basename(o->key);
	struct fetching f = {b, o, url};
	const struct fs_filler how = {fill, &f};
	int dir SCOPED(fd_closep) = -1;
	struct stat st;

	note(b, o->key);
	if (fs_mkdirs(b->tofd, parent, 0755, e) != 0 || fs_open_dir(b->tofd, parent, &dir, e) != 0)
		return -1;
	if (fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	    (uint64_t)st.st_size == o->size && st.st_mtim.tv_sec == o->time)
		return 0;
	return fs_put_with(dir, base, 0644, &how, e);
}

/* What the filter holds back is counted once a run. */
static bool belongs(const struct bucket *b, const char *path)
{
	if (b->filter == NULL)
		return true;
	return b->again ? restore_filter_passes(b->filter, path)
			: restore_filter_wants(b->filter, path, MANIFEST_FILE);
}

/* A key that ends in a slash is how some programs say that there is a directory. */
static int fetch_all(struct bucket *b, struct err *e)
{
	uint64_t done = 0, total = 0;

	for (size_t i = 0; i < b->n; i++)
		total += b->v[i].size;
	for (size_t i = 0; i < b->n; i++) {
		struct object *o = &b->v[i];
		size_t n = strlen(o->key);
		bool dir = n > 0 && o->key[n - 1] == '/';

		if (n == 0)
			continue;
		if (dir)
			o->key[n - 1] = '\0';
		if (!fs_relative_ok(o->key))
			return err_set(e, ERR_REMOTE, "the key \"%s\" can be no path", o->key);
		if (!belongs(b, o->key))
			continue;
		if (dir)
			note(b, o->key);
		if ((dir ? fs_mkdirs(b->tofd, o->key, 0755, e) : fetch_one(b, o, e)) != 0)
			return err_in(e, "%s", o->key);
		log_files(i, b->n);
		log_progress("fetch", done += o->size, total + 1);
	}
	log_progress("fetch", total, total);
	return 0;
}

struct removing {
	const struct bucket *b;
	struct strv gone;
};

static int look(void *ctx, const struct fs_entry *en, struct err *e)
{
	struct removing *r = ctx;

	(void)e;
	if (map_has(&r->b->keys, en->path))
		return 0;
	strv_add(&r->gone, en->path);
	return 1;
}

static int remove_gone(const struct bucket *b, struct err *e)
{
	struct removing r = {.b = b};
	int rc = fs_walk(b->tofd, look, &r, e);

	for (size_t i = 0; rc == 0 && i < r.gone.n; i++) {
		char *parent SCOPED(mem_freep) = fs_dirname(r.gone.v[i]),
			     *base SCOPED(mem_freep) = fs_basename(r.gone.v[i]);
		int dir SCOPED(fd_closep) = -1;

		rc = fs_open_dir(b->tofd, parent, &dir, e) != 0 || fs_rmtree(dir, base, e) != 0 ? -1
												: 0;
	}
	strv_release(&r.gone);
	return rc;
}

int source_fetch_s3(struct source *s, const struct source_help *h, struct err *e)
{
	char *to SCOPED(mem_freep) = fs_join(h->work, "fetched");
	struct bucket b SCOPED(bucket_release) = {
	    .tofd = -1, .filter = h->filter, .again = s->rootfd >= 0};
	size_t n = strlen(s->path);

	while (n > 0 && s->path[n - 1] == '/')
		n--;
	b.prefix = n > 0 ? mem_format("%.*s/", (int)n, s->path) : mem_strdup("");
	b.http = http_new();
	if (fs_mkdirs(AT_FDCWD, to, 0700, e) != 0 || fs_open_dir(AT_FDCWD, to, &b.tofd, e) != 0 ||
	    s3_open(s->host, b.http, false, &b.s3, e) != 0 || list(&b, e) != 0)
		return err_in(e, "%s", s->text);
	if (b.n == 0)
		return err_set(e, ERR_VERIFY, "%s: there is nothing", s->text);
	if (fetch_all(&b, e) != 0 || remove_gone(&b, e) != 0)
		return err_in(e, "%s", s->text);
	return 0;
}
