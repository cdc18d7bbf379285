/* mirror.c - the same lines in a bucket, which keeps them from whoever has the machine.
 *
 * What is sent is what the segments have: they are on the disk, and wait there until the bucket can
 * be reached. A name says from which line on; it is written once, so that of two who send the same
 * lines one finds them there. */
#include "ledger/bucket.h"

#include "base/fault.h"
#include "base/log.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG "mirror.json"
#define SENT   "mirror.sent"
#define LATE   "mirror.late"
enum {
	CONFIG_MAX = 4096,
	CONNECT_MS = 3000,
	WAIT_MS = 60000,
	SEGMENT_MAX = 64 << 20,
	OBJECT_BYTES = 7 << 20, /* what an answer may have is 8 MiB */
	DAYS_MAX = 36500,
	LATE_S = 60
};

/* Where the next line to send is. */
struct place {
	uint64_t segment, at, seq;
};

struct sending {
	int dirfd, lock;
	char *to;
	uint64_t lock_days;
	struct bucket b;
	struct place p;
	struct tail head; /* only what is known to be on the disk is sent */
	bool has_head;
	char chain[32];
	uint64_t sent;
};

static void sending_end(struct sending *s)
{
	bucket_release(&s->b);
	free(s->to);
	fd_closep(&s->lock);
	fd_closep(&s->dirfd);
}

int ledger_mirror_set(const char *dir, const struct ledger_mirror *m, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct buf text SCOPED(buf_release) = BUF_INIT(CONFIG_MAX);
	int fd SCOPED(fd_closep) = -1;

	if (m->to != NULL && (!bucket_ok(m->to) || m->lock_days > DAYS_MAX))
		return err_set(e, ERR_USAGE, "%.100s: a mirror is s3://BUCKET/PREFIX", m->to);
	if (fs_mkdirs(AT_FDCWD, dir, 0700, e) != 0 || fs_open_dir(AT_FDCWD, dir, &fd, e) != 0)
		return -1;
	(void)unlinkat(fd, SENT, 0);
	(void)unlinkat(fd, LATE, 0);
	if (m->to == NULL)
		return unlinkat(fd, CONFIG, 0) == 0 || errno == ENOENT
			   ? 0
			   : err_sys(e, "remove %s", CONFIG);
	jval_put_text(v, "to", m->to);
	jval_put_int(v, "lock-days", (int64_t)m->lock_days);
	jval_write_pretty(v, &text);
	return fs_put(fd, CONFIG, text.data, text.len, 0600, e);
}

/* 1: the ledger has no mirror. */
static int read_config(struct sending *s, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(CONFIG_MAX);
	struct jval *v SCOPED(jval_freep) = NULL;
	int64_t days = 0;

	if (faccessat(s->dirfd, CONFIG, F_OK, 0) != 0 && errno == ENOENT)
		return 1;
	if (fs_get_file(s->dirfd, CONFIG, &text, e) != 0 ||
	    jval_parse(text.data, text.len, CONFIG, &v, e) != 0)
		return -1;
	if (jval_get_str(v, "to") == NULL || !bucket_ok(jval_get_str(v, "to")) ||
	    jval_get_int(v, "lock-days", &days) != 0 || days < 0 || days > DAYS_MAX)
		return err_set(e, ERR_RECIPE, "%s is no place for a mirror", CONFIG);
	s->to = mem_strdup(jval_get_str(v, "to"));
	s->lock_days = (uint64_t)days;
	return 0;
}

/* What was sent before; anything that is not understood is the beginning: what is there is found.
 */
static void read_sent(struct sending *s)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(CONFIG_MAX);
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err quiet = ERR_INIT;
	int64_t segment, at, seq;

	s->p = (struct place){1, 0, 1};
	if (fs_get_file(s->dirfd, SENT, &text, &quiet) != 0 ||
	    jval_parse(text.data, text.len, SENT, &v, &quiet) != 0 ||
	    jval_get_int(v, "segment", &segment) != 0 || segment < 1 || segment > SEGMENTS_MAX ||
	    jval_get_int(v, "at", &at) != 0 || at < 0 || jval_get_int(v, "seq", &seq) != 0 ||
	    seq < 1)
		return;
	s->p = (struct place){(uint64_t)segment, (uint64_t)at, (uint64_t)seq};
}

static int write_sent(const struct sending *s, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(CONFIG_MAX);
	struct jval *v SCOPED(jval_freep) = jval_object();

	jval_put_int(v, "segment", (int64_t)s->p.segment);
	jval_put_int(v, "at", (int64_t)s->p.at);
	jval_put_int(v, "seq", (int64_t)s->p.seq);
	jval_write_pretty(v, &text);
	return fs_put(s->dirfd, SENT, text.data, text.len, 0600, e);
}

static bool tried_lately(const struct sending *s)
{
	struct stat st;

	return fstatat(s->dirfd, LATE, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       clock_wall_s() >= st.st_mtim.tv_sec && clock_wall_s() - st.st_mtim.tv_sec < LATE_S;
}

static void note_late(const struct sending *s)
{
	int fd SCOPED(fd_closep) =
	    openat(s->dirfd, LATE, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	(void)!(fd >= 0 && futimens(fd, NULL) == 0);
}

/* The lines of a segment from s->p on, as many as go into one object: the last has its end. */
static size_t part_of(const struct sending *s, const struct buf *b)
{
	size_t n = s->p.at < b->len ? b->len - (size_t)s->p.at : 0;
	const char *p = b->data + s->p.at;

	if (n > OBJECT_BYTES)
		n = OBJECT_BYTES;
	while (n > 0 && p[n - 1] != '\n')
		n--;
	return n;
}

static int other_lines(const struct sending *s, const char *key, struct err *e)
{
	(void)err_set(e, ERR_VERIFY, "%s of the mirror has other lines than %llu and on here", key,
		      (unsigned long long)s->p.seq);
	return err_hint(e, "What is locked there is what was noted first.");
}

/* What is in the bucket under that name has to be how our lines begin; *ret_n: how much of them. */
static int compare(struct sending *s, const char *key, const char *p, size_t n, size_t *ret_n,
		   struct err *e)
{
	struct buf there SCOPED(buf_release) = BUF_INIT(LEDGER_SEGMENT_BYTES);
	int rc = bucket_get(&s->b, key, &there, e);

	if (rc != 0)
		return rc > 0 ? err_set(e, ERR_REMOTE, "%s is there, and is not", key) : -1;
	if (there.len == 0 || there.len > n || memcmp(there.data, p, there.len) != 0)
		return other_lines(s, key, e);
	*ret_n = there.len;
	return 0;
}

static int send_part(struct sending *s, const char *p, size_t n, struct err *e)
{
	char *key SCOPED(mem_freep) = bucket_key(&s->b, s->chain, s->p.seq);
	struct buf text SCOPED(buf_release) = BUF_INIT(OBJECT_BYTES);
	size_t gone = n;
	uint64_t lines = 0;
	int rc;

	buf_add(&text, p, n);
	fault_point("noted: to be mirrored");
	rc = bucket_put(&s->b, key, &text, e);
	if (rc < 0 || (rc > 0 && compare(s, key, p, n, &gone, e) != 0))
		return -1;
	fault_point("noted: mirrored");
	for (size_t i = 0; i < gone; i++)
		lines += p[i] == '\n';
	s->p.at += gone;
	s->p.seq += lines;
	s->sent += rc == 0 ? lines : 0;
	return write_sent(s, e);
}

/* 1: there is no such segment. */
static int send_segment(struct sending *s, uint64_t last, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(SEGMENT_MAX);
	struct segment_name name = segment_name(s->p.segment);
	size_t n;

	if (fs_get_file(s->dirfd, name.s, &b, e) != 0)
		return -1;
	if (s->has_head && s->p.segment >= s->head.segment)
		buf_cut(&b, s->p.segment > s->head.segment || s->head.end > b.len
				? 0
				: (size_t)s->head.end);
	if (s->p.at > b.len)
		return err_set(e, ERR_VERIFY, "%s is shorter than what the mirror has", name.s);
	while ((n = part_of(s, &b)) > 0)
		if (send_part(s, b.data + s->p.at, n, e) != 0)
			return -1;
	if (s->p.segment < last) {
		s->p.segment++;
		s->p.at = 0;
	}
	return 0;
}

/* The mirror may have more than is here: then something is gone here. */
static int check_ahead(struct sending *s, struct err *e)
{
	char *key SCOPED(mem_freep) = bucket_key(&s->b, s->chain, s->p.seq);
	struct buf there SCOPED(buf_release) = BUF_INIT(LEDGER_SEGMENT_BYTES);
	int rc = bucket_get(&s->b, key, &there, e);

	return rc == 0 ? other_lines(s, key, e) : rc < 0 ? -1 : 0;
}

static int send_all(struct sending *s, struct err *e)
{
	uint64_t last, n;
	uint64_t before;

	if (segment_last(s->dirfd, &last, &n, e) != 0)
		return -1;
	s->b.s3->lock_s = s->lock_days * 86400;
	do {
		before = s->p.segment;
		if (send_segment(s, last, e) != 0)
			return -1;
	} while (s->p.segment != before);
	return check_ahead(s, e);
}

static int send_ledger(struct sending *s, bool soon, struct err *e)
{
	struct tail t = {.seq = 0};
	struct err why = ERR_INIT;

	if (lock_wait(s->dirfd, "mirror.lock", WAIT_MS, &s->lock, e) != 0)
		return -1;
	if (soon && tried_lately(s)) {
		log_warn("the ledger's mirror %s could not be reached: it gets the lines later",
			 s->to);
		return 0;
	}
	if (chain_of(s->dirfd, &t, e) != 0)
		return -1;
	if (t.chain[0] == '\0')
		return 0;
	memcpy(s->chain, t.chain, sizeof(s->chain));
	s->has_head = head_read(s->dirfd, &s->head) == 0;
	read_sent(s);
	if (bucket_open(s->to, CONNECT_MS, &s->b, &why) == 0 && send_all(s, &why) == 0) {
		(void)unlinkat(s->dirfd, LATE, 0);
		return 0;
	}
	if (why.kind == ERR_REMOTE)
		note_late(s);
	*e = why;
	return err_in(e, "the ledger's mirror %s", s->to);
}

int ledger_mirror_send(const char *dir, bool soon, uint64_t *ret, struct err *e)
{
	struct sending s SCOPED(sending_end) = {.dirfd = -1, .lock = -1};
	int rc;

	*ret = 0;
	if (access(dir, F_OK) != 0 && errno == ENOENT)
		return 0;
	if (fs_open_dir(AT_FDCWD, dir, &s.dirfd, e) != 0)
		return -1;
	rc = read_config(&s, e);
	if (rc != 0)
		return rc > 0 ? 0 : -1;
	if (send_ledger(&s, soon, e) != 0)
		return -1;
	*ret = s.sent;
	return 0;
}
