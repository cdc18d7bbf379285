/* Snapshots of a tree in a directory, and back. */
#include "snapshot-lib.h"

#include "snapshot/writer.h"

static void there_and_back(void **state)
{
	const struct bed *b = *state;
	struct snapshot_result one SCOPED(snapshot_result_release) = {0};
	struct snapshot_result two SCOPED(snapshot_result_release) = {0};
	struct manifest m SCOPED(manifest_release) = {0};
	struct digest root;

	make_tree(b->src);
	one = make_with(b, &(struct snapshot_opts){0});
	m = manifest_of(b->src);
	root = manifest_root(&m);
	assert_true(digest_equal(&root, &one.info.root));
	assert_int_equal(one.info.entries, m.n);
	assert_int_equal(one.info.files, m.files);
	assert_int_equal(one.info.bytes, m.bytes);
	assert_null(one.info.previous);
	restore(b, NULL);
	assert_int_equal(differences(b), 0);
	put_at(b->src, "large", "other", 5, 3000000);
	put_at(b->src, "large", "longer", 6, 5000001);
	assert_int_equal(renameat(b->src, "many", b->src, "moved"), 0);
	two = make_with(b, &(struct snapshot_opts){0});
	assert_string_equal(two.info.previous, one.info.id);
	assert_true(two.info.time > one.info.time);
	assert_int_equal(two.read, 5000007); /* what was only moved is known by its digest */
	assert_true(two.info.added < 60000);
	restore(b, NULL);
	assert_int_equal(differences(b), 0);
	is_whole(b);
	restore(b, one.info.id);
	assert_true(differences(b) > 100);
	restore(b, two.info.id);
	assert_int_equal(differences(b), 0);
}

/* Same size, same times: only the content says that it is another file. */
static void no_time_is_believed(void **state)
{
	const struct bed *b = *state;

	put_text(b->src, "f", "abc");
	set_time(b->src, "f", 1000000000, 1);
	free(make_one(b));
	put_text(b->src, "f", "abd");
	set_time(b->src, "f", 1000000000, 1);
	free(make_one(b));
	restore(b, NULL);
	assert_int_equal(differences(b), 0);
}

static void the_same_again_costs_nothing(void **state)
{
	const struct bed *b = *state;
	struct snapshot_result r SCOPED(snapshot_result_release) = {0};
	struct strv packs SCOPED(strv_release) = {0};

	make_tree(b->src);
	free(make_one(b));
	r = make_with(b, &(struct snapshot_opts){0});
	assert_int_equal(r.info.added, 0);
	assert_int_equal(r.chunks, 0);
	assert_int_equal(r.read, 0);
	objects_of(b, "packs", &packs);
	assert_int_equal(packs.n, 1);
}

static void an_empty_tree(void **state)
{
	const struct bed *b = *state;

	free(make_one(b));
	put_text(b->dst, "goes", "away");
	restore(b, NULL);
	assert_int_equal(differences(b), 0);
	is_whole(b);
}

static void a_dry_run(void **state)
{
	const struct bed *b = *state;
	/* which blocks are packed together, and so how small, is a matter of who is first */
	const struct manifest_opts one = {.threads = 1};
	struct snapshot_result dry SCOPED(snapshot_result_release) = {0};
	struct snapshot_result real SCOPED(snapshot_result_release) = {0};
	struct strv packs SCOPED(strv_release) = {0};

	put_text(b->src, "f", "before");
	free(make_one(b));
	make_tree(b->src);
	dry = make_with(b, &(struct snapshot_opts){.dry_run = true, .manifest = &one});
	objects_of(b, "packs", &packs);
	objects_of(b, "snapshots", &packs);
	objects_of(b, "indexes", &packs);
	assert_int_equal(packs.n, 3);
	real = make_with(b, &(struct snapshot_opts){.manifest = &one});
	assert_int_equal(dry.chunks, real.chunks);
	assert_true(dry.info.added <= real.info.added && dry.info.added + 200 > real.info.added);
}

/* Changes a file when its digest is known, and its blocks are not: so often. */
struct restless {
	const struct bed *b;
	unsigned left;
	off_t size;
};

static void change(void *ctx, const struct manifest_progress *p)
{
	struct restless *r = ctx;

	if (p->files < p->files_total || r->left == 0)
		return;
	r->left--;
	put_at(r->b->src, "large", "x", 1, r->size++);
}

static void a_file_that_changes_meanwhile(void **state)
{
	struct restless x = {.b = *state, .left = 1, .size = 5000001};
	const struct manifest_opts m = {.progress = change, .ctx = &x, .threads = 1};
	struct snapshot_result r SCOPED(snapshot_result_release) = {0};

	make_tree(x.b->src);
	r = make_with(x.b, &(struct snapshot_opts){.manifest = &m});
	assert_int_equal(x.left, 0);
	assert_true(r.again >= 1);
	restore(x.b, NULL);
	assert_int_equal(differences(x.b), 0);
	is_whole(x.b);
}

/* A log never stands still. */
static void a_file_that_goes_on_growing(void **state)
{
	struct restless x = {.b = *state, .left = 1000, .size = 5000001};
	const struct manifest_opts m = {.progress = change, .ctx = &x, .threads = 1};
	struct snapshot_result r SCOPED(snapshot_result_release) = {0};

	make_tree(x.b->src);
	assert_int_equal(linkat(x.b->src, "large", x.b->src, "other-name", 0), 0);
	r = make_with(x.b, &(struct snapshot_opts){.manifest = &m});
	assert_true(r.again >= 1);
	x.left = 0;
	is_whole(x.b);
	restore(x.b, NULL);
	assert_true(stat_of(x.b->dst, "large").st_size > 5000001);
	assert_true(stat_of(x.b->dst, "other-name").st_ino == stat_of(x.b->dst, "large").st_ino);
	assert_int_equal(differences(x.b), 0);
}

static void secrets(void **state)
{
	static const char *const bad[] = {"a secret of some lengt", "A secret of some length",
					  "a secret of some length\n", "short", ""};
	const struct bed *b = *state;
	char *where SCOPED(mem_freep) = mem_format("dir:%s/repo", b->dir);

	put_text(b->src, "f", "abc");
	free(make_one(b));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct snapshot_at at = {.where = where,
					       .secret = bad[i],
					       .secret_n = strlen(bad[i]),
					       .use = SNAPSHOT_WRITE};
		struct snapshot_repo *r = NULL;
		struct err e = ERR_INIT;

		assert_int_equal(snapshot_repo_open(&at, &r, &e), -1);
		assert_int_equal(e.kind, ERR_VERIFY);
		assert_true(e.hint[0] != '\0');
	}
}

static void places_that_are_none(void **state)
{
	static const struct {
		const char *text;
		enum err_kind kind;
	} bad[] = {
	    {"dir:", ERR_USAGE},     {"repo", ERR_USAGE},       {"s3://", ERR_USAGE},
	    {"s3://A/b", ERR_USAGE}, {"dir:/proc/x", ERR_FAIL}, {"ftp://x/y", ERR_USAGE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct snapshot_at at = {.where = bad[i].text,
					       .secret = SECRET,
					       .secret_n = strlen(SECRET),
					       .use = SNAPSHOT_READ};
		struct snapshot_repo *r = NULL;
		struct err e = ERR_INIT;

		assert_int_equal(snapshot_repo_open(&at, &r, &e), -1);
		assert_int_equal(e.kind, bad[i].kind);
	}
}

static void names_of_snapshots(void **state)
{
	static const struct {
		const char *text, *repo, *id;
	} good[] = {
	    {"dir:/a", "dir:/a", NULL},
	    {"dir:/a@20", "dir:/a", "20"},
	    {"/a@b/c", "/a@b/c", NULL},
	    {"s3://b/p@SHOP-prod", "s3://b/p", "SHOP-prod"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char *repo SCOPED(mem_freep) = NULL, *id SCOPED(mem_freep) = NULL;
		struct err e = ERR_INIT;

		assert_int_equal(snapshot_split(good[i].text, &repo, &id, &e), 0);
		assert_string_equal(repo, good[i].repo);
		if (good[i].id == NULL)
			assert_null(id);
		else
			assert_string_equal(id, good[i].id);
	}
	for (size_t i = 0; i < 2; i++) {
		char *repo = NULL, *id = NULL;
		struct err e = ERR_INIT;

		assert_int_equal(snapshot_split(i == 0 ? "dir:/a@" : "a@b", &repo, &id, &e), -1);
		assert_int_equal(e.kind, ERR_USAGE);
	}
}

/* Several shops keep theirs in one place, and what they have in common once. */
static void several_sites(void **state)
{
	const struct bed *b = *state;
	const struct snapshot_opts rose = {.shop = "ROSE", .env = "prod"},
				   lily = {.shop = "LILY", .env = "prod"};
	struct snapshot_result one SCOPED(snapshot_result_release) = {0};
	struct snapshot_result two SCOPED(snapshot_result_release) = {0};
	struct err e = ERR_INIT;

	make_tree(b->src);
	one = make_with(b, &rose);
	two = make_with(b, &lily);
	assert_int_equal(two.info.added, 0);
	assert_null(two.info.previous);
	assert_int_equal(try_restore(b, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	assert_int_equal(try_restore(b, "TULIP-prod", &e), -1);
	assert_int_equal(e.kind, ERR_FAIL);
	put_text(b->src, "of lily", "x");
	snapshot_result_release(&two);
	two = make_with(b, &lily);
	restore(b, "LILY-prod");
	assert_int_equal(differences(b), 0);
	restore(b, "ROSE-prod");
	assert_int_equal(differences(b), 2); /* the file, and the directory's time */
}

/* Two make the repository at once, where who comes last wins: what the first would write could be
 * read by nobody. */
static void another_repository_in_its_place(void **state)
{
	const struct bed *b = *state;
	struct snapshot_repo *r SCOPED(snapshot_repo_closep) = open_repo(b, SNAPSHOT_WRITE);
	const struct snapshot_opts o = {.shop = "", .env = "", .source = "dir:src"};
	struct snapshot_result res = {0};
	struct strv packs SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	put_text(b->src, "f", "abc");
	assert_int_equal(renameat(b->top, "repo", b->top, "aside"), 0);
	cheap_repo(b);
	assert_int_equal(renameat(b->top, "repo/format.json", b->top, "aside/format.json"), 0);
	assert_int_equal(unlinkat(b->top, "repo", AT_REMOVEDIR), 0);
	assert_int_equal(renameat(b->top, "aside", b->top, "repo"), 0);
	assert_int_equal(snapshot_make(r, b->src, &o, &res, &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	objects_of(b, "packs", &packs);
	objects_of(b, "snapshots", &packs);
	assert_int_equal(packs.n, 0);
}

/* Reading needs no lock where none can be had; writing does. */
static void a_lock_that_cannot_be_had(void **state)
{
	const struct bed *b = *state;
	char *where SCOPED(mem_freep) = mem_format("dir:%s/repo", b->dir);
	const struct snapshot_at at = {
	    .where = where, .secret = SECRET, .secret_n = strlen(SECRET), .use = SNAPSHOT_WRITE};
	struct snapshot_repo *r = NULL;
	struct err e = ERR_INIT;

	put_text(b->src, "f", "abc");
	free(make_one(b));
	assert_int_equal(unlinkat(b->top, "repo/lock", 0), 0);
	make_dir(b->top, "repo/lock");
	restore(b, NULL);
	assert_int_equal(differences(b), 0);
	assert_int_equal(snapshot_repo_open(&at, &r, &e), -1);
}

/* Blocks so small that a pack's directory is full before the pack is. */
static void very_many_small_blocks(void **state)
{
	enum { BLOCKS = 500000 };
	const struct bed *b = *state;
	struct snapshot_repo *r SCOPED(snapshot_repo_closep) = open_repo(b, SNAPSHOT_WRITE);
	struct writer *w SCOPED(writer_freep) = NULL;
	struct strv packs SCOPED(strv_release) = {0};
	struct block_id id = {0};
	struct filler *f;
	struct err e = ERR_INIT;
	uint8_t block[SNAPSHOT_GRID];
	uint32_t n;

	assert_int_equal(repo_load(r, &e), 0);
	w = writer_new(r, false);
	f = writer_take(w);
	for (uint32_t i = 0; i < BLOCKS; i++)
		if (filler_block(f, &i, sizeof(i), &id, &e) != 0)
			fail_msg("%s", e.msg);
	writer_give(w, f);
	if (writer_end(w, &e) != 0)
		fail_msg("%s", e.msg);
	repo_unload(r);
	objects_of(b, "packs", &packs);
	assert_int_equal(packs.n, 2);
	assert_int_equal(repo_load(r, &e), 0);
	assert_int_equal(r->faults.n, 0);
	assert_int_equal(r->table.n, BLOCKS);
	assert_int_equal(repo_block(r, &id, block, &n, &e), 0);
	assert_int_equal(n, sizeof(n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(there_and_back, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(no_time_is_believed, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(the_same_again_costs_nothing, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(an_empty_tree, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(a_dry_run, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(a_file_that_changes_meanwhile, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(a_file_that_goes_on_growing, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(secrets, bed_setup, bed_teardown),
	    cmocka_unit_test(places_that_are_none),
	    cmocka_unit_test(names_of_snapshots),
	    cmocka_unit_test_setup_teardown(a_lock_that_cannot_be_had, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(another_repository_in_its_place, bed_setup,
					    bed_teardown),
	    cmocka_unit_test_setup_teardown(very_many_small_blocks, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(several_sites, bed_setup, bed_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
