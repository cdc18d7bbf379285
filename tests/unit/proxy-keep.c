/* Records in the store: which of them a lock takes over. */
#include "proxy/record.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct bench {
	char dir[40];
	struct store *s;
	struct recipe *r;
};

static struct recipe *recipe(const struct bench *b, const char *steps)
{
	char *path SCOPED(mem_freep) = mem_format("%s/t.yaml", b->dir);
	char *text SCOPED(mem_freep) =
	    mem_format("posmedia: 1\nname: t\nversion: 1\n"
		       "base: {apt: {suite: bookworm, keyring: k.gpg}}\nsteps: [%s]\n",
		       steps);
	struct recipe *r = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(fs_put_path(path, text, strlen(text), 0644, &e), 0);
	if (recipe_load(path, &r, &e) != 0)
		fail_msg("%s", e.msg);
	return r;
}

#define ONE "{name: one, run: [x], network: {proxy: record}}"
#define TWO "{name: two, run: [y], network: {proxy: record}}"

static int setup(void **state)
{
	struct bench *b = mem_zalloc(sizeof(*b));
	char *store SCOPED(mem_freep) = NULL, *key SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;

	strcpy(b->dir, "/tmp/posmedia-record-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	store = mem_format("%s/store", b->dir);
	key = mem_format("%s/k.gpg", b->dir);
	assert_int_equal(fs_put_path(key, "k", 1, 0644, &e), 0);
	assert_int_equal(store_open(store, &b->s, &e), 0);
	b->r = recipe(b, ONE ", " TWO);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;
	struct err e = ERR_INIT;

	recipe_free(b->r);
	store_free(b->s);
	assert_int_equal(fs_rmtree(AT_FDCWD, b->dir, &e), 0);
	free(b);
	return 0;
}

static struct lock_recorded entry(const char *step, const char *path)
{
	return (struct lock_recorded){.step = mem_strdup(step),
				      .url = mem_format("http://h/%s", path),
				      .status = 200,
				      .size = 1,
				      .digest = digest_of(path, strlen(path))};
}

/* The store gets a record of one entry, made by a build with that lock. */
static void record(struct bench *b, size_t step, const struct lock *with, const char *path)
{
	const struct recipe_step *st = &b->r->steps[step];
	struct digest key = record_key(b->r, st);
	struct lock_recorded one = entry(st->name, path);
	const struct record rec = {record_of_lock(with, st->name), &one, 1};
	struct err e = ERR_INIT;

	assert_int_equal(record_save(b->s, &key, &rec, &e), 0);
	lock_recorded_release(&one);
}

/* What a lock is to have after this one, as "step:path ..."; *l becomes that lock. */
static void merged_is(struct bench *b, struct lock *l, const char *want)
{
	struct buf got SCOPED(buf_release) = BUF_INIT(1000);
	struct lock_recorded *v = NULL;
	size_t n = 0;

	record_merge(b->s, b->r, l, &v, &n);
	for (size_t i = 0; i < n; i++)
		buf_addf(&got, "%s%s:%s", i > 0 ? " " : "", v[i].step, v[i].url + 9);
	assert_string_equal(got.data, want);
	lock_recorded_free(l->recorded, l->recorded_n);
	l->recorded = v;
	l->recorded_n = n;
}

static void a_record_is_taken_once(void **state)
{
	struct bench *b = *state;
	struct lock mine = {0}, theirs = {0};

	record_merge(b->s, b->r, NULL, &mine.recorded, &mine.recorded_n);
	assert_int_equal(mine.recorded_n, 0);
	record(b, 1, &mine, "b");
	record(b, 0, &mine, "a");
	merged_is(b, &mine, "one:a two:b");
	merged_is(b, &mine, "one:a two:b");
	record(b, 0, &mine, "c"); /* recorded anew */
	merged_is(b, &mine, "one:c two:b");
	/* another's lock, which went on without this store */
	theirs.recorded = mem_zalloc(sizeof(*theirs.recorded));
	theirs.recorded[theirs.recorded_n++] = entry("one", "d");
	merged_is(b, &theirs, "one:d two:b");
	lock_release(&mine);
	lock_release(&theirs);
}

static void steps_come_and_go(void **state)
{
	struct bench *b = *state;
	struct lock l = {0};

	record(b, 0, &l, "a");
	record(b, 1, &l, "b");
	merged_is(b, &l, "one:a two:b");
	recipe_free(b->r);
	b->r = recipe(b, "{name: one, run: [x, more], network: {proxy: record}}, "
			 "{name: two, run: [y]}");
	merged_is(b, &l, "one:a"); /* another step of that name: what it had stays */
	recipe_free(b->r);
	b->r = recipe(b, TWO);
	merged_is(b, &l, "two:b"); /* again what is in the store */
	lock_release(&l);
}

static void what_is_no_record_is_none(void **state)
{
	struct bench *b = *state;
	struct digest key = record_key(b->r, &b->r->steps[0]);
	char *name SCOPED(mem_freep) = record_path(&key);
	char *path SCOPED(mem_freep) = fs_join(store_path(b->s), name);
	static const char *const texts[] = {
	    "", "{", "[]", "{\"recorded\":[],\"replaces\":\"x\"}", "{\"recorded\":{}}",
	};
	struct record r = {0};
	struct lock l = {0};
	struct err e = ERR_INIT;

	assert_false(record_load(b->s, &key, &r));
	record(b, 0, &l, "a");
	assert_true(record_load(b->s, &key, &r));
	assert_int_equal(r.n, 1);
	record_release(&r);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(fs_put_path(path, texts[i], strlen(texts[i]), 0644, &e), 0);
		assert_false(record_load(b->s, &key, &r));
		merged_is(b, &l, "");
	}
	lock_release(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_record_is_taken_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(steps_come_and_go, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_is_no_record_is_none, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
