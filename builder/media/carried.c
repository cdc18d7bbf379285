#include "media/carried.h"

#include "sign/file.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TITLE "org.opencontainers.image.title"
#define PAPER "medium.json"

enum { SIGNATURE_MAX = 1 << 20, PARTS = 4 };

/* What an update reads. */
static const char *const names[PARTS] = {"state", "boot-a", "root-a", "verity-a"};

struct carried {
	struct ranges *r;
	const struct medium *m;
	const struct oci_desc *part[PARTS]; /* of the artifact's manifest */
};

static void add_layer(struct oci_manifest *to, const struct oci_desc *blob, const char *type,
		      const char *name)
{
	struct oci_desc *d;

	to->layers = mem_resize(to->layers, to->layers_n + 1, sizeof(*to->layers));
	d = &to->layers[to->layers_n++];
	*d = (struct oci_desc){.media_type = mem_strdup(type),
			       .digest = blob->digest,
			       .size = blob->size,
			       .annotations = jval_object()};
	jval_put_text(d->annotations, TITLE, name);
}

/* A text of a file: one that is not there is none. */
static int add_file(struct oci_manifest *to, struct oci_layout *l, const char *path,
		    const char *name, struct err *e)
{
	const bool signature = strcmp(name, PAPER) != 0;
	struct buf text SCOPED(buf_release) = BUF_INIT(signature ? SIGNATURE_MAX : MEDIUM_TEXT_MAX);
	struct oci_desc blob = {0};

	if (signature && access(path, F_OK) != 0 && errno == ENOENT)
		return 0;
	if (fs_get_file(AT_FDCWD, path, &text, e) != 0 ||
	    oci_layout_add(l, text.data, text.len, &blob.digest, e) != 0)
		return -1;
	blob.size = text.len;
	add_layer(to, &blob, signature ? CARRIED_SIGNATURE : CARRIED_MANIFEST, name);
	return 0;
}

static int add_papers(struct oci_manifest *to, struct oci_layout *l, const char *file,
		      struct err *e)
{
	char *path SCOPED(mem_freep) = mem_format("%s" MEDIUM_SUFFIX, file);

	if (add_file(to, l, path, PAPER, e) != 0)
		return -1;
	for (int f = 0; f < SIGN_FORMS; f++) {
		const char *suffix = sign_file_suffix((enum sign_form)f);
		char *from SCOPED(mem_freep) = mem_format("%s%s", path, suffix);
		char *name SCOPED(mem_freep) = mem_format(PAPER "%s", suffix);

		if (add_file(to, l, from, name, e) != 0)
			return -1;
	}
	return 0;
}

/* Where in the medium the zeros at the end of a part begin. */
static uint64_t end_of(const struct medium *m, const struct medium_part *p)
{
	char *block SCOPED(mem_freep) = mem_zalloc(MEDIUM_BLOCK);
	const struct digest zeros = digest_of(block, MEDIUM_BLOCK);
	size_t first = (size_t)(p->at / MEDIUM_BLOCK),
	       last = (size_t)((p->at + p->size) / MEDIUM_BLOCK);

	while (last > first && digest_equal(&m->blocks[last - 1], &zeros))
		last--;
	return (uint64_t)last * MEDIUM_BLOCK;
}

/* A part of the medium: from one byte to another. */
struct piece {
	const struct medium *m;
	int from; /* the file of the medium */
	uint64_t at, end;
};

/* Each block as the manifest has it. */
static int copy(const struct piece *p, int to, struct digest *ret, struct err *e)
{
	struct hash *h SCOPED(hash_freep) = hash_new();
	char *block SCOPED(mem_freep) = mem_zalloc(MEDIUM_BLOCK);

	for (uint64_t at = p->at; at < p->end; at += MEDIUM_BLOCK) {
		const ssize_t n = pread(p->from, block, MEDIUM_BLOCK, (off_t)at);
		struct digest is;

		if (n < 0)
			return err_sys(e, "read it");
		is = digest_of(block, (size_t)n);
		if (n != MEDIUM_BLOCK || !digest_equal(&is, &p->m->blocks[at / MEDIUM_BLOCK]))
			return err_set(e, ERR_VERIFY, "it is not as its manifest says at byte %llu",
				       (unsigned long long)at);
		hash_add(h, block, MEDIUM_BLOCK);
		if (fs_write_all(to, block, MEDIUM_BLOCK, e) != 0)
			return -1;
	}
	*ret = hash_final(h);
	return 0;
}

static int add_piece(const struct piece *p, struct oci_layout *l, struct digest *ret, struct err *e)
{
	char *name SCOPED(mem_freep) = mem_format(".medium.%ld", (long)getpid());
	const int dir = oci_layout_fd(l);
	int fd SCOPED(fd_closep) =
	    openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(e, "make %s/%s", oci_layout_path(l), name);
	if (copy(p, fd, ret, e) == 0 && oci_layout_adopt(l, name, fd, ret, e) == 0)
		return 0;
	(void)unlinkat(dir, name, 0);
	return -1;
}

static int add_parts(struct oci_manifest *to, struct oci_layout *l, const char *file,
		     const struct medium *m, struct err *e)
{
	int fd SCOPED(fd_closep) = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "%s", file);
	for (size_t i = 0; i < PARTS; i++) {
		const struct medium_part *part = medium_part_named(m, names[i]);
		struct piece p = {.m = m, .from = fd};
		struct oci_desc blob = {0};

		if (part == NULL) {
			(void)err_set(e, ERR_USAGE, "%s has no two slots", file);
			return err_hint(e, "Media to update from are made by posmedia media "
					   "--format raw --slots 2.");
		}
		p.at = part->at;
		p.end = end_of(m, part);
		blob.size = p.end - p.at;
		if (add_piece(&p, l, &blob.digest, e) != 0)
			return err_in(e, "%s", file);
		add_layer(to, &blob, CARRIED_PART, names[i]);
	}
	return 0;
}

int carried_make(const char *file, const struct medium *m, struct oci_layout *l,
		 struct oci_desc *ret, struct err *e)
{
	struct oci_manifest a SCOPED(oci_manifest_release) = {
	    .config = {.media_type = mem_strdup(OCI_EMPTY), .size = 2},
	    .artifact_type = mem_strdup(CARRIED_TYPE)};
	struct buf text SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_desc d = {0};

	if (oci_layout_add(l, "{}", 2, &a.config.digest, e) != 0 ||
	    add_papers(&a, l, file, e) != 0 || add_parts(&a, l, file, m, e) != 0)
		return -1;
	oci_manifest_write(&a, &text);
	if (oci_layout_add(l, text.data, text.len, &d.digest, e) != 0)
		return -1;
	d.media_type = mem_strdup(OCI_MANIFEST);
	d.artifact_type = mem_strdup(CARRIED_TYPE);
	d.size = text.len;
	*ret = d;
	return 0;
}

void carried_freep(struct carried **c)
{
	if (*c != NULL)
		ranges_free((*c)->r);
	free(*c);
	*c = NULL;
}

int carried_open(const struct ref *at, const struct remote_opts *o, struct carried **ret,
		 struct err *e)
{
	struct carried *c SCOPED(carried_freep) = mem_zalloc(sizeof(*c));
	char *name SCOPED(mem_freep) = ref_text(at);

	if (ranges_open(at, o, &c->r, e) != 0)
		return -1;
	if (strcmp(ranges_manifest(c->r)->artifact_type, CARRIED_TYPE) != 0) {
		(void)err_set(e, ERR_USAGE, "%s is no medium", name);
		return err_hint(e, "posmedia push FILE brings one there.");
	}
	*ret = STEAL(c);
	return 0;
}

static const struct oci_desc *layer_named(const struct carried *c, const char *name)
{
	const struct oci_manifest *m = ranges_manifest(c->r);

	for (size_t i = 0; i < m->layers_n; i++) {
		const char *title = jval_get_str(m->layers[i].annotations, TITLE);

		if (title != NULL && strcmp(title, name) == 0)
			return &m->layers[i];
	}
	return NULL;
}

static int put_paper(struct carried *c, const char *name, const char *path, struct err *e)
{
	const bool signature = strcmp(name, PAPER) != 0;
	struct buf text SCOPED(buf_release) = BUF_INIT(signature ? SIGNATURE_MAX : MEDIUM_TEXT_MAX);
	const struct oci_desc *d = layer_named(c, name);

	if (d == NULL && signature)
		return 0;
	if (d == NULL)
		return err_set(e, ERR_VERIFY, "the medium has no manifest");
	return ranges_blob(c->r, d, &text, e) != 0
		   ? -1
		   : fs_put_unsynced(path, text.data, text.len, 0600, e);
}

int carried_papers(struct carried *c, const char *path, struct err *e)
{
	if (put_paper(c, PAPER, path, e) != 0)
		return -1;
	for (int f = 0; f < SIGN_FORMS; f++) {
		const char *suffix = sign_file_suffix((enum sign_form)f);
		char *name SCOPED(mem_freep) = mem_format(PAPER "%s", suffix);
		char *to SCOPED(mem_freep) = mem_format("%s%s", path, suffix);

		if (put_paper(c, name, to, e) != 0)
			return -1;
	}
	return 0;
}

int carried_bind(struct carried *c, const struct medium *m, struct err *e)
{
	for (size_t i = 0; i < PARTS; i++) {
		c->part[i] = layer_named(c, names[i]);
		if (c->part[i] == NULL)
			return err_set(e, ERR_VERIFY, "the medium has no %s there", names[i]);
	}
	c->m = m;
	return 0;
}

static const struct oci_desc *blob_of(const struct carried *c, const struct medium_part *p)
{
	for (size_t i = 0; i < PARTS; i++)
		if (p != NULL && strcmp(p->name, names[i]) == 0)
			return c->part[i];
	return NULL;
}

int carried_read(void *ctx, uint64_t at, void *p, size_t n, struct err *e)
{
	struct carried *c = ctx;
	const struct medium_part *part = medium_part_at(c->m, at);
	struct range what = {.blob = blob_of(c, part), .n = n};

	if (what.blob == NULL || n > part->at + part->size - at)
		return err_set(e, ERR_FAIL, "no part of the medium that is carried");
	what.at = at - part->at;
	if (what.at >= what.blob->size)
		what.n = 0;
	else if (n > what.blob->size - what.at)
		what.n = (size_t)(what.blob->size - what.at);
	memset((char *)p + what.n, 0, n - what.n);
	return ranges_read(c->r, &what, p, e);
}

uint64_t carried_bytes(const struct carried *c)
{
	return ranges_bytes(c->r);
}
