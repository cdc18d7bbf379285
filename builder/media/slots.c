#include "media/slots.h"

#include "base/fault.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOCK_TRIES = 30, LOCK_NAP_US = 100000 };

void slots_close(struct slots *s)
{
	free(s->path);
	if (s->fd >= 0)
		(void)close(s->fd);
	s->path = NULL;
	s->fd = -1;
}

static int find_parts(struct slots *s, struct err *e)
{
	static const char *const words[SLOT_PARTS] = {"boot", "root", "verity"};
	const struct gpt_part *p = gpt_named(&s->table, "state");

	for (int slot = 0; slot < SLOTS && p != NULL; slot++) {
		for (size_t i = 0; i < SLOT_PARTS && p != NULL; i++) {
			char *name SCOPED(mem_freep) = slot_part(words[i], slot);

			p = gpt_named(&s->table, name);
			if (p != NULL)
				s->part[slot][i] = *p;
		}
	}
	if (p != NULL) {
		s->state = *gpt_named(&s->table, "state");
		if (s->state.size >= SLOT_STATE_SIZE)
			return 0;
	}
	(void)err_set(e, ERR_USAGE, "%s has no two slots", s->path);
	return err_hint(e, "Disks with a second root are made by posmedia media --slots 2.");
}

static int read_sector(struct slots *s, uint64_t at, struct slot_state *ret, struct err *e)
{
	char sector[SLOT_SECTOR];

	if (pread(s->fd, sector, sizeof(sector), (off_t)(s->state.at + at)) !=
	    (ssize_t)sizeof(sector))
		return err_sys(e, "read %s", s->path);
	return slot_state_parse(sector, ret, e) != 0 ? err_in(e, "%s", s->path) : 0;
}

/* One of the two sectors is enough. The second is another also where a death came between them, and
 * is none on a disk of before there was one. */
static int read_state(struct slots *s, struct err *e)
{
	char block[SLOT_RECORD];
	struct slot_state second = {.good = SLOT_NONE};
	struct err quiet = ERR_INIT;
	bool has = read_sector(s, SLOT_SECOND_AT, &second, &quiet) == 0;

	if (read_sector(s, SLOT_SECTOR_AT, &s->s, e) == 0) {
		s->mend = !has || second.good != s->s.good;
	} else if (!has) {
		return -1;
	} else {
		log_warn("%s; a copy of it says that %s is good", e->msg, slot_word(second.good));
		*e = (struct err)ERR_INIT;
		s->s = (struct slot_state){.good = second.good, .tried = SLOT_NONE};
		s->mend = true;
	}
	for (int i = 0; i < SLOTS; i++) {
		const uint64_t at = s->state.at + slot_record_at(i);

		if (pread(s->fd, block, sizeof(block), (off_t)at) != (ssize_t)sizeof(block))
			return err_sys(e, "read %s", s->path);
		s->known[i] = slot_record_parse(block, &s->record[i]) == 0;
	}
	return 0;
}

/* udev looks at a disk, and holds it, whenever somebody has closed it who could write. */
static int lock_disk(int fd)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -1;
		(void)usleep(LOCK_NAP_US);
	}
	return -1;
}

static int open_disk(struct slots *s, bool write, struct err *e)
{
	struct stat st;

	s->fd = open(s->path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (s->fd < 0 || fstat(s->fd, &st) != 0)
		return err_sys(e, "%s", s->path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(e, ERR_USAGE, "%s: neither a file nor a disk", s->path);
	if (S_ISBLK(st.st_mode)) /* a partition of it has pages of its own */
		(void)ioctl(s->fd, BLKFLSBUF, 0);
	if (write && lock_disk(s->fd) != 0)
		return err_set(e, ERR_BUSY, "%s is held by another program", s->path);
	return 0;
}

int slots_sync(struct slots *s, struct err *e)
{
	if (fsync(s->fd) != 0)
		return err_sys(e, "write %s to the disk", s->path);
	(void)ioctl(s->fd, BLKFLSBUF, 0);
	(void)posix_fadvise(s->fd, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

static int put(struct slots *s, const void *p, size_t n, uint64_t at, struct err *e)
{
	if (pwrite(s->fd, p, n, (off_t)at) != (ssize_t)n)
		return err_sys(e, "write %s", s->path);
	return slots_sync(s, e);
}

int slots_set(struct slots *s, const struct slot_state *state, struct err *e)
{
	const struct slot_state second = {.good = state->good, .tried = SLOT_NONE};
	char sector[SLOT_SECTOR];

	slot_state_write(state, sector);
	fault_point("slot-state");
	if (put(s, sector, sizeof(sector), s->state.at + SLOT_SECTOR_AT, e) != 0)
		return -1;
	fault_point("slot-state-written");
	slot_state_write(&second, sector);
	if (put(s, sector, sizeof(sector), s->state.at + SLOT_SECOND_AT, e) != 0)
		return -1;
	s->s = *state;
	s->mend = false;
	return 0;
}

/* What is wrong with one of the two sectors is put right before anything else is done. */
static int mend(struct slots *s, struct err *e)
{
	const struct slot_state is = s->s;

	return s->mend ? slots_set(s, &is, e) : 0;
}

int slots_open(const char *path, bool write, struct slots *ret, struct err *e)
{
	struct slots s = {.path = mem_strdup(path), .fd = -1};

	if (open_disk(&s, write, e) == 0) {
		if (gpt_read(s.fd, &s.table, e) != 0) {
			(void)err_in(e, "%s", path);
		} else if (find_parts(&s, e) == 0 && read_state(&s, e) == 0 &&
			   (!write || mend(&s, e) == 0)) {
			*ret = s;
			return 0;
		}
	}
	slots_close(&s);
	return -1;
}

int slots_set_record(struct slots *s, int slot, const struct slot_record *r, struct err *e)
{
	char block[SLOT_RECORD] = "";

	if (r != NULL)
		slot_record_write(r, block);
	fault_point("slot-record");
	if (put(s, block, sizeof(block), s->state.at + slot_record_at(slot), e) != 0)
		return -1;
	fault_point("slot-record-written");
	s->known[slot] = r != NULL;
	if (r != NULL)
		s->record[slot] = *r;
	return 0;
}

int slots_mark_good(struct slots *s, int slot, struct err *e)
{
	const struct slot_state state = {.good = slot, .tried = SLOT_NONE};

	return slots_set(s, &state, e);
}
