/* compare.c - two trees or manifests, and every difference. */
#include "restore/parts.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int manifest_of(const char *what, unsigned threads, struct manifest *ret, struct err *e)
{
	const struct restore_making how = {.threads = threads, .what = "read"};
	const char *path = strncmp(what, "dir:", 4) == 0 ? what + 4 : what;
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "open %s", path);
	if (S_ISDIR(st.st_mode))
		return restore_make(fd, &how, ret, e);
	return manifest_read(fd, path, ret, e);
}

int restore_compare(const struct restore_compare *c, uint64_t *ret, struct err *e)
{
	struct manifest a SCOPED(manifest_release) = {0}, b SCOPED(manifest_release) = {0};

	if (manifest_of(c->a, c->threads, &a, e) != 0 || manifest_of(c->b, c->threads, &b, e) != 0)
		return -1;
	*ret = manifest_compare(&a, &b, c->fn, c->ctx);
	return 0;
}
