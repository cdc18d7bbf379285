#include "sandbox/priv.h"
#include <fcntl.h>
#include <unistd.h>

int descriptors_keep(int *const *keep, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		int high = fcntl(*keep[i], F_DUPFD_CLOEXEC, 16 + (int)n);

		if (high < 0)
			return err_sys(e, "move a descriptor");
		*keep[i] = high;
	}
	for (size_t i = 0; i < n; i++) {
		if (dup3(*keep[i], 3 + (int)i, O_CLOEXEC) < 0)
			return err_sys(e, "move a descriptor");
		*keep[i] = 3 + (int)i;
	}
	return close_range(3 + (unsigned)n, ~0U, 0) == 0 ? 0 : err_sys(e, "close descriptors");
}

int descriptors_null(struct err *e)
{
	int null SCOPED(fd_closep) = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd < 3; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			return err_sys(e, "open /dev/null");
	return 0;
}
