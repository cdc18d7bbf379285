/* layers.c - every file of every layer, whether or not a later layer hides it. */
#include "scan/gather.h"

#include "sys/intr.h"
#include "sys/par.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct member {
	size_t index; /* in the layer */
	char *path;
	struct found found;
	struct digest sha256;
};

struct layer {
	const struct gather_layer *l;
	struct member *v; /* those with findings */
	size_t n;
	uint64_t files, bytes;
	bool failed;
	struct err err;
};

/* Regular files of a layer in turn, with their index; fn may read the entry. */
struct visit {
	int (*fn)(void *ctx, size_t i, struct archive_entry *en, struct reader *r, struct err *e);
	void *ctx;
};

static int each(const struct gather_layer *l, const struct visit *v, struct err *e)
{
	struct reader *r SCOPED(reader_freep) = NULL;
	struct source *s = NULL;
	struct archive_entry *en;

	if (lseek(l->fd, 0, SEEK_SET) != 0)
		return err_sys(e, "read %s", l->name);
	if (source_open(l->fd, SOURCE_TO_THE_END, &s, e) != 0 ||
	    reader_open(s, READER_TAR, &r, e) != 0)
		return err_in(e, "%s", l->name);
	for (size_t i = 0;; i++) {
		if (reader_next(r, &en, e) != 0)
			return err_in(e, "%s", l->name);
		if (en == NULL)
			return 0;
		if (archive_entry_filetype(en) == AE_IFREG && v->fn(v->ctx, i, en, r, e) != 0)
			return -1;
	}
}

static const char *path_of(struct archive_entry *en)
{
	const char *name = archive_entry_pathname(en);

	if (name == NULL)
		return "?";
	while (strncmp(name, "./", 2) == 0)
		name += 2;
	return name;
}

struct looking {
	struct layer *y;
	struct content c;
};

static int look(void *ctx, size_t i, struct archive_entry *en, struct reader *r, struct err *e)
{
	struct looking *k = ctx;
	struct layer *y = k->y;
	struct entry_input x = {.r = r};
	const struct input in = content_entry(&x);
	struct found f = {0};
	char *path = mem_strdup(path_of(en));
	int64_t size = archive_entry_size(en);

	y->files++;
	free(found_name(path, &f));
	if (content_scan(&k->c, path, size < 0 ? 0 : (uint64_t)size, &in, &f, e) != 0) {
		found_release(&f);
		free(path);
		return -1;
	}
	if (!found_any(&f)) {
		free(path);
		return 0;
	}
	y->v = mem_resize(y->v, y->n + 1, sizeof(*y->v));
	y->v[y->n++] = (struct member){.index = i, .path = path, .found = f};
	return 0;
}

struct hashing {
	struct layer *y;
	size_t next; /* of y->v */
};

/* The hole before a piece of a sparse file. */
static int hash_hole(struct hash *h, uint64_t n, struct err *e)
{
	static const char zeros[1 << 16];
	const uint64_t most = UINT64_C(4) << 30;

	if (n > most)
		return err_set(e, ERR_RECIPE, "a sparse file has a hole of more than 4 GiB");
	for (; n > sizeof(zeros); n -= sizeof(zeros))
		hash_add(h, zeros, sizeof(zeros));
	hash_add(h, zeros, (size_t)n);
	return 0;
}

static int hash(void *ctx, size_t i, struct archive_entry *en, struct reader *r, struct err *e)
{
	struct hashing *k = ctx;
	struct hash *h SCOPED(hash_freep) = NULL;
	struct reader_piece piece = {0};
	uint64_t at = 0;

	(void)en;
	if (k->next == k->y->n || k->y->v[k->next].index != i)
		return 0;
	h = hash_new();
	while (!piece.end) {
		if (reader_data(r, &piece, e) != 0)
			return -1;
		if (piece.end)
			break;
		if (piece.at > at && hash_hole(h, piece.at - at, e) != 0)
			return -1;
		hash_add(h, piece.p, piece.n);
		at = piece.at + piece.n;
	}
	k->y->v[k->next++].sha256 = hash_final(h);
	return 0;
}

static void look_at(void *ctx, size_t i)
{
	struct layer *y = (struct layer *)ctx + i;
	struct looking *k = mem_zalloc(sizeof(*k));
	struct hashing again = {.y = y};

	k->y = y;
	y->failed = each(y->l, &(struct visit){look, k}, &y->err) != 0;
	if (!y->failed && y->n > 0)
		y->failed = each(y->l, &(struct visit){hash, &again}, &y->err) != 0;
	y->bytes = k->c.bytes;
	content_release(&k->c);
	free(k);
}

int gather_layers(struct gather *g, const struct gather_job *j, struct err *e)
{
	struct layer *v SCOPED(mem_freep) = mem_zalloc(j->layers_n * sizeof(*v));
	int rc = 0;

	for (size_t i = 0; i < j->layers_n; i++)
		v[i] = (struct layer){.l = &j->layers[i], .err = ERR_INIT};
	par_each(j->layers_n, j->threads, look_at, v);
	for (size_t i = 0; i < j->layers_n; i++) {
		if (v[i].failed && rc == 0) {
			*e = v[i].err;
			rc = -1;
		}
		for (size_t k = 0; k < v[i].n; k++) {
			struct member *m = &v[i].v[k];

			gather_add(g, &m->found,
				   &(struct found_of){.path = m->path,
						      .layer = v[i].l->name,
						      .sha256 = &m->sha256});
			free(m->path);
		}
		free(v[i].v);
		g->files_n += v[i].files;
		g->bytes += v[i].bytes;
	}
	return rc;
}
