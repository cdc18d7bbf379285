#include "media/cpio.h"

#include <string.h>
#include <sys/stat.h>

static void fill(struct buf *b)
{
	static const char zeros[4] = "";

	buf_add(b, zeros, (4 - b->len % 4) % 4);
}

static void put(struct cpio *c, const char *path, mode_t mode, const void *p, size_t n)
{
	const size_t name = strlen(path) + 1;
	struct buf *b = &c->out;

	/* inode, mode, uid, gid, links, mtime, size, device and its own (each in two), name, sum */
	buf_addf(b, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", ++c->inode,
		 (unsigned)mode, 0, 0, S_ISDIR(mode) ? 2 : 1, 0, n, 0, 0, 0, 0, name, 0);
	buf_add(b, path, name);
	fill(b);
	if (n > 0)
		buf_add(b, p, n);
	fill(b);
}

void cpio_add(struct cpio *c, const char *path, mode_t mode, const void *p, size_t n)
{
	put(c, path, (p == NULL ? S_IFDIR : S_IFREG) | mode, p, n);
}

void cpio_end(struct cpio *c)
{
	put(c, "TRAILER!!!", 0, NULL, 0);
}
