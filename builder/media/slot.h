/* slot.h - two roots on one disk: which of them starts, and what each of them is. */
#ifndef MEDIA_SLOT_H
#define MEDIA_SLOT_H

#include "form/digest.h"
#include <stdint.h>

enum { SLOT_A, SLOT_B, SLOTS, SLOT_NONE = -1 };

/* How often a slot is started that nobody has called good. */
enum { SLOT_TRIES = 3 };

/* The partition "state": a FAT file system with one file, state.env, which the boot loader reads
 * and writes: one sector, at the place where mtools puts it, so that a power cut leaves the old or
 * the new. Behind the file system, a block each, what the slots are, and a second such sector, for
 * when the first cannot be read: which slot is the good one, and never one that is tried. */
enum {
	SLOT_SECTOR = 512,
	SLOT_SECTOR_AT = 12 * 512,
	SLOT_RECORD = 4096,
	SLOT_FAT_SIZE = 256 << 10,
	SLOT_SECOND_AT = 3 * SLOT_FAT_SIZE,
	SLOT_STATE_SIZE = 1 << 20,
};

/* The number of its partition, behind those of the BIOS's loader and of UEFI's, and of the first of
 * slot A; each slot has three. */
enum { SLOT_STATE_PART = 3, SLOT_FIRST_PART = 4, SLOT_PARTS = 3 };

struct slot_state {
	int good;       /* what starts when nothing is tried */
	int tried;      /* what is tried; SLOT_NONE */
	unsigned tries; /* how often still; 0 with `tried`: it has not come to be good */
};

/* "a", or "b". */
const char *slot_word(int slot);

/* The slot that a text names; SLOT_NONE. */
int slot_of(const char *word);

/* The other one. */
int slot_other(int slot);

/* "root-a": the partition `what` of a slot; the caller owns it. */
char *slot_part(const char *what, int slot) MUST_CHECK;

/* GRUB's environment block, of SLOT_SECTOR bytes. What is none is ERR_VERIFY. */
int slot_state_parse(const char *sector, struct slot_state *ret, struct err *e) MUST_CHECK;
void slot_state_write(const struct slot_state *s, char *sector);

enum { SLOT_NAME = 512 };

/* What is in a slot. What disks of before have not got of it is empty. */
struct slot_record {
	struct digest image;     /* the manifest of the image */
	struct digest top, salt; /* the root hash, and what goes before each block */
	uint64_t blocks;         /* VERITY_BLOCK each, of the root */
	uint64_t boot;           /* bytes of the file system with its kernel */
	char arch[16];           /* of the image: "amd64" */
	struct digest kernel;    /* of the file system with it (media/slot_what.h); zeros */
	char name[SLOT_NAME];    /* of the image: HOST/REPO; "" */
	int64_t created;         /* when it was made, seconds; 0 */
};

/* A block of SLOT_RECORD bytes with a sum of itself. Returns -1 when it is none. */
int slot_record_parse(const char *block, struct slot_record *ret) MUST_CHECK;
void slot_record_write(const struct slot_record *r, char *block);

/* Where in the partition "state" it is, bytes. */
uint64_t slot_record_at(int slot);

/* How large the file of a root's hashes is, bytes. */
uint64_t slot_hash_size(uint64_t blocks);

#endif
