/* mirror_read.c - all chains of a bucket, read as if each were a directory. */
#include "ledger/bucket.h"

#include <stdlib.h>
#include <string.h>

enum { KEY_TAIL = 23 /* "0000000000000001.jsonl" and its slash */, CHAIN_TEXT = 29 };

struct chains {
	struct ledger_state *v;
	size_t n;
	struct tail t; /* of the last one */
};

/* "CHAIN/0000000000000001.jsonl" of a key behind the prefix; NULL for what others have put there.
 */
static bool key_of(const char *key, char chain[static 32])
{
	size_t n = strlen(key);

	if (n != CHAIN_TEXT + KEY_TAIL || key[CHAIN_TEXT] != '/' ||
	    strcmp(key + n - 6, ".jsonl") != 0)
		return false;
	memcpy(chain, key, CHAIN_TEXT);
	chain[CHAIN_TEXT] = '\0';
	return true;
}

static void finish(struct chains *c)
{
	struct ledger_state *st = &c->v[c->n - 1];

	st->lines = c->t.seq;
	st->segments = c->t.segment;
	st->last = c->t.last;
	memcpy(st->chain, c->t.chain, sizeof(st->chain));
}

static void begin(struct chains *c, const char *chain)
{
	c->v = mem_resize(c->v, c->n + 1, sizeof(*c->v));
	c->v[c->n++] = (struct ledger_state){.has_head = true};
	c->t = (struct tail){.last = digest_of("", 0)};
	memcpy(c->t.chain, chain, sizeof(c->t.chain));
}

/* Whether the lines begin a segment: then that is what they are checked to be. */
static bool begins_segment(const struct buf *b)
{
	const char *end = memchr(b->data, '\n', b->len);
	struct ledger_line l;
	struct err quiet = ERR_INIT;

	return end != NULL &&
	       ledger_line_parse(b->data, (size_t)(end - b->data), &l, &quiet) == 0 &&
	       l.kind.n == strlen("segment") && memcmp(l.kind.p, "segment", l.kind.n) == 0;
}

struct reader {
	ledger_fn *fn;
	void *ctx;
};

static int one_object(struct bucket *b, const char *key, struct chains *c, const struct reader *r,
		      struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(LEDGER_SEGMENT_BYTES);
	char *full SCOPED(mem_freep) = mem_format("%s%s", b->prefix, key);
	uint64_t before = c->t.seq;
	int rc = bucket_get(b, full, &text, e);

	if (rc != 0)
		return rc > 0 ? err_set(e, ERR_REMOTE, "%s is listed, and is not there", key) : -1;
	if (begins_segment(&text)) {
		c->t.segment++;
		c->t.end = 0;
	}
	if (segment_walk(&c->t, text.data, text.len, r->fn, r->ctx, e) != 0)
		return err_in(e, "%s:%llu", key, (unsigned long long)(c->t.seq - before + 1));
	if (c->t.headless > 0)
		return err_set(e, ERR_VERIFY, "%s: begun when the head record was gone", key);
	if (text.len == 0 || text.data[text.len - 1] != '\n')
		return err_set(e, ERR_VERIFY, "%s: its last line has no end", key);
	c->v[c->n - 1].bytes += text.len;
	finish(c);
	return 0;
}

static int read_keys(struct bucket *b, const struct strv *keys, struct chains *c,
		     const struct reader *r, struct err *e)
{
	for (size_t i = 0; i < keys->n; i++) {
		char chain[32];

		if (!key_of(keys->v[i], chain))
			continue;
		if (c->n == 0 || strcmp(c->t.chain, chain) != 0)
			begin(c, chain);
		if (one_object(b, keys->v[i], c, r, e) != 0)
			return -1;
	}
	return 0;
}

int ledger_mirror_read(const char *from, ledger_fn *fn, void *ctx, struct ledger_state **ret,
		       size_t *ret_n, struct err *e)
{
	struct bucket b SCOPED(bucket_release) = {.s3 = NULL};
	struct strv keys SCOPED(strv_release) = {0};
	const struct reader r = {fn, ctx};
	struct chains c = {.n = 0};

	if (bucket_open(from, 0, &b, e) != 0)
		return -1;
	if (bucket_list(&b, &keys, e) != 0 || read_keys(&b, &keys, &c, &r, e) != 0) {
		free(c.v);
		return err_in(e, "%s", from);
	}
	*ret = c.v;
	*ret_n = c.n;
	return 0;
}
