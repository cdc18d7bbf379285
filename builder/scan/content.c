#include "scan/content.h"

#include "harden/secret_text.h"
#include "scan/sqlite.h"
#include "sys/intr.h"
#include <stdlib.h>
#include <string.h>

/* What a file may unpack to, as a multiple of its size and beyond; members of an archive. */
#define GROWTH UINT64_C(64)
#define SPARE  (UINT64_C(512) << 20)
enum { MEMBERS_MAX = 1 << 20, TAR_MAGIC = 257, KEPT_MAX = 8 << 20 };

enum kind { PLAIN, PACKED, ARCHIVE, SQLITE };

/* The beginning that a feed has taken already, and the rest. What was read is kept until it has
 * shown that it is what it looks like: else it is looked at as plain bytes. */
struct replay {
	struct feed *head;
	const struct input *rest;
	struct buf kept;
	size_t given;  /* of what is kept, when it is read again */
	bool known;    /* nothing more is kept */
	unsigned left; /* kinds of secrets that the beginning has not shown */
};

static int scan_input(struct content *c, const struct input *in, uint64_t size, struct err *e);

static void on_match(void *ctx, const struct match *m)
{
	struct content *c = ctx;

	found_add(c->out, m, c->inside);
}

static bool begins(const struct feed *f, const char *magic, size_t n, size_t at)
{
	return f->len >= at + n && memcmp(f->buf + at, magic, n) == 0;
}

static enum kind kind_of(const struct feed *f)
{
	if (begins(f, "\x1f\x8b\x08", 3, 0) || begins(f, "\x28\xb5\x2f\xfd", 4, 0) ||
	    begins(f,
		   "\xfd"
		   "7zXZ",
		   6, 0))
		return PACKED;
	/* the magic of a block follows the level: text may begin with the same letters */
	if (begins(f, "BZh", 3, 0) && begins(f, "1AY&SY", 6, 4))
		return PACKED;
	if (begins(f, "PK\x03\x04", 4, 0) || begins(f, "ustar", 5, TAR_MAGIC) ||
	    begins(f, "070701", 6, 0) || begins(f, "!<arch>\ndebian-binary", 21, 0) ||
	    begins(f, "CD001", 5, 32769))
		return ARCHIVE;
	return sqlite_page_size(f->buf, f->len) > 0 ? SQLITE : PLAIN;
}

static int replay_read(void *ctx, void *p, size_t room, size_t *ret_n, struct err *e)
{
	struct replay *r = ctx;
	size_t n = feed_take(r->head, p, room);

	*ret_n = n;
	if (n == 0 && !r->head->end && r->rest->read(r->rest->ctx, p, room, ret_n, e) != 0)
		return -1;
	if (!r->known)
		buf_add(&r->kept, p, *ret_n);
	return 0;
}

/* It is what it looks like: it need not be read again. */
static void is_known(struct replay *r)
{
	r->known = true;
	buf_release(&r->kept);
}

/* Bytes that came out of something packed are paid for. */
static int pay(struct content *c, size_t n, struct err *e)
{
	if (intr_pending())
		return intr_err(e);
	if (n > c->budget) {
		c->budget = 0;
		return err_set(e, ERR_RECIPE, "unpacks to more than it may");
	}
	c->budget -= n;
	return 0;
}

struct unpacked {
	struct content *c;
	struct source *s;
	struct replay *r;
	const uint8_t *p;
	size_t left;
};

static int unpacked_read(void *ctx, void *p, size_t room, size_t *ret_n, struct err *e)
{
	struct unpacked *u = ctx;
	const void *more = NULL;
	size_t n;

	if (u->left == 0) {
		if (source_read(u->s, &more, &u->left, e) != 0 || pay(u->c, u->left, e) != 0)
			return -1;
		u->p = more;
		if (u->left > 0)
			is_known(u->r);
	}
	n = u->left < room ? u->left : room;
	if (n > 0)
		memcpy(p, u->p, n);
	u->p += n;
	u->left -= n;
	*ret_n = n;
	return 0;
}

static int packed(struct content *c, struct replay *r, struct err *e)
{
	struct source *s SCOPED(source_freep) = NULL;
	struct unpacked u = {.c = c, .r = r};
	const struct input in = {unpacked_read, &u};

	if (source_open_input(replay_read, r, &s, e) != 0)
		return -1;
	u.s = s;
	return scan_input(c, &in, UINT64_MAX, e);
}

static int entry_read(void *ctx, void *p, size_t room, size_t *ret_n, struct err *e)
{
	struct entry_input *x = ctx;
	size_t n;

	while (x->used == x->piece.n && !x->piece.end) {
		x->used = 0;
		if (reader_data(x->r, &x->piece, e) != 0)
			return -1;
	}
	n = x->piece.n - x->used;
	n = n < room ? n : room;
	if (n > 0)
		memcpy(p, (const char *)x->piece.p + x->used, n);
	x->used += n;
	*ret_n = n;
	return 0;
}

struct input content_entry(struct entry_input *x)
{
	return (struct input){entry_read, x};
}

struct paid {
	struct content *c;
	struct entry_input x;
};

static int paid_read(void *ctx, void *p, size_t room, size_t *ret_n, struct err *e)
{
	struct paid *x = ctx;

	if (entry_read(&x->x, p, room, ret_n, e) != 0)
		return -1;
	return pay(x->c, *ret_n, e);
}

static uint64_t entry_size(struct archive_entry *en)
{
	int64_t n = archive_entry_size_is_set(en) ? archive_entry_size(en) : -1;

	return n < 0 ? UINT64_MAX : (uint64_t)n;
}

static int member(struct content *c, struct reader *r, struct archive_entry *en, struct err *e)
{
	const char *name = archive_entry_pathname(en), *path = c->path, *inside = c->inside;
	struct paid x = {c, {.r = r}};
	const struct input in = {paid_read, &x};
	char *full SCOPED(mem_freep) = NULL;
	int rc;

	if (name == NULL)
		name = archive_entry_pathname_utf8(en);
	name = name != NULL ? name : "?";
	full = inside != NULL ? mem_format("%s!%s", inside, name) : mem_strdup(name);
	c->path = name;
	c->inside = full;
	rc = scan_input(c, &in, entry_size(en), e);
	c->path = path;
	c->inside = inside;
	return rc;
}

static int archive(struct content *c, struct replay *r, struct err *e)
{
	struct source *s = NULL;
	struct reader *rd SCOPED(reader_freep) = NULL;
	struct archive_entry *en;

	if (source_open_input(replay_read, r, &s, e) != 0 ||
	    reader_open(s, READER_BYTES, &rd, e) != 0)
		return -1;
	for (size_t i = 0;; i++) {
		if (reader_next(rd, &en, e) != 0)
			return -1;
		if (en == NULL)
			return 0;
		is_known(r);
		if (i == MEMBERS_MAX)
			return err_set(e, ERR_RECIPE, "has more than %d members", MEMBERS_MAX);
		if (archive_entry_filetype(en) == AE_IFREG && member(c, rd, en, e) != 0)
			return -1;
	}
}

/* Page by page; the feed has the first ones. */
static int database(struct content *c, struct replay *r, struct err *e)
{
	size_t size = sqlite_page_size(r->head->buf, r->head->len), have, n = 1;
	uint8_t *page SCOPED(mem_freep) = mem_resize(NULL, size, 1);

	for (uint64_t at = 0; n > 0; at += have) {
		for (have = 0; have < size && n > 0; have += n)
			if (replay_read(r, page + have, size - have, &n, e) != 0)
				return -1;
		sqlite_page(&c->m, page, have, at);
		c->bytes += have;
	}
	return 0;
}

/* What secrets are sought, and at which offset the look begins. */
struct seek {
	struct content *c;
	unsigned left;
	uint64_t at;
};

static void on_secret(void *ctx, const struct secret_seen *s)
{
	static const struct {
		unsigned kind;
		enum scan_class cls;
	} classes[] = {
	    {SECRET_PRIVATE_KEY, SCAN_PRIVATE_KEY},
	    {SECRET_CREDENTIAL, SCAN_CREDENTIAL},
	    {SECRET_HASH, SCAN_HASH},
	    {SECRET_TRUST, SCAN_TRUST},
	    {SECRET_HOST_KEY, SCAN_IDENTITY},
	    {SECRET_IDENTITY, SCAN_IDENTITY},
	};

	struct seek *k = ctx;

	k->left &= ~(unsigned)s->kind;
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (classes[i].kind == s->kind)
			on_match(k->c, &(struct match){.cls = classes[i].cls,
						       .what = s->what,
						       .at = k->at + s->at});
}

/* The kinds of secrets that the beginning of a text does not have; a program is not looked at
 * beyond its beginning. */
static unsigned secrets(struct content *c, const struct feed *f, uint64_t size)
{
	const struct secret_look l = {
	    .path = c->path, .p = (const char *)f->buf, .n = f->len, .size = size};
	struct seek k = {c, SECRET_ALL, 0};

	secret_each(&l, on_secret, &k);
	return memchr(l.p, '\0', l.n < SECRET_TEXT ? l.n : SECRET_TEXT) == NULL ? k.left : 0;
}

/* What follows the beginning; the feed has a little of what came before. */
static void more_secrets(struct content *c, const struct feed *f, unsigned *left)
{
	const struct secret_look l = {
	    .path = c->path, .p = (const char *)f->buf, .n = f->len, .size = 0};
	struct seek k = {c, *left, f->at};

	secret_kinds(&l, *left, on_secret, &k);
	*left = k.left;
}

/* Looks at what the feed has when nothing follows. */
static void finish(struct content *c, struct feed *f)
{
	f->end = true;
	feed_match(f, &c->m);
	c->bytes += f->at + f->len;
	match_end(&c->m);
}

/* What came before damage is looked at. */
static int plain(struct content *c, struct feed *f, const struct input *in, unsigned left,
		 struct err *e)
{
	int rc = 0;

	while (rc == 0 && !f->end) {
		feed_match(f, &c->m);
		rc = intr_pending() ? intr_err(e) : feed_fill(f, in, e);
		if (left != 0)
			more_secrets(c, f, &left);
	}
	finish(c, f);
	return rc;
}

static int again_read(void *ctx, void *p, size_t room, size_t *ret_n, struct err *e)
{
	struct replay *r = ctx;
	size_t n = r->kept.len - r->given;

	*ret_n = n < room ? n : room;
	if (n > 0)
		memcpy(p, r->kept.data + r->given, *ret_n);
	r->given += *ret_n;
	return n > 0 || r->head->end ? 0 : r->rest->read(r->rest->ctx, p, room, ret_n, e);
}

/* What only begins as something packed does, as plain bytes. */
static int not_packed(struct content *c, struct replay *r, struct err *e)
{
	const struct input again = {again_read, r};
	struct feed f = {0};
	int rc;

	buf_add(&r->kept, r->head->buf, r->head->len);
	if (buf_over(&r->kept))
		return err_set(e, ERR_RECIPE, "has no beginning that can be read");
	feed_reset(&f);
	rc = plain(c, &f, &again, r->left, e);
	feed_release(&f);
	return rc;
}

static int by_kind(struct content *c, struct feed *f, const struct input *in, unsigned left,
		   struct err *e)
{
	enum kind kind = kind_of(f);
	struct replay r = {.head = f, .rest = in, .kept = BUF_INIT(KEPT_MAX), .left = left};
	struct err ignored = ERR_INIT;
	int rc;

	if (kind == PLAIN)
		return plain(c, f, in, left, e);
	if (kind == SQLITE) {
		r.known = true;
		return database(c, &r, e);
	}
	if (c->depth > CONTENT_DEPTH)
		return err_set(e, ERR_RECIPE, "is packed more than %d times", CONTENT_DEPTH);
	rc = kind == PACKED ? packed(c, &r, e) : archive(c, &r, e);
	if (!r.known && !intr_pending() && not_packed(c, &r, &ignored) != 0 && rc == 0) {
		*e = ignored;
		rc = -1;
	}
	buf_release(&r.kept);
	return rc;
}

/* What is wrong with a file is noted there. */
static int scan_input(struct content *c, const struct input *in, uint64_t size, struct err *e)
{
	struct feed *f = &c->feeds[c->depth];
	struct err why = ERR_INIT;
	unsigned left = 0;
	int rc;

	feed_reset(f);
	rc = feed_fill(f, in, &why);
	if (f->len > 0)
		left = secrets(c, f, size);
	c->depth++;
	if (rc != 0)
		finish(c, f);
	else if (f->len > 0)
		rc = by_kind(c, f, in, left, &why);
	c->depth--;
	if (rc == 0)
		return 0;
	if (intr_pending()) {
		*e = why;
		return -1;
	}
	found_note(c->out, c->inside, why.msg);
	return 0;
}

int content_scan(struct content *c, const char *path, uint64_t size, const struct input *in,
		 struct found *ret, struct err *e)
{
	int rc;

	c->m = (struct matcher){.fn = on_match, .ctx = c};
	c->out = ret;
	c->path = path;
	c->inside = NULL;
	c->depth = 0;
	c->budget = size < UINT64_MAX / GROWTH - SPARE ? size * GROWTH + SPARE : UINT64_MAX;
	rc = scan_input(c, in, size, e);
	match_end(&c->m);
	return rc;
}

void content_release(struct content *c)
{
	for (size_t i = 0; i <= CONTENT_DEPTH; i++)
		feed_release(&c->feeds[i]);
}
