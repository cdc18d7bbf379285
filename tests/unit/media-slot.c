/* media/slot: what the boot loader and we say of slots to one another; media/slots: which one runs;
 * media/update_plan and media/verity: which blocks are there, and whose they are. */
#include "harden-lib.h"

#include "media/slot_what.h"
#include "media/slots.h"
#include "media/update_plan.h"
#include "media/verity.h"

#define HEAD "# GRUB Environment Block\n"

static void sector_of(const char *text, char *sector)
{
	memset(sector, '#', SLOT_SECTOR);
	memcpy(sector, text, strlen(text));
}

static void says_which_slot_starts(void **state)
{
	const struct slot_state s = {SLOT_A, SLOT_B, 3};
	struct slot_state r;
	char sector[SLOT_SECTOR], wanted[SLOT_SECTOR];
	struct err e = ERR_INIT;

	(void)state;
	slot_state_write(&s, sector);
	sector_of(HEAD "good=a\ntry=b\ntries=3\n", wanted);
	assert_memory_equal(sector, wanted, SLOT_SECTOR);
	assert_int_equal(slot_state_parse(sector, &r, &e), 0);
	assert_int_equal(r.good, SLOT_A);
	assert_int_equal(r.tried, SLOT_B);
	assert_int_equal(r.tries, 3);
	/* as GRUB leaves it, and with what others keep there */
	sector_of(HEAD "good=b\nmenu=x y\ntry=a\ntries=0\n", sector);
	assert_int_equal(slot_state_parse(sector, &r, &e), 0);
	assert_int_equal(r.good, SLOT_B);
	assert_int_equal(r.tries, 0);
	sector_of(HEAD "good=b\n", sector);
	assert_int_equal(slot_state_parse(sector, &r, &e), 0);
	assert_int_equal(r.tried, SLOT_NONE);
}

static void refuses_what_no_slot_is(void **state)
{
	static const char *const texts[] = {
	    "",
	    "good=a\n",
	    HEAD,
	    HEAD "good=c\n",
	    HEAD "try=b\ntries=3\n",
	    HEAD "good=a\ntry=a\ntries=3\n",
	    HEAD "good=a\ntry=b\ntries=4\n",
	    HEAD "good=a\ntry=b\ntries=-1\n",
	    HEAD "good=a\ntries=2\n",
	    HEAD "good=a\nnothing\n",
	};
	char sector[SLOT_SECTOR];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct slot_state r;
		struct err e = ERR_INIT;

		sector_of(texts[i], sector);
		if (slot_state_parse(sector, &r, &e) == 0)
			fail_msg("row %zu is taken", i);
		assert_int_equal(e.kind, ERR_VERIFY);
	}
	memset(sector, 0, sizeof(sector));
	memcpy(sector, HEAD "good=a\n", strlen(HEAD "good=a\n"));
	assert_int_equal(slot_state_parse(sector, &(struct slot_state){0}, &(struct err)ERR_INIT),
			 -1);
}

static void knows_a_record_by_its_sum(void **state)
{
	struct slot_record r = {.blocks = 7, .boot = 1 << 24, .arch = "amd64"}, is;
	char block[SLOT_RECORD];

	(void)state;
	r.image = digest_of("i", 1);
	r.top = digest_of("t", 1);
	r.salt = digest_of("s", 1);
	r.kernel = digest_of("k", 1);
	r.created = 5;
	slot_name("localhost/till:1", r.name);
	slot_record_write(&r, block);
	assert_int_equal(slot_record_parse(block, &is), 0);
	assert_true(digest_equal(&is.image, &r.image) && digest_equal(&is.top, &r.top) &&
		    digest_equal(&is.salt, &r.salt));
	assert_int_equal(is.blocks, 7);
	assert_int_equal(is.boot, 1 << 24);
	assert_string_equal(is.arch, "amd64");
	assert_string_equal(is.name, "localhost/till");
	assert_int_equal(is.created, 5);
	assert_true(digest_equal(&is.kernel, &r.kernel));
	block[100] ^= 1;
	assert_int_equal(slot_record_parse(block, &is), -1);
	memset(block, 0, sizeof(block));
	assert_int_equal(slot_record_parse(block, &is), -1);
}

static void knows_which_slot_runs(void **state)
{
	(void)state;
	assert_int_equal(slot_parse_cmdline("a=b ro posmedia.slot=b posmedia.try=2 quiet\n"),
			 SLOT_B);
	assert_int_equal(slot_parse_cmdline("posmedia.slot=a\n"), SLOT_A);
	assert_int_equal(slot_parse_cmdline("posmedia.slot=c ro\n"), SLOT_NONE);
	assert_int_equal(slot_parse_cmdline("xposmedia.slot=a root=x\n"), SLOT_NONE);
}

/* A sysfs with a device of device-mapper below which are these two. */
static void put_sysfs(const struct rootfs *t, const char *name, const char *root, const char *hash)
{
	put(t, "block/dm-1/dm/name", name, 0644);
	put(t, "devices/pci/vda/vda5/partition", "5\n", 0644);
	put(t, "devices/pci/vda/vda6/partition", "6\n", 0644);
	put(t, "devices/pci/vdb/vdb6/partition", "6\n", 0644);
	(void)mkdirat(t->fd, "block/dm-1/slaves", 0755);
	assert_int_equal(symlinkat(root, t->fd, "block/dm-1/slaves/root"), 0);
	assert_int_equal(symlinkat(hash, t->fd, "block/dm-1/slaves/hash"), 0);
}

static void finds_the_disk_below_the_root(void **state)
{
	static const struct {
		const char *name, *root, *hash, *wanted;
	} rows[] = {
	    {"posmedia-root\n", "vda/vda5", "vda/vda6", "vda"},
	    {"posmedia-root\n", "vda/vda5", "vdb/vdb6", NULL},
	    {"posmedia-root\n", "vda", "vda/vda6", NULL},
	    {"posmedia-usr2\n", "vda/vda5", "vda/vda6", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rootfs t = rootfs_make();
		char *root SCOPED(mem_freep) = mem_format("../../../devices/pci/%s", rows[i].root);
		char *hash SCOPED(mem_freep) = mem_format("../../../devices/pci/%s", rows[i].hash);
		char *disk SCOPED(mem_freep) = NULL;
		struct err e = ERR_INIT;

		put_sysfs(&t, rows[i].name, root, hash);
		if (rows[i].wanted == NULL) {
			assert_int_equal(slot_disk_below(t.path, &disk, &e), -1);
		} else {
			assert_int_equal(slot_disk_below(t.path, &disk, &e), 0);
			assert_string_equal(disk, rows[i].wanted);
		}
		rootfs_drop(&t);
	}
}

static void finds_blocks_that_are_there(void **state)
{
	struct digest have[40], want[4];
	uint32_t plan[4];

	(void)state;
	for (unsigned i = 0; i < 40; i++)
		have[i] = digest_of(&i, sizeof(i));
	/* the same beginning, by which they are looked for, and another end */
	want[0] = have[7];
	want[0].b[31] ^= 1;
	want[1] = have[39];
	want[2] = have[0];
	want[3] = digest_of("x", 1);
	plan_blocks(want, 4, have, 40, plan);
	assert_int_equal(plan[0], PLAN_NONE);
	assert_int_equal(plan[1], 39);
	assert_int_equal(plan[2], 0);
	assert_int_equal(plan[3], PLAN_NONE);
	plan_blocks(want, 4, have, 0, plan);
	assert_int_equal(plan[2], PLAN_NONE);
}

enum { DATA = 200, HASHES = 4 }; /* blocks; what says what they are, one above, two with leaves */

/* As veritysetup(8) lays them out. */
static void make_hashes(const struct digest *salt, const char *data, char *hashes,
			struct digest *top)
{
	struct digest *leaves = (struct digest *)(hashes + 2 * VERITY_BLOCK);

	memset(hashes, 0, HASHES * VERITY_BLOCK);
	verity_hash(salt, data, DATA, leaves);
	verity_hash(salt, hashes + 2 * VERITY_BLOCK, 2, (struct digest *)(hashes + VERITY_BLOCK));
	verity_hash(salt, hashes + VERITY_BLOCK, 1, top);
}

static void checks_hashes_up_to_the_root(void **state)
{
	static char data[DATA * VERITY_BLOCK], hashes[HASHES * VERITY_BLOCK];
	struct medium_verity v = {.there = true, .salt = digest_of("s", 1), .blocks = DATA};
	const struct digest *leaves = NULL;
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7 + i / VERITY_BLOCK);
	make_hashes(&v.salt, data, hashes, &v.top);
	assert_int_equal(slot_hash_size(DATA), HASHES * VERITY_BLOCK);
	assert_int_equal(verity_leaves(&v, hashes, sizeof(hashes), &leaves, &e), 0);
	assert_ptr_equal(leaves, hashes + 2 * VERITY_BLOCK);
	/* each level, and one that is cut off */
	for (size_t at = VERITY_BLOCK; at < sizeof(hashes); at += VERITY_BLOCK) {
		hashes[at + 5] ^= 1;
		assert_int_equal(verity_leaves(&v, hashes, sizeof(hashes), &leaves, &e), -1);
		assert_int_equal(e.kind, ERR_VERIFY);
		hashes[at + 5] ^= 1;
	}
	assert_int_equal(verity_leaves(&v, hashes, sizeof(hashes) - 1, &leaves, &e), -1);
	v.top.b[0] ^= 1;
	assert_int_equal(verity_leaves(&v, hashes, sizeof(hashes), &leaves, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(says_which_slot_starts),
	    cmocka_unit_test(refuses_what_no_slot_is),
	    cmocka_unit_test(knows_a_record_by_its_sum),
	    cmocka_unit_test(knows_which_slot_runs),
	    cmocka_unit_test(finds_the_disk_below_the_root),
	    cmocka_unit_test(finds_blocks_that_are_there),
	    cmocka_unit_test(checks_hashes_up_to_the_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
