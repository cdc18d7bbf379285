/* root.c - the tree as a file system whose blocks are checked, and what puts files together. */
#include "media/parts.h"

#include "media/tool.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 64 << 10 };

int media_size(const struct making *m, const char *file, uint64_t *ret, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(m->to, file);
	struct stat st;

	if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
		return err_set(e, ERR_FAIL, "%s was not made", file);
	*ret = (uint64_t)st.st_size;
	return 0;
}

int media_root(const struct making *m, struct err *e)
{
	const struct uuid_text id = media_id(m, "verity");
	char *seed SCOPED(mem_freep) = mem_format("%s/salt", digest_hex(&m->image).s);
	const struct digest salt = digest_of(seed, strlen(seed));
	const struct digest_hex hex = digest_hex(&salt);
	const char *const argv[] = {
	    "veritysetup",      "format",       "--salt",   hex.s,      "--uuid", id.s,
	    "--root-hash-file", "/to/roothash", "/to/root", "/to/hash", NULL};
	const struct tool t = {
	    .package = "cryptsetup-bin", .argv = argv, .dest = m->to, .epoch = m->epoch};
	char *path SCOPED(mem_freep) = fs_join(m->to, "roothash");
	struct buf text SCOPED(buf_release) = BUF_INIT(2 * DIGEST_HEX);
	struct digest top;
	uint64_t size;

	if (media_erofs_as(m, "root", e) != 0 || tool_run(&t, e) != 0 ||
	    fs_get_file(AT_FDCWD, path, &text, e) != 0 || media_size(m, "root", &size, e) != 0)
		return -1;
	if (digest_parse_hex(text.data, &top) != 0)
		return err_set(e, ERR_FAIL, "veritysetup gave no root hash");
	m->medium->verity = (struct medium_verity){true, top, salt, size / VERITY_BLOCK};
	return 0;
}

static bool is_zero(const char *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* A full disk takes some, and says so the next time. */
static bool write_at(int fd, const char *p, size_t n, off_t at)
{
	for (size_t done = 0; done < n;) {
		const ssize_t r = pwrite(fd, p + done, n - done, at + (off_t)done);

		if (r < 0)
			return false;
		done += (size_t)r;
	}
	return true;
}

/* Where the next data of a file is, from *end on, and where it ends. 1, 0 when there is none. */
static int next_data(int fd, off_t *ret, off_t *end)
{
	const off_t at = lseek(fd, *end, SEEK_DATA);

	if (at < 0)
		return errno == ENXIO ? 0 : -1;
	*ret = at;
	*end = lseek(fd, at, SEEK_HOLE);
	return *end < 0 ? -1 : 1;
}

/* What is between two places of a file to where the other is to have it, but its zeros. */
static bool copy_some(int from, off_t at, off_t end, int to, off_t by)
{
	char *block SCOPED(mem_freep) = mem_zalloc(CHUNK);

	while (at < end) {
		const size_t most = end - at < CHUNK ? (size_t)(end - at) : CHUNK;
		const ssize_t n = pread(from, block, most, at);

		if (n <= 0 ||
		    (!is_zero(block, (size_t)n) && !write_at(to, block, (size_t)n, at + by)))
			return false;
		at += n;
	}
	return true;
}

int media_copy_in(const struct making *m, const char *file, uint64_t at, int to, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(m->to, file);
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	off_t data = 0, end = 0;
	int more = fd < 0 ? -1 : 1;

	while (more > 0) {
		more = next_data(fd, &data, &end);
		if (more > 0 && !copy_some(fd, data, end, to, (off_t)at))
			more = -1;
	}
	return more == 0 ? 0 : err_sys(e, "put %s into the medium", file);
}

static int copy_data(int from, int to, off_t at, off_t end, struct err *e)
{
	char *chunk SCOPED(mem_freep) = mem_zalloc(CHUNK);
	ssize_t n = 1;

	while (n > 0 && at < end) {
		off_t a = at, b = at;

		n = copy_file_range(from, &a, to, &b, (size_t)(end - at), 0);
		at += n > 0 ? n : 0;
	}
	/* not possible here */
	for (n = 1; n > 0 && at<end; at += n> 0 ? n : 0) {
		n = pread(from, chunk, end - at < CHUNK ? (size_t)(end - at) : CHUNK, at);
		if (n > 0 && !write_at(to, chunk, (size_t)n, at))
			n = -1;
	}
	return at == end ? 0 : err_sys(e, "copy the medium");
}

int media_copy_holes(int from, int to, struct err *e)
{
	const off_t size = lseek(from, 0, SEEK_END);
	off_t at = 0, end = 0;
	int more;

	if (size < 0 || ftruncate(to, size) != 0)
		return err_sys(e, "copy the medium");
	while ((more = next_data(from, &at, &end)) > 0)
		if (copy_data(from, to, at, end, e) != 0)
			return -1;
	return more == 0 ? 0 : err_sys(e, "copy the medium");
}
