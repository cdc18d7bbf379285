/* Any bytes as the beginning of a disk and as its end: whatever they are, somebody has the disk, or
 * nobody; and of a pair one disk is used. */
#include "fuzz.h"

#include "installer/pair.h"
#include "installer/target.h"

enum { SIZE = 2 << 20, END = 16 * 512, HEAD = 1 << 20 };

static int disk(const uint8_t *p, size_t n)
{
	const uint8_t *end = n > END ? p + n - END : p;
	const size_t end_n = n > END ? END : n;
	int fd = memfd_create("disk", MFD_CLOEXEC);

	HOLDS(fd >= 0 && ftruncate(fd, SIZE) == 0);
	n = n > HEAD ? HEAD : n;
	HOLDS(pwrite(fd, p, n, 0) == (ssize_t)n);
	HOLDS(pwrite(fd, end, end_n, SIZE - END) == (ssize_t)end_n);
	return fd;
}

static void judge(const struct md_member *m)
{
	const struct md_member both[2] = {*m, *m};
	enum md_use use[2];

	HOLDS(m->number <= MD_DISKS);
	md_judge(both, 2, use);
	HOLDS(use[0] == MD_USE);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	int fd SCOPED(fd_closep) = disk(p, n);
	struct md_member m;
	struct pair_disk d = pair_look(fd, SIZE, "ede5c870-9a5d-574a-9575-0b6c4829e153");
	struct err e = ERR_INIT;

	if (md_get(fd, SIZE, &m))
		judge(&m);
	HOLDS((d.kind == PAIR_UNFINISHED) == target_is_unfinished(fd));
	HOLDS((pair_check(&d, 1, &e) != 0) == (d.kind == PAIR_BROKEN));
	return 0;
}
