/* compare.c - two trees or manifests, and every difference. */
#include "restore/parts.h"

#include "sign/file.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int restore_check_signed(const char *path, const struct manifest *m, const struct sign_wanted *by,
			 struct err *e)
{
	struct sign_report r SCOPED(sign_report_release) = {0};
	const struct digest root = manifest_root(m);
	struct digest d;

	if (sign_file_verify(path, by, &d, &r, e) != 0)
		return -1;
	return digest_equal(&d, &root)
		   ? 0
		   : err_set(e, ERR_VERIFY, "%s is not what was read of it before", path);
}

static int manifest_of(const struct restore_compare *c, const char *what, struct manifest *ret,
		       bool *ret_file, struct err *e)
{
	const struct restore_making how = {.threads = c->threads, .what = "read"};
	const char *path = strncmp(what, "dir:", 4) == 0 ? what + 4 : what;
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "open %s", path);
	*ret_file = !S_ISDIR(st.st_mode);
	if (!*ret_file)
		return restore_make(fd, &how, ret, e);
	if (manifest_read(fd, path, ret, e) != 0)
		return -1;
	return c->signers != NULL ? restore_check_signed(path, ret, c->signers, e) : 0;
}

int restore_compare(const struct restore_compare *c, uint64_t *ret, struct err *e)
{
	struct manifest a SCOPED(manifest_release) = {0}, b SCOPED(manifest_release) = {0};
	bool one = false, two = false;

	if (manifest_of(c, c->a, &a, &one, e) != 0 || manifest_of(c, c->b, &b, &two, e) != 0)
		return -1;
	if (c->signers != NULL && !one && !two)
		return err_set(e, ERR_USAGE, "--pub wants a manifest's file, and both are trees");
	*ret = manifest_compare(&a, &b, c->fn, c->ctx);
	return 0;
}
