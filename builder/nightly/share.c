/* share.c - what the workers of a cluster have in common when no file system is: objects of a
 * bucket, below the prefix that the file names.
 *
 *   recipes/RECIPE.json        what is known of a recipe (past.c)
 *   locks/RECIPE-DIGEST.lock   the lock that it speaks of
 *   names/NAME                 the recipe that has that name
 *   outcomes/NIGHT/RECIPE.json, diff/RECIPE-TAG.md, log/RECIPE.log
 *
 * What is known is read when a worker begins, and written only as long as nobody else has: of two
 * that work on one recipe the second to choose a tag, or to lock, is told that it is too late, and
 * has pushed nothing. Nothing is held, so nobody who dies holds it. */
#include "nightly/parts.h"

#include "base/log.h"
#include "form/hex.h"
#include "form/ref.h"
#include "form/sigv4.h"
#include "recipe/lock.h"
#include "remote/s3.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { OBJECT_MAX = 8 << 20, WRITER_BYTES = 16 };

struct share {
	struct http *http;
	struct s3 *s3;
	char *prefix;
	char *etag; /* of what is known of the recipe, as it was read or written last; "" = none */
	char *lock; /* the lock that is there, its digest in hex; "" = none */
	char writer[2 * WRITER_BYTES + 1]; /* who this is, in what it writes */
};

void share_freep(struct share **p)
{
	struct share *s = *p;

	*p = NULL;
	if (s == NULL)
		return;
	s3_free(s->s3);
	http_free(s->http);
	free(s->prefix);
	free(s->etag);
	free(s->lock);
	free(s);
}

int share_open(const struct nightly *n, struct share **ret, struct err *e)
{
	struct share *s SCOPED(share_freep) = NULL;
	struct ref at SCOPED(ref_release) = {0};
	uint8_t bytes[WRITER_BYTES];

	*ret = NULL;
	if (n->share.at == NULL)
		return 0;
	s = mem_zalloc(sizeof(*s));
	s->etag = mem_strdup("");
	s->lock = mem_strdup("");
	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return err_sys(e, "getrandom");
	hex_encode(bytes, sizeof(bytes), s->writer);
	if (ref_parse(n->share.at, &at, e) != 0)
		return -1;
	s->prefix = mem_strdup(at.path);
	s->http = http_new();
	if (s3_open(at.host, s->http, true, &s->s3, e) != 0)
		return err_in(e, "%s", n->share.at);
	if (s->s3->condition != S3_HONOURS) {
		(void)err_set(e, ERR_REMOTE, "%s: its server writes without conditions",
			      n->share.at);
		return err_hint(e, "Two workers of one recipe could not know of each other there.");
	}
	*ret = STEAL(s);
	return 0;
}

static char *url_of(const struct share *s, const char *key)
{
	char *whole SCOPED(mem_freep) = fs_join(s->prefix, key);
	char *escaped SCOPED(mem_freep) = sigv4_escape(whole, false);

	return mem_format("%s/%s", s->s3->base, escaped);
}

/* 1: there is none. etag (may be NULL): which one it is, "" of none; the caller owns it. */
static int get(struct share *s, const char *key, struct buf *ret, char **etag, struct err *e)
{
	char *url SCOPED(mem_freep) = url_of(s, key);
	struct http_request q = {.method = "GET", .url = url, .body_fd = -1, .via = s->http};
	struct http_reply r = {0};
	const char *found;
	int rc = 0;

	if (s3_send(s->s3, &q, NULL, &r, e) != 0)
		return -1;
	found = r.status == 200 ? http_header(&r, "etag") : NULL;
	if (r.status == 404)
		rc = 1;
	else if (r.status != 200)
		rc = s3_refused(&q, &r, e);
	else
		buf_add(ret, r.body.data, r.body.len);
	if (rc >= 0 && etag != NULL)
		*etag = mem_strdup(found != NULL ? found : "");
	http_reply_release(&r);
	if (rc == 0 && buf_over(ret))
		return err_set(e, ERR_VERIFY, "%s is too large", key);
	return rc;
}

/* etag: only if the object is that one, "" = only if there is none; NULL = whatever is there. */
static int put(struct share *s, const char *key, const struct buf *b, const char *etag,
	       struct err *e)
{
	char *url SCOPED(mem_freep) = url_of(s, key);
	const struct s3_put p = {.url = url,
				 .type = "application/octet-stream",
				 .p = b->data,
				 .n = b->len,
				 .checked = etag != NULL};

	s3_seen(s->s3, etag != NULL ? url : NULL, etag);
	return s3_put(s->s3, s->http, &p, e);
}

static int forget(struct share *s, const char *key, struct err *e)
{
	char *url SCOPED(mem_freep) = url_of(s, key);
	struct http_request q = {.method = "DELETE", .url = url, .body_fd = -1, .via = s->http};
	struct http_reply r = {0};
	int rc = s3_send(s->s3, &q, NULL, &r, e);

	if (rc == 0 && r.status != 204 && r.status != 200 && r.status != 404)
		rc = s3_refused(&q, &r, e);
	http_reply_release(&r);
	return rc;
}

static char *lock_key(const char *key, const char *hex)
{
	return mem_format("locks/%s-%s.lock", key, hex);
}

/* The lock of that digest in the recipe's own place; what is there instead is no good, or gone, is
 * as if nothing were there: then the lock is made anew. */
static int fetch_lock(struct share *s, const struct nightly_recipe *at, const char *hex,
		      struct err *e)
{
	char *key SCOPED(mem_freep) = lock_key(at->key, hex);
	char *path SCOPED(mem_freep) = lock_path(at->path);
	char *part SCOPED(mem_freep) = mem_format("%s.shared", path);
	struct buf b SCOPED(buf_release) = BUF_INIT(OBJECT_MAX);
	struct lock *l SCOPED(lock_freep) = NULL;
	struct err why = ERR_INIT;
	struct digest d;
	int rc = get(s, key, &b, NULL, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (fs_put_unsynced(part, b.data, b.len, 0644, e) != 0)
		return -1;
	if (lock_load(part, &l, &why) == 0)
		d = lock_digest(l);
	if (l == NULL || strcmp(digest_hex(&d).s, hex) != 0) {
		log_warn("%s is not used: %s", key, l == NULL ? why.msg : "it is another lock");
		return unlink(part) == 0 ? 0 : err_sys(e, "remove %s", part);
	}
	past_set(&s->lock, hex);
	return rename(part, path) == 0 ? 0 : err_sys(e, "rename %s", part);
}

int share_fetch(struct share *s, const struct nightly *n, const struct nightly_recipe *at,
		int recipes, struct err *e)
{
	char *key SCOPED(mem_freep) = mem_format("recipes/%s.json", at->key);
	struct buf b SCOPED(buf_release) = BUF_INIT(OBJECT_MAX);
	struct past p SCOPED(past_release) = {.tag = NULL};
	char *etag SCOPED(mem_freep) = NULL;
	struct digest d;
	int rc;

	if (s == NULL)
		return 0;
	rc = get(s, key, &b, &etag, e);
	if (rc < 0)
		return -1;
	past_set(&s->etag, etag);
	/* then what this machine knows counts: a tag that it gave out has an image. It goes there
	 * only as long as there is none. */
	if (rc > 0)
		return 0;
	if (fs_put(recipes, key + strlen("recipes/"), b.data, b.len, 0644, e) != 0)
		return -1;
	past_load(recipes, at->key, &p);
	if (strcmp(n->lock, "keep") == 0 || digest_parse_hex(p.lock, &d) != 0)
		return 0;
	return fetch_lock(s, at, p.lock, e);
}

/* Puts the recipe's lock under its digest, when that is the one that `known` speaks of. */
static int keep_lock(struct share *s, const struct nightly_recipe *at, const char *known,
		     struct err *e)
{
	char *key SCOPED(mem_freep) = lock_key(at->key, known);
	char *path SCOPED(mem_freep) = lock_path(at->path);
	struct buf b SCOPED(buf_release) = BUF_INIT(OBJECT_MAX);
	struct lock *l SCOPED(lock_freep) = NULL;
	struct digest d;

	if (known[0] == '\0' || strcmp(known, s->lock) == 0)
		return 0;
	if (lock_load(path, &l, e) != 0)
		return -1;
	/* somebody has put another into its place: who looks for this one locks anew */
	d = lock_digest(l);
	if (strcmp(digest_hex(&d).s, known) != 0)
		return 0;
	if (fs_get_file(AT_FDCWD, path, &b, e) != 0)
		return -1;
	return put(s, key, &b, NULL, e);
}

/* What is known of the recipe, as it is on the disk, and who says so: what two write at the same
 * moment is not the same. */
static int sealed(const struct share *s, int recipes, const char *name, struct buf *ret,
		  struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OBJECT_MAX);
	struct jval *v SCOPED(jval_freep) = NULL;

	if (fs_get_file(recipes, name, &b, e) != 0 || jval_parse(b.data, b.len, name, &v, e) != 0)
		return -1;
	jval_put_text(v, "writer", s->writer);
	jval_write_pretty(v, ret);
	return 0;
}

/* An answer that was lost makes of what was written what was there before: what counts is what
 * stands there now. */
static int put_known(struct share *s, const char *key, const struct buf *b, struct err *e)
{
	struct buf there SCOPED(buf_release) = BUF_INIT(OBJECT_MAX);
	char *etag SCOPED(mem_freep) = NULL;
	struct err busy = ERR_INIT;

	if (put(s, key, b, s->etag, &busy) != 0 && busy.kind != ERR_BUSY) {
		*e = busy;
		return -1;
	}
	if (get(s, key, &there, &etag, e) < 0)
		return -1;
	if (there.len != b->len || memcmp(there.data, b->data, b->len) != 0)
		return err_set(e, ERR_BUSY, "%s: another worker is at work on it", key);
	past_set(&s->etag, etag);
	return 0;
}

int share_keep(struct share *s, const struct nightly_recipe *at, int recipes, const struct past *p,
	       struct err *e)
{
	char *key SCOPED(mem_freep) = mem_format("recipes/%s.json", at->key);
	struct buf b SCOPED(buf_release) = BUF_INIT(OBJECT_MAX);
	char *was SCOPED(mem_freep) = NULL;

	if (s == NULL)
		return 0;
	if (keep_lock(s, at, p->lock, e) != 0 ||
	    sealed(s, recipes, key + strlen("recipes/"), &b, e) != 0 ||
	    put_known(s, key, &b, e) != 0)
		return -1;
	if (strcmp(s->lock, p->lock) != 0) {
		was = lock_key(at->key, s->lock);
		if (s->lock[0] != '\0' && forget(s, was, e) != 0)
			return -1;
		past_set(&s->lock, p->lock);
	}
	return 0;
}

static void swap_past(struct past *a, struct past *b)
{
	struct past was = *a;

	*a = *b;
	*b = was;
}

/* Of the same image another is at work on: p becomes what is known now, and that it is finished.
 * 1: it is another image. */
static int join_pending(struct past *there, struct past *p)
{
	if (strcmp(there->pending_digest, p->digest) != 0 || strcmp(there->pending, p->tag) != 0)
		return 1;
	past_set(&there->tag, p->tag);
	past_set(&there->digest, p->digest);
	past_set(&there->pending, "");
	past_set(&there->pending_digest, "");
	there->took_ms = p->took_ms;
	strv_add(&there->tags, p->tag);
	swap_past(there, p);
	return 0;
}

int share_finish(struct share *s, const struct nightly *n, const struct nightly_recipe *at,
		 int recipes, struct past *p, struct err *e)
{
	struct past there SCOPED(past_release) = {.tag = NULL};
	struct err busy = ERR_INIT;

	int rc = share_keep(s, at, recipes, p, &busy);

	if (rc != 0 && busy.kind != ERR_BUSY)
		*e = busy;
	if (rc == 0 || busy.kind != ERR_BUSY)
		return rc;
	if (share_fetch(s, n, at, recipes, e) != 0)
		return -1;
	past_load(recipes, at->key, &there);
	if (strcmp(there.digest, p->digest) == 0 && strcmp(there.tag, p->tag) == 0) {
		swap_past(&there, p);
		return 0;
	}
	if (join_pending(&there, p) == 0)
		return past_save(recipes, at->key, p, e) != 0 ||
			       share_keep(s, at, recipes, p, e) != 0
			   ? -1
			   : 0;
	*e = busy;
	return -1;
}

/* As put_known: an answer may have been lost. */
static int put_name(struct share *s, const char *key, const struct buf *own, const char *etag,
		    struct err *e)
{
	struct buf there SCOPED(buf_release) = BUF_INIT(4096);
	struct err busy = ERR_INIT;

	if (put(s, key, own, etag, &busy) == 0)
		return 0;
	if (busy.kind == ERR_BUSY && get(s, key, &there, NULL, e) < 0)
		return -1;
	if (busy.kind == ERR_BUSY && strcmp(there.data, own->data) == 0)
		return 0;
	*e = busy;
	return -1;
}

int share_name(struct share *s, const struct nightly *n, const struct nightly_recipe *r,
	       const char *name, struct err *e)
{
	char *key SCOPED(mem_freep) = mem_format("names/%s", name), *etag SCOPED(mem_freep) = NULL;
	struct buf text SCOPED(buf_release) = BUF_INIT(4096);
	struct buf own SCOPED(buf_release) = BUF_INIT(4096);

	if (s == NULL)
		return 0;
	if (get(s, key, &text, &etag, e) < 0)
		return -1;
	if (strcmp(text.data, r->key) == 0)
		return 0;
	buf_addf(&own, "%s", r->key);
	return name_is_others(n, r, name, text.data, e) != 0 ? -1 : put_name(s, key, &own, etag, e);
}

static char *outcome_key(const char *night, const char *key)
{
	return mem_format("outcomes/%s%s%s.json", night != NULL ? night : "",
			  night != NULL ? "/" : "", key);
}

int share_outcome_forget(struct share *s, const char *night, const char *key, struct err *e)
{
	char *name SCOPED(mem_freep) = outcome_key(night, key);

	return s == NULL ? 0 : forget(s, name, e);
}

/* A file of the state directory under the same name; one that is not there is none. */
static int put_file(struct share *s, const struct nightly *n, const char *name, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(n->state, name);
	struct buf b SCOPED(buf_release) = BUF_INIT(OBJECT_MAX);

	if (access(path, F_OK) != 0)
		return 0;
	if (fs_get_file(AT_FDCWD, path, &b, e) != 0)
		return -1;
	return put(s, name, &b, NULL, e);
}

int share_outcome(struct share *s, const struct nightly *n, const char *night,
		  const struct nightly_outcome *o, struct err *e)
{
	char *name SCOPED(mem_freep) = outcome_key(night, o->key);
	char *log SCOPED(mem_freep) = mem_format("log/%s.log", o->key);
	char *base SCOPED(mem_freep) = fs_basename(o->diff);
	char *diff SCOPED(mem_freep) = mem_format("diff/%s", base);
	struct err why = ERR_INIT;

	if (s == NULL)
		return 0;
	if (put_file(s, n, log, &why) != 0)
		log_warn("%s: %s", log, why.msg);
	why = (struct err)ERR_INIT;
	if (o->diff[0] != '\0' && put_file(s, n, diff, &why) != 0)
		log_warn("%s: %s", diff, why.msg);
	return put_file(s, n, name, e);
}

int share_lost(struct share *s, const struct nightly *n, const char *night,
	       const struct nightly_outcome *o, bool *ret, struct err *e)
{
	char *name SCOPED(mem_freep) = outcome_key(night, o->key);
	char *path SCOPED(mem_freep) = fs_join(n->state, name);
	struct buf b SCOPED(buf_release) = BUF_INIT(OBJECT_MAX);
	struct err why = ERR_INIT;

	*ret = false;
	if (s == NULL || access(path, F_OK) != 0)
		return 0;
	if (fs_get_file(AT_FDCWD, path, &b, e) != 0)
		return -1;
	/* a worker that was at work all the time may have put its own */
	*ret = put(s, name, &b, "", &why) == 0;
	if (*ret || why.kind == ERR_BUSY)
		return 0;
	*e = why;
	return -1;
}

/* Brings a file of the state directory. 1: there is none. */
static int get_file(struct share *s, const struct nightly *n, const char *name, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(n->state, name);
	char *dir SCOPED(mem_freep) = fs_dirname(path);
	struct buf b SCOPED(buf_release) = BUF_INIT(OBJECT_MAX);
	int rc = get(s, name, &b, NULL, e);

	if (rc != 0)
		return rc;
	return fs_mkdirs(AT_FDCWD, dir, 0755, e) != 0
		   ? -1
		   : fs_put_unsynced(path, b.data, b.len, 0644, e);
}

/* Where what is different lies here; on the worker it may have been below another directory. */
static int bring_diff(struct share *s, const struct nightly *n, const char *night,
		      struct nightly_outcome *o, struct err *e)
{
	char *base SCOPED(mem_freep) = fs_basename(o->diff);
	char *diff SCOPED(mem_freep) = mem_format("diff/%s", base);
	char *path SCOPED(mem_freep) = fs_join(n->state, diff);
	struct err why = ERR_INIT;
	int rc;

	if (o->diff[0] == '\0')
		return 0;
	rc = get_file(s, n, diff, &why);
	if (rc < 0)
		strv_addf(&o->notes, "%s: %s", diff, why.msg);
	past_set(&o->diff, rc == 0 ? path : "");
	return outcome_save(n, night, o, e);
}

int share_collect(struct share *s, const struct nightly *n, const char *night,
		  const struct nightly_recipe *at, struct err *e)
{
	char *name SCOPED(mem_freep) = outcome_key(night, at->key);
	char *log SCOPED(mem_freep) = mem_format("log/%s.log", at->key);
	char *dir SCOPED(mem_freep) = fs_join(n->state, "recipes");
	struct nightly_outcome o SCOPED(nightly_outcome_release) = {.key = NULL};
	int recipes SCOPED(fd_closep) = -1;
	struct err why = ERR_INIT;
	int rc;

	if (s == NULL)
		return 0;
	rc = get_file(s, n, name, e);
	if (rc != 0)
		return rc < 0 ? -1 : outcome_forget(n, night, at->key, e);
	if (fs_mkdirs(AT_FDCWD, dir, 0755, e) != 0 ||
	    fs_open_dir(AT_FDCWD, dir, &recipes, e) != 0 || share_fetch(s, n, at, recipes, e) != 0)
		return -1;
	if (get_file(s, n, log, &why) < 0)
		log_warn("%s is not brought: %s", log, why.msg);
	return outcome_load(n, night, at->key, &o) == 0 ? bring_diff(s, n, night, &o, e) : 0;
}
