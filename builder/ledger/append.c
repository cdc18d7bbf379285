#include "ledger/parts.h"

#include "base/fault.h"
#include "base/log.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { WAIT_MS = 30000 };

/* A ledger to which this process alone appends now. */
struct writer {
	int dirfd, lock, fd; /* fd: the segment of t, or -1 */
	struct tail t;       /* with what is in out */
	uint64_t on_disk;    /* bytes of the segment that are there */
	bool headless;       /* lines are there, and the head record is not */
	struct who who;
	char *time;
	struct buf out;
};

static void writer_end(struct writer *w)
{
	fd_closep(&w->fd);
	fd_closep(&w->lock);
	fd_closep(&w->dirfd);
	free(w->time);
	buf_release(&w->out);
}

/* The directory's own name is to last, too. */
static int sync_parent(const char *dir, struct err *e)
{
	char *parent SCOPED(mem_freep) = fs_dirname(dir);
	int fd SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, parent, &fd, e) != 0)
		return -1;
	return fsync(fd) == 0 ? 0 : err_sys(e, "sync %s", parent);
}

static int writer_begin(const char *dir, struct writer *w, struct err *e)
{
	if (fs_mkdirs(AT_FDCWD, dir, 0700, e) != 0 ||
	    fs_open_dir(AT_FDCWD, dir, &w->dirfd, e) != 0 ||
	    lock_wait(w->dirfd, "lock", WAIT_MS, &w->lock, e) != 0 ||
	    tail_find(w->dirfd, &w->t, e) != 0)
		return -1;
	who_now(&w->who);
	w->time = clock_rfc3339(clock_wall_s());
	w->on_disk = w->t.end;
	w->headless = w->t.seq > 0 && head_is_gone(w->dirfd);
	if (w->headless)
		log_warn("ledger %s: its head record is gone, and with it what it knew of its end",
			 dir);
	return w->t.segment == 0 ? sync_parent(dir, e) : 0;
}

static int open_segment(struct writer *w, struct err *e)
{
	struct segment_name name = segment_name(w->t.segment);
	bool fresh = w->on_disk == 0;

	if (w->fd >= 0)
		return 0;
	w->fd = openat(w->dirfd, name.s,
		       O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC | (fresh ? O_CREAT : 0), 0600);
	if (w->fd < 0)
		return err_sys(e, "open %s", name.s);
	if (fresh)
		fault_point("noted: segment made");
	return fresh && fsync(w->dirfd) != 0 ? err_sys(e, "sync the directory") : 0;
}

/* Of what may not be on the disk nothing stays. */
static int take_back(struct writer *w)
{
	(void)!(w->fd >= 0 && ftruncate(w->fd, (off_t)w->on_disk) == 0 && fsync(w->fd) == 0);
	return -1;
}

/* The lines are on the disk: who is told that they are not would write them again. */
static void write_head(const struct writer *w)
{
	struct err why = ERR_INIT;

	if (head_write(w->dirfd, &w->t, &why) != 0)
		log_warn("ledger: its head record is behind: %s", why.msg);
}

/* Writes what there is, and waits for the disk. */
static int flush(struct writer *w, struct err *e)
{
	struct segment_name name = segment_name(w->t.segment);

	if (w->out.len == 0)
		return 0;
	if (buf_over(&w->out))
		return err_set(e, ERR_FAIL, "too many events at once");
	if (open_segment(w, e) != 0)
		return -1;
	if (fs_write_all(w->fd, w->out.data, w->out.len, e) != 0) {
		(void)err_in(e, "%s", name.s);
		return take_back(w);
	}
	fault_point("noted: written");
	if (fsync(w->fd) != 0) {
		(void)err_sys(e, "sync %s", name.s);
		return take_back(w);
	}
	fault_point("noted: synced");
	w->on_disk = w->t.end;
	buf_cut(&w->out, 0);
	write_head(w);
	fault_point("noted: head");
	return 0;
}

static int add(struct writer *w, const struct ledger_event *v, struct err *e)
{
	size_t from = w->out.len;

	if (line_write(&w->out, &w->t, &w->who, v, w->time, e) != 0)
		return -1;
	w->t.seq++;
	w->t.last = digest_of(w->out.data + from, w->out.len - from);
	w->t.end += w->out.len - from;
	return 0;
}

/* A ledger's name; its head record is there before its first line. */
static int begin_chain(struct writer *w, struct err *e)
{
	if (w->t.seq > 0)
		return err_set(e, ERR_VERIFY, "no segment names the chain");
	if (chain_new(&w->who, w->t.chain, e) != 0 || head_begin(w->dirfd, &w->t, e) != 0)
		return -1;
	fault_point("noted: head begun");
	return 0;
}

/* The first line of a segment says which it is, and of which chain. */
static int begin_segment(struct writer *w, struct err *e)
{
	struct jval *fields SCOPED(jval_freep) = jval_object();
	const struct ledger_event first = {.kind = "segment", .fields = fields};

	if (w->t.segment == 0 || w->t.end > 0) {
		fd_closep(&w->fd);
		w->t.segment++;
		w->t.end = w->on_disk = 0;
	}
	if (w->t.segment > SEGMENTS_MAX)
		return err_set(e, ERR_FAIL, "the ledger is full");
	if (w->t.chain[0] == '\0' && begin_chain(w, e) != 0)
		return -1;
	jval_put_text(fields, "chain", w->t.chain);
	jval_put_int(fields, "segment", (int64_t)w->t.segment);
	if (w->headless)
		jval_put(fields, SEGMENT_HEADLESS, jval_bool(true));
	w->headless = false;
	return add(w, &first, e);
}

static int append_all(struct writer *w, const struct ledger_event *v, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		if (w->t.end == 0 || w->t.end >= LEDGER_SEGMENT_BYTES || w->headless)
			if (flush(w, e) != 0 || begin_segment(w, e) != 0)
				return -1;
		if (add(w, &v[i], e) != 0)
			return -1;
	}
	return flush(w, e);
}

int ledger_append(const char *dir, const struct ledger_event *v, size_t n, struct err *e)
{
	struct writer w SCOPED(writer_end) = {
	    .dirfd = -1,
	    .lock = -1,
	    .fd = -1,
	    .out = BUF_INIT(LEDGER_SEGMENT_BYTES + 4 * LEDGER_LINE_MAX),
	};

	if (writer_begin(dir, &w, e) != 0 || append_all(&w, v, n, e) != 0)
		return err_in(e, "ledger %s", dir);
	return 0;
}
