#include "installer/hold.h"

#include "base/buf.h"
#include "base/strv.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <linux/major.h>
#include <linux/raid/md_u.h>
#include <string.h>
#include <sys/ioctl.h>

enum { STATE_MAX = 64 };

/* Documentation/admin-guide/md.rst of Linux: the states in which nothing can be read from it. */
static bool runs(const char *tree, const char *md)
{
	static const char *const idle[] = {"", "clear", "inactive"};
	char *path SCOPED(mem_freep) = mem_format("%s/%s/md/array_state", tree, md);
	struct buf b SCOPED(buf_release) = BUF_INIT(STATE_MAX);
	struct err quiet = ERR_INIT;

	if (fs_get(AT_FDCWD, path, &b, &quiet) != 0)
		return false;
	b.data[strcspn(b.data, "\n")] = '\0';
	for (size_t i = 0; i < sizeof(idle) / sizeof(idle[0]); i++)
		if (strcmp(b.data, idle[i]) == 0)
			return false;
	return true;
}

enum hold hold_find(const char *tree, const char *disk, char ret[HOLD_NAME])
{
	char *dir SCOPED(mem_freep) = mem_format("%s/%s/holders", tree, disk);
	struct strv names SCOPED(strv_release) = {0};
	struct err quiet = ERR_INIT;

	*ret = '\0';
	if (fs_list(AT_FDCWD, dir, &names, &quiet) != 0)
		return HOLD_NOT;
	for (size_t i = 0; i < names.n; i++) {
		if (strncmp(names.v[i], "md", 2) != 0 || strlen(names.v[i]) >= HOLD_NAME)
			continue;
		memcpy(ret, names.v[i], strlen(names.v[i]) + 1);
		return runs(tree, ret) ? HOLD_RUNS : HOLD_WAITS;
	}
	return HOLD_NOT;
}

int hold_end(const char *md, struct err *e)
{
	char *path SCOPED(mem_freep) = mem_format("/dev/%s", md);
	int fd SCOPED(fd_closep) = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, STOP_ARRAY, NULL) != 0) {
		(void)err_sys(e, "stop %s", md);
		e->kind = ERR_BUSY;
		return -1;
	}
	return 0;
}

bool hold_end_all(const char *tree, const char *disk)
{
	char *dir SCOPED(mem_freep) = mem_format("%s/%s", tree, disk);
	struct strv names SCOPED(strv_release) = {0};
	struct err quiet = ERR_INIT;
	char md[HOLD_NAME];
	bool ended = hold_find(tree, disk, md) != HOLD_NOT && hold_end(md, &quiet) == 0;

	if (fs_list(AT_FDCWD, dir, &names, &quiet) != 0)
		return ended;
	for (size_t i = 0; i < names.n; i++)
		if (strncmp(names.v[i], disk, strlen(disk)) == 0 &&
		    hold_find(dir, names.v[i], md) != HOLD_NOT && hold_end(md, &quiet) == 0)
			ended = true;
	return ended;
}
