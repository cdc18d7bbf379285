/* root.h - a root tree for parsers that read files: one for the whole run, gone at its end. */
#ifndef TESTS_FUZZ_ROOT_H
#define TESTS_FUZZ_ROOT_H

#include "fuzz.h"

#include "sys/fs.h"

static struct {
	char path[64];
	int fd;
} fuzz_tree = {.path = "/tmp/posmedia-fuzz.XXXXXX", .fd = -1};

static void fuzz_tree_drop(void)
{
	struct err e = ERR_INIT;

	HOLDS(fs_rmtree(AT_FDCWD, fuzz_tree.path, &e) == 0);
}

/* Opens the tree, which is empty the first time. */
static int fuzz_root(void)
{
	if (fuzz_tree.fd < 0) {
		HOLDS(mkdtemp(fuzz_tree.path) != NULL);
		HOLDS(atexit(fuzz_tree_drop) == 0);
		fuzz_tree.fd = open(fuzz_tree.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		HOLDS(fuzz_tree.fd >= 0);
	}
	return fuzz_tree.fd;
}

/* Makes the bytes the file at path in the tree. */
static void fuzz_put(const char *path, const void *p, size_t n)
{
	char *dir SCOPED(mem_freep) = fs_dirname(path);
	struct err e = ERR_INIT;
	int root = fuzz_root(),
	    fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0) {
		HOLDS(fs_mkdirs(root, dir, 0755, &e) == 0);
		fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	}
	HOLDS(fd >= 0 && (n == 0 || write(fd, p, n) == (ssize_t)n));
	(void)close(fd);
}

#endif
