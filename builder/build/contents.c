#include "build/contents.h"

#include "archive/tree.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include "sys/par.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define CONTENTS_MAX (512 << 20)

struct scan {
	int fd;
	struct tree t;
	struct digest *digests; /* one an entry */
	bool *done;
};

static void scan_release(struct scan *s)
{
	tree_release(&s->t);
	free(s->digests);
	free(s->done);
	fd_closep(&s->fd);
}

static int hash_entry(struct scan *s, size_t i, struct err *e)
{
	const struct tree_entry *en = &s->t.v[i];
	int fd SCOPED(fd_closep) = -1;

	if (intr_pending())
		return intr_err(e);
	fd = openat(s->fd, en->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "open %s", en->path);
	return digest_fd(fd, &s->digests[i], NULL, e);
}

static void hash_one(void *ctx, size_t i)
{
	struct scan *s = ctx;
	struct err quiet = ERR_INIT;

	s->done[i] = !S_ISREG(s->t.v[i].mode) || hash_entry(s, i, &quiet) == 0;
}

static int hash_files(struct scan *s, struct err *e)
{
	s->digests = mem_zalloc((s->t.n + 1) * sizeof(*s->digests));
	s->done = mem_zalloc(s->t.n + 1);
	par_each(s->t.n, 0, hash_one, s);
	for (size_t i = 0; i < s->t.n; i++)
		if (!s->done[i] && hash_entry(s, i, e) != 0)
			return -1;
	return 0;
}

static void add_text(struct hash *h, const char *s)
{
	hash_add(h, s, strlen(s) + 1);
}

static void add_entry(struct hash *h, const struct scan *s, size_t i,
		      const struct contents_times *times)
{
	const struct tree_entry *en = &s->t.v[i];
	int64_t time = times->kept && !S_ISDIR(en->mode) && en->mtime < times->epoch ? en->mtime
										     : times->epoch;
	char *line SCOPED(mem_freep) = mem_format("%o %u %u %lld %llu", en->mode, en->uid, en->gid,
						  (long long)time, (unsigned long long)en->inode);

	add_text(h, en->path);
	add_text(h, line);
	add_text(h, en->link != NULL ? en->link : "");
	hash_add(h, s->digests[i].b, DIGEST_BYTES);
	for (size_t k = 0; k < en->xattrs_n; k++) {
		struct digest d = digest_of(en->xattrs[k].val, en->xattrs[k].len);

		add_text(h, en->xattrs[k].name);
		hash_add(h, d.b, DIGEST_BYTES);
	}
}

static bool is_opaque(const struct fs_entry *en)
{
	static const char *const marks[] = {"trusted.overlay.opaque", "user.overlay.opaque"};
	char *path SCOPED(mem_freep) = mem_format("/proc/self/fd/%d/%s", en->parent_fd, en->name);
	char mark[2];

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (lgetxattr(path, marks[i], mark, sizeof(mark)) == 1 && mark[0] == 'y')
			return true;
	return false;
}

/* What the overlay hides of the trees below. */
static int add_hidden(void *ctx, const struct fs_entry *en, struct err *e)
{
	struct hash *h = ctx;
	bool whiteout = S_ISCHR(en->st.st_mode) && en->st.st_rdev == 0;

	(void)e;
	if (whiteout || (S_ISDIR(en->st.st_mode) && is_opaque(en))) {
		add_text(h, whiteout ? "whiteout" : "opaque");
		add_text(h, en->path);
	}
	return 0;
}

static void take_files(struct scan *s, struct contents *c)
{
	for (size_t i = 0; i < s->t.n; i++)
		if (S_ISREG(s->t.v[i].mode)) {
			struct digest *d = mem_zalloc(sizeof(*d));

			*d = s->digests[i];
			free(map_put(&c->files, s->t.v[i].path, d));
		}
}

int contents_scan(const char *tree, const struct contents_times *t, struct contents *ret,
		  struct err *e)
{
	struct scan s SCOPED(scan_release) = {.fd = -1};
	struct hash *h SCOPED(hash_freep) = hash_new();
	struct contents c = {0};

	if (fs_open_dir(AT_FDCWD, tree, &s.fd, e) != 0 || tree_scan(s.fd, &s.t, NULL, e) != 0 ||
	    hash_files(&s, e) != 0 || fs_walk(s.fd, add_hidden, h, e) != 0)
		return -1;
	for (size_t i = 0; i < s.t.n; i++)
		add_entry(h, &s, i, t);
	take_files(&s, &c);
	c.output = hash_final(h);
	c.loaded = true;
	*ret = c;
	return 0;
}

/* The digest of what follows it, the output, then "HEX PATH" and a zero byte for each file. */
int contents_save(const struct contents *c, const char *path, struct err *e)
{
	const char **keys SCOPED(mem_freep) = map_keys(&c->files);
	struct buf b SCOPED(buf_release) = BUF_INIT(CONTENTS_MAX);
	int fd SCOPED(fd_closep) = -1;
	struct digest sum;

	buf_addf(&b, "%s", digest_hex(&c->output).s);
	buf_add(&b, "", 1);
	for (size_t i = 0; i < c->files.n; i++) {
		buf_addf(&b, "%s %s", digest_hex(map_get(&c->files, keys[i])).s, keys[i]);
		buf_add(&b, "", 1);
	}
	if (buf_over(&b))
		return err_set(e, ERR_FAIL, "%s: too large", path);
	sum = digest_of(b.data, b.len);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(e, "create %s", path);
	if (fs_write_all(fd, digest_hex(&sum).s, DIGEST_HEX + 1, e) != 0 ||
	    fs_write_all(fd, b.data, b.len, e) != 0)
		return err_in(e, "%s", path);
	return 0;
}

static int parse(const struct buf *b, struct contents *c)
{
	const char *at = b->data, *end = b->data + b->len;
	struct digest sum, is;

	if (b->len < 2 * (DIGEST_HEX + 1) || end[-1] != '\0' || digest_parse_hex(at, &sum) != 0)
		return -1;
	at += DIGEST_HEX + 1;
	is = digest_of(at, (size_t)(end - at));
	if (!digest_equal(&sum, &is) || digest_parse_hex(at, &c->output) != 0)
		return -1;
	for (at += DIGEST_HEX + 1; at < end; at += strlen(at) + 1) {
		char *hex SCOPED(mem_freep) = mem_strndup(at, DIGEST_HEX);
		struct digest *d SCOPED(mem_freep) = mem_zalloc(sizeof(*d));

		if (strlen(at) < DIGEST_HEX + 2 || at[DIGEST_HEX] != ' ' ||
		    digest_parse_hex(hex, d) != 0)
			return -1;
		free(map_put(&c->files, at + DIGEST_HEX + 1, d));
		d = NULL;
	}
	return 0;
}

int contents_load(const char *path, struct contents *ret, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(CONTENTS_MAX);
	struct contents c = {0};

	if (fs_get_file(AT_FDCWD, path, &b, e) != 0)
		return -1;
	if (parse(&b, &c) != 0) {
		contents_release(&c);
		return err_set(e, ERR_VERIFY, "%s is damaged", path);
	}
	c.loaded = true;
	*ret = c;
	return 0;
}

const struct digest *contents_find(const struct contents *c, const char *path)
{
	return map_get(&c->files, path);
}

void contents_release(struct contents *c)
{
	map_release(&c->files, free);
	*c = (struct contents){0};
}
