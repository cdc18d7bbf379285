/* slots.h - a disk with two slots: a machine's own, or a file of one. */
#ifndef MEDIA_SLOTS_H
#define MEDIA_SLOTS_H

#include "media/slot.h"
#include "sys/gpt.h"
#include <stdbool.h>

/* What a slot consists of. */
enum slot_what { SLOT_BOOT, SLOT_ROOT, SLOT_HASHES };

struct slots {
	char *path;
	int fd;
	struct gpt table;
	struct gpt_part state, part[SLOTS][SLOT_PARTS]; /* of table */
	struct slot_state s;
	bool mend; /* one of the two sectors is not as it shall be */
	struct slot_record record[SLOTS];
	bool known[SLOTS]; /* record[] is there */
};

/* Opens the disk, reads what it says of its slots, and with `write` holds it until slots_close, and
 * mends what it says where one copy is damaged: ERR_BUSY when another holds it. A disk without two
 * slots is ERR_USAGE with a hint. */
int slots_open(const char *path, bool write, struct slots *ret, struct err *e) MUST_CHECK;

/* Accepts what slots_open has left alone, when fd is -1. */
void slots_close(struct slots *s);

/* Writes which of them starts, or what is in one (NULL: nothing), and waits for the disk. What is
 * on the disk then is the old or the new, whatever happens meanwhile. */
int slots_set(struct slots *s, const struct slot_state *state, struct err *e) MUST_CHECK;
int slots_set_record(struct slots *s, int slot, const struct slot_record *r,
		     struct err *e) MUST_CHECK;

/* From now on this slot is the good one, and none is tried. */
int slots_mark_good(struct slots *s, int slot, struct err *e) MUST_CHECK;

/* What was written is on the disk, and what is read next comes from there. */
int slots_sync(struct slots *s, struct err *e) MUST_CHECK;

/* Of this machine: the disk that its root is on, and the slot that runs, by the arguments of its
 * kernel. ERR_USAGE when it runs from something else. The caller owns disk. */
struct slot_running {
	char *disk;
	int slot;
};
int slot_find_running(struct slot_running *ret, struct err *e) MUST_CHECK;

/* The slot that the text of /proc/cmdline names; SLOT_NONE. */
int slot_parse_cmdline(const char *text);

/* "vda": the disk whose partitions are below the dm-verity of the root, by what sysfs (/sys) says:
 * not by an identifier, which two disks of one medium share. The caller owns it. */
int slot_disk_below(const char *sysfs, char **ret, struct err *e) MUST_CHECK;

#endif
