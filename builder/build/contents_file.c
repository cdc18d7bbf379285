/* The digest of all that follows it, the output, then the entries, then what is hidden; every field
 * ends with a zero byte. */
#include "build/contents.h"

#include "base/num.h"
#include "form/hex.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CONTENTS_MAX (512 << 20)

enum { NUMBERS = 7, XATTRS_MAX = 1000 };

static void put(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text) + 1);
}

static void put_entry(struct buf *b, const struct contents *c, size_t i)
{
	const struct tree_entry *en = &c->tree.v[i];
	char *numbers SCOPED(mem_freep) = mem_format(
	    "%u %u %u %llu %llu %llu %zu", en->mode, en->uid, en->gid, (unsigned long long)en->size,
	    (unsigned long long)en->mtime, (unsigned long long)en->inode, en->xattrs_n);

	put(b, numbers);
	put(b, en->path);
	put(b, en->link != NULL ? en->link : "");
	put(b, digest_hex(&c->digests[i]).s);
	for (size_t k = 0; k < en->xattrs_n; k++) {
		char *hex SCOPED(mem_freep) = mem_zalloc(2 * en->xattrs[k].len + 1);

		hex_encode(en->xattrs[k].val, en->xattrs[k].len, hex);
		put(b, en->xattrs[k].name);
		put(b, hex);
	}
}

int contents_save(const struct contents *c, const char *path, struct err *e)
{
	const char **hidden SCOPED(mem_freep) = map_keys(&c->hidden);
	struct buf b SCOPED(buf_release) = BUF_INIT(CONTENTS_MAX);
	int fd SCOPED(fd_closep) = -1;
	struct digest sum;

	put(&b, digest_hex(&c->output).s);
	for (size_t i = 0; i < c->tree.n; i++)
		put_entry(&b, c, i);
	put(&b, "");
	for (size_t i = 0; i < c->hidden.n; i++) {
		put(&b, map_get(&c->hidden, hidden[i]) != NULL ? "opaque" : "whiteout");
		put(&b, hidden[i]);
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

/* Goes through a text, which ends with a zero byte. */
struct reader {
	char *at, *end;
	bool bad;
};

/* The next field, or "" and `bad` when there is none. */
static char *next(struct reader *r)
{
	static char none[1];
	char *field = r->at;

	if (r->at >= r->end) {
		r->bad = true;
		return none;
	}
	r->at += strlen(field) + 1;
	return field;
}

static void take_numbers(struct reader *r, char *text, uint64_t v[NUMBERS])
{
	for (int i = 0; i < NUMBERS; i++) {
		char *end = text + strcspn(text, " ");
		bool last = *end == '\0';

		*end = '\0';
		if (num_u64(text, UINT64_MAX, &v[i]) != 0)
			r->bad = true;
		text = last ? end : end + 1;
	}
	if (v[NUMBERS - 1] > XATTRS_MAX)
		r->bad = true;
}

static void take_xattrs(struct reader *r, struct tree_entry *en, size_t n)
{
	if (n > 0)
		en->xattrs = mem_zalloc(n * sizeof(*en->xattrs));
	while (!r->bad && en->xattrs_n < n) {
		struct tree_xattr *x = &en->xattrs[en->xattrs_n++];
		const char *hex;

		x->name = next(r);
		hex = next(r);
		x->len = strlen(hex) / 2;
		x->val = mem_zalloc(x->len + 1);
		if (strlen(hex) % 2 != 0 || hex_decode(hex, strlen(hex), x->val) != 0)
			r->bad = true;
	}
}

static void take_entry(struct reader *r, struct contents *c, char *numbers)
{
	struct tree *t = &c->tree;
	struct tree_entry *en;
	uint64_t v[NUMBERS] = {0};
	char *link;

	take_numbers(r, numbers, v);
	if (t->n == t->cap) {
		t->cap = t->cap > 0 ? 2 * t->cap : 1024;
		t->v = mem_resize(t->v, t->cap, sizeof(*t->v));
		c->digests = mem_resize(c->digests, t->cap, sizeof(*c->digests));
	}
	en = &t->v[t->n];
	*en = (struct tree_entry){.mode = (mode_t)v[0],
				  .uid = (uint32_t)v[1],
				  .gid = (uint32_t)v[2],
				  .size = v[3],
				  .mtime = (int64_t)v[4],
				  .inode = v[5]};
	en->path = next(r);
	link = next(r);
	en->link = S_ISLNK(en->mode) ? link : NULL;
	if (digest_parse_hex(next(r), &c->digests[t->n]) != 0)
		r->bad = true;
	t->n++;
	if (!r->bad)
		take_xattrs(r, en, (size_t)v[6]);
}

static void parse(struct reader *r, struct contents *c)
{
	char *field;

	if (digest_parse_hex(next(r), &c->output) != 0)
		r->bad = true;
	while (!r->bad && *(field = next(r)) != '\0')
		take_entry(r, c, field);
	while (!r->bad && r->at < r->end) {
		const char *how = next(r);

		(void)map_put(&c->hidden, next(r), strcmp(how, "opaque") == 0 ? c : NULL);
	}
	for (size_t i = 0; i < c->tree.n; i++)
		if (c->tree.v[i].inode > c->tree.n)
			r->bad = true;
}

/* The whole file, with a zero byte behind it; the caller owns it. */
static int read_text(const char *path, char **ret, size_t *ret_n, struct err *e)
{
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char *text SCOPED(mem_freep) = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "open %s", path);
	if (!S_ISREG(st.st_mode) || st.st_size > CONTENTS_MAX)
		return err_set(e, ERR_VERIFY, "%s is damaged", path);
	text = mem_zalloc((size_t)st.st_size + 1);
	if (fs_read_all(fd, text, (size_t)st.st_size, e) != 0)
		return err_in(e, "%s", path);
	*ret_n = (size_t)st.st_size;
	*ret = STEAL(text);
	return 0;
}

int contents_load(const char *path, struct contents *ret, struct err *e)
{
	struct contents c = {0};
	struct digest sum, is;
	struct reader r;
	size_t n = 0;

	if (read_text(path, &c.text, &n, e) != 0)
		return -1;
	r = (struct reader){c.text, c.text + n, n == 0 || c.text[n - 1] != '\0'};
	if (!r.bad && digest_parse_hex(next(&r), &sum) == 0) {
		is = digest_of(r.at, (size_t)(r.end - r.at));
		r.bad = !digest_equal(&sum, &is);
		parse(&r, &c);
	} else {
		r.bad = true;
	}
	if (r.bad) {
		contents_release(&c);
		return err_set(e, ERR_VERIFY, "%s is damaged", path);
	}
	c.loaded = true;
	*ret = c;
	return 0;
}
