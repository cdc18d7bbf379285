#include "installer/md.h"

#include <endian.h>
#include <linux/raid/md_p.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define NAME "posmedia"

enum { SECTOR = 512, LEVEL = 1, ROLES = MD_DISKS };

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

enum { SUMMED = sizeof(struct mdp_superblock_1) + ROLES * sizeof(uint16_t) };

_Static_assert(sizeof(struct mdp_superblock_1) == 256, "layout");

/* calc_sb_1_csum() of the same file. */
static uint32_t sum_of(const union super *s)
{
	uint32_t words[SUMMED / sizeof(uint32_t)];
	uint64_t sum = 0;

	memcpy(words, s->bytes, sizeof(words));
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
	s.s.sb_csum = htole32(sum_of(&s));
	if (pwrite(fd, s.bytes, sizeof(s), (off_t)(at * SECTOR)) != (ssize_t)sizeof(s))
		return err_sys(e, "write that it is one of a pair");
	return 0;
}

bool md_get(int fd, uint64_t disk, struct md_member *ret)
{
	union super s;
	unsigned number;

	if (disk < MD_ROOM || pread(fd, s.bytes, sizeof(s), (off_t)(super_sector(disk) * SECTOR)) !=
				  (ssize_t)sizeof(s))
		return false;
	number = le32toh(s.s.dev_number);
	if (le32toh(s.s.magic) != MD_SB_MAGIC || le32toh(s.s.major_version) != 1 ||
	    memcmp(s.s.set_name, NAME, sizeof(NAME)) != 0 || le32toh(s.s.level) != LEVEL ||
	    le32toh(s.s.raid_disks) != MD_DISKS || number >= MD_DISKS ||
	    le64toh(s.s.data_offset) != 0)
		return false;
	*ret = (struct md_member){
	    .size = le64toh(s.s.size) * SECTOR, .events = le64toh(s.s.events), .number = number};
	for (unsigned i = 0; i < ROLES; i++)
		ret->active[i] = le16toh(s.s.dev_roles[i]) < MD_DISKS;
	memcpy(ret->set, s.s.set_uuid, MD_ID);
	return true;
}

void md_judge(const struct md_member *v, size_t n, enum md_use *ret)
{
	size_t best = 0;

	for (size_t i = 1; i < n; i++)
		if (v[i].events > v[best].events)
			best = i;
	for (size_t i = 0; i < n; i++) {
		const bool same = v[i].events == v[best].events;

		if (i == best ||
		    (same && v[best].active[v[i].number] && v[i].active[v[best].number]))
			ret[i] = MD_USE;
		else if (v[i].active[v[best].number] && v[i].number != v[best].number)
			ret[i] = MD_BEHIND;
		else
			ret[i] = MD_STRANGE;
	}
}
