/* assemble.c - two disks as one, by the kernel's RAID: what mdadm(8) does for others, as far as it
 * is needed here, so that no image needs to have that. */
#include "installer/program.h"

#include "installer/md.h"
#include "installer/target.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <linux/major.h>
#include <linux/raid/md_u.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define DEVICE "/dev/md0"

enum {
	PARTITIONS = 64,
	FOUND = 8,
	WAIT_ALL = 60000,   /* ms: until a disk is there, */
	WAIT_OTHER = 10000, /* and then for the other one of a pair */
	TURN = 100,
};

struct found {
	struct md_member m[FOUND];
	dev_t id[FOUND];
	char *path[FOUND], *serial[FOUND];
	size_t n;
	bool strange; /* there is a member of another pair */
};

static void found_release(struct found *f)
{
	for (size_t i = 0; i < f->n; i++) {
		mem_freep(&f->path[i]);
		mem_freep(&f->serial[i]);
	}
	f->n = 0;
}

static void look_at(const struct target *t, struct found *f)
{
	int fd SCOPED(fd_closep) = open(t->path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	struct md_member m;

	if (fd < 0 || fstat(fd, &st) != 0 || f->n == FOUND || !md_get(fd, t->size, &m))
		return;
	if (f->n > 0 && memcmp(m.set, f->m[0].set, MD_ID) != 0) {
		f->strange = true;
		return;
	}
	f->m[f->n] = m;
	f->id[f->n] = st.st_rdev;
	f->path[f->n] = mem_strdup(t->path);
	f->serial[f->n] = mem_strdup(t->serial);
	f->n++;
}

static int look(struct found *f, struct err *e)
{
	struct targets t SCOPED(targets_release) = {0};

	if (targets_find("", "", &t, e) != 0)
		return -1;
	for (size_t i = 0; i < t.n; i++)
		look_at(&t.v[i], f);
	return 0;
}

/* The partitions that the kernel has found on a disk of a pair are those of the pair. */
static void drop_partitions(const char *path)
{
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);

	for (int i = 1; fd >= 0 && i <= PARTITIONS; i++) {
		struct blkpg_partition p = {.pno = i};
		struct blkpg_ioctl_arg a = {
		    .op = BLKPG_DEL_PARTITION, .datalen = sizeof(p), .data = &p};

		/* udev may be looking at it */
		for (int turn = 0; ioctl(fd, BLKPG, &a) != 0 && errno == EBUSY && turn < 50; turn++)
			console_wait(TURN);
	}
}

static int make_device(struct err *e)
{
	static const char path[] = "/sys/module/md_mod/parameters/new_array";
	int fd SCOPED(fd_closep) = open(path, O_WRONLY | O_CLOEXEC);

	/* EEXIST: it is there */
	if (fd < 0 || (write(fd, "md0", 3) != 3 && errno != EEXIST))
		return err_sys(e, "make " DEVICE);
	return 0;
}

static int add_disk(int md, const struct found *f, size_t i, struct err *e)
{
	mdu_disk_info_t d = {.major = (int)major(f->id[i]), .minor = (int)minor(f->id[i])};

	return ioctl(md, ADD_NEW_DISK, &d) != 0
		   ? err_sys(e, "add the disk %s to its pair", f->serial[i])
		   : 0;
}

static int run(int md, const struct found *f, const enum md_use *use, struct err *e)
{
	mdu_array_info_t info = {.major_version = 1, .minor_version = 0};

	if (ioctl(md, SET_ARRAY_INFO, &info) != 0)
		return err_sys(e, "begin the pair");
	for (size_t i = 0; i < f->n; i++)
		if (use[i] == MD_USE && add_disk(md, f, i, e) != 0)
			return -1;
	return ioctl(md, RUN_ARRAY, NULL) != 0 ? err_sys(e, "run the pair") : 0;
}

/* What was left behind gets again what the other has, while the machine goes on. */
static void bring_up(int md, const struct found *f, const enum md_use *use)
{
	struct err e = ERR_INIT;

	for (size_t i = 0; i < f->n; i++) {
		if (use[i] == MD_STRANGE)
			console_alarm(
			    "RAID: the disk %s was used without the other one: it is left "
			    "out",
			    f->serial[i]);
		if (use[i] != MD_BEHIND)
			continue;
		if (add_disk(md, f, i, &e) != 0)
			(void)console_error(&e);
		else
			console_alarm("RAID: the disk %s was left behind, and is brought up again",
				      f->serial[i]);
	}
	if (f->n < MD_DISKS)
		console_alarm("RAID: ONE DISK OF TWO IS MISSING; there is %s", f->serial[0]);
}

static int start(const struct found *f, struct err *e)
{
	enum md_use use[FOUND];
	int md SCOPED(fd_closep) = -1, again SCOPED(fd_closep) = -1;

	md_judge(f->m, f->n, use);
	for (size_t i = 0; i < f->n; i++)
		drop_partitions(f->path[i]);
	if (make_device(e) != 0)
		return -1;
	md = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (md < 0)
		return err_sys(e, "open " DEVICE);
	if (run(md, f, use, e) != 0)
		return -1;
	bring_up(md, f, use);
	/* its partitions are found when it is opened */
	again = open(DEVICE, O_RDONLY | O_CLOEXEC);
	(void)ioctl(again, BLKRRPART, 0);
	return 0;
}

static bool is_there(const char *partuuid)
{
	char *path SCOPED(mem_freep) = mem_format("/dev/disk/by-partuuid/%s", partuuid);

	return access(path, F_OK) == 0;
}

/* Whether to wait on; else the disks of a pair that are there. */
static bool look_again(const char *partuuid, uint64_t began, uint64_t *first, struct found *f)
{
	const bool there = is_there(partuuid); /* before the disks are looked at: it is on one */
	struct err quiet = ERR_INIT;

	if (look(f, &quiet) != 0)
		return clock_mono_ms() - began < WAIT_ALL;
	if (f->n > 0 && *first == 0)
		*first = clock_mono_ms();
	if (f->n >= MD_DISKS || (f->n == 0 && there))
		return false;
	return clock_mono_ms() - (f->n > 0 ? *first : began) < (f->n > 0 ? WAIT_OTHER : WAIT_ALL);
}

int program_assemble(char *const *args)
{
	const uint64_t began = clock_mono_ms();
	uint64_t first = 0;
	struct found f SCOPED(found_release) = {0};
	struct err e = ERR_INIT;

	if (args[0] == NULL)
		return 2;
	while (look_again(args[0], began, &first, &f)) {
		found_release(&f);
		f.strange = false;
		console_wait(TURN);
	}
	if (f.n == 0)
		return 0;
	if (f.strange || f.n > MD_DISKS) {
		(void)err_set(&e, ERR_BUSY, "RAID: there are disks of more than one pair");
		(void)err_hint(&e, "Take out those that are not of this machine.");
		return console_error(&e);
	}
	return start(&f, &e) != 0 ? console_error(&e) : 0;
}
