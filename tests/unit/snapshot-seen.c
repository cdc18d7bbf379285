/* Snapshots that remember what they have read: nothing is read twice, and nothing is missed. */
#include "snapshot-lib.h"

static const char seen[] = "seen";

/* Makes one with the digests in `seen`, which are brought up to date. */
static struct snapshot_result make_seen(const struct bed *b, struct manifest_opts o)
{
	struct snapshot_result r;
	struct err e = ERR_INIT;

	assert_int_equal(manifest_seen_load(b->top, seen, &o.seen, &e), 0);
	r = make_with(b, &(struct snapshot_opts){.manifest = &o});
	assert_int_equal(manifest_seen_save(o.seen, b->top, seen, &e), 0);
	manifest_seen_free(o.seen);
	return r;
}

static void is_as_the_source(const struct bed *b, const struct snapshot_result *r)
{
	struct manifest m SCOPED(manifest_release) = manifest_of(b->src);
	struct digest root = manifest_root(&m);

	assert_true(digest_equal(&root, &r->info.root));
	restore(b, NULL);
	assert_int_equal(differences(b), 0);
	is_whole(b);
}

/* Two files of one content, and one of two names: each is read by itself, the names together. */
static void what_was_read_is_remembered(void **state)
{
	const struct bed *b = *state;
	struct snapshot_result r[4];

	make_tree(b->src);
	put_bytes(b->src, "one", 300000, 7);
	put_bytes(b->src, "two", 300000, 7);
	assert_int_equal(linkat(b->src, "one", b->src, "other-name", 0), 0);
	(void)sleep(3); /* what was written just then is not believed */
	r[0] = make_seen(b, (struct manifest_opts){0});
	assert_int_equal(r[0].read, r[0].info.bytes);
	assert_int_equal(r[0].again, 0);
	is_as_the_source(b, &r[0]);
	r[1] = make_seen(b, (struct manifest_opts){0});
	assert_int_equal(r[1].m.remembered, r[1].info.files);
	assert_int_equal(r[1].read, 0);
	assert_int_equal(r[1].info.added, 0);
	/* of the same size, with its old times */
	put_at(b->src, "two", "X", 1, 1);
	set_time(b->src, "two", 1000000000, 1);
	r[2] = make_seen(b, (struct manifest_opts){0});
	assert_int_equal(r[2].read, 300000);
	is_as_the_source(b, &r[2]);
	/* too young to be remembered, unless all this took long: it is read again, and costs
	 * nothing */
	r[3] = make_seen(b, (struct manifest_opts){0});
	assert_true(r[3].read == 300000 || r[3].read == 0);
	assert_int_equal(r[3].info.added, 0);
	for (size_t i = 0; i < 4; i++)
		snapshot_result_release(&r[i]);
}

/* Changes a file when it was seen, and before it is read. */
static void change(void *ctx, const struct manifest_progress *p)
{
	const struct bed *b = ctx;

	if (p->files < p->files_total)
		return;
	put_at(b->src, "f", "later", 5, 0);
}

static void what_changes_meanwhile_is_as_it_was_read(void **state)
{
	struct bed *b = *state;
	const struct manifest_opts m = {.progress = change, .ctx = b, .threads = 1};
	struct snapshot_result r;

	put_text(b->src, "f", "sooner");
	set_time(b->src, "f", 1000000000, 1);
	r = make_seen(b, m);
	assert_int_equal(r.again, 1);
	restore(b, NULL);
	assert_int_equal(differences(b), 0);
	is_whole(b);
	snapshot_result_release(&r);
}

/* The first look is a making, and so is the last one: what that has read counts for this. */
static void two_makings_with_one_memory(void **state)
{
	const struct bed *b = *state;
	struct manifest_opts o = {0};
	struct snapshot_opts how = {.manifest = &o, .warm = true};
	struct snapshot_result warm, last;
	struct err e = ERR_INIT;

	put_bytes(b->src, "f", 100000, 3);
	(void)sleep(3);
	assert_int_equal(manifest_seen_load(b->top, NULL, &o.seen, &e), 0);
	warm = make_with(b, &how);
	assert_int_equal(warm.read, 100000);
	how.warm = false;
	last = make_with(b, &how);
	assert_int_equal(last.m.remembered, 1);
	assert_int_equal(last.info.added, 0);
	manifest_seen_free(o.seen);
	is_as_the_source(b, &last);
	snapshot_result_release(&warm);
	snapshot_result_release(&last);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_was_read_is_remembered, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(what_changes_meanwhile_is_as_it_was_read, bed_setup,
					    bed_teardown),
	    cmocka_unit_test_setup_teardown(two_makings_with_one_memory, bed_setup, bed_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
