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

/* Whether a file of the target, as if its state were `st`, is what was written. */
static bool holds(const struct bed *b, const char *path, const struct stat *st, struct digest *ret)
{
	struct apply_memory *m = loaded(b);
	int fd = openat(b->dst, path, O_RDONLY | O_CLOEXEC);
	bool is = apply_memory_holds(m, fd, st, ret);

	assert_int_equal(close(fd), 0);
	apply_memory_free(m);
	return is;
}

static void vouches_for_each_byte(void **state)
{
	static const off_t places[] = {0, 4095, 4096, 262143, 262144, MIB, MIB + 4999};
	const struct bed *b = *state;
	struct manifest src SCOPED(manifest_release) = {0};
	struct stat st;
	struct digest d;

	put_bytes(b->src, "big", MIB + 5000, 1);
	put_bytes(b->src, "small", 100, 2);
	(void)applies(b, true);
	st = stat_of(b->dst, "big");
	src = manifest_of(b->src);
	assert_true(holds(b, "big", &st, &d));
	assert_true(digest_equal(&d, &manifest_find(&src, "big")->digest));
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int fd SCOPED(fd_closep) = openat(b->dst, "big", O_RDONLY | O_CLOEXEC);
		uint8_t byte;

		assert_int_equal(pread(fd, &byte, 1, places[i]), 1);
		byte ^= 1;
		put_at(b->dst, "big", &byte, 1, places[i]);
		/* as a disk that forgets: no time tells */
		assert_false(holds(b, "big", &st, &d));
		byte ^= 1;
		put_at(b->dst, "big", &byte, 1, places[i]);
		assert_true(holds(b, "big", &st, &d));
	}
	/* shorter, and of another state */
	set_size(b->dst, "big", MIB);
	assert_false(holds(b, "big", &st, &d));
	st = stat_of(b->dst, "big");
	assert_false(holds(b, "big", &st, &d));
	st = stat_of(b->dst, "small");
	assert_false(holds(b, "small", &st, &d));
}

struct looking {
	const struct bed *b;
	unsigned looked;
	int rc;
};

static int look(void *ctx, struct err *e)
{
	struct looking *l = ctx;

	l->looked++;
	assert_int_equal(stat_of(l->b->dst, "big").st_size, MIB);
	return l->rc == 0 ? 0 : err_set(e, ERR_VERIFY, "not as it was written");
}

/* Who looks while it is brought to the disk sees all of it, and decides. */
static void is_looked_at_meanwhile(void **state)
{
	const struct bed *b = *state;
	struct looking l = {.b = b};
	struct manifest want SCOPED(manifest_release) = {0};
	struct apply_opts o = {.threads = 2, .meanwhile = look, .ctx = &l};
	struct apply_content c = {0};
	struct apply_result r;
	struct err e = ERR_INIT;

	put_bytes(b->src, "big", MIB, 1);
	want = manifest_of(b->src);
	assert_int_equal(apply_content_of_dir(b->src, &want, &c, &e), 0);
	assert_int_equal(apply_tree(&want, &c, b->dst, &o, &r, &e), 0);
	assert_int_equal(l.looked, 1);
	l.rc = -1;
	assert_int_equal(apply_tree(&want, &c, b->dst, &o, &r, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	assert_string_equal(e.msg, "not as it was written");
	assert_int_equal(l.looked, 2);
	/* nothing to look at */
	o.dry_run = true;
	assert_int_equal(apply_tree(&want, &c, b->dst, &o, &r, &e), 0);
	assert_int_equal(l.looked, 2);
	apply_content_free(&c);
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
	    cmocka_unit_test_setup_teardown(vouches_for_each_byte, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(is_looked_at_meanwhile, bed_setup, bed_teardown),
	    cmocka_unit_test(hashes_tell_blocks_apart),
	    cmocka_unit_test_setup_teardown(a_damaged_one_is_empty, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(a_failed_run_forgets_nothing, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(what_is_unread_is_filled_in, bed_setup, bed_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
