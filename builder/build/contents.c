#include "build/contents.h"

#include "build/job.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include "sys/par.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct scan {
	int fd;
	struct contents c;
	bool *done;
	struct hash *output;
};

static void scan_release(struct scan *s)
{
	contents_release(&s->c);
	free(s->done);
	hash_free(s->output);
	fd_closep(&s->fd);
}

static int hash_entry(struct scan *s, size_t i, struct err *e)
{
	const struct tree_entry *en = &s->c.tree.v[i];
	int fd SCOPED(fd_closep) = -1;

	if (intr_pending())
		return intr_err(e);
	fd = openat(s->fd, en->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "open %s", en->path);
	return digest_fd(fd, &s->c.digests[i], NULL, e);
}

static void hash_one(void *ctx, size_t i)
{
	struct scan *s = ctx;
	struct err quiet = ERR_INIT;

	s->done[i] = !S_ISREG(s->c.tree.v[i].mode) || hash_entry(s, i, &quiet) == 0;
}

static int hash_files(struct scan *s, struct err *e)
{
	s->c.digests = mem_zalloc((s->c.tree.n + 1) * sizeof(*s->c.digests));
	s->done = mem_zalloc(s->c.tree.n + 1);
	par_each(s->c.tree.n, 0, hash_one, s);
	for (size_t i = 0; i < s->c.tree.n; i++)
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
	const struct tree_entry *en = &s->c.tree.v[i];
	int64_t time = times->kept && !S_ISDIR(en->mode) && en->mtime < times->epoch ? en->mtime
										     : times->epoch;
	char *line SCOPED(mem_freep) = mem_format("%o %u %u %lld %llu", en->mode, en->uid, en->gid,
						  (long long)time, (unsigned long long)en->inode);

	add_text(h, en->path);
	add_text(h, line);
	add_text(h, en->link != NULL ? en->link : "");
	hash_add(h, s->c.digests[i].b, DIGEST_BYTES);
	for (size_t k = 0; k < en->xattrs_n; k++) {
		struct digest d = digest_of(en->xattrs[k].val, en->xattrs[k].len);

		add_text(h, en->xattrs[k].name);
		hash_add(h, d.b, DIGEST_BYTES);
	}
}

/* What the overlay hides of the trees below. */
static int add_hidden(void *ctx, const struct fs_entry *en, struct err *e)
{
	struct scan *s = ctx;
	bool whiteout = S_ISCHR(en->st.st_mode) && en->st.st_rdev == 0;

	(void)e;
	if (whiteout || (S_ISDIR(en->st.st_mode) && job_is_opaque(en))) {
		add_text(s->output, whiteout ? "whiteout" : "opaque");
		add_text(s->output, en->path);
		(void)map_put(&s->c.hidden, en->path, whiteout ? NULL : s);
	}
	return 0;
}

int contents_look(const char *tree, struct contents *ret, struct err *e)
{
	struct scan s SCOPED(scan_release) = {.fd = -1, .output = hash_new()};

	if (fs_open_dir(AT_FDCWD, tree, &s.fd, e) != 0 ||
	    tree_scan(s.fd, &s.c.tree, NULL, e) != 0 || fs_walk(s.fd, add_hidden, &s, e) != 0)
		return -1;
	*ret = s.c;
	s.c = (struct contents){0};
	return 0;
}

int contents_scan(const char *tree, const struct contents_times *t, struct contents *ret,
		  struct err *e)
{
	struct scan s SCOPED(scan_release) = {.fd = -1, .output = hash_new()};

	if (fs_open_dir(AT_FDCWD, tree, &s.fd, e) != 0 ||
	    tree_scan(s.fd, &s.c.tree, NULL, e) != 0 || hash_files(&s, e) != 0 ||
	    fs_walk(s.fd, add_hidden, &s, e) != 0)
		return -1;
	for (size_t i = 0; i < s.c.tree.n; i++)
		add_entry(s.output, &s, i, t);
	s.c.output = hash_final(s.output);
	s.c.loaded = true;
	*ret = s.c;
	s.c = (struct contents){0};
	return 0;
}

const struct digest *contents_find(const struct contents *c, const char *path)
{
	const struct tree_entry *en = tree_find(&c->tree, path);

	return en != NULL && S_ISREG(en->mode) ? &c->digests[en - c->tree.v] : NULL;
}

/* What lies in the text is not the entries' own. */
static void lend_back(struct tree *t)
{
	for (size_t i = 0; i < t->n; i++) {
		struct tree_entry *en = &t->v[i];

		en->path = en->link = NULL;
		for (size_t k = 0; k < en->xattrs_n; k++)
			en->xattrs[k].name = NULL;
	}
}

void contents_release(struct contents *c)
{
	if (c->text != NULL)
		lend_back(&c->tree);
	tree_release(&c->tree);
	free(c->text);
	free(c->digests);
	map_release(&c->hidden, NULL);
	*c = (struct contents){0};
}
