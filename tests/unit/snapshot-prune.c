/* Which snapshots stay, and which packs. */
#include "snapshot-lib.h"

#include "snapshot/body.h"
#include "sys/clock.h"

/* One more of the same tree, of another time. */
static char *made_at(const struct bed *b, const char *time, const char *shop)
{
	struct snapshot_repo *r SCOPED(snapshot_repo_closep) = open_repo(b, SNAPSHOT_WRITE);
	struct snapshot_result s SCOPED(snapshot_result_release) =
	    make_with(b, &(struct snapshot_opts){.shop = shop, .env = shop[0] != '\0' ? "qa" : ""});
	char *path SCOPED(mem_freep) = mem_format("repo/snapshots/%s.json", s.info.id);
	struct body body SCOPED(body_release);
	struct err e = ERR_INIT;

	body_init(&body);
	assert_int_equal(body_get(r, s.info.id, &body, &e), 0);
	assert_int_equal(unlinkat(b->top, path, 0), 0);
	assert_int_equal(clock_parse(time, &body.info.time), 0);
	free(STEAL(body.info.previous));
	free(body.info.id);
	body.info.id = body_id(&body.info);
	assert_int_equal(body_put(r, &body, &e), 0);
	return mem_strdup(body.info.id);
}

static char *kept_of(const struct bed *b, const char *source)
{
	struct snapshot_result s SCOPED(snapshot_result_release) =
	    make_with(b, &(struct snapshot_opts){.source = source});

	return mem_strdup(s.info.id);
}

static struct snapshot_pruned prune(const struct bed *b, const struct snapshot_keep *k)
{
	struct snapshot_repo *r SCOPED(snapshot_repo_closep) = open_repo(b, SNAPSHOT_PRUNE);
	struct snapshot_pruned p = {0};
	struct err e = ERR_INIT;

	if (snapshot_prune(r, k, &p, &e) != 0)
		fail_msg("%s", e.msg);
	return p;
}

static const char *const times[] = {
    "2024-12-31T23:59:59Z", "2025-01-01T00:00:00Z", "2025-01-05T08:00:00Z", /* a Sunday */
    "2025-01-06T08:00:00Z", "2025-01-06T20:00:00Z", "2025-01-07T08:00:00Z",
};
enum { TIMES = sizeof(times) / sizeof(times[0]) };

static void by_rule(const struct bed *b, const struct snapshot_keep *k, const char *stay)
{
	char *ids[TIMES];
	struct snapshot_pruned p SCOPED(snapshot_pruned_release) = {0};

	for (size_t i = 0; i < TIMES; i++)
		ids[i] = made_at(b, times[i], "");
	p = prune(b, k);
	for (size_t i = 0; i < TIMES; i++) {
		if (strv_has(&p.gone, ids[i]) != (stay[i] == '-'))
			fail_msg("%s", times[i]);
		free(ids[i]);
	}
}

static void rules(void **state)
{
	static const struct {
		struct snapshot_keep k;
		const char *stay;
	} rows[] = {
	    {{.newest = 1}, "-----+"},  {{.newest = 9}, "++++++"},
	    {{.daily = 2}, "----++"},   {{.daily = 3}, "--+-++"},
	    {{.weekly = 1}, "-----+"},  {{.weekly = 2}, "--+--+"},
	    {{.monthly = 2}, "+----+"}, {{.newest = 2, .weekly = 2, .monthly = 9}, "+-+-++"},
	};
	const struct bed *b = *state;

	put_text(b->src, "f", "text");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e = ERR_INIT;

		by_rule(b, &rows[i].k, rows[i].stay);
		is_whole(b);
		assert_int_equal(fs_rmtree(b->top, "repo", &e), 0);
	}
}

static void each_site_for_itself(void **state)
{
	const struct bed *b = *state;
	char *rose SCOPED(mem_freep) = NULL, *lily SCOPED(mem_freep) = NULL;
	struct snapshot_pruned p SCOPED(snapshot_pruned_release) = {0};

	put_text(b->src, "f", "text");
	rose = made_at(b, times[0], "ROSE");
	lily = made_at(b, times[1], "LILY");
	p = prune(b, &(struct snapshot_keep){.newest = 1});
	assert_int_equal(p.gone.n, 0);
	assert_int_equal(p.packs, 0);
}

/* Two trees without a site in one repository. */
static void each_tree_for_itself(void **state)
{
	const struct bed *b = *state;
	char *one SCOPED(mem_freep) = NULL, *two SCOPED(mem_freep) = NULL;
	struct snapshot_pruned p SCOPED(snapshot_pruned_release) = {0};
	struct err e = ERR_INIT;

	put_text(b->src, "f", "text");
	one = kept_of(b, "dir:/one");
	two = kept_of(b, "dir:/two");
	p = prune(b, &(struct snapshot_keep){.newest = 1});
	assert_int_equal(p.gone.n, 0);
	assert_int_equal(try_restore(b, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	restore(b, one);
}

static void packs_that_none_needs(void **state)
{
	const struct bed *b = *state;
	struct snapshot_pruned p SCOPED(snapshot_pruned_release) = {0};
	struct strv l SCOPED(strv_release) = {0};

	for (unsigned i = 0; i < 4; i++) {
		put_bytes(b->src, "f", 100000, i);
		free(make_one(b));
	}
	p = prune(b, &(struct snapshot_keep){.newest = 2, .dry_run = true});
	assert_int_equal(p.gone.n, 2);
	assert_int_equal(p.packs, 2);
	assert_true(p.bytes > 150000);
	objects_of(b, "packs", &l);
	assert_int_equal(l.n, 4);
	snapshot_pruned_release(&p);
	p = prune(b, &(struct snapshot_keep){.newest = 2});
	assert_int_equal(p.packs, 2);
	strv_release(&l);
	l = (struct strv){0};
	objects_of(b, "packs", &l);
	assert_int_equal(l.n, 2);
	is_whole(b);
	restore(b, NULL);
	assert_int_equal(differences(b), 0);
	free(make_one(b));
	is_whole(b);
}

static void remove_pack(const struct bed *b, size_t which)
{
	struct strv l SCOPED(strv_release) = {0};
	char *path SCOPED(mem_freep) = NULL;

	objects_of(b, "packs", &l);
	assert_true(which < l.n);
	path = mem_format("repo/%s", l.v[which]);
	assert_int_equal(unlinkat(b->top, path, 0), 0);
}

/* A pack that somebody else removed keeps a pruning from nothing, when none of those that stay
 * needs it. */
static void a_pack_that_is_gone(void **state)
{
	const struct bed *b = *state;
	struct snapshot_pruned p SCOPED(snapshot_pruned_release) = {0};

	put_bytes(b->src, "f", 100000, 1);
	free(make_one(b));
	remove_pack(b, 0);
	put_bytes(b->src, "f", 100000, 2);
	free(make_one(b));
	p = prune(b, &(struct snapshot_keep){.newest = 1});
	assert_int_equal(p.missing.n, 1);
	assert_int_equal(p.damaged.n, 0);
	assert_int_equal(p.gone.n, 1);
	is_whole(b);
	restore(b, NULL);
}

/* What else a snapshot needs that stays is not known without it: nothing but snapshots goes. */
static void a_pack_that_is_gone_and_needed(void **state)
{
	const struct bed *b = *state;
	char *first SCOPED(mem_freep) = NULL, *last SCOPED(mem_freep) = NULL;
	struct snapshot_pruned p SCOPED(snapshot_pruned_release) = {0};
	struct strv l SCOPED(strv_release) = {0};

	put_bytes(b->src, "f", 100000, 1);
	first = make_one(b);
	put_bytes(b->src, "g", 100000, 2);
	last = make_one(b);
	remove_pack(b, 0);
	p = prune(b, &(struct snapshot_keep){.newest = 1});
	assert_int_equal(p.missing.n, 1);
	assert_int_equal(p.damaged.n, 1);
	assert_string_equal(p.damaged.v[0], last);
	assert_string_equal(p.gone.v[0], first);
	assert_int_equal(p.packs, 0);
	objects_of(b, "packs", &l);
	assert_int_equal(l.n, 1);
}

static void none_kept_is_meant_otherwise(void **state)
{
	const struct bed *b = *state;
	struct snapshot_repo *r = NULL;
	struct snapshot_pruned p = {0};
	const struct snapshot_keep k = {0};
	struct err e = ERR_INIT;

	free(make_one(b));
	r = open_repo(b, SNAPSHOT_PRUNE);
	assert_int_equal(snapshot_prune(r, &k, &p, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
	snapshot_repo_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(rules, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(each_site_for_itself, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(each_tree_for_itself, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(packs_that_none_needs, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(a_pack_that_is_gone, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(a_pack_that_is_gone_and_needed, bed_setup,
					    bed_teardown),
	    cmocka_unit_test_setup_teardown(none_kept_is_meant_otherwise, bed_setup, bed_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
