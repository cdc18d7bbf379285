#include "build/disk.h"

#include "base/num.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { ENTRY = 4096, EVERY_MS = 2000, SHARE = 10 };

static const uint64_t reserve_max = UINT64_C(512) << 20;

void disk_init(struct disk *d, const char *upper, uint64_t max)
{
	*d = (struct disk){.upper = upper, .max = max};
}

/* An entry costs something even when it is empty. */
static int add(void *ctx, const struct fs_entry *en, struct err *e)
{
	uint64_t *sum = ctx, bytes = (uint64_t)en->st.st_blocks * 512;

	(void)e;
	*sum += bytes > ENTRY ? bytes : ENTRY;
	return 0;
}

/* The tree changes below us: what was counted until then counts. */
static void sum_up(const char *dir, uint64_t *sum)
{
	struct err quiet = ERR_INIT;
	int fd SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, dir, &fd, &quiet) == 0)
		(void)!fs_walk(fd, add, sum, &quiet);
}

static int space(const struct disk *d, uint64_t *ret_free, struct err *e)
{
	char *left SCOPED(mem_freep) = NULL;
	uint64_t total, reserve;
	struct statvfs v;

	if (statvfs(d->upper, &v) != 0)
		return err_sys(e, "space at %s", d->upper);
	total = (uint64_t)v.f_blocks * v.f_frsize;
	*ret_free = (uint64_t)v.f_bavail * v.f_frsize;
	reserve = total / 50 < reserve_max ? total / 50 : reserve_max;
	if (total == 0 || *ret_free > reserve) /* 0: a file system that does not tell */
		return 0;
	left = num_human(*ret_free);
	(void)err_set(e, ERR_STEP, "the disk of the store is nearly full: only %s left", left);
	return err_hint(e, "make room, or set limits: disk: of the step");
}

int disk_count(struct disk *d, struct err *e)
{
	char *max SCOPED(mem_freep) = NULL;
	uint64_t start = clock_mono_ms(), sum = 0;

	if (space(d, &d->free, e) != 0)
		return -1;
	sum_up(d->upper, &sum);
	for (size_t i = 0; i < sizeof(d->also) / sizeof(d->also[0]); i++)
		if (d->also[i] != NULL)
			sum_up(d->also[i], &sum);
	d->used = sum;
	d->counted_ms = clock_mono_ms();
	d->took_ms = d->counted_ms - start;
	if (sum <= d->max)
		return 0;
	max = num_human(d->max);
	(void)err_set(e, ERR_STEP, "wrote more than %s", max);
	return err_hint(e, "raise limits: disk: of the step if it is meant");
}

int disk_left(struct disk *d, uint64_t *ret_bytes, uint64_t *ret_entries, struct err *e)
{
	uint64_t left;

	if (disk_count(d, e) != 0)
		return -1;
	left = d->max - d->used;
	if (left > d->free)
		left = d->free;
	*ret_bytes = left > 0 ? left : 1;
	*ret_entries = left / ENTRY + 1;
	return 0;
}

int disk_look(struct disk *d, struct err *e)
{
	uint64_t now = clock_mono_ms(), since = now - d->counted_ms, left, gone, room;

	if (space(d, &room, e) != 0)
		return -1;
	left = d->max > d->used ? d->max - d->used : 0;
	gone = d->free > room ? d->free - room : 0;
	if (since < d->took_ms * SHARE || (since < EVERY_MS && gone <= left / 2))
		return 0;
	return disk_count(d, e);
}
