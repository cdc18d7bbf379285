#include "sandbox/priv.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLACE "/run/secrets"

static int put_one(const struct sandbox_secret *s, struct err *e)
{
	char *path SCOPED(mem_freep) = mem_format(PLACE "/%s", s->name);
	int fd SCOPED(fd_closep) = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);

	if (fd < 0)
		return err_sys(e, "make %s", path);
	return fs_write_all(fd, s->data, s->len, e) == 0 ? 0 : err_in(e, "write %s", path);
}

int secrets_put(const struct sandbox_spec *s, struct err *e)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	if (s->secrets_n == 0)
		return 0;
	if (mkdir(PLACE, 0700) != 0 ||
	    mount("tmpfs", PLACE, "tmpfs", flags, "mode=0700,size=16m") != 0)
		return err_sys(e, "mount " PLACE);
	for (size_t i = 0; i < s->secrets_n; i++)
		if (put_one(&s->secrets[i], e) != 0)
			return -1;
	if (mount(NULL, PLACE, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL) != 0)
		return err_sys(e, "make " PLACE " read-only");
	return 0;
}
