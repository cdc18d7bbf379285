#include "ledger/parts.h"

#include "base/fault.h"
#include "base/log.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_MAX = 64 << 20 };

static int read_segment(int dirfd, uint64_t number, struct buf *ret, struct err *e)
{
	struct segment_name name = segment_name(number);

	if (faccessat(dirfd, name.s, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
		return 0;
	return fs_get_file(dirfd, name.s, ret, e);
}

/* Takes away what is behind t->end. Whole lines among it are kept in a file beside. */
static int set_aside(int dirfd, const struct tail *t, const struct buf *b, struct err *e)
{
	struct segment_name name = segment_name(t->segment);
	const char *rest = b->data + t->end;
	size_t n = b->len - t->end;
	int fd SCOPED(fd_closep) = -1;

	if (n == 0)
		return 0;
	log_warn("ledger: %s: %zu bytes of a writer that died are taken away", name.s, n);
	if (memchr(rest, '\n', n) != NULL) {
		char *aside SCOPED(mem_freep) =
		    mem_format("aside-%.8s-%llu", name.s, (unsigned long long)t->end);

		if (fs_put(dirfd, aside, rest, n, 0600, e) != 0)
			return -1;
	}
	fault_point("noted: set aside");
	fd = openat(dirfd, name.s, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)t->end) != 0 || fsync(fd) != 0)
		return err_sys(e, "ledger: %s", name.s);
	return 0;
}

/* From the head record on: lines that follow are kept, whoever was told of them. 1 when it does not
 * lead to the end of what is there. */
static int from_head(int dirfd, struct tail *t, uint64_t last, struct err *e)
{
	for (;;) {
		struct buf b SCOPED(buf_release) = BUF_INIT(READ_MAX);
		struct err why = ERR_INIT;
		bool broken;

		if (read_segment(dirfd, t->segment, &b, e) != 0)
			return -1;
		if (b.len < t->end)
			return 1;
		broken = segment_walk(t, b.data + t->end, b.len - t->end, NULL, NULL, &why) != 0;
		if (t->segment >= last) {
			if (broken)
				log_warn("ledger: behind line %llu: %s", (unsigned long long)t->seq,
					 why.msg);
			return set_aside(dirfd, t, &b, e);
		}
		if (broken || t->end != b.len)
			return 1;
		t->segment++;
		t->end = 0;
	}
}

/* The last line of a segment that is one, wherever it came from: verification judges it. */
static bool last_line(const struct buf *b, struct tail *t)
{
	const char *p = b->data, *last = b->data + b->len, *end;
	bool found = false;

	for (; (end = memchr(p, '\n', (size_t)(last - p))) != NULL; p = end + 1) {
		struct err quiet = ERR_INIT;
		struct ledger_line l;

		if (ledger_line_parse(p, (size_t)(end - p), &l, &quiet) != 0)
			continue;
		found = true;
		t->seq = l.seq;
		t->end = (uint64_t)(end + 1 - b->data);
		t->last = digest_of(p, (size_t)(end + 1 - p));
	}
	return found;
}

/* The name of the chain, as the first line of a segment has it. */
static void find_chain(const struct buf *b, uint64_t number, struct tail *t)
{
	const char *end = memchr(b->data, '\n', b->len);
	struct tail first = {.segment = number};
	struct ledger_line l;
	struct err quiet = ERR_INIT;

	if (end == NULL || ledger_line_parse(b->data, (size_t)(end - b->data), &l, &quiet) != 0)
		return;
	first.seq = l.seq - 1;
	first.last = l.prev;
	if (segment_walk(&first, b->data, (size_t)(end + 1 - b->data), NULL, NULL, &quiet) == 0)
		memcpy(t->chain, first.chain, sizeof(t->chain));
}

/* Without a head record that helps: the last line that there is. */
static int from_lines(int dirfd, uint64_t last, struct tail *ret, struct err *e)
{
	struct tail t = {.last = digest_of("", 0)};

	for (uint64_t n = last; n > 0; n--) {
		struct buf b SCOPED(buf_release) = BUF_INIT(READ_MAX);
		bool found;

		if (read_segment(dirfd, n, &b, e) != 0)
			return -1;
		t.segment = n;
		found = last_line(&b, &t);
		if (n == last && set_aside(dirfd, &t, &b, e) != 0)
			return -1;
		find_chain(&b, n, &t);
		if (found)
			break;
	}
	if (last > 0 && t.segment != last) {
		t.segment = last;
		t.end = 0;
	}
	*ret = t;
	return 0;
}

/* What the head record knows is gone: the next segment goes on behind it, so that the gap is seen
 * and nothing is numbered twice. */
static void leave_gap(const struct tail *head, uint64_t last, struct tail *t)
{
	log_warn("ledger: lines up to %llu were there, and are not", (unsigned long long)head->seq);
	*t = *head;
	t->segment = (last > head->segment ? last : head->segment) + 1;
	t->end = 0;
}

int tail_find(int dirfd, struct tail *ret, struct err *e)
{
	struct tail head = {.seq = 0}, t;
	uint64_t last, n;
	int rc = 1;

	if (segment_last(dirfd, &last, &n, e) != 0)
		return -1;
	bool known = head_read(dirfd, &head) == 0;

	t = head;
	if (known && head.segment <= last)
		rc = from_head(dirfd, &t, last, e);
	if (rc < 0 || (rc > 0 && from_lines(dirfd, last, &t, e) != 0))
		return -1;
	if (known && t.seq < head.seq)
		leave_gap(&head, last, &t);
	*ret = t;
	return 0;
}

int chain_of(int dirfd, struct tail *ret, struct err *e)
{
	struct tail t = {.seq = 0};
	uint64_t last, n;

	if (segment_last(dirfd, &last, &n, e) != 0)
		return -1;
	for (; last > 0 && t.chain[0] == '\0'; last--) {
		struct buf b SCOPED(buf_release) = BUF_INIT(READ_MAX);

		if (read_segment(dirfd, last, &b, e) != 0)
			return -1;
		find_chain(&b, last, &t);
	}
	*ret = t;
	return 0;
}
