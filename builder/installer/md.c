#include "installer/md.h"

#include <endian.h>
#include <linux/raid/md_p.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define NAME "posmedia"

enum {
	SECTOR = 512,
	LEVEL = 1,
	ROLES = MD_DISKS,
	ROLES_AT = sizeof(struct mdp_superblock_1),
	ROLES_MOST = (SECTOR - ROLES_AT) / 2, /* in the superblock's first sector */
};

/* As super_1_load() of Linux's drivers/md/md.c has it for version 1.0. */
static uint64_t super_sector(uint64_t disk)
{
	return (disk / SECTOR - 16) & ~(uint64_t)7;
}

/* The roles follow what the kernel has in front. */
union super {
	struct mdp_superblock_1 s;
	uint8_t bytes[SECTOR];
};

_Static_assert(ROLES_AT == 256, "layout");

/* calc_sb_1_csum() of the same file. */
static uint32_t sum_of(const union super *s, uint32_t roles)
{
	const size_t n = ROLES_AT + roles * sizeof(uint16_t);
	uint32_t words[SECTOR / sizeof(uint32_t)] = {0};
	uint64_t sum = 0;

	/* of an odd number of roles, the last one is half a word */
	memcpy(words, s->bytes, n);
	words[offsetof(struct mdp_superblock_1, sb_csum) / sizeof(uint32_t)] = 0;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		sum += le32toh(words[i]);
	return (uint32_t)(sum & 0xffffffff) + (uint32_t)(sum >> 32);
}

int md_put(int fd, uint64_t disk, const struct md_member *m, struct err *e)
{
	const uint64_t at = super_sector(disk);
	union super s = {.bytes = {0}};

	s.s = (struct mdp_superblock_1){.magic = htole32(MD_SB_MAGIC),
					.major_version = htole32(1),
					.set_name = NAME,
					.level = htole32(LEVEL),
					.size = htole64(m->size / SECTOR),
					.raid_disks = htole32(MD_DISKS),
					.data_size = htole64(at),
					.super_offset = htole64(at),
					.dev_number = htole32(m->number),
					.events = htole64(m->events),
					.resync_offset = htole64(~(uint64_t)0),
					.max_dev = htole32(ROLES)};
	memcpy(s.s.set_uuid, m->set, MD_ID);
	memcpy(s.s.device_uuid, m->set, MD_ID);
	s.s.device_uuid[0] = (uint8_t)(s.s.device_uuid[0] ^ (m->number + 1));
	for (unsigned i = 0; i < ROLES; i++)
		s.s.dev_roles[i] = htole16((uint16_t)i);
	s.s.sb_csum = htole32(sum_of(&s, ROLES));
	if (pwrite(fd, s.bytes, sizeof(s), (off_t)(at * SECTOR)) != (ssize_t)sizeof(s))
		return err_sys(e, "write that it is one of a pair");
	return 0;
}

/* The place of the i-th disk that the pair ever had: a new one in the place of another has a number
 * of its own. More than MD_DISKS for none. */
static unsigned place_of(const union super *s, uint32_t i)
{
	uint16_t v;

	memcpy(&v, s->bytes + ROLES_AT + i * sizeof(v), sizeof(v));
	return le16toh(v);
}

static struct md_member member_of(const union super *s, uint32_t disks)
{
	struct md_member m = {.size = le64toh(s->s.size) * SECTOR,
			      .events = le64toh(s->s.events),
			      .number = place_of(s, le32toh(s->s.dev_number))};

	if (m.number > MD_DISKS)
		m.number = MD_DISKS;
	for (uint32_t i = 0; i < disks; i++)
		if (place_of(s, i) < MD_DISKS)
			m.active[place_of(s, i)] = true;
	memcpy(m.set, s->s.set_uuid, MD_ID);
	return m;
}

bool md_get(int fd, uint64_t disk, struct md_member *ret)
{
	union super s;
	uint32_t disks;

	if (disk < MD_ROOM || pread(fd, s.bytes, sizeof(s), (off_t)(super_sector(disk) * SECTOR)) !=
				  (ssize_t)sizeof(s))
		return false;
	disks = le32toh(s.s.max_dev);
	if (le32toh(s.s.magic) != MD_SB_MAGIC || le32toh(s.s.major_version) != 1 ||
	    memcmp(s.s.set_name, NAME, sizeof(NAME)) != 0 || le32toh(s.s.level) != LEVEL ||
	    le32toh(s.s.raid_disks) != MD_DISKS || disks > ROLES_MOST ||
	    le32toh(s.s.dev_number) >= disks || le64toh(s.s.data_offset) != 0 ||
	    le32toh(s.s.sb_csum) != sum_of(&s, disks))
		return false;
	*ret = member_of(&s, disks);
	return true;
}

static bool has_place(const struct md_member *m)
{
	return m->number < MD_DISKS;
}

/* Whether each of them holds the other for good. */
static bool agree(const struct md_member *a, const struct md_member *b)
{
	return a->events == b->events && a->active[b->number] && b->active[a->number];
}

static enum md_use use_of(const struct md_member *best, const struct md_member *m)
{
	if (!has_place(m))
		return MD_BEHIND;
	if (!has_place(best) || m->number == best->number)
		return MD_STRANGE;
	if (agree(best, m))
		return MD_USE;
	return m->active[best->number] ? MD_BEHIND : MD_STRANGE;
}

void md_judge(const struct md_member *v, size_t n, enum md_use *ret)
{
	size_t best = 0;

	for (size_t i = 1; i < n; i++)
		if (has_place(&v[i]) && (!has_place(&v[best]) || v[i].events > v[best].events))
			best = i;
	for (size_t i = 0; i < n; i++)
		ret[i] = i == best ? MD_USE : use_of(&v[best], &v[i]);
}
