/* build/looked: which files of a tree need not be looked into again. */
#include "build/looked.h"

#include "build/verdict.h"
#include "sys-put.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A build with two finished stages; the third changes things in `upper`. */
struct world {
	char dir[40];
	char *base, *step, *upper;
	struct store *s;
	struct recipe r;
	struct build_opts o;
	struct contents contents[3];
	struct plan_stage stages[2];
	struct plan plan;
	struct job j;
};

static void scan(struct world *w, size_t i)
{
	const struct contents_times times = {0};
	struct err e = ERR_INIT;

	contents_release(&w->contents[i]);
	if (contents_scan(w->j.trees.v[i], &times, &w->contents[i], &e) != 0)
		fail_msg("%s", e.msg);
}

static int set_up(void **state)
{
	struct world *w = mem_zalloc(sizeof(*w));
	char *store = NULL;
	struct err e = ERR_INIT;

	memcpy(w->dir, "/tmp/posmedia-looked.XXXXXX", 28);
	if (mkdtemp(w->dir) == NULL)
		return -1;
	w->base = fs_join(w->dir, "base");
	w->step = fs_join(w->dir, "step");
	w->upper = fs_join(w->dir, "upper");
	put_text(w->base, "etc/a", "a\n");
	put_text(w->base, "etc/b", "b\n");
	put_text(w->step, "opt/c", "c\n");
	put_text(w->upper, "etc/b", "other\n");
	store = fs_join(w->dir, "store");
	if (store_open(store, &w->s, &e) != 0)
		fail_msg("%s", e.msg);
	free(store);
	w->r.name = "shop";
	w->plan = (struct plan){.v = w->stages, .n = 2};
	w->j = (struct job){
	    .r = &w->r, .s = w->s, .o = &w->o, .plan = &w->plan, .contents = w->contents};
	strv_add(&w->j.trees, w->base);
	strv_add(&w->j.trees, w->step);
	scan(w, 0);
	scan(w, 1);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	struct err e = ERR_INIT;

	contents_release(&w->contents[0]);
	contents_release(&w->contents[1]);
	strv_release(&w->j.trees);
	verdict_release(&w->j);
	store_free(w->s);
	assert_int_equal(fs_rmtree(AT_FDCWD, w->dir, &e), 0);
	free(w->base);
	free(w->step);
	free(w->upper);
	free(w);
	return 0;
}

/* Every entry as " path", with a '+' where it is clean. */
static char *listed(const struct looked *l)
{
	const struct facts_source *s = looked_source(l);
	struct facts_files files = {0};
	struct buf b = BUF_INIT(4096);
	struct err e = ERR_INIT;

	if (s->list(s->ctx, &files, &e) != 0)
		fail_msg("%s", e.msg);
	for (size_t i = 0; i < files.n; i++) {
		if (!S_ISDIR(files.v[i].st.st_mode))
			buf_addf(&b, " %s%s", files.v[i].clean ? "+" : "", files.v[i].path);
		free(files.v[i].path);
	}
	free(files.v);
	return buf_take(&b);
}

static void list_is(struct world *w, const char *want)
{
	struct looked *l = NULL;
	struct err e = ERR_INIT;
	char *is;

	if (looked_open(&w->j, w->j.trees.n, w->upper, &l, &e) != 0)
		fail_msg("%s", e.msg);
	is = listed(l);
	assert_string_equal(is, want);
	free(is);
	looked_free(l);
}

/* A build that looks into everything and finds something in `found`, unless it is NULL. */
static void look(struct world *w, const char *found)
{
	struct looked *l = NULL;
	struct err e = ERR_INIT;

	if (looked_open(&w->j, w->j.trees.n, w->upper, &l, &e) != 0)
		fail_msg("%s", e.msg);
	if (found != NULL)
		looked_found(l, found);
	if (looked_keep(l, &e) != 0)
		fail_msg("%s", e.msg);
	looked_free(l);
}

static void what_was_seen_is_clean(void **state)
{
	list_is(*state, " etc/a etc/b opt/c");
	look(*state, NULL);
	list_is(*state, " +etc/a etc/b +opt/c");
}

static void what_was_hidden_is_not(void **state)
{
	struct world *w = *state;
	struct err e = ERR_INIT;

	look(w, NULL);
	assert_int_equal(fs_rmtree(AT_FDCWD, w->upper, &e), 0);
	put_text(w->upper, "new", "x\n");
	list_is(w, " +etc/a etc/b new +opt/c");
}

static void what_was_found_is_found_again(void **state)
{
	look(*state, "etc/a");
	list_is(*state, " etc/a etc/b +opt/c");
}

static void what_a_stage_makes_anew_is_not(void **state)
{
	struct world *w = *state;

	look(w, NULL);
	put_text(w->step, "opt/c", "changed\n");
	scan(w, 1);
	list_is(w, " +etc/a etc/b opt/c");
}

static void without_the_cache_nothing_is(void **state)
{
	struct world *w = *state;

	look(w, NULL);
	w->o.no_cache = true;
	list_is(w, " etc/a etc/b opt/c");
}

/* A name that JSON cannot carry would come back as another. */
static void names_of_any_bytes(void **state)
{
	struct world *w = *state;

	put_text(w->base, "etc/\xff", "x\n");
	put_text(w->upper, "etc/\xff", "y\n");
	scan(w, 0);
	look(w, NULL);
	list_is(w, " etc/a etc/b etc/\xff +opt/c");
}

static void damaged_records_say_nothing(void **state)
{
	struct world *w = *state;
	char *path SCOPED(mem_freep) = fs_join(w->dir, "store/cache/looked/shop");
	static const char *const bad[] = {"", "{", "[]", "{\"by\":1}"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = ERR_INIT;

		look(w, NULL);
		assert_int_equal(fs_put_path(path, bad[i], strlen(bad[i]), 0600, &e), 0);
		list_is(w, " etc/a etc/b opt/c");
	}
}

static void anothers_record_says_nothing(void **state)
{
	struct world *w = *state;
	char *path SCOPED(mem_freep) = fs_join(w->dir, "store/cache/looked/shop");
	struct buf b SCOPED(buf_release) = BUF_INIT(4096);
	struct err e = ERR_INIT;
	char *digit;

	look(w, NULL);
	assert_int_equal(fs_get_file(AT_FDCWD, path, &b, &e), 0);
	digit = strstr(b.data, "\"by\":\"sha256:");
	assert_non_null(digit);
	digit += 13;
	*digit = *digit == '0' ? '1' : '0';
	assert_int_equal(fs_put_path(path, b.data, b.len, 0600, &e), 0);
	list_is(w, " etc/a etc/b opt/c");
}

static void a_finished_stage_is_known_by_its_index(void **state)
{
	struct world *w = *state;
	const struct contents_times times = {0};
	struct looked *l = NULL;
	struct err e = ERR_INIT;
	char *is;

	look(w, NULL);
	put_text(w->upper, "etc/a", "a\n");
	assert_int_equal(contents_scan(w->upper, &times, &w->contents[2], &e), 0);
	/* what comes later is not the stage's */
	put_text(w->upper, "etc/later", "x\n");
	assert_int_equal(looked_open(&w->j, 2, "nowhere", &l, &e), 0);
	looked_finish(l, w->upper);
	is = listed(l);
	assert_string_equal(is, " +etc/a etc/b +opt/c");
	free(is);
	looked_free(l);
	contents_release(&w->contents[2]);
}

/* The entries whose bytes are the base stage's, as " path". */
static void base_is(struct world *w, const char *want)
{
	struct looked *l = NULL;
	struct facts_files files = {0};
	struct buf b SCOPED(buf_release) = BUF_INIT(4096);
	struct err e = ERR_INIT;

	assert_int_equal(looked_open(&w->j, w->j.trees.n, w->upper, &l, &e), 0);
	assert_int_equal(looked_source(l)->list(l, &files, &e), 0);
	for (size_t i = 0; i < files.n; i++) {
		if (files.v[i].base && S_ISREG(files.v[i].st.st_mode))
			buf_addf(&b, " %s", files.v[i].path);
		free(files.v[i].path);
	}
	free(files.v);
	looked_free(l);
	assert_string_equal(b.data, want);
}

static void bytes_of_the_base_are_told(void **state)
{
	struct world *w = *state;

	base_is(w, " etc/a");
	/* another mode, the same bytes; and those of a step */
	put_text(w->upper, "etc/a", "a\n");
	put_text(w->upper, "etc/b", "b\n");
	put_text(w->upper, "opt/c", "c\n");
	base_is(w, " etc/a etc/b");
	put_text(w->upper, "etc/a", "A\n");
	base_is(w, " etc/b");
}

static void below_is(struct world *w, bool want)
{
	struct looked *l = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(looked_open(&w->j, w->j.trees.n, w->upper, &l, &e), 0);
	assert_int_equal(looked_below(l), want);
	assert_int_equal(looked_keep(l, &e), 0);
	looked_free(l);
}

static void the_image_below_is_known_again(void **state)
{
	struct world *w = *state;
	struct looked *l = NULL;
	struct err e = ERR_INIT;

	w->j.below = (struct oci_layout *)w; /* nobody opens it */
	below_is(w, false);
	assert_int_equal(looked_open(&w->j, w->j.trees.n, w->upper, &l, &e), 0);
	looked_below_clean(l);
	assert_int_equal(looked_keep(l, &e), 0);
	looked_free(l);
	below_is(w, true);
	below_is(w, true);
	w->j.below_image.digest.b[0] = 1;
	below_is(w, false);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    T(what_was_seen_is_clean),
	    T(what_was_hidden_is_not),
	    T(what_was_found_is_found_again),
	    T(what_a_stage_makes_anew_is_not),
	    T(without_the_cache_nothing_is),
	    T(names_of_any_bytes),
	    T(damaged_records_say_nothing),
	    T(anothers_record_says_nothing),
	    T(bytes_of_the_base_are_told),
	    T(the_image_below_is_known_again),
	    T(a_finished_stage_is_known_by_its_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
