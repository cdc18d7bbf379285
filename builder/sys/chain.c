#include "sys/chain.h"

#include "base/fault.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { CHAIN_MAX = 256 << 20, LINE_BYTES = 8 << 20 };

static int read_all(int dirfd, const char *name, struct buf *ret, struct err *e)
{
	if (faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
		return 0;
	return fs_get_file(dirfd, name, ret, e);
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

static struct digest digest_of_value(const struct jval *v)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(LINE_BYTES);

	jval_write(v, &text);
	return digest_of(text.data, text.len);
}

static void link_to(struct jval *v, const struct buf *before, const struct chain *c,
		    size_t *ret_end)
{
	size_t at = last_line(before, ret_end);
	struct digest d = digest_of(before->data + at, *ret_end - at);
	uint64_t n = 1;

	for (size_t i = 0; i < *ret_end; i++)
		n += before->data[i] == '\n';
	jval_put_int(v, "number", (int64_t)n);
	jval_put_text(v, "previous", digest_text(&d).s);
	if (!c->sums)
		return;
	jval_del(v, "sum");
	d = digest_of_value(v);
	jval_put_text(v, "sum", digest_text(&d).s);
}

/* Of what may not be on the disk nothing stays: the line that was is the last again, as its writer
 * takes it to be. */
static int take_back(int fd, size_t end)
{
	(void)!(ftruncate(fd, (off_t)end) == 0 && fsync(fd) == 0);
	return -1;
}

int chain_append(int dirfd, const struct chain *c, struct jval *v, struct err *e)
{
	struct buf before SCOPED(buf_release) = BUF_INIT(CHAIN_MAX);
	struct buf text SCOPED(buf_release) = BUF_INIT(LINE_BYTES);
	int fd SCOPED(fd_closep) = -1;
	size_t end = 0;

	if (read_all(dirfd, c->name, &before, e) != 0)
		return -1;
	link_to(v, &before, c, &end);
	jval_write(v, &text);
	buf_add(&text, "\n", 1);
	if (buf_over(&text))
		return err_set(e, ERR_FAIL, "%s: the line is too long", c->name);
	fd = openat(dirfd, c->name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || (end < before.len && ftruncate(fd, (off_t)end) != 0) ||
	    lseek(fd, (off_t)end, SEEK_SET) < 0)
		return err_sys(e, "open %s", c->name);
	if (fs_write_all(fd, text.data, text.len, e) != 0) {
		(void)err_in(e, "%s", c->name);
		return take_back(fd, end);
	}
	fault_point(c->fault);
	if (fsync(fd) == 0 && fsync(dirfd) == 0)
		return 0;
	(void)err_sys(e, "sync %s", c->name);
	return take_back(fd, end);
}

static int refuse(const struct chain *c, uint64_t n, const char *why, struct err *e)
{
	return err_set(e, ERR_VERIFY, "%s:%llu: %s", c->name, (unsigned long long)n, why);
}

static int check_line(const struct chain *c, uint64_t n, const struct digest *before,
		      struct jval *v, struct err *e)
{
	const char *previous = jval_get_str(v, "previous"), *sum = jval_get_str(v, "sum");
	char *want SCOPED(mem_freep) = NULL;
	struct digest d;
	int64_t number = 0;

	if (previous == NULL || strcmp(previous, digest_text(before).s) != 0)
		return refuse(c, n, "the line before it is another", e);
	if (jval_get_int(v, "number", &number) != 0 || number != (int64_t)n)
		return refuse(c, n, "it has another number", e);
	if (!c->sums)
		return 0;
	want = mem_strdup(sum == NULL ? "" : sum);
	jval_del(v, "sum");
	d = digest_of_value(v);
	if (strcmp(want, digest_text(&d).s) != 0)
		return refuse(c, n, "it is not what it was", e);
	return 0;
}

int chain_parse(const struct buf *b, const struct chain *c, chain_fn *fn, void *ctx, uint64_t *ret,
		struct err *e)
{
	struct digest before = digest_of("", 0);
	uint64_t n = 0;
	const char *at = b->data, *last = b->data + b->len, *end;

	for (; (end = memchr(at, '\n', (size_t)(last - at))) != NULL; at = end + 1) {
		struct jval *v SCOPED(jval_freep) = NULL;

		n++;
		if (jval_parse(at, (size_t)(end - at), c->name, &v, e) != 0) {
			e->kind = ERR_VERIFY;
			return err_in(e, "line %llu", (unsigned long long)n);
		}
		if (check_line(c, n, &before, v, e) != 0)
			return -1;
		if (fn != NULL && fn(ctx, v, e) != 0)
			return -1;
		before = digest_of(at, (size_t)(end - at) + 1);
	}
	*ret = n;
	return 0;
}

int chain_read(int dirfd, const struct chain *c, chain_fn *fn, void *ctx, uint64_t *ret,
	       struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(CHAIN_MAX);

	if (read_all(dirfd, c->name, &b, e) != 0)
		return -1;
	return chain_parse(&b, c, fn, ctx, ret, e);
}
