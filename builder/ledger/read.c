#include "ledger/parts.h"

#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { READ_MAX = 64 << 20 };

/* A ledger that is read: how far, and whether the head record's line was met. */
struct reading {
	struct tail t, head;
	bool known, met, contrary;
	ledger_fn *fn;
	void *ctx;
	struct ledger_state st;
};

static int one_line(void *ctx, const struct ledger_line *l, struct err *e)
{
	struct reading *r = ctx;

	if (r->known && l->seq == r->head.seq) {
		r->met = digest_equal(&r->t.last, &r->head.last);
		r->contrary = !r->met;
	}
	return r->fn != NULL ? r->fn(r->ctx, l, e) : 0;
}

static uint64_t lines_in(const char *p, size_t n)
{
	uint64_t lines = 0;

	for (size_t i = 0; i < n; i++)
		lines += p[i] == '\n';
	return lines;
}

static int one_segment(struct reading *r, int dirfd, bool last, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(READ_MAX);
	struct segment_name name = segment_name(r->t.segment);

	if (faccessat(dirfd, name.s, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
		return err_set(e, ERR_VERIFY, "%s is missing", name.s);
	if (fs_get_file(dirfd, name.s, &b, e) != 0)
		return -1;
	if (segment_walk(&r->t, b.data, b.len, one_line, r, e) != 0)
		return err_in(e, "%s:%llu", name.s,
			      (unsigned long long)lines_in(b.data, r->t.end) + 1);
	r->st.bytes += r->t.end;
	if (r->t.end == b.len)
		return 0;
	if (!last)
		return err_set(e, ERR_VERIFY, "%s: its last line has no end", name.s);
	r->st.unfinished = b.len - r->t.end;
	return 0;
}

/* It may have come while the lines were read: a first writer makes it before them. */
static bool is_headless(const struct reading *r, int dirfd)
{
	return r->t.seq > 0 && !r->known && head_is_gone(dirfd);
}

static int check_head(const struct reading *r, int dirfd, struct err *e)
{
	if (r->t.headless > 0)
		return err_set(e, ERR_VERIFY,
			       "segment %llu was begun when the head record was gone: lines before "
			       "it may be missing",
			       (unsigned long long)r->t.headless);
	if (is_headless(r, dirfd))
		return err_set(e, ERR_VERIFY,
			       "has no head record: lines at its end may be missing");
	if (!r->known || r->met)
		return 0;
	if (r->contrary)
		return err_set(e, ERR_VERIFY, "line %llu is not what the head record says",
			       (unsigned long long)r->head.seq);
	return err_set(e, ERR_VERIFY, "ends at line %llu; its head record knows %llu",
		       (unsigned long long)r->t.seq, (unsigned long long)r->head.seq);
}

static int read_all(struct reading *r, int dirfd, struct err *e)
{
	uint64_t last, n;

	/* before the lines: a writer at work puts more of them behind it, never fewer */
	r->known = head_read(dirfd, &r->head) == 0;
	r->met = r->known && r->head.seq == 0;
	if (segment_last(dirfd, &last, &n, e) != 0)
		return -1;
	r->t.last = digest_of("", 0);
	for (uint64_t i = 1; i <= last; i++) {
		r->t.segment = i;
		r->t.end = 0;
		if (one_segment(r, dirfd, i == last, e) != 0)
			return -1;
	}
	if (r->known && r->t.chain[0] != '\0' && strcmp(r->t.chain, r->head.chain) != 0)
		return err_set(e, ERR_VERIFY, "the head record is of another ledger");
	r->st.segments = n;
	return check_head(r, dirfd, e);
}

int ledger_read(const char *dir, ledger_fn *fn, void *ctx, struct ledger_state *ret, struct err *e)
{
	struct reading r = {.fn = fn, .ctx = ctx};
	int dirfd SCOPED(fd_closep) = -1;

	if (access(dir, F_OK) == 0 || errno != ENOENT) {
		if (fs_open_dir(AT_FDCWD, dir, &dirfd, e) != 0 || read_all(&r, dirfd, e) != 0)
			return err_in(e, "ledger %s", dir);
	}
	r.st.lines = r.t.seq;
	r.st.last = r.t.last;
	r.st.has_head = r.known;
	memcpy(r.st.chain, r.t.chain, sizeof(r.st.chain));
	*ret = r.st;
	return 0;
}
