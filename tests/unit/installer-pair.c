/* installer: which disks are this machine's own and of its pair, by their tables, by what their
 * installer wrote and by what RAID has at their ends; and which ones the kernel has already. */
#include "harden-lib.h"

#include "installer/hold.h"
#include "installer/pair.h"
#include "installer/target.h"
#include "sys/gpt.h"
#include <endian.h>
#include <linux/raid/md_p.h>
#include <sys/mman.h>

enum { SECTOR = 512, SIZE = 4 << 20, SITE_AT = 2048, SUPER_AT = SIZE - 16 * SECTOR, TABLE = 128 };

#define RUN_1 "11111111111111111111111111111111"
#define RUN_2 "22222222222222222222222222222222"
#define ROOT  "00112233-4455-6677-8899-aabbccddeeff"
#define OTHER "00112233-4455-6677-8899-aabbccddee00"

static uint32_t crc(const uint8_t *p, size_t n)
{
	uint32_t v = ~0U;

	for (size_t i = 0; i < n * 8; i++) {
		v ^= i % 8 == 0 ? p[i / 8] : 0;
		v = (v & 1) != 0 ? v >> 1 ^ 0xedb88320 : v >> 1;
	}
	return ~v;
}

static void put32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

static void add_part(uint8_t *entry, const char *id, uint32_t at, const char *name)
{
	static const uint8_t uuid[16] = {0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66,
					 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};

	memset(entry, 1, 16);
	memcpy(entry + 16, uuid, sizeof(uuid));
	entry[31] = strcmp(id, ROOT) == 0 ? 0xff : 0;
	put32(entry + 32, at);
	put32(entry + 40, at + 7);
	for (size_t i = 0; name[i] != '\0'; i++)
		entry[56 + 2 * i] = (uint8_t)name[i];
}

/* A table with the partitions root and site. */
static void put_table(int fd)
{
	uint8_t h[SECTOR] = "EFI PART", table[4 * TABLE] = {0};

	add_part(table, ROOT, 1024, "root");
	add_part(table + TABLE, OTHER, SITE_AT, "site");
	put32(h + 12, 92);
	put32(h + 24, 1);
	put32(h + 72, 2);
	put32(h + 80, 4);
	put32(h + 84, TABLE);
	put32(h + 88, crc(table, sizeof(table)));
	put32(h + 16, crc(h, 92));
	assert_int_equal(pwrite(fd, h, sizeof(h), SECTOR), sizeof(h));
	assert_int_equal(pwrite(fd, table, sizeof(table), 2 * SECTOR), sizeof(table));
}

static void put_site(int fd, const char *run, size_t disks)
{
	char *text SCOPED(mem_freep) = mem_format("shop=1\nhostname=a\nrun=%s\nmachine-id=" RUN_1
						  "\ncontents=" RUN_1 RUN_1 "\ndisk=A\n%s",
						  run, disks > 1 ? "disk=B\n" : "");

	assert_true(pwrite(fd, text, strlen(text), SITE_AT * SECTOR) == (ssize_t)strlen(text));
}

static struct md_member member(const char *run, unsigned number)
{
	struct md_member m = {.size = 1 << 20, .events = 1, .number = number};

	memset(m.set, *run == '1' ? 0x11 : 0x22, sizeof(m.set));
	return m;
}

static int disk(const char *run, size_t disks)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);
	const struct md_member m = member(run, 0);
	struct err e = ERR_INIT;

	assert_true(fd >= 0 && ftruncate(fd, SIZE) == 0);
	put_table(fd);
	put_site(fd, run, disks);
	if (disks > 1)
		assert_int_equal(md_put(fd, SIZE, &m, &e), 0);
	return fd;
}

static enum pair_kind kind(int fd)
{
	return pair_look(fd, SIZE, ROOT).kind;
}

static void a_partition_has_the_kernels_name(void **state)
{
	int fd SCOPED(fd_closep) = disk(RUN_1, 1);
	struct err e = ERR_INIT;
	struct gpt g;

	(void)state;
	assert_int_equal(gpt_read(fd, &g, &e), 0);
	assert_string_equal(g.v[0].id.s, ROOT);
	assert_ptr_equal(gpt_with_id(&g, OTHER), gpt_named(&g, "site"));
	assert_null(gpt_with_id(&g, "00112233-4455-6677-8899-aabbccddee"));
}

static void a_disk_is_what_all_of_it_says(void **state)
{
	int one SCOPED(fd_closep) = disk(RUN_1, 1), two SCOPED(fd_closep) = disk(RUN_1, 2);
	const struct md_member m = member(RUN_1, 0), strange = member(RUN_2, 0);
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(kind(one), PAIR_SINGLE);
	assert_int_equal(kind(two), PAIR_MEMBER);
	/* another image's */
	assert_int_equal(pair_look(two, SIZE, RUN_2).kind, PAIR_NONE);
	/* of a single disk, and what an earlier life has left at its end */
	assert_int_equal(md_put(one, SIZE, &m, &e), 0);
	assert_int_equal(kind(one), PAIR_SINGLE);
	/* not of the installation that wrote the rest of it */
	assert_int_equal(md_put(two, SIZE, &strange, &e), 0);
	assert_int_equal(kind(two), PAIR_BROKEN);
	assert_true(pwrite(two, "0123", 4, SUPER_AT) == 4);
	assert_int_equal(kind(two), PAIR_BROKEN);
}

/* Who the machine is cannot be read: of a pair it is no single disk. */
static void not_alone_what_is_of_a_pair(void **state)
{
	int one SCOPED(fd_closep) = disk(RUN_1, 1), two SCOPED(fd_closep) = disk(RUN_1, 2);

	(void)state;
	assert_true(pwrite(one, "\1", 1, SITE_AT * SECTOR + 2) == 1);
	assert_int_equal(kind(one), PAIR_SINGLE);
	assert_true(pwrite(two, "\1", 1, SITE_AT * SECTOR + 2) == 1);
	assert_int_equal(kind(two), PAIR_BROKEN);
}

/* A flipped bit anywhere in what RAID has of it, as in the number of its events. */
static void not_one_with_a_damaged_end(void **state)
{
	struct md_member m;

	(void)state;
	for (size_t i = 0; i < 256 + 4; i++) {
		int fd SCOPED(fd_closep) = disk(RUN_1, 2);
		uint8_t c;

		assert_true(md_get(fd, SIZE, &m));
		assert_int_equal(pread(fd, &c, 1, (off_t)(SUPER_AT + i)), 1);
		c ^= 1;
		assert_int_equal(pwrite(fd, &c, 1, (off_t)(SUPER_AT + i)), 1);
		if (md_get(fd, SIZE, &m))
			fail_msg("byte %zu", i);
		assert_int_equal(kind(fd), PAIR_BROKEN);
	}
}

static void waits_for_the_other_and_for_a_second_one(void **state)
{
	struct pair_wait w = {0}, single = {0}, two = {0};

	(void)state;
	assert_true(pair_waits(&w, 0, false, 5));
	assert_true(pair_waits(&w, 0, false, 60004));
	assert_true(pair_waits(&w, 1, true, 60010));
	assert_true(pair_waits(&w, 1, true, 70009));
	assert_false(pair_waits(&w, 1, true, 70010));
	assert_false(pair_waits(&two, 2, true, 5));
	/* a single one is not taken at the first look */
	assert_true(pair_waits(&single, 0, true, 5));
	assert_true(pair_waits(&single, 0, true, 1004));
	assert_false(pair_waits(&single, 0, true, 1005));
	assert_false(pair_waits(&(struct pair_wait){.since = 5}, 0, false, 60005));
}

/* Of two disks that were written one has its first block, the other has not. */
static void not_one_that_was_not_finished(void **state)
{
	int fd SCOPED(fd_closep) = disk(RUN_1, 2);
	static const char mark[] = "posmedia-install 1\nwritten\n";

	(void)state;
	assert_int_equal(pwrite(fd, mark, strlen(mark), 0), strlen(mark));
	assert_int_equal(kind(fd), PAIR_UNFINISHED);
}

static const struct {
	enum pair_kind v[3];
	char set[4]; /* of a member: whose it is */
	int rc;
	const char *says;
} rows[] = {
    {{PAIR_SINGLE}, "1", 0, ""},
    {{PAIR_MEMBER}, "1", 0, ""},
    {{PAIR_MEMBER, PAIR_MEMBER}, "11", 0, ""},
    {{PAIR_MEMBER, PAIR_MEMBER}, "12", -1, "more than one pair"},
    {{PAIR_MEMBER, PAIR_MEMBER, PAIR_MEMBER}, "111", -1, "more than one pair"},
    {{PAIR_SINGLE, PAIR_MEMBER}, "11", -1, "a disk beside it with the same system"},
    {{PAIR_MEMBER, PAIR_UNFINISHED}, "11", 0, ""},
    {{PAIR_MEMBER, PAIR_BROKEN}, "11", 0, ""},
    {{PAIR_BROKEN}, "1", -1, "made as one of two, and is none now"},
    {{PAIR_UNFINISHED, PAIR_SINGLE}, "11", 0, ""},
    {{PAIR_SINGLE, PAIR_SINGLE}, "11", -1, "more than one disk with this system"},
    {{PAIR_SINGLE, PAIR_BROKEN}, "11", -1, "made as one of two, and is none now"},
};

static void a_pair_is_not_two_of_strangers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair_disk v[3];
		struct err e = ERR_INIT;
		size_t n = strlen(rows[i].set);

		for (size_t k = 0; k < n; k++)
			v[k] = (struct pair_disk){rows[i].v[k],
						  member(rows[i].set[k] == '1' ? RUN_1 : RUN_2, 0)};
		if (pair_check(v, n, &e) != rows[i].rc || strstr(e.msg, rows[i].says) == NULL)
			fail_msg("row %zu: %s", i, e.msg);
	}
}

/* calc_sb_1_csum() of Linux. */
static uint32_t sum_of(const struct mdp_superblock_1 *s, const uint16_t roles[3])
{
	uint32_t words[64];
	uint64_t sum = roles[0] + ((uint32_t)roles[1] << 16) + roles[2];

	memcpy(words, s, sizeof(words));
	words[54] = 0;
	for (size_t i = 0; i < 64; i++)
		sum += le32toh(words[i]);
	return (uint32_t)sum + (uint32_t)(sum >> 32);
}

/* As the kernel has it after a third disk has come in the place of the second. */
static void a_new_disk_in_the_place_of_another(void **state)
{
	static const uint16_t roles[2][3] = {{0, 0xfffe, 1}, {0, 0xfffe, 0xffff}};
	int fd SCOPED(fd_closep) = disk(RUN_1, 2);
	struct md_member m;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct mdp_superblock_1 s;

		assert_int_equal(pread(fd, &s, sizeof(s), SUPER_AT), sizeof(s));
		s.dev_number = htole32(2);
		s.max_dev = htole32(3);
		s.sb_csum = htole32(sum_of(&s, roles[i]));
		assert_int_equal(pwrite(fd, &s, sizeof(s), SUPER_AT), sizeof(s));
		assert_int_equal(pwrite(fd, roles[i], sizeof(roles[i]), SUPER_AT + sizeof(s)),
				 sizeof(roles[i]));
		assert_true(md_get(fd, SIZE, &m));
		assert_int_equal(m.number, i == 0 ? 1 : MD_DISKS);
		assert_true(m.active[0]);
		assert_int_equal(m.active[1], i == 0);
		s.dev_number = htole32(3);
		s.sb_csum = htole32(sum_of(&s, roles[i]));
		assert_int_equal(pwrite(fd, &s, sizeof(s), SUPER_AT), sizeof(s));
		assert_false(md_get(fd, SIZE, &m));
		/* more than there is room for in what is read */
		s.max_dev = htole32(200);
		assert_int_equal(pwrite(fd, &s, sizeof(s), SUPER_AT), sizeof(s));
		assert_false(md_get(fd, SIZE, &m));
	}
}

static void what_others_hold_is_seen(void **state)
{
	struct rootfs t = rootfs_make();
	char name[HOLD_NAME];

	(void)state;
	put(&t, "sda/size", "9\n", 0644);
	put(&t, "sdb/holders/dm-0", "", 0644);
	put(&t, "sdc/holders/md127", "", 0644);
	assert_int_equal(hold_find(t.path, "sda", name), HOLD_NOT);
	assert_int_equal(hold_find(t.path, "sdb", name), HOLD_NOT);
	assert_int_equal(hold_find(t.path, "sdc", name), HOLD_WAITS);
	put(&t, "md127/md/array_state", "inactive\n", 0644);
	assert_int_equal(hold_find(t.path, "sdc", name), HOLD_WAITS);
	put(&t, "md127/md/array_state", "read-auto\n", 0644);
	assert_int_equal(hold_find(t.path, "sdc", name), HOLD_RUNS);
	assert_string_equal(name, "md127");
	/* of what is not there nothing is ended */
	assert_false(hold_end_all(t.path, "sdb"));
	assert_false(hold_end_all(t.path, "none"));
	rootfs_drop(&t);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_partition_has_the_kernels_name),
	    cmocka_unit_test(a_disk_is_what_all_of_it_says),
	    cmocka_unit_test(not_one_that_was_not_finished),
	    cmocka_unit_test(not_alone_what_is_of_a_pair),
	    cmocka_unit_test(not_one_with_a_damaged_end),
	    cmocka_unit_test(waits_for_the_other_and_for_a_second_one),
	    cmocka_unit_test(a_pair_is_not_two_of_strangers),
	    cmocka_unit_test(a_new_disk_in_the_place_of_another),
	    cmocka_unit_test(what_others_hold_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
