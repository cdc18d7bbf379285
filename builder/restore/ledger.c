#include "restore/ledger.h"

#include "base/fault.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LEDGER_MAX = 256 << 20, LINE_MAX_BYTES = 8 << 20 };

static int read_all(int ownfd, struct buf *ret, struct err *e)
{
	if (faccessat(ownfd, LEDGER, F_OK, 0) != 0 && errno == ENOENT)
		return 0;
	return fs_get_file(ownfd, LEDGER, ret, e);
}

/* Where the last whole line begins; *ret_end is behind it. */
static size_t last_line(const struct buf *b, size_t *ret_end)
{
	size_t end = b->len, at;

	while (end > 0 && b->data[end - 1] != '\n')
		end--;
	*ret_end = end;
	at = end > 0 ? end - 1 : 0;
	while (at > 0 && b->data[at - 1] != '\n')
		at--;
	return at;
}

static struct jval *line_of(const char *what, const struct jval *event, const struct buf *before,
			    size_t end)
{
	struct jval *v = jval_object();
	char *time SCOPED(mem_freep) = clock_rfc3339(clock_wall_s());
	size_t none, at = last_line(before, &none);
	struct digest d = digest_of(before->data + at, end - at);
	uint64_t n = 1;

	for (size_t i = 0; i < end; i++)
		n += before->data[i] == '\n';
	jval_put_text(v, "what", what);
	jval_put_text(v, "time", time);
	jval_put_int(v, "number", (int64_t)n);
	jval_put_text(v, "previous", digest_text(&d).s);
	jval_put(v, "event", jval_ref((struct jval *)(uintptr_t)event));
	return v;
}

int ledger_append(int ownfd, const char *what, const struct jval *event, struct err *e)
{
	struct buf before SCOPED(buf_release) = BUF_INIT(LEDGER_MAX);
	struct buf text SCOPED(buf_release) = BUF_INIT(LINE_MAX_BYTES);
	struct jval *v SCOPED(jval_freep) = NULL;
	int fd SCOPED(fd_closep) = -1;
	size_t end = 0;

	if (read_all(ownfd, &before, e) != 0)
		return -1;
	(void)last_line(&before, &end);
	v = line_of(what, event, &before, end);
	jval_write(v, &text);
	buf_add(&text, "\n", 1);
	if (buf_over(&text))
		return err_set(e, ERR_FAIL, LEDGER ": the line is too long");
	fd = openat(ownfd, LEDGER, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || (end < before.len && ftruncate(fd, (off_t)end) != 0) ||
	    lseek(fd, (off_t)end, SEEK_SET) < 0)
		return err_sys(e, "open " LEDGER);
	if (fs_write_all(fd, text.data, text.len, e) != 0)
		return -1;
	fault_point("ledger: written");
	return fsync(fd) == 0 && fsync(ownfd) == 0 ? 0 : err_sys(e, "sync " LEDGER);
}

int ledger_check(int ownfd, uint64_t *ret, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(LEDGER_MAX);
	struct digest before = digest_of("", 0);
	uint64_t n = 0;

	if (read_all(ownfd, &b, e) != 0)
		return -1;
	for (char *at = b.data, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
		struct jval *v SCOPED(jval_freep) = NULL;
		const char *previous;

		n++;
		if (jval_parse(at, (size_t)(end - at), LEDGER, &v, e) != 0)
			return -1;
		previous = jval_get_str(v, "previous");
		if (previous == NULL || strcmp(previous, digest_text(&before).s) != 0)
			return err_set(e, ERR_VERIFY, LEDGER ":%llu: the line before it is another",
				       (unsigned long long)n);
		before = digest_of(at, (size_t)(end - at) + 1);
	}
	*ret = n;
	return 0;
}
