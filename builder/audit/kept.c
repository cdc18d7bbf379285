#include "audit/kept.h"

#include "base/log.h"
#include "oci/unpack.h"
#include "sys/fs.h"
#include "sys/self.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AUDITS "cache/audits"

enum { RECORD_MAX = 64 << 20, KEEP = 4 };

struct kept {
	struct store *s;
	struct oci_manifest manifest;
	struct digest image;
	char *dir, *tree;  /* absolute; the first a scratch while `fresh` */
	bool fresh, noted; /* nobody has left it yet; more is known than its record says */
	bool hidden;
	struct jval *found;
	struct facts_files files;
	struct digest state; /* of everything lstat says of the tree's entries */
	struct facts_source source;
	int share;
};

static void add_number(struct hash *h, uint64_t v)
{
	hash_add(h, &v, sizeof(v));
}

struct walk {
	struct kept *k;
	struct hash *h;
};

static int take_entry(void *ctx, const struct fs_entry *en, struct err *e)
{
	struct walk *w = ctx;
	const struct stat *st = &en->st;
	struct facts_file *f = NULL;

	if (facts_files_add(&w->k->files, en->path, &f, e) != 0)
		return -1;
	f->st = (struct facts_stat){st->st_mode, st->st_uid, st->st_gid, st->st_size,
				    st->st_mtim.tv_sec};
	hash_add(w->h, en->path, strlen(en->path) + 1);
	add_number(w->h, st->st_ino);
	add_number(w->h, (uint64_t)st->st_mode << 32 | (uint64_t)st->st_nlink);
	add_number(w->h, (uint64_t)st->st_uid << 32 | st->st_gid);
	add_number(w->h, (uint64_t)st->st_size);
	add_number(w->h, (uint64_t)st->st_mtim.tv_sec);
	add_number(w->h, (uint64_t)st->st_ctim.tv_sec);
	add_number(w->h, (uint64_t)st->st_ctim.tv_nsec);
	return 0;
}

static void forget_files(struct facts_files *files)
{
	for (size_t i = 0; i < files->n; i++)
		free(files->v[i].path);
	free(files->v);
	*files = (struct facts_files){0};
}

/* Fills in what lies in the tree, and its state. */
static int walk_tree(struct kept *k, struct err *e)
{
	struct hash *h SCOPED(hash_freep) = hash_new();
	struct walk w = {k, h};
	int fd SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, k->tree, &fd, e) != 0 || fs_walk(fd, take_entry, &w, e) != 0)
		return -1;
	k->state = hash_final(h);
	return 0;
}

static int list(void *ctx, struct facts_files *ret, struct err *e)
{
	const struct kept *k = ctx;

	for (size_t i = 0; i < k->files.n; i++) {
		struct facts_file *f = NULL;

		if (facts_files_add(ret, k->files.v[i].path, &f, e) != 0)
			return -1;
		f->st = k->files.v[i].st;
		f->known = k->files.v[i].known;
	}
	return 0;
}

static void note_known(void *ctx, size_t i)
{
	struct kept *k = ctx;

	k->noted = k->noted || !k->files.v[i].known;
	k->files.v[i].known = true;
}

/* A digit for each file, 1 when it is as its package has it; the caller owns the text. */
static char *known_text(const struct kept *k)
{
	char *text = mem_zalloc(k->files.n + 1);

	for (size_t i = 0; i < k->files.n; i++)
		text[i] = k->files.v[i].known ? '1' : '0';
	return text;
}

static void take_known(struct kept *k, const char *text)
{
	if (text == NULL || strlen(text) != k->files.n)
		return;
	for (size_t i = 0; i < k->files.n; i++)
		k->files.v[i].known = text[i] == '1';
}

/* A directory that nobody else can have put there or write into. */
static bool is_ours(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
	       st.st_uid == geteuid() && (st.st_mode & 022) == 0;
}

static bool is_safe(const struct store *s)
{
	return is_ours(store_fd(s), ".") && is_ours(store_fd(s), "cache") &&
	       is_ours(store_fd(s), AUDITS);
}

static bool get_digest(const struct jval *v, const char *key, struct digest *ret)
{
	const char *text = jval_get_str(v, key);

	return text != NULL && digest_parse(text, ret) == 0;
}

/* Whether the record is of this program and this start of the machine, and the tree as it was
 * left. */
static bool is_usable(struct kept *k, const struct jval *record)
{
	char *boot SCOPED(mem_freep) = self_boot_id();
	const char *was = jval_get_str(record, "boot");
	struct digest self, by, state;
	struct err quiet = ERR_INIT;

	return was != NULL && strcmp(was, boot) == 0 && get_digest(record, "by", &by) &&
	       self_digest(&self, &quiet) == 0 && digest_equal(&self, &by) &&
	       get_digest(record, "state", &state) && walk_tree(k, &quiet) == 0 &&
	       digest_equal(&state, &k->state);
}

static char *record_path(const struct kept *k)
{
	return fs_join(k->dir, "record");
}

/* The tree that an earlier audit left: false when there is none that is to be trusted. */
static bool recall(struct kept *k)
{
	char *path SCOPED(mem_freep) = record_path(k);
	struct buf b SCOPED(buf_release) = BUF_INIT(RECORD_MAX);
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;

	if (!is_safe(k->s) || !is_ours(AT_FDCWD, k->dir) ||
	    fs_get_file(AT_FDCWD, path, &b, &quiet) != 0 ||
	    jval_parse(b.data, b.len, path, &v, &quiet) != 0)
		return false;
	if (!is_usable(k, v)) {
		forget_files(&k->files);
		return false;
	}
	k->hidden = jval_get_bool(v, "hidden");
	if (jval_is_object(jval_get(v, "found")))
		k->found = jval_ref(jval_get(v, "found"));
	take_known(k, jval_get_str(v, "known"));
	(void)utimensat(AT_FDCWD, path, NULL, 0); /* it was of use */
	return true;
}

static void set_dir(struct kept *k, char *dir)
{
	free(k->dir);
	free(k->tree);
	k->dir = dir;
	k->tree = fs_join(dir, "tree");
}

static int unpack_now(struct kept *k, const struct oci_layout *l, struct err *e)
{
	char *dir = NULL;

	if (store_scratch(k->s, "audit", &dir, e) != 0)
		return -1;
	set_dir(k, dir);
	k->fresh = true;
	if (mkdir(k->tree, 0755) != 0)
		return err_sys(e, "make directory %s", k->tree);
	if (oci_unpack_layers(l, &k->manifest, k->tree, &k->hidden, e) != 0)
		return -1;
	return walk_tree(k, e);
}

int kept_open(struct store *s, const struct oci_layout *l, const struct oci_desc *manifest,
	      struct kept **ret, struct err *e)
{
	struct kept *k SCOPED(kept_freep) = mem_zalloc(sizeof(*k));

	*k = (struct kept){.s = s, .share = -1};
	k->source = (struct facts_source){.list = list, .ctx = k, .known = note_known};
	if (store_share(s, &k->share, e) != 0 ||
	    oci_read_verified(l, manifest, &k->manifest, &k->image, e) != 0)
		return -1;
	set_dir(k, mem_format("%s/" AUDITS "/%s", store_path(s), digest_hex(&k->image).s));
	if (!recall(k) && unpack_now(k, l, e) != 0)
		return -1;
	*ret = STEAL(k);
	return 0;
}

static int put_record(const struct kept *k, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct buf b SCOPED(buf_release) = BUF_INIT(RECORD_MAX);
	char *path SCOPED(mem_freep) = record_path(k), *boot SCOPED(mem_freep) = self_boot_id();
	char *known SCOPED(mem_freep) = known_text(k);
	struct digest self;

	if (self_digest(&self, e) != 0)
		return -1;
	jval_put_text(v, "boot", boot);
	jval_put_text(v, "by", digest_text(&self).s);
	jval_put_text(v, "state", digest_text(&k->state).s);
	jval_put(v, "hidden", jval_bool(k->hidden));
	jval_put_text(v, "known", known);
	if (k->found != NULL)
		jval_put(v, "found", jval_ref(k->found));
	jval_write(v, &b);
	return fs_put_unsynced(path, b.data, b.len, 0600, e);
}

struct aged {
	char *name; /* borrowed */
	int64_t used;
};

static int newest_first(const void *a, const void *b)
{
	const struct aged *x = a, *y = b;

	return x->used != y->used ? (x->used > y->used ? -1 : 1) : strcmp(x->name, y->name);
}

/* The caller has the store alone. */
static int prune(struct store *s, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};
	struct aged *v SCOPED(mem_freep) = NULL;

	if (fs_list(store_fd(s), AUDITS, &names, e) != 0)
		return -1;
	v = mem_zalloc((names.n + 1) * sizeof(*v));
	for (size_t i = 0; i < names.n; i++) {
		char *path SCOPED(mem_freep) = mem_format(AUDITS "/%s/record", names.v[i]);
		struct stat st;

		v[i].name = names.v[i];
		if (fstatat(store_fd(s), path, &st, AT_SYMLINK_NOFOLLOW) == 0)
			v[i].used = st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec;
	}
	qsort(v, names.n, sizeof(*v), newest_first);
	for (size_t i = KEEP; i < names.n; i++) {
		char *path SCOPED(mem_freep) = fs_join(AUDITS, v[i].name);

		if (store_drop(s, path, e) != 0)
			return -1;
	}
	return 0;
}

/* Its place in the cache, where one that is of no use may lie; another audit of the same image may
 * just have left its own there. */
static int place(struct kept *k, struct err *e)
{
	char *at SCOPED(mem_freep) = mem_format(AUDITS "/%s", digest_hex(&k->image).s);

	if (fs_mkdirs(store_fd(k->s), AUDITS, 0700, e) != 0)
		return -1;
	if (!is_safe(k->s))
		return err_set(e, ERR_FAIL, "others can write into the store");
	if (store_drop(k->s, at, e) != 0)
		return -1;
	if (renameat(AT_FDCWD, k->dir, store_fd(k->s), at) != 0)
		return err_sys(e, "keep the tree in %s", at);
	k->fresh = false;
	return prune(k->s, e);
}

void kept_leave(struct kept *k)
{
	struct err e = ERR_INIT;
	int alone SCOPED(fd_closep) = -1;
	int rc = 0;

	if (k->fresh || k->noted)
		rc = put_record(k, &e);
	fd_closep(&k->share);
	if (rc == 0 && k->fresh && (rc = store_alone(k->s, &alone, &e)) == 0)
		rc = place(k, &e);
	if (rc != 0)
		log_debug("the tree is not kept for later audits: %s", e.msg);
}

void kept_free(struct kept *k)
{
	struct err e = ERR_INIT;

	if (k == NULL)
		return;
	if (k->fresh && store_scratch_drop(k->s, k->dir, &e) != 0)
		log_warn("%s", e.msg);
	fd_closep(&k->share);
	oci_manifest_release(&k->manifest);
	jval_free(k->found);
	forget_files(&k->files);
	free(k->dir);
	free(k->tree);
	free(k);
}

void kept_freep(struct kept **k)
{
	kept_free(*k);
	*k = NULL;
}

const struct oci_manifest *kept_manifest(const struct kept *k)
{
	return &k->manifest;
}

const char *kept_tree(const struct kept *k)
{
	return k->tree;
}

const struct facts_source *kept_source(const struct kept *k)
{
	return &k->source;
}

bool kept_hidden(const struct kept *k)
{
	return k->hidden;
}

struct jval *kept_found(const struct kept *k)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(RECORD_MAX);
	struct jval *copy = NULL;
	struct err quiet = ERR_INIT;

	if (k->found == NULL)
		return NULL;
	jval_write(k->found, &b);
	return jval_parse(b.data, b.len, "findings", &copy, &quiet) == 0 ? copy : NULL;
}

void kept_note(struct kept *k, const struct jval *found)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(RECORD_MAX);
	struct jval *copy = NULL;
	struct err quiet = ERR_INIT;

	jval_write(found, &b);
	if (jval_parse(b.data, b.len, "findings", &copy, &quiet) != 0)
		return;
	jval_free(k->found);
	k->found = copy;
	k->noted = true;
}
