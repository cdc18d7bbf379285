/* trees.c - formats that are the root tree and nothing else. */
#include "media/parts.h"

#include "archive/pack.h"
#include "media/tool.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <unistd.h>

static int put(void *ctx, const void *p, size_t n, struct err *e)
{
	return fs_write_all(*(const int *)ctx, p, n, e);
}

int media_tar(const struct making *m, struct err *e)
{
	const struct pack_opts o = {.compression = PACK_NONE, .epoch = m->epoch};
	struct tree t SCOPED(tree_release) = {0};
	struct pack_result r;
	int fd SCOPED(fd_closep) = -1, root SCOPED(fd_closep) = -1;
	const struct sink out = {put, &fd};

	if (fs_open_dir(AT_FDCWD, m->tree, &root, e) != 0 || tree_scan(root, &t, NULL, e) != 0)
		return -1;
	fd = open(m->finished, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(e, "make %s", m->finished);
	return pack_layer(root, &t, &o, &out, &r, e);
}

int media_squashfs(const struct making *m, struct err *e)
{
	/* more than level 6 costs much time and saves little */
	static const char *const argv[] = {
	    "mksquashfs", "/tree", "/to/finished", "-noappend",           "-quiet", "-no-progress",
	    "-xattrs",    "-comp", "zstd",         "-Xcompression-level", "6",      NULL};
	const struct tool t = {.package = "squashfs-tools",
			       .argv = argv,
			       .tree = m->tree,
			       .dest = m->to,
			       .epoch = m->epoch};

	return tool_run(&t, e);
}

int media_erofs_as(const struct making *m, const char *name, struct err *e)
{
	const struct uuid_text id = media_id(m, "root");
	char *to SCOPED(mem_freep) = fs_join("/to", name);
	const char *const argv[] = {"mkfs.erofs", "--quiet", "-zlz4hc,6", "-U", id.s,
				    "-x2",        to,        "/tree",     NULL};
	const struct tool t = {.package = "erofs-utils",
			       .argv = argv,
			       .tree = m->tree,
			       .dest = m->to,
			       .epoch = m->epoch};

	return tool_run(&t, e);
}

int media_erofs(const struct making *m, struct err *e)
{
	return media_erofs_as(m, "finished", e);
}
