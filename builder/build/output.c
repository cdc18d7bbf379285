#include "build/job.h"

#include "base/log.h"
#include "base/num.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of a log the beginning and the end are kept, LOG_HALF each. */
enum { KEEP = 2048, LOG_HALF = 8 << 20, LINES = 12, TAIL = 640, PIECE = 1800 };

static void keep_last(struct buf *b, size_t max, const char *p, size_t n, uint64_t *dropped)
{
	size_t drop;

	if (n > max) {
		*dropped += n - max;
		p += n - max;
		n = max;
	}
	drop = b->len + n > max ? b->len + n - max : 0;
	if (drop > 0) {
		memmove(b->data, b->data + drop, b->len - drop);
		buf_cut(b, b->len - drop);
		*dropped += drop;
	}
	buf_add(b, p, n);
}

/* The second half is a ring, so that a program which never stops talking costs no copying. */
static void into_ring(struct job_log *l, const char *p, size_t n)
{
	if (l->ring == NULL)
		l->ring = mem_zalloc(LOG_HALF);
	if (n > LOG_HALF) {
		l->ring_total += n - LOG_HALF;
		p += n - LOG_HALF;
		n = LOG_HALF;
	}
	while (n > 0) {
		size_t at = l->ring_total % LOG_HALF;
		size_t part = n < LOG_HALF - at ? n : LOG_HALF - at;

		memcpy(l->ring + at, p, part);
		l->ring_total += part;
		p += part;
		n -= part;
	}
}

/* Takes text that anybody may see. */
static void put(struct job *j, const char *p, size_t n)
{
	struct job_log *l = &j->log;
	struct err e = ERR_INIT;
	uint64_t dropped = 0;
	size_t head;

	log_debug("%.*s", (int)(n > PIECE ? PIECE : n), p);
	keep_last(&j->said, KEEP, p, n, &dropped);
	if (l->fd < 0)
		return;
	head = l->head < LOG_HALF ? LOG_HALF - l->head : 0;
	head = head < n ? head : n;
	if (fs_write_all(l->fd, p, head, &e) != 0) {
		log_warn("the log %s: %s", l->name, e.msg);
		fd_closep(&l->fd); /* what was to be logged goes on */
		return;
	}
	l->head += head;
	if (n > head)
		into_ring(l, p + head, n - head);
}

static void hide_and_put(struct job *j, bool final)
{
	struct buf plain SCOPED(buf_release) = BUF_INIT(SIZE_MAX);
	struct job_log *l = &j->log;
	size_t done = vault_hide(&j->secrets, l->pending.data, l->pending.len, final, &plain);

	memmove(l->pending.data, l->pending.data + done, l->pending.len - done);
	buf_cut(&l->pending, l->pending.len - done);
	if (plain.len > 0)
		put(j, plain.data, plain.len);
}

static int take(void *ctx, const void *p, size_t n, struct err *e)
{
	struct job *j = ctx;
	struct job_log *l = &j->log;
	size_t before = l->pending.len;

	l->total += n;
	unescape_add(&l->plain, p, n, &l->pending);
	if (l->dialogue != NULL)
		dialogue_hear(l->dialogue, l->pending.data + before, l->pending.len - before);
	hide_and_put(j, false);
	if (l->total_max != 0 && l->total > l->total_max) {
		char *max SCOPED(mem_freep) = num_human(l->total_max);

		(void)err_set(e, ERR_STEP, "said more than %s", max);
		return err_hint(e, "raise limits: output: of the step if it is meant");
	}
	return 0;
}

void job_output_init(struct job *j)
{
	j->said = (struct buf)BUF_INIT(4 * KEEP);
	j->log = (struct job_log){.fd = -1, .pending = BUF_INIT(1 << 20)};
	j->output = (struct sink){take, j};
}

void job_output_release(struct job *j)
{
	fd_closep(&j->log.fd);
	explicit_bzero(j->log.pending.data, j->log.pending.len);
	buf_release(&j->log.pending);
	buf_release(&j->said);
	free(j->log.ring);
	free(j->log.name);
	free(j->log.file);
	j->log.ring = j->log.name = j->log.file = NULL;
}

char *job_log_dir(const struct job *j)
{
	size_t n = strlen(j->o->layout);

	while (n > 1 && j->o->layout[n - 1] == '/')
		n--;
	return mem_format("%.*s.logs/%s", (int)n, j->o->layout, j->o->tag);
}

static char *log_path(const struct job *j, const char *name)
{
	char *dir SCOPED(mem_freep) = job_log_dir(j);

	return mem_format("%s/%s.log", dir, name);
}

int job_log_begin(struct job *j, const char *name, const char *file, struct err *e)
{
	struct job_log *l = &j->log;

	fd_closep(&l->fd);
	l->fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (l->fd < 0)
		return err_sys(e, "create %s", file);
	free(l->name);
	free(l->file);
	l->name = mem_strdup(name);
	l->file = mem_strdup(file);
	l->plain = (struct unescape){0};
	buf_cut(&l->pending, 0);
	l->head = l->ring_total = l->total = 0;
	return 0;
}

static int finish(struct job *j, struct err *e)
{
	struct job_log *l = &j->log;
	uint64_t dropped = l->ring_total > LOG_HALF ? l->ring_total - LOG_HALF : 0;
	size_t at = l->ring_total % LOG_HALF;
	char *note SCOPED(mem_freep) =
	    mem_format("\n[%llu bytes are left out here]\n", (unsigned long long)dropped);

	if (l->ring == NULL)
		return 0;
	if (dropped > 0 && fs_write_all(l->fd, note, strlen(note), e) != 0)
		return -1;
	if (l->ring_total >= LOG_HALF && fs_write_all(l->fd, l->ring + at, LOG_HALF - at, e) != 0)
		return -1;
	return fs_write_all(l->fd, l->ring, at, e);
}

/* Puts the log beside the layout; one of nobody's words is none. */
static int publish(struct job *j, const char *name, const char *file, struct err *e)
{
	char *dir SCOPED(mem_freep) = job_log_dir(j), *path SCOPED(mem_freep) = log_path(j, name);
	struct buf b SCOPED(buf_release) = BUF_INIT(3 * LOG_HALF);

	if (fs_get_file(AT_FDCWD, file, &b, e) != 0)
		return -1;
	if (b.len == 0)
		return unlink(path) == 0 || errno == ENOENT ? 0 : err_sys(e, "remove %s", path);
	if (fs_mkdirs(AT_FDCWD, dir, 0755, e) != 0)
		return -1;
	return fs_put_unsynced(path, b.data, b.len, 0644, e);
}

void job_log_end(struct job *j)
{
	struct job_log *l = &j->log;
	struct err e = ERR_INIT;

	hide_and_put(j, true);
	if (l->fd >= 0 && (finish(j, &e) != 0 || publish(j, l->name, l->file, &e) != 0))
		log_warn("the log %s: %s", l->name, e.msg);
	fd_closep(&l->fd);
	free(l->ring);
	l->ring = NULL;
}

void job_log_reuse(struct job *j, const char *name, const char *file)
{
	char *path SCOPED(mem_freep) = log_path(j, name);
	struct stat was, is;
	struct err e = ERR_INIT;

	if (stat(file, &is) != 0 ||
	    (stat(path, &was) == 0 && was.st_size == is.st_size && was.st_mtime >= is.st_mtime))
		return;
	if (publish(j, name, file, &e) != 0)
		log_warn("the log %s: %s", name, e.msg);
}

/* The last lines of what was said, each on a line of its own. */
static void last_lines(const struct job *j, struct buf *out)
{
	const char *said = j->said.data, *nl;
	size_t end = j->said.len, from, lines = 0;

	while (end > 0 && (said[end - 1] == ' ' || said[end - 1] == '\n'))
		end--;
	for (from = end; from > 0 && end - from < TAIL; from--)
		if (said[from - 1] == '\n' && ++lines == LINES)
			break;
	nl = memchr(said + from, '\n', end - from);
	if (from > 0 && said[from - 1] != '\n' && nl != NULL)
		from = (size_t)(nl - said) + 1; /* half a line would be mistaken for one */
	while (from < end) {
		size_t n = strcspn(said + from, "\n");

		n = n < end - from ? n : end - from;
		buf_addf(out, "\n  %.*s", (int)n, said + from);
		from += n + 1;
	}
}

int job_said(struct job *j, struct err *e)
{
	struct buf lines SCOPED(buf_release) = BUF_INIT(TAIL * 2 + (size_t)LINES * 4);
	char *path SCOPED(mem_freep) = j->log.fd >= 0 ? log_path(j, j->log.name) : NULL;
	size_t used = strlen(e->msg);

	hide_and_put(j, true);
	last_lines(j, &lines);
	if (lines.len == 0)
		return -1;
	(void)snprintf(e->msg + used, sizeof(e->msg) - used, "; it said:%s", lines.data);
	if (path != NULL && e->hint[0] == '\0')
		(void)err_hint(e, "all that it said is in %.200s", path);
	return -1;
}
