/* text.c - the manifest's one text: mtree(5), in one order and one spelling. */
#include "manifest/parts.h"

#include "form/hex.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

enum { FLUSH = 64 << 10 };

const char text_head[] = "#mtree posmedia 1\n";

static const char *const types[] = {
    [MANIFEST_DIR] = "dir",   [MANIFEST_FILE] = "file", [MANIFEST_LINK] = "link",
    [MANIFEST_FIFO] = "fifo", [MANIFEST_CHAR] = "char", [MANIFEST_BLOCK] = "block",
};

const char *text_type(enum manifest_type t)
{
	return types[t];
}

int text_type_of(const char *name)
{
	for (int i = 0; i <= MANIFEST_BLOCK; i++)
		if (strcmp(types[i], name) == 0)
			return i;
	return -1;
}

static bool is_plain(unsigned char c)
{
	return c > ' ' && c < 0x7f && strchr("\\#*?[=", c) == NULL;
}

void text_escape(struct buf *b, const char *s)
{
	while (*s != '\0') {
		const char *from = s;

		while (*s != '\0' && is_plain((unsigned char)*s))
			s++;
		buf_add(b, from, (size_t)(s - from));
		if (*s != '\0')
			buf_addf(b, "\\%03o", (unsigned)(unsigned char)*s++);
	}
}

static void put_word(struct buf *b, const char *key, const char *val)
{
	buf_addf(b, " %s=", key);
	text_escape(b, val);
}

/* What mtree(5) has no word for stands in a comment below, as no stranger minds. */
static void put_more(struct buf *b, const struct manifest_entry *en)
{
	if (en->same_as == NULL && en->acl == NULL && en->acl_default == NULL && en->xattrs_n == 0)
		return;
	buf_add(b, "#+", 2);
	if (en->same_as != NULL) {
		buf_add(b, " hardlink=./", 12);
		text_escape(b, en->same_as);
	}
	if (en->acl != NULL)
		put_word(b, "acl", en->acl);
	if (en->acl_default != NULL)
		put_word(b, "acl.default", en->acl_default);
	for (size_t i = 0; i < en->xattrs_n; i++) {
		char *val SCOPED(mem_freep) = base64_encode(en->xattrs[i].val, en->xattrs[i].len);

		buf_add(b, " xattr.", 7);
		text_escape(b, en->xattrs[i].name);
		buf_addf(b, "=%s", val);
	}
	buf_add(b, "\n", 1);
}

static void put_path(struct buf *b, const char *path)
{
	buf_addf(b, path[0] == '\0' ? "." : "./");
	text_escape(b, path);
}

char *manifest_shown(const char *path)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(LINE_MAX_BYTES);

	put_path(&b, path);
	return buf_take(&b);
}

void text_entry(struct buf *b, const struct manifest_entry *en)
{
	put_path(b, en->path);
	buf_addf(b, " type=%s", types[en->type]);
	put_word(b, "uname", en->user);
	put_word(b, "gname", en->group);
	buf_addf(b, " mode=%04o", (unsigned)en->mode);
	if (en->type == MANIFEST_FILE)
		buf_addf(b, " size=%" PRIu64, en->size);
	if (en->type == MANIFEST_CHAR || en->type == MANIFEST_BLOCK)
		buf_addf(b, " device=native,%u,%u", major(en->device), minor(en->device));
	if (en->type == MANIFEST_LINK)
		put_word(b, "link", en->target);
	buf_addf(b, " time=%" PRId64 ".%09u", en->mtime, en->mtime_ns);
	if (en->type == MANIFEST_FILE)
		buf_addf(b, " sha256digest=%s", digest_hex(&en->digest).s);
	buf_add(b, "\n", 1);
	put_more(b, en);
}

int manifest_write(const struct manifest *m, const struct sink *out, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(FLUSH + 4 * LINE_MAX_BYTES);

	buf_add(&b, text_head, strlen(text_head));
	for (size_t i = 0; i < m->n; i++) {
		text_entry(&b, &m->v[i]);
		if (b.len < FLUSH && i + 1 < m->n)
			continue;
		if (buf_over(&b))
			return err_set(e, ERR_FAIL, "%s: more attributes than a line can hold",
				       m->v[i].path);
		if (sink_write(out, b.data, b.len, e) != 0)
			return -1;
		buf_cut(&b, 0);
	}
	return 0;
}

static int into_hash(void *ctx, const void *p, size_t n, struct err *e)
{
	(void)e;
	hash_add(ctx, p, n);
	return 0;
}

struct digest manifest_root(const struct manifest *m)
{
	struct hash *h SCOPED(hash_freep) = hash_new();
	const struct sink out = {.write = into_hash, .ctx = h};
	struct err e = ERR_INIT;

	/* only what no making and no reading lets through could fail */
	(void)!manifest_write(m, &out, &e);
	return hash_final(h);
}
