/* What is remembered of a target: kept over a saving and a loading, and believed only where it can
 * be. */
#include "apply-lib.h"

#include "apply/memory.h"

enum { MIB = 1 << 20 };

static struct apply_memory *loaded(const struct bed *b)
{
	struct apply_memory *m = NULL;
	struct err e = ERR_INIT;

	if (apply_memory_load(b->top, "memory", &m, &e) != 0)
		fail_msg("%s", e.msg);
	return m;
}

static bool is_known(const struct bed *b, const char *path)
{
	struct apply_memory *m = loaded(b);
	struct stat st = stat_of(b->dst, path);
	bool known = memory_find(m, &st) != NULL;

	apply_memory_free(m);
	return known;
}

static void some_files(const struct bed *b)
{
	put_bytes(b->src, "big", MIB, 1);
	put_bytes(b->src, "small", 100, 2);
	make_dir(b->src, "dir");
	put_text(b->src, "dir/f", "x");
	put_text(b->src, "gone", "x");
	(void)applies(b, true);
	assert_true(is_known(b, "big"));
	assert_true(is_known(b, "dir"));
	assert_true(is_known(b, "gone"));
}

static void knows_what_was_left(void **state)
{
	const struct bed *b = *state;
	struct apply_hash was, is;
	struct apply_memory *m;
	struct stat st, gone;
	struct err e = ERR_INIT;
	char block[APPLY_BLOCK];
	int fd SCOPED(fd_closep) = -1;

	some_files(b);
	gone = stat_of(b->dst, "gone");
	assert_int_equal(unlinkat(b->src, "gone", 0), 0);
	(void)applies(b, true);
	m = loaded(b);
	assert_null(memory_find(m, &gone));
	st = stat_of(b->dst, "big");
	fd = openat(b->dst, "big", O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, block, sizeof(block), 100 * APPLY_BLOCK), sizeof(block));
	is = memory_hash(m, block, sizeof(block));
	assert_int_equal(memory_get(m, memory_find(m, &st)->hashes, 100, &was, 1, &e), 0);
	assert_memory_equal(&was, &is, sizeof(is));
	apply_memory_free(m);
	set_time(b->dst, "big", st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	assert_false(is_known(b, "big")); /* ctime tells */
	assert_true(is_known(b, "small"));
}

/* Of two blocks that differ in a bit anywhere the hashes differ, and another memory has others. */
static void hashes_tell_blocks_apart(void **state)
{
	struct apply_memory *m = memory_new(), *other = memory_new();
	uint8_t block[APPLY_BLOCK] = {0};
	struct apply_hash none = memory_hash(m, block, sizeof(block)), one, two;

	(void)state;
	for (size_t bit = 0; bit < sizeof(block) * 8; bit += 7) {
		block[bit / 8] ^= (uint8_t)(1 << bit % 8);
		one = memory_hash(m, block, sizeof(block));
		two = memory_hash(other, block, sizeof(block));
		assert_memory_not_equal(&one, &none, sizeof(one));
		assert_memory_not_equal(&one, &two, sizeof(one));
		block[bit / 8] = 0;
	}
	block[5] = 1; /* what is missing counts as zeroes */
	one = memory_hash(m, block, sizeof(block));
	two = memory_hash(m, block, 6);
	assert_memory_equal(&one, &two, sizeof(one));
	apply_memory_free(m);
	apply_memory_free(other);
}

static void a_damaged_one_is_empty(void **state)
{
	const struct bed *b = *state;
	struct buf good SCOPED(buf_release) = BUF_INIT(8 * MIB);
	struct err e = ERR_INIT;
	size_t step;

	some_files(b);
	assert_int_equal(fs_get(b->top, "memory", &good, &e), 0);
	step = good.len / 50;
	for (size_t at = 0; at < good.len; at += step) {
		good.data[at] ^= 4;
		assert_int_equal(fs_put(b->top, "memory", good.data, good.len, 0600, &e), 0);
		good.data[at] ^= 4;
		assert_false(is_known(b, "big"));
		assert_int_equal(fs_put(b->top, "memory", good.data, at, 0600, &e), 0);
		assert_false(is_known(b, "big"));
	}
	assert_int_equal(fs_put(b->top, "memory", good.data, good.len, 0600, &e), 0);
	assert_true(is_known(b, "big"));
	assert_int_equal(fs_put(b->top, "memory", good.data, good.len, 0620, &e), 0);
	assert_int_equal(fchmodat(b->top, "memory", 0620, 0), 0);
	assert_false(is_known(b, "big"));
	assert_int_equal(unlinkat(b->top, "memory", 0), 0);
	make_dir(b->top, "memory");
	assert_false(is_known(b, "big"));
	assert_int_equal(unlinkat(b->top, "memory", AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat("dst/big", b->top, "memory"), 0);
	assert_false(is_known(b, "big"));
	assert_int_equal(unlinkat(b->top, "memory", 0), 0);
	(void)applies(b, true);
	assert_true(is_known(b, "big"));
}

/* A run that fails remembers what it did, and what it did not touch. */
static void a_failed_run_forgets_nothing(void **state)
{
	const struct bed *b = *state;
	struct manifest want SCOPED(manifest_release) = {0};
	struct apply_opts o = {.threads = 1};
	struct apply_content c = {0};
	struct apply_result r;
	struct err e = ERR_INIT;

	some_files(b);
	put_at(b->src, "big", "other", 5, 0); /* the biggest comes first */
	put_text(b->src, "vanishes", "x");
	want = manifest_of(b->src);
	assert_int_equal(unlinkat(b->src, "vanishes", 0), 0);
	o.memory = loaded(b);
	assert_int_equal(apply_content_of_dir(b->src, &want, &c, &e), 0);
	assert_int_equal(apply_tree(&want, &c, b->dst, &o, &r, &e), -1);
	assert_int_equal(apply_memory_save(o.memory, b->top, "memory", &e), 0);
	apply_memory_free(o.memory);
	apply_content_free(&c);
	assert_true(is_known(b, "big"));
	assert_true(is_known(b, "small"));
	assert_true(is_known(b, "dir/f"));
}

static struct apply_result fills_in(const struct bed *b)
{
	struct manifest src SCOPED(manifest_release) = manifest_of(b->src);
	struct digest root = manifest_root(&src);
	struct run run = {.memory = true, .unread = true};

	if (run_apply(b, &run) != 0)
		fail_msg("%s", run.e.msg);
	assert_true(digest_equal(&run.root, &root));
	assert_int_equal(differences(b), 0);
	return run.r;
}

/* Of contents that nobody read before the same is written as of those that are known. */
static void what_is_unread_is_filled_in(void **state)
{
	const struct bed *b = *state;
	struct apply_result r;
	struct stat st;

	put_bytes(b->src, "big", MIB, 1);
	put_bytes(b->src, "middle", 5 * APPLY_BLOCK + 1, 1);
	put_bytes(b->src, "small", 100, 2);
	put_text(b->src, "empty", "");
	assert_int_equal(linkat(b->src, "middle", b->src, "other", 0), 0);
	r = fills_in(b);
	assert_int_equal(r.made, 5);
	r = fills_in(b);
	assert_int_equal(r.made + r.changed + r.removed, 0);
	assert_int_equal(r.bytes_written, 0);
	/* size and time say nothing */
	st = stat_of(b->src, "small");
	put_at(b->src, "small", "X", 1, 50);
	set_time(b->src, "small", st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	st = stat_of(b->src, "big");
	put_at(b->src, "big", "X", 1, 70 * APPLY_BLOCK);
	set_time(b->src, "big", st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	r = fills_in(b);
	assert_int_equal(r.changed, 2);
	assert_int_equal(r.bytes_written, APPLY_BLOCK + 100);
	/* nor is the target believed, where something happened to it */
	put_at(b->dst, "small", "Y", 1, 50);
	put_at(b->dst, "middle", "Y", 1, 0);
	assert_int_equal(unlinkat(b->top, "memory", 0), 0);
	r = fills_in(b);
	assert_int_equal(r.bytes_written, APPLY_BLOCK + 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(knows_what_was_left, bed_setup, bed_teardown),
	    cmocka_unit_test(hashes_tell_blocks_apart),
	    cmocka_unit_test_setup_teardown(a_damaged_one_is_empty, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(a_failed_run_forgets_nothing, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(what_is_unread_is_filled_in, bed_setup, bed_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
