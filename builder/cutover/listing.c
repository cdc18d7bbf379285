/* listing.c - a manifest of ours as the agent lists a directory. */
#include "cutover/parts.h"

#include <inttypes.h>
#include <string.h>
#include <sys/sysmacros.h>

static const char *const types[] = {
    [MANIFEST_DIR] = "dir",   [MANIFEST_FILE] = "file", [MANIFEST_LINK] = "link",
    [MANIFEST_FIFO] = "fifo", [MANIFEST_CHAR] = "char", [MANIFEST_BLOCK] = "block",
};

void listing_put(struct buf *b, const char *s)
{
	for (; *s != '\0'; s++)
		if (*s > ' ' && *s < 0x7f && strchr("\\#*?[=", *s) == NULL)
			buf_add(b, s, 1);
		else
			buf_addf(b, "\\%03o", (unsigned)(unsigned char)*s);
}

static void put_word(struct buf *b, const char *key, const char *val)
{
	buf_addf(b, " %s=", key);
	listing_put(b, val);
}

static void put_entry(struct buf *b, const struct manifest_entry *en)
{
	buf_add(b, ".", 1);
	if (en->path[0] != '\0')
		buf_add(b, "/", 1);
	listing_put(b, en->path);
	buf_addf(b, " type=%s", types[en->type]);
	put_word(b, "uname", en->user);
	put_word(b, "gname", en->group);
	buf_addf(b, " mode=%04o", en->type == MANIFEST_LINK ? 0777U : (unsigned)en->mode);
	if (en->type == MANIFEST_FILE)
		buf_addf(b, " size=%" PRIu64, en->size);
	if (en->type == MANIFEST_CHAR || en->type == MANIFEST_BLOCK)
		buf_addf(b, " device=native,%u,%u", major(en->device), minor(en->device));
	if (en->type == MANIFEST_LINK)
		put_word(b, "link", en->target);
	buf_addf(b, " time=%" PRId64, en->mtime);
	if (en->type == MANIFEST_FILE)
		buf_addf(b, " sha256digest=%s", digest_hex(&en->digest).s);
	if (en->same_as != NULL) {
		buf_add(b, " hardlink=./", 12);
		listing_put(b, en->same_as);
	}
	buf_add(b, "\n", 1);
}

int listing_write(const struct manifest *m, const struct sink *out, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);

	for (size_t i = 0; i < m->n; i++) {
		put_entry(&b, &m->v[i]);
		if (buf_over(&b))
			return err_set(e, ERR_FAIL, "an entry is too long for a listing");
		if (sink_write(out, b.data, b.len, e) != 0)
			return -1;
		buf_cut(&b, 0);
	}
	return 0;
}

static int add(void *ctx, const void *p, size_t n, struct err *e)
{
	(void)e;
	hash_add(ctx, p, n);
	return 0;
}

int listing_of(const struct manifest *m, struct old_list *ret, struct err *e)
{
	struct hash *h SCOPED(hash_freep) = hash_new();
	const struct sink to = {add, h};
	struct old_list l = {.entries = m->n};

	if (listing_write(m, &to, e) != 0)
		return -1;
	for (size_t i = 0; i < m->n; i++) {
		l.files += m->v[i].type == MANIFEST_FILE;
		l.bytes += m->v[i].type == MANIFEST_FILE ? m->v[i].size : 0;
	}
	l.root = hash_final(h);
	*ret = l;
	return 0;
}
