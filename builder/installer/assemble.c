/* assemble.c - two disks as one, by the kernel's RAID: what mdadm(8) does for others, as far as it
 * is needed here, so that no image needs to have that. */
#include "installer/program.h"

#include "installer/hold.h"
#include "installer/pair.h"
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

#define NAME   "md_posmedia" /* none that others would take */
#define DEVICE "/dev/" NAME
#define TREE   "/sys/block"

enum {
	PARTITIONS = 64,
	FOUND = 8,
	TURN = 100,
	TURNS = 50, /* while somebody else has a disk */
};

/* A disk with the system that was started, or what was to become one. */
struct disk {
	struct pair_disk is;
	enum md_use use; /* of a member */
	dev_t id;
	char *path, *serial;
};

struct found {
	struct disk v[FOUND];
	size_t n, members;
};

static void found_release(struct found *f)
{
	for (size_t i = 0; i < f->n; i++) {
		mem_freep(&f->v[i].path);
		mem_freep(&f->v[i].serial);
	}
	*f = (struct found){.n = 0};
}

static bool is_member(const struct disk *d)
{
	return d->is.kind == PAIR_MEMBER;
}

static void look_at(const struct target *t, const char *partuuid, struct found *f)
{
	int fd SCOPED(fd_closep) = open(t->path, O_RDONLY | O_CLOEXEC);
	struct disk *d = &f->v[f->n];
	struct stat st;

	if (f->n == FOUND || fd < 0 || fstat(fd, &st) != 0)
		return;
	*d = (struct disk){.is = pair_look(fd, t->size, partuuid), .id = st.st_rdev};
	if (d->is.kind == PAIR_NONE)
		return;
	d->path = mem_strdup(t->path);
	d->serial = mem_strdup(t->serial);
	f->members += is_member(d) ? 1 : 0;
	f->n++;
}

static int look(const char *partuuid, struct found *f, struct err *e)
{
	struct targets t SCOPED(targets_release) = {0};

	if (targets_find("", "", &t, e) != 0)
		return -1;
	for (size_t i = 0; i < t.n; i++)
		look_at(&t.v[i], partuuid, f);
	return 0;
}

static void judge(struct found *f)
{
	struct md_member m[FOUND];
	enum md_use use[FOUND];
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		if (is_member(&f->v[i]))
			m[n++] = f->v[i].is.m;
	md_judge(m, n, use);
	n = 0;
	for (size_t i = 0; i < f->n; i++)
		if (is_member(&f->v[i]))
			f->v[i].use = use[n++];
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
		for (int turn = 0; ioctl(fd, BLKPG, &a) != 0 && errno == EBUSY && turn < TURNS;
		     turn++)
			console_wait(TURN);
	}
}

static int make_device(struct err *e)
{
	static const char path[] = "/sys/module/md_mod/parameters/new_array";
	int fd SCOPED(fd_closep) = open(path, O_WRONLY | O_CLOEXEC);
	const ssize_t n = (ssize_t)strlen(NAME);

	/* EEXIST: it is there */
	if (fd < 0 || (write(fd, NAME, (size_t)n) != n && errno != EEXIST))
		return err_sys(e, "make " DEVICE);
	return 0;
}

/* Returns 0 or an errno. */
static int add_disk(int md, const struct disk *d)
{
	mdu_disk_info_t info = {.major = (int)major(d->id), .minor = (int)minor(d->id)};

	return ioctl(md, ADD_NEW_DISK, &info) != 0 ? errno : 0;
}

enum came { DONE, AGAIN, FAILED }; /* again: somebody else had a disk */

/* What the kernel does not take, the others do without. */
static enum came drop(struct found *f, struct disk *d, int failed)
{
	console_alarm("RAID: the disk %s cannot be used: %s", d->serial, strerror(failed));
	d->is.kind = PAIR_BROKEN;
	f->members--;
	judge(f);
	return f->members > 0 ? AGAIN : FAILED;
}

/* Adds those that are to be used. Returns 0 or an errno, and which one it was. */
static int add_all(int md, struct found *f, struct disk **ret)
{
	int failed = 0;

	for (size_t i = 0; i < f->n && failed == 0; i++) {
		*ret = &f->v[i];
		if (is_member(*ret) && (*ret)->use == MD_USE)
			failed = add_disk(md, *ret);
	}
	return failed;
}

static enum came run(int md, struct found *f, struct err *e)
{
	mdu_array_info_t info = {.major_version = 1, .minor_version = 0};
	struct disk *at = NULL;
	int failed;

	if (ioctl(md, SET_ARRAY_INFO, &info) != 0) {
		(void)err_sys(e, "begin the pair");
		return FAILED;
	}
	failed = add_all(md, f, &at);
	if (failed == 0 && ioctl(md, RUN_ARRAY, NULL) == 0)
		return DONE;
	errno = failed != 0 ? failed : errno;
	(void)err_sys(e, "run the pair");
	(void)ioctl(md, STOP_ARRAY, NULL);
	if (failed == EBUSY)
		return AGAIN;
	return failed != 0 ? drop(f, at, failed) : FAILED;
}

/* What was left behind gets again what the other has, while the machine goes on. */
static void bring_up(int md, const struct disk *d)
{
	const int failed = add_disk(md, d);

	if (failed != 0)
		console_alarm("RAID: the disk %s cannot be added: %s", d->serial, strerror(failed));
	else
		console_alarm("RAID: the disk %s was left behind, and is brought up again",
			      d->serial);
}

static void tell(const struct found *f)
{
	const struct disk *used = NULL;

	for (size_t i = 0; i < f->n; i++) {
		const struct disk *d = &f->v[i];

		if (d->is.kind == PAIR_UNFINISHED)
			console_alarm("RAID: the disk %s was not installed to the end: it is left "
				      "out",
				      d->serial);
		else if (d->is.kind == PAIR_BROKEN)
			console_alarm("RAID: the disk %s is not whole as one of two: it is "
				      "left out",
				      d->serial);
		else if (is_member(d) && d->use == MD_STRANGE)
			console_alarm("RAID: the disk %s was used without the other one: it is "
				      "left out",
				      d->serial);
		else if (is_member(d) && d->use == MD_USE)
			used = d;
	}
	if (f->members < MD_DISKS && used != NULL)
		console_alarm("RAID: ONE DISK OF TWO IS MISSING; there is %s", used->serial);
}

static const char *name_of(const struct disk *d)
{
	return strrchr(d->path, '/') + 1;
}

/* A pair that others have begun and that runs is as good as ours: ret is its name. One that only
 * waits is ended, and so is one with a disk that is not to be used. */
static void clear_way(const struct found *f, char ret[HOLD_NAME])
{
	struct err quiet = ERR_INIT;
	char name[HOLD_NAME];
	bool wrong = false;

	*ret = '\0';
	for (size_t i = 0; i < f->n; i++) {
		const struct disk *d = &f->v[i];
		const enum hold h = hold_find(TREE, name_of(d), name);

		if (h == HOLD_NOT)
			continue;
		if (h == HOLD_RUNS && is_member(d) && d->use != MD_STRANGE) {
			memcpy(ret, name, HOLD_NAME);
			continue;
		}
		wrong = wrong || h == HOLD_RUNS;
		/* when it cannot be, its disks are busy, and all this comes once more */
		if (hold_end(name, &quiet) != 0)
			continue;
	}
	if (wrong)
		*ret = '\0';
}

/* With the members that are not in it yet. */
static enum came go_on(const struct found *f, const char *md, struct err *e)
{
	char *path SCOPED(mem_freep) = mem_format("/dev/%s", md);
	int fd SCOPED(fd_closep) = open(path, O_RDWR | O_CLOEXEC);
	int again SCOPED(fd_closep) = -1;
	char name[HOLD_NAME];

	if (fd < 0) {
		(void)err_sys(e, "open %s", path);
		return FAILED;
	}
	for (size_t i = 0; i < f->n; i++)
		if (is_member(&f->v[i]) && f->v[i].use != MD_STRANGE &&
		    hold_find(TREE, name_of(&f->v[i]), name) == HOLD_NOT)
			bring_up(fd, &f->v[i]);
	/* its partitions are found when it is opened */
	again = open(path, O_RDONLY | O_CLOEXEC);
	(void)ioctl(again, BLKRRPART, 0);
	return DONE;
}

static enum came start(struct found *f, struct err *e)
{
	int md SCOPED(fd_closep) = -1;
	char running[HOLD_NAME];
	enum came came;

	clear_way(f, running);
	for (size_t i = 0; i < f->n; i++)
		drop_partitions(f->v[i].path);
	if (*running != '\0')
		return go_on(f, running, e);
	if (make_device(e) != 0)
		return FAILED;
	md = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (md < 0) {
		(void)err_sys(e, "open " DEVICE);
		return FAILED;
	}
	came = run(md, f, e);
	return came == DONE ? go_on(f, NAME, e) : came;
}

static int start_pair(struct found *f)
{
	struct err e = ERR_INIT;
	enum came came;

	for (int turn = 0; (came = start(f, &e)) == AGAIN && turn < TURNS; turn++)
		console_wait(TURN);
	if (came != DONE)
		return console_error(&e);
	tell(f);
	return 0;
}

static bool is_there(const char *partuuid)
{
	char *path SCOPED(mem_freep) = mem_format("/dev/disk/by-partuuid/%s", partuuid);

	return access(path, F_OK) == 0;
}

/* Whether to wait on; else the disks that are there. */
static bool look_again(const char *partuuid, struct pair_wait *w, struct found *f)
{
	const bool there = is_there(partuuid); /* before the disks are looked at: it is on one */
	struct err quiet = ERR_INIT;

	if (look(partuuid, f, &quiet) != 0)
		found_release(f);
	return pair_waits(w, f->members, there, clock_mono_ms());
}

static int check(const struct found *f, struct err *e)
{
	struct pair_disk v[FOUND];

	for (size_t i = 0; i < f->n; i++)
		v[i] = f->v[i].is;
	return pair_check(v, f->n, e);
}

int program_assemble(char *const *args)
{
	struct pair_wait w = {0};
	struct found f SCOPED(found_release) = {.n = 0};
	struct err e = ERR_INIT;

	if (args[0] == NULL)
		return 2;
	while (look_again(args[0], &w, &f)) {
		found_release(&f);
		console_wait(TURN);
	}
	if (check(&f, &e) != 0)
		return console_error(&e);
	judge(&f);
	return f.members > 0 ? start_pair(&f) : 0;
}
