/* salvage.c - a ledger that was damaged: the lines of it that are still as they were written. */
#include "ledger/parts.h"

#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_MAX = 64 << 20, NAMED_MAX = 100 };

/* A line is handed out when the one behind it, or the head record, has said that it is as it was:
 * so it waits. */
struct waiting {
	struct ledger_line line;
	struct digest digest; /* its end too */
	char *copy;           /* of its text, once its segment is let go; or NULL */
	struct segment_name segment;
	uint64_t number; /* in the segment */
	bool there;
};

struct salvage {
	struct waiting w;
	struct tail head;
	bool known; /* the head record */
	uint64_t seq, number;
	struct segment_name segment;
	char chain[32];
	struct ledger_state st;
	struct ledger_damage *damage;
	ledger_fn *fn;
	void *ctx;
};

void ledger_damage_release(struct ledger_damage *d)
{
	strv_release(&d->places);
	*d = (struct ledger_damage){.n = 0};
}

PRINTF(4, 5)
static void damaged(struct salvage *s, const struct segment_name *file, uint64_t number,
		    const char *fmt, ...)
{
	char *why SCOPED(mem_freep) = NULL;
	va_list ap;

	va_start(ap, fmt);
	why = mem_vformat(fmt, ap);
	va_end(ap);
	if (s->damage->n++ < NAMED_MAX)
		strv_addf(&s->damage->places, "%s:%llu: %s", file->s, (unsigned long long)number,
			  why);
}

static void drop(struct salvage *s)
{
	mem_freep(&s->w.copy);
	s->w.copy = NULL;
	s->w.there = false;
}

static int deliver(struct salvage *s, struct err *e)
{
	struct waiting *w = &s->w;
	int rc = 0;

	if (!w->there)
		return 0;
	if (s->known && w->line.seq == s->head.seq && !digest_equal(&w->digest, &s->head.last))
		damaged(s, &w->segment, w->number, "line %llu is not what the head record says",
			(unsigned long long)w->line.seq);
	else if (s->fn != NULL)
		rc = s->fn(s->ctx, &w->line, e);
	drop(s);
	return rc;
}

/* What the line behind says of the one that waits. */
static int judge(struct salvage *s, const struct ledger_line *l, struct err *e)
{
	const struct waiting *w = &s->w;

	if (w->there && l->seq == w->line.seq + 1 && !digest_equal(&l->prev, &w->digest)) {
		damaged(s, &w->segment, w->number, "line %llu is not what the line behind it says",
			(unsigned long long)w->line.seq);
		drop(s);
		return 0;
	}
	if (w->there && l->seq != w->line.seq + 1)
		damaged(s, &s->segment, s->number, "is number %llu, and %llu comes here",
			(unsigned long long)l->seq, (unsigned long long)w->line.seq + 1);
	else if (!w->there && s->seq == 0 && l->seq != 1 && s->damage->n == 0)
		damaged(s, &s->segment, s->number, "is number %llu, and the first comes here",
			(unsigned long long)l->seq);
	return deliver(s, e);
}

static void wait_for_next(struct salvage *s, const struct ledger_line *l)
{
	s->w = (struct waiting){.line = *l,
				.segment = s->segment,
				.number = s->number,
				.digest = digest_of(l->all.p, l->all.n + 1),
				.there = true};
	s->seq = l->seq;
}

/* 1: the rest of the segment is none of this ledger's. */
static int first_line(struct salvage *s, const struct ledger_line *l)
{
	struct jval *fields SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;
	const char *chain = NULL;

	if (l->kind.n == strlen("segment") && memcmp(l->kind.p, "segment", l->kind.n) == 0 &&
	    jval_parse(l->fields.p, l->fields.n, "fields", &fields, &quiet) == 0)
		chain = jval_get_str(fields, "chain");
	if (fields != NULL && jval_get(fields, SEGMENT_HEADLESS) != NULL)
		damaged(s, &s->segment, s->number,
			"the head record was gone: lines before may be missing");
	if (chain == NULL || strlen(chain) >= sizeof(s->chain)) {
		damaged(s, &s->segment, s->number, "does not begin a segment");
		return 0;
	}
	if (s->chain[0] == '\0')
		memcpy(s->chain, chain, strlen(chain) + 1);
	if (strcmp(s->chain, chain) == 0)
		return 0;
	damaged(s, &s->segment, s->number, "is of another ledger");
	return 1;
}

/* 1: the segment ends here. */
static int one_line(struct salvage *s, const char *p, size_t n, struct err *e)
{
	struct err why = ERR_INIT;
	struct ledger_line l;

	s->number++;
	if (ledger_line_parse(p, n, &l, &why) != 0) {
		damaged(s, &s->segment, s->number, "%s", why.msg);
		return deliver(s, e);
	}
	if (s->number == 1 && first_line(s, &l) != 0)
		return 1;
	if (l.seq <= s->seq) {
		damaged(s, &s->segment, s->number, "is number %llu, which was there before",
			(unsigned long long)l.seq);
		return 0;
	}
	if (judge(s, &l, e) != 0)
		return -1;
	wait_for_next(s, &l);
	return 0;
}

/* The text of the line that waits goes with its segment. */
static int keep_waiting(struct salvage *s, struct err *e)
{
	struct waiting *w = &s->w;
	size_t n = w->line.all.n;

	if (!w->there || w->copy != NULL)
		return 0;
	w->copy = mem_strndup(w->line.all.p, n);
	return ledger_line_parse(w->copy, n, &w->line, e);
}

static int lines_of(struct salvage *s, const struct buf *b, bool last, struct err *e)
{
	const char *p = b->data, *end, *behind = b->data + b->len;
	int rc = 0;

	for (; (end = memchr(p, '\n', (size_t)(behind - p))) != NULL; p = end + 1) {
		rc = one_line(s, p, (size_t)(end - p), e);
		if (rc != 0)
			break;
	}
	if (rc < 0)
		return -1;
	s->st.bytes += (uint64_t)(p - b->data);
	if (rc == 0 && p < behind && last)
		s->st.unfinished = (uint64_t)(behind - p);
	else if (rc == 0 && p < behind)
		damaged(s, &s->segment, s->number + 1, "the last line has no end");
	return keep_waiting(s, e);
}

static int one_segment(struct salvage *s, int dirfd, uint64_t number, bool last, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(READ_MAX);

	s->segment = segment_name(number);
	s->number = 0;
	if (faccessat(dirfd, s->segment.s, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT) {
		damaged(s, &s->segment, 1, "it is missing");
		return 0;
	}
	return fs_get_file(dirfd, s->segment.s, &b, e) != 0 ? -1 : lines_of(s, &b, last, e);
}

static int end(struct salvage *s, int dirfd, struct err *e)
{
	s->st.lines = s->seq;
	s->st.last = s->w.there ? s->w.digest : digest_of("", 0);
	s->st.has_head = s->known;
	memcpy(s->st.chain, s->chain, sizeof(s->st.chain));
	if (s->seq > 0 && !s->known && head_is_gone(dirfd))
		damaged(s, &s->segment, s->number,
			"there is no head record: lines behind it may be missing");
	if (s->known && s->head.seq > s->seq)
		damaged(s, &s->segment, s->number, "ends at line %llu; the head record knows %llu",
			(unsigned long long)s->seq, (unsigned long long)s->head.seq);
	return deliver(s, e);
}

int ledger_salvage(const char *dir, const struct ledger_reader *r, struct ledger_damage *damage,
		   struct ledger_state *ret, struct err *e)
{
	struct salvage s = {.fn = r->fn, .ctx = r->ctx, .damage = damage};
	int dirfd SCOPED(fd_closep) = -1;
	uint64_t last, n;
	int rc = 0;

	if (fs_open_dir(AT_FDCWD, dir, &dirfd, e) != 0)
		return err_in(e, "ledger %s", dir);
	s.known = head_read(dirfd, &s.head) == 0;
	if (segment_last(dirfd, &last, &n, e) != 0)
		return err_in(e, "ledger %s", dir);
	for (uint64_t i = 1; rc == 0 && i <= last; i++)
		rc = one_segment(&s, dirfd, i, i == last, e);
	s.st.segments = n;
	if (rc == 0)
		rc = end(&s, dirfd, e);
	drop(&s);
	if (rc != 0)
		return err_in(e, "ledger %s", dir);
	*ret = s.st;
	return 0;
}
