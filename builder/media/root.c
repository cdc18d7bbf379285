/* root.c - the tree as a file system whose blocks are checked, and what puts files together. */
#include "media/parts.h"

#include "media/tool.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MIB = 1 << 20 };

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

int media_copy_in(const struct making *m, const char *file, uint64_t at, int to, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(m->to, file), *block SCOPED(mem_freep) = NULL;
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : 1;

	block = mem_zalloc(MIB);
	while (n > 0) {
		n = read(fd, block, MIB);
		if (n > 0 && !is_zero(block, (size_t)n) &&
		    pwrite(to, block, (size_t)n, (off_t)at) != n)
			n = -1;
		at += n > 0 ? (uint64_t)n : 0;
	}
	return n == 0 ? 0 : err_sys(e, "put %s into the medium", file);
}
