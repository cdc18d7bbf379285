#include "media/device.h"

#include "base/log.h"
#include "sys/disk.h"
#include "sys/fs.h"
#include "sys/gpt.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

void device_release(struct device *d)
{
	free(d->path);
	free(d->model);
	free(d->serial);
	free(d->turn);
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

static bool sys_has(dev_t id, const char *name)
{
	char *path SCOPED(mem_freep) =
	    mem_format("/sys/dev/block/%u:%u/%s", major(id), minor(id), name);

	return access(path, F_OK) == 0;
}

/* Whole, and not made of other disks: who holds these is not seen. A loop device is for trying. */
static int check_whole(const char *path, dev_t id, struct err *e)
{
	if (sys_has(id, "partition")) {
		(void)err_set(e, ERR_USAGE, "%s is a partition", path);
		return err_hint(e, "A medium is a whole disk.");
	}
	if (!sys_has(id, "device") && !sys_has(id, "loop")) {
		(void)err_set(e, ERR_USAGE, "%s is no disk but made by the kernel", path);
		return err_hint(e, "A medium is a disk itself, no volume on one.");
	}
	return 0;
}

static int look(int fd, const char *path, struct device *ret, struct err *e)
{
	static const char *const models[] = {"device/model", "device/name", NULL};
	struct stat st;
	uint64_t size;
	int sector;

	if (fstat(fd, &st) != 0)
		return err_sys(e, "%s", path);
	if (!S_ISBLK(st.st_mode))
		return err_set(e, ERR_USAGE, "%s is no disk", path);
	if (check_whole(path, st.st_rdev, e) != 0)
		return -1;
	if (ioctl(fd, BLKGETSIZE64, &size) != 0)
		return err_sys(e, "%s: its size", path);
	if (ioctl(fd, BLKSSZGET, &sector) != 0)
		return err_sys(e, "%s: its sectors", path);
	if (sector != GPT_SECTOR) {
		(void)err_set(e, ERR_USAGE, "%s has sectors of %d bytes: it would not start", path,
			      sector);
		return err_hint(e, "Take one of %d; some can be set to that.", GPT_SECTOR);
	}
	*ret = (struct device){.path = mem_strdup(path),
			       .model = disk_first(st.st_rdev, models),
			       .serial = disk_serial(st.st_rdev),
			       .turn = disk_text(st.st_rdev, "diskseq", 0),
			       .size = size,
			       .parts = count_parts(st.st_rdev)};
	return 0;
}

int device_look(const char *path, struct device *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd < 0 ? err_sys(e, "%s", path) : look(fd, path, ret, e);
}

/* A block of the file, when it is what the manifest says: the file may change while it is read. */
static int put_block(const struct medium *m, int from, int to, size_t i, char *p, struct err *e)
{
	const off_t at = (off_t)i * MEDIUM_BLOCK;
	const size_t size = medium_block_size(m, i);
	ssize_t n = pread(from, p, size, at);
	struct digest d;

	if (n < 0)
		return err_sys(e, "read the medium");
	d = digest_of(p, (size_t)n);
	if ((size_t)n != size || !digest_equal(&d, &m->blocks[i]))
		return err_set(e, ERR_VERIFY, "the medium changed while it was written");
	n = pwrite(to, p, size, at);
	if (n >= 0 && (size_t)n != size)
		errno = EIO;
	return (size_t)n == size ? 0 : err_sys(e, "write its byte %llu", (unsigned long long)at);
}

/* Without the first block there is no table, and nothing starts. */
static int put_no_first(const struct medium *m, int to, struct err *e)
{
	const size_t size = medium_block_size(m, 0);
	char *p SCOPED(mem_freep) = mem_zalloc(MEDIUM_BLOCK);

	return pwrite(to, p, size, 0) != (ssize_t)size || fdatasync(to) != 0
		   ? err_sys(e, "write its first block")
		   : 0;
}

/* What is read next is what the device has. */
static int forget(int fd, struct err *e)
{
	if (fsync(fd) != 0)
		return err_sys(e, "write it");
	return ioctl(fd, BLKFLSBUF, 0) != 0 ? err_sys(e, "forget what was written") : 0;
}

/* How much of the end of a disk that is larger than the medium is cleared: RAID, and tables, have
 * theirs in the last MiB, and would be found there by whoever starts from the disk. */
static size_t end_size(const struct device *d, const struct medium *m)
{
	const uint64_t behind = d->size - m->size;

	return behind < MEDIUM_BLOCK ? (size_t)behind : MEDIUM_BLOCK;
}

static int put_no_end(const struct device *d, const struct medium *m, int to, struct err *e)
{
	const size_t n = end_size(d, m);
	char *p SCOPED(mem_freep) = mem_zalloc(MEDIUM_BLOCK);

	return n > 0 && pwrite(to, p, n, (off_t)(d->size - n)) != (ssize_t)n
		   ? err_sys(e, "clear its end")
		   : 0;
}

static int check_no_end(const struct device *d, const struct medium *m, int to, struct err *e)
{
	const size_t n = end_size(d, m);
	char *p SCOPED(mem_freep) = mem_zalloc(MEDIUM_BLOCK);

	if (n > 0 && pread(to, p, n, (off_t)(d->size - n)) != (ssize_t)n)
		return err_sys(e, "read back its end");
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			return err_set(e, ERR_VERIFY, "it has not cleared its end");
	return 0;
}

static int put_behind_first(const struct device *d, const struct medium *m, int from, int to,
			    struct err *e)
{
	char *p SCOPED(mem_freep) = mem_zalloc(MEDIUM_BLOCK);

	if (put_no_first(m, to, e) != 0 || put_no_end(d, m, to, e) != 0)
		return -1;
	for (size_t i = 1; i < m->blocks_n; i++) {
		if (put_block(m, from, to, i, p, e) != 0)
			return -1;
		log_progress("write", i, m->blocks_n);
	}
	return forget(to, e) != 0 ? -1 : check_no_end(d, m, to, e);
}

/* The first block comes last, and only to what is right behind it. */
static int put_first(const struct medium *m, int from, int to, char *p, struct err *e)
{
	struct digest d;
	int failed;

	if (put_block(m, from, to, 0, p, e) != 0 || forget(to, e) != 0)
		return -1;
	failed = medium_block(m, to, 0, &d);
	if (failed == 0 && digest_equal(&d, &m->blocks[0]))
		return 0;
	(void)err_set(e, ERR_VERIFY, "it has not kept its first block");
	return -1;
}

static int put_all(const struct device *d, const struct medium *m, int from, int to,
		   struct check_report *ret, struct err *e)
{
	char *p SCOPED(mem_freep) = mem_zalloc(MEDIUM_BLOCK);
	struct err quiet = ERR_INIT;

	if (put_behind_first(d, m, from, to, e) != 0 || check_behind_first(m, to, ret, e) != 0)
		return -1;
	if (ret->n > 0)
		return 0;
	if (put_first(m, from, to, p, e) != 0) {
		(void)put_no_first(m, to, &quiet);
		return -1;
	}
	ret->bytes += medium_block_size(m, 0);
	log_progress("write", m->blocks_n, m->blocks_n);
	return 0;
}

/* Before anything of the disk is lost, the file is held against its manifest. */
static int check_source(const struct medium *m, int file, struct err *e)
{
	struct check_report r SCOPED(check_release) = {0};

	if (check_medium(m, file, false, &r, e) != 0)
		return err_in(e, "the medium");
	if (r.n == 0 && r.behind == 0)
		return 0;
	(void)err_set(e, ERR_VERIFY, "the medium is not as its manifest says");
	return err_hint(e, "Nothing was written. posmedia verify says where it differs.");
}

/* The name may be another disk's since it was looked at. */
static int same_device(const struct device *d, int fd, struct err *e)
{
	struct device now SCOPED(device_release) = {0};

	if (look(fd, d->path, &now, e) != 0)
		return -1;
	return now.size == d->size && strcmp(now.serial, d->serial) == 0 &&
		       strcmp(now.turn, d->turn) == 0
		   ? 0
		   : err_set(e, ERR_BUSY, "%s is another disk now", d->path);
}

int device_write(const struct device *d, const struct medium *m, int file, struct check_report *ret,
		 struct err *e)
{
	/* nobody has mounted it or a part of it, and nobody can meanwhile */
	int fd SCOPED(fd_closep) = open(d->path, O_RDWR | O_EXCL | O_CLOEXEC | O_NOCTTY);

	if (fd < 0 && errno == EBUSY) {
		(void)err_set(e, ERR_BUSY, "%s is in use", d->path);
		return err_hint(e, "Unmount what is on it.");
	}
	if (fd < 0)
		return err_sys(e, "%s", d->path);
	if (same_device(d, fd, e) != 0 || check_source(m, file, e) != 0)
		return -1;
	if (put_all(d, m, file, fd, ret, e) != 0)
		return err_in(e, "%s", d->path);
	/* the kernel's own partitions are those of the new table now; a disk that has none says no
	 */
	(void)ioctl(fd, BLKRRPART, 0);
	return 0;
}
