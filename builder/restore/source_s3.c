/* source_s3.c - the objects below a prefix of a bucket, as files of root's: an object has no owner
 * and no mode. One that is there with the same size and time is not fetched again. */
#include "restore/source.h"

#include "base/log.h"
#include "form/sigv4.h"
#include "remote/s3.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { STALL_MS = 300000, ROUNDS = 4 };

struct object {
	char *key;  /* behind the prefix */
	char *etag; /* without its quotes; "" = it has none */
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
	struct restore_filter *filter;
	bool again;
};

static void object_release(struct object *o)
{
	free(o->key);
	free(o->etag);
}

static void bucket_release(struct bucket *b)
{
	for (size_t i = 0; i < b->n; i++)
		object_release(&b->v[i]);
	free(b->v);
	free(b->prefix);
	map_release(&b->keys, NULL);
	s3_free(b->s3);
	http_free(b->http);
	fd_closep(&b->tofd);
}

/* An ETag as it is compared: lists and headers quote it differently, and W/ says no more of it. */
static char *bare(const char *etag)
{
	size_t n;

	if (strncmp(etag, "W/", 2) == 0)
		etag += 2;
	n = strlen(etag);
	return n >= 2 && etag[0] == '"' && etag[n - 1] == '"' ? mem_strndup(etag + 1, n - 2)
							      : mem_strdup(etag);
}

static struct object copy_of(const struct s3_object *o)
{
	return (struct object){mem_strdup(o->key), bare(o->etag), o->size, o->time};
}

static int add(void *ctx, const struct s3_object *o, struct err *e)
{
	struct bucket *b = ctx;

	(void)e;
	if (b->n == b->cap)
		b->v = mem_resize(b->v, b->cap = b->cap * 2 + 64, sizeof(*b->v));
	b->v[b->n++] = copy_of(o);
	return 0;
}

static int list(struct bucket *b, struct err *e)
{
	const struct s3_listing l = {b->prefix, add, b, b->http};

	return s3_objects(b->s3, &l, e);
}

static int to_file(void *ctx, const void *p, size_t n, struct err *e)
{
	return fs_write_all(*(int *)ctx, p, n, e);
}

struct fetching {
	struct bucket *b;
	const struct object *o;
	const char *url;
	bool other; /* what came is not what was listed */
};

/* Whether the answer is of the object that was listed, and not of one that has its key since. */
static bool is_it(const struct object *o, const struct http_reply *r, uint64_t size)
{
	const char *etag = http_header(r, "etag"), *time = http_header(r, "last-modified");
	char *now SCOPED(mem_freep) = bare(etag != NULL ? etag : "");
	struct tm tm = {0};

	if (size != o->size)
		return false;
	if (etag != NULL && o->etag[0] != '\0')
		return strcmp(now, o->etag) == 0;
	return time == NULL || strptime(time, "%a, %d %b %Y %H:%M:%S", &tm) == NULL ||
	       (int64_t)timegm(&tm) == o->time;
}

static int get(struct fetching *f, int fd, struct err *e)
{
	const struct sink to = {to_file, &fd};
	struct http_request q = {.method = "GET",
				 .url = f->url,
				 .body_fd = -1,
				 .to = &to,
				 .stall_ms = STALL_MS,
				 .via = f->b->http};
	struct http_reply r = {0};
	struct stat st;
	int rc = 0;

	if (s3_send(f->b->s3, &q, NULL, &r, e) != 0)
		return -1;
	if (r.status != 200 && r.status != 404)
		rc = s3_refused(&q, &r, e);
	else if (fstat(fd, &st) != 0)
		rc = err_sys(e, "look at it");
	else
		f->other = r.status == 404 || !is_it(f->o, &r, (uint64_t)st.st_size);
	http_reply_release(&r);
	return rc;
}

static int fill(void *ctx, int fd, struct err *e)
{
	struct fetching *f = ctx;
	const struct timespec times[] = {{f->o->time, 0}, {f->o->time, 0}};

	if (get(f, fd, e) != 0)
		return -1;
	if (f->other)
		return err_set(e, ERR_REMOTE, "it changed while it was fetched");
	return futimens(fd, times) == 0 ? 0 : err_sys(e, "set its time");
}

struct finding {
	struct object *o;
	bool found;
};

static int take_again(void *ctx, const struct s3_object *o, struct err *e)
{
	struct finding *f = ctx;

	(void)e;
	if (o->key[0] != '\0')
		return 0; /* a longer key */
	free(f->o->etag);
	f->o->etag = bare(o->etag);
	f->o->size = o->size;
	f->o->time = o->time;
	f->found = true;
	return 0;
}

/* What the bucket has of that key now. */
static int look_again(struct bucket *b, struct object *o, struct err *e)
{
	char *key SCOPED(mem_freep) = mem_format("%s%s", b->prefix, o->key);
	struct finding f = {.o = o};
	const struct s3_listing l = {key, take_again, &f, b->http};

	if (s3_objects(b->s3, &l, e) != 0)
		return -1;
	if (f.found)
		return 0;
	(void)err_set(e, ERR_REMOTE, "is gone since it was listed");
	return err_hint(e, "stop what writes to the bucket, and restore again");
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

/* What changed since it was listed is fetched as it is now; what goes on changing is told. */
static int fetch_to(struct bucket *b, struct object *o, int dir, const char *base, struct err *e)
{
	char *key SCOPED(mem_freep) = mem_format("%s%s", b->prefix, o->key);
	char *escaped SCOPED(mem_freep) = sigv4_escape(key, false);
	char *url SCOPED(mem_freep) = mem_format("%s/%s", b->s3->base, escaped);

	for (unsigned round = 1;; round++) {
		struct fetching f = {b, o, url, false};
		const struct fs_filler how = {fill, &f};
		struct err why = ERR_INIT;

		if (fs_put_with(dir, base, 0644, &how, &why) == 0)
			return 0;
		if (!f.other || round == ROUNDS) {
			*e = why;
			return f.other ? err_hint(e, "stop what writes to the bucket") : -1;
		}
		log_warn("%s changed since it was listed, and is fetched again", o->key);
		if (look_again(b, o, e) != 0)
			return -1;
	}
}

static int fetch_one(struct bucket *b, struct object *o, struct err *e)
{
	char *parent SCOPED(mem_freep) = fs_dirname(o->key),
		     *base SCOPED(mem_freep) = fs_basename(o->key);
	int dir SCOPED(fd_closep) = -1;
	struct stat st;

	note(b, o->key);
	if (fs_mkdirs(b->tofd, parent, 0755, e) != 0 || fs_open_dir(b->tofd, parent, &dir, e) != 0)
		return -1;
	if (fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	    (uint64_t)st.st_size == o->size && st.st_mtim.tv_sec == o->time)
		return 0;
	return fetch_to(b, o, dir, base, e);
}

/* What the filter holds back is counted once a run. */
static bool belongs(const struct bucket *b, const char *path)
{
	const struct restore_fetching how = {.count = !b->again};

	return b->filter == NULL || restore_filter_fetches(b->filter, path, &how);
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
	char *to SCOPED(mem_freep) = fs_join(h->work, SOURCE_FETCHED);
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
