#include "ledger/parts.h"

#include "base/num.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A head record has always the same length, so that it is replaced in one write. */
enum { HEAD_BYTES = 512, SUFFIX_AT = 8, CHAIN_TEXT = 29 };
static const char head_name[] = "head";

struct segment_name segment_name(uint64_t number)
{
	struct segment_name r;

	(void)snprintf(r.s, sizeof(r.s), "%08u.jsonl", (unsigned)(number % (SEGMENTS_MAX + 1u)));
	return r;
}

static bool is_segment(const char *name, uint64_t *ret)
{
	char digits[SUFFIX_AT + 1];

	if (strlen(name) != SUFFIX_AT + strlen(".jsonl") || strcmp(name + SUFFIX_AT, ".jsonl") != 0)
		return false;
	memcpy(digits, name, SUFFIX_AT);
	digits[SUFFIX_AT] = '\0';
	return num_u64(digits, SEGMENTS_MAX, ret) == 0 && *ret > 0;
}

int segment_last(int dirfd, uint64_t *ret, uint64_t *ret_n, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};
	uint64_t number = 0, last = 0, n = 0;

	if (fs_list(dirfd, ".", &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (is_segment(names.v[i], &number)) {
			last = number;
			n++;
		}
	*ret = last;
	*ret_n = n;
	return 0;
}

/* A text member of a line's fields, which are read for this alone. */
static bool field_is(const struct jval *fields, const char *key, const char *want)
{
	const char *s = jval_get_str(fields, key);

	return s != NULL && strcmp(s, want) == 0;
}

/* The first line of a segment names it, and the chain. */
static int check_first(struct tail *t, const struct ledger_line *l, struct err *e)
{
	struct jval *fields SCOPED(jval_freep) = NULL;
	const char *chain;
	int64_t number = 0;

	if (l->kind.n != strlen("segment") || memcmp(l->kind.p, "segment", l->kind.n) != 0 ||
	    jval_parse(l->fields.p, l->fields.n, "fields", &fields, e) != 0 ||
	    jval_get_int(fields, "segment", &number) != 0)
		return err_set(e, ERR_VERIFY, "does not begin a segment");
	chain = jval_get_str(fields, "chain");
	if (chain == NULL || strlen(chain) != CHAIN_TEXT)
		return err_set(e, ERR_VERIFY, "names no chain");
	if (t->chain[0] != '\0' && !field_is(fields, "chain", t->chain))
		return err_set(e, ERR_VERIFY, "is of another ledger");
	if (number != (int64_t)t->segment)
		return err_set(e, ERR_VERIFY, "begins segment %lld", (long long)number);
	if (jval_get(fields, SEGMENT_HEADLESS) != NULL && t->headless == 0)
		t->headless = t->segment;
	memcpy(t->chain, chain, CHAIN_TEXT + 1);
	return 0;
}

static int check_line(struct tail *t, const struct ledger_line *l, struct err *e)
{
	if (l->seq != t->seq + 1)
		return err_set(e, ERR_VERIFY, "is number %llu, and %llu comes here",
			       (unsigned long long)l->seq, (unsigned long long)t->seq + 1);
	if (!digest_equal(&l->prev, &t->last))
		return err_set(e, ERR_VERIFY, "the line before it is another");
	return t->end == 0 ? check_first(t, l, e) : 0;
}

int segment_walk(struct tail *t, const char *p, size_t n, ledger_fn *fn, void *ctx, struct err *e)
{
	const char *last = p + n, *end;
	struct hash *h SCOPED(hash_freep) = hash_new();

	for (; (end = memchr(p, '\n', (size_t)(last - p))) != NULL; p = end + 1) {
		size_t len = (size_t)(end - p);
		struct ledger_line l;

		if (ledger_line_parse(p, len, &l, e) != 0 || check_line(t, &l, e) != 0) {
			e->kind = ERR_VERIFY;
			return -1;
		}
		hash_add(h, p, len + 1);
		t->last = hash_final(h);
		t->seq = l.seq;
		t->end += len + 1;
		if (fn != NULL && fn(ctx, &l, e) != 0)
			return -1;
	}
	return 0;
}

static void head_text(const struct tail *t, char ret[static HEAD_BYTES + 1])
{
	struct digest sum;
	int n = snprintf(ret, HEAD_BYTES,
			 "posmedia-ledger-head 1\nchain %s\nsegment %llu\nend %llu\nseq %llu\n"
			 "last %s\n",
			 t->chain, (unsigned long long)t->segment, (unsigned long long)t->end,
			 (unsigned long long)t->seq, digest_text(&t->last).s);

	sum = digest_of(ret, (size_t)n);
	(void)snprintf(ret + n, (size_t)(HEAD_BYTES - n) + 1, "sum %s\n%*s", digest_text(&sum).s,
		       HEAD_BYTES, "");
	ret[HEAD_BYTES - 1] = '\n';
	ret[HEAD_BYTES] = '\0';
}

/* The value of a line "KEY VALUE"; *at goes to the next line. */
static bool value_of(char **at, const char *key, char **ret)
{
	size_t n = strlen(key);
	char *end = strchr(*at, '\n');

	if (end == NULL || strncmp(*at, key, n) != 0 || (*at)[n] != ' ')
		return false;
	*ret = *at + n + 1;
	*end = '\0';
	*at = end + 1;
	return true;
}

static bool parse_head(char *text, struct tail *ret)
{
	char *at = text, *chain, *v[4], *form;
	static const char *const keys[] = {"segment", "end", "seq", "last"};
	struct tail t = {.seq = 0};

	if (!value_of(&at, "posmedia-ledger-head", &form) || strcmp(form, "1") != 0 ||
	    !value_of(&at, "chain", &chain) || strlen(chain) != CHAIN_TEXT)
		return false;
	for (size_t i = 0; i < 4; i++)
		if (!value_of(&at, keys[i], &v[i]))
			return false;
	memcpy(t.chain, chain, CHAIN_TEXT + 1);
	if (num_u64(v[0], SEGMENTS_MAX, &t.segment) != 0 || num_u64(v[1], INT64_MAX, &t.end) != 0 ||
	    num_u64(v[2], INT64_MAX, &t.seq) != 0 || digest_parse(v[3], &t.last) != 0)
		return false;
	*ret = t;
	return true;
}

int head_read(int dirfd, struct tail *ret)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(HEAD_BYTES);
	char again[HEAD_BYTES + 1];
	struct err quiet = ERR_INIT;
	struct tail t = {.seq = 0};

	if (fs_get_file(dirfd, head_name, &b, &quiet) != 0 || b.len != HEAD_BYTES)
		return -1;
	char *copy SCOPED(mem_freep) = mem_strndup(b.data, b.len);

	if (!parse_head(copy, &t))
		return -1;
	head_text(&t, again);
	if (memcmp(again, b.data, HEAD_BYTES) != 0)
		return -1;
	*ret = t;
	return 0;
}

bool head_is_gone(int dirfd)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(HEAD_BYTES);
	struct err e = ERR_INIT;
	struct tail t;

	if (fs_get_file(dirfd, head_name, &b, &e) != 0 && e.sys != 0 && e.sys != ENOENT)
		return false;
	return head_read(dirfd, &t) != 0;
}

int head_write(int dirfd, const struct tail *t, struct err *e)
{
	int fd SCOPED(fd_closep) =
	    openat(dirfd, head_name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	char text[HEAD_BYTES + 1];

	head_text(t, text);
	if (fd < 0 || pwrite(fd, text, HEAD_BYTES, 0) != HEAD_BYTES)
		return err_sys(e, "write %s", head_name);
	return 0;
}

int head_begin(int dirfd, const struct tail *t, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	if (head_write(dirfd, t, e) != 0)
		return -1;
	fd = openat(dirfd, head_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0 || fsync(dirfd) != 0)
		return err_sys(e, "sync %s", head_name);
	return 0;
}
