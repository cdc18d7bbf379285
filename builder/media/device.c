#include "media/device.h"

#include "base/log.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { TEXT_MAX = 4096, WORD_MAX = 200, PAGE_HEAD = 4 };

void device_release(struct device *d)
{
	free(d->path);
	free(d->model);
	free(d->serial);
}

/* The text without blanks around it and without what a terminal would obey. */
static char *plain(const char *s, size_t n)
{
	char *text;

	while (n > 0 && (unsigned char)*s <= ' ')
		s++, n--;
	while (n > 0 && (unsigned char)s[n - 1] <= ' ')
		n--;
	text = mem_strndup(s, n < WORD_MAX ? n : WORD_MAX);
	for (char *c = text; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return text;
}

/* A file of the device in sysfs, without its first bytes; "" when there is none. */
static char *sys_text(dev_t id, const char *name, size_t skip)
{
	char *path SCOPED(mem_freep) =
	    mem_format("/sys/dev/block/%u:%u/%s", major(id), minor(id), name);
	char text[TEXT_MAX];
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

	return n <= (ssize_t)skip ? mem_strdup("") : plain(text + skip, (size_t)n - skip);
}

/* The first of some files that says something. */
static char *sys_first(dev_t id, const char *const *names)
{
	for (; *names != NULL; names++) {
		size_t skip = strstr(*names, "vpd_pg") != NULL ? PAGE_HEAD : 0;
		char *text SCOPED(mem_freep) = sys_text(id, *names, skip);

		if (*text != '\0')
			return STEAL(text);
	}
	return mem_strdup("");
}

/* A stick's serial number is its USB device's, some directories above. */
static char *usb_serial(dev_t id)
{
	char *link SCOPED(mem_freep) =
	    mem_format("/sys/dev/block/%u:%u/device", major(id), minor(id));
	char *at SCOPED(mem_freep) = realpath(link, NULL);

	if (at == NULL || strstr(at, "/usb") == NULL)
		return mem_strdup("");
	for (char *slash; (slash = strrchr(at, '/')) != NULL && slash != at; *slash = '\0') {
		char *path SCOPED(mem_freep) = fs_join(at, "serial");
		struct buf b SCOPED(buf_release) = BUF_INIT(TEXT_MAX);
		struct err quiet = ERR_INIT;

		if (access(path, R_OK) == 0 && fs_get(AT_FDCWD, path, &b, &quiet) == 0)
			return plain(b.data, b.len);
	}
	return mem_strdup("");
}

static char *serial_of(dev_t id)
{
	static const char *const names[] = {"serial", "device/serial", "device/vpd_pg80",
					    "loop/backing_file", NULL};
	char *usb SCOPED(mem_freep) = usb_serial(id);

	return *usb != '\0' ? STEAL(usb) : sys_first(id, names);
}

static size_t count_parts(dev_t id)
{
	char *dir SCOPED(mem_freep) = mem_format("/sys/dev/block/%u:%u", major(id), minor(id));
	struct strv names SCOPED(strv_release) = {0};
	struct err quiet = ERR_INIT;
	size_t n = 0;

	if (fs_list(AT_FDCWD, dir, &names, &quiet) != 0)
		return 0;
	for (size_t i = 0; i < names.n; i++) {
		char *path SCOPED(mem_freep) = mem_format("%s/%s/partition", dir, names.v[i]);

		n += access(path, F_OK) == 0 ? 1 : 0;
	}
	return n;
}

int device_look(const char *path, struct device *ret, struct err *e)
{
	static const char *const models[] = {"device/model", "device/name", NULL};
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *partition SCOPED(mem_freep) = NULL;
	struct stat st;
	uint64_t size;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "%s", path);
	if (!S_ISBLK(st.st_mode))
		return err_set(e, ERR_USAGE, "%s is no disk", path);
	partition = sys_text(st.st_rdev, "partition", 0);
	if (*partition != '\0') {
		(void)err_set(e, ERR_USAGE, "%s is a partition", path);
		return err_hint(e, "A medium is a whole disk.");
	}
	if (ioctl(fd, BLKGETSIZE64, &size) != 0)
		return err_sys(e, "%s: its size", path);
	*ret = (struct device){mem_strdup(path), sys_first(st.st_rdev, models),
			       serial_of(st.st_rdev), size, count_parts(st.st_rdev)};
	return 0;
}

static int put_block(int from, int to, size_t n, uint64_t at, char *p, struct err *e)
{
	if (pread(from, p, n, (off_t)at) != (ssize_t)n)
		return err_sys(e, "read the medium");
	if (pwrite(to, p, n, (off_t)at) != (ssize_t)n) {
		if (errno == 0)
			errno = EIO;
		return err_sys(e, "write its byte %llu", (unsigned long long)at);
	}
	return 0;
}

/* The first block comes last: it has the table, and what starts. */
static int put_all(const struct medium *m, int from, int to, struct err *e)
{
	char *p SCOPED(mem_freep) = mem_zalloc(MEDIUM_BLOCK);
	const size_t first = medium_block_size(m, 0);

	if (pwrite(to, p, first, 0) != (ssize_t)first || fdatasync(to) != 0)
		return err_sys(e, "write its first block");
	for (size_t i = 1; i < m->blocks_n; i++) {
		if (put_block(from, to, medium_block_size(m, i), (uint64_t)i * MEDIUM_BLOCK, p,
			      e) != 0)
			return -1;
		log_progress("write", i, m->blocks_n);
	}
	if (fdatasync(to) != 0)
		return err_sys(e, "write it");
	if (put_block(from, to, first, 0, p, e) != 0)
		return -1;
	log_progress("write", m->blocks_n, m->blocks_n);
	return fsync(to) != 0 ? err_sys(e, "write it") : 0;
}

int device_write(const struct device *d, const struct medium *m, int file, struct check_report *ret,
		 struct err *e)
{
	/* nobody has mounted it or a part of it, and nobody can meanwhile */
	int fd SCOPED(fd_closep) = open(d->path, O_RDWR | O_EXCL | O_CLOEXEC);

	if (fd < 0 && errno == EBUSY) {
		(void)err_set(e, ERR_BUSY, "%s is in use", d->path);
		return err_hint(e, "Unmount what is on it.");
	}
	if (fd < 0)
		return err_sys(e, "%s", d->path);
	if (put_all(m, file, fd, e) != 0)
		return err_in(e, "%s", d->path);
	if (ioctl(fd, BLKFLSBUF, 0) != 0)
		return err_sys(e, "%s: forget what was written", d->path);
	if (check_medium(m, fd, false, ret, e) != 0)
		return err_in(e, "%s", d->path);
	/* the kernel's own partitions are those of the new table now; a disk that has none says no
	 */
	(void)ioctl(fd, BLKRRPART, 0);
	return 0;
}
