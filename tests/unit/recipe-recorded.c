/* Steps with a network: what a recipe says of it, and what a lock has of what they fetched. */
#include "recipe/lock.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GOLDEN "tests/fixtures/locks/small.lock"
#define HEX    "1111111111111111111111111111111111111111111111111111111111111111"

static char dir[] = "/tmp/posmedia-recorded-XXXXXX";

static char *in_dir(const char *name)
{
	return mem_format("%s/%s", dir, name);
}

static void put(const char *name, const char *text)
{
	char *path SCOPED(mem_freep) = in_dir(name);
	struct err e = ERR_INIT;

	assert_int_equal(fs_put_path(path, text, strlen(text), 0644, &e), 0);
}

static int setup(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	put("k.gpg", "key");
	return 0;
}

static int teardown(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	return fs_rmtree(AT_FDCWD, dir, &e);
}

static struct recipe *with_network(const char *network)
{
	char *path SCOPED(mem_freep) = in_dir("t.yaml");
	char *text SCOPED(mem_freep) = mem_format("posmedia: 1\nname: t\nversion: 1\n"
						  "base: {apt: {suite: bookworm, keyring: k.gpg}}\n"
						  "steps: [{name: a, run: [b]%s}]\n",
						  network);
	struct recipe *r = NULL;
	struct err e = ERR_INIT;

	put("t.yaml", text);
	if (recipe_load(path, &r, &e) != 0)
		fail_msg("%s", e.msg);
	return r;
}

static void resolved_is(const struct recipe *r, const char *want)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);

	jval_write(jval_get(jval_at(jval_get(r->resolved, "steps"), 0), "network"), &b);
	assert_string_equal(b.data, want);
}

static void the_network_of_a_step(void **state)
{
	struct recipe *none SCOPED(recipe_freep) = with_network("");
	struct recipe *said SCOPED(recipe_freep) = with_network(", network: none");
	struct recipe *any SCOPED(recipe_freep) = with_network(", network: {proxy: record}");
	struct recipe *some SCOPED(recipe_freep) = with_network(
	    ", network: {proxy: record, allow: [z.test, \"*.a.test\", \"[::1]:80\", z.test]}");

	(void)state;
	resolved_is(none, "\"none\"");
	assert_true(digest_equal(&none->digest, &said->digest));
	assert_false(none->steps[0].network);
	resolved_is(any, "{\"allow\":[],\"proxy\":\"record\"}");
	assert_true(any->steps[0].network);
	resolved_is(some,
		    "{\"allow\":[\"*.a.test\",\"[::1]:80\",\"z.test\"],\"proxy\":\"record\"}");
}

/* The golden lock with this list in it. */
static int load(const char *recorded, struct lock **ret, struct err *e)
{
	char *path SCOPED(mem_freep) = in_dir("t.lock");
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 20);
	char *all SCOPED(mem_freep) = NULL;

	*e = (struct err)ERR_INIT;
	assert_int_equal(fs_get(AT_FDCWD, GOLDEN, &text, e), 0);
	all = mem_format("{ \"recorded\": %s, %s", recorded, text.data + 1);
	put("t.lock", all);
	return lock_load(path, ret, e);
}

#define ENTRY(headers, size, status, step, url)                                                    \
	"{\"headers\":{" headers "},\"sha256\":\"" HEX "\",\"size\":" size ",\"status\":" status   \
	",\"step\":\"" step "\",\"url\":\"" url "\"}"
#define PLAIN(url) ENTRY("", "1", "200", "a", url)

static void reads_and_writes_entries(void **state)
{
	static const char list[] =
	    "[" ENTRY("\"location\":\"/b\"", "0", "302", "a", "http://h.test/a") "," ENTRY(
		"\"content-encoding\":\"gzip\",\"content-type\":\"x/y\"", "5", "200", "a",
		"https://h.test:8443/b?c=d") "," ENTRY("", "0", "404", "b", "http://h.test/a") "]";
	struct lock *l SCOPED(lock_freep) = NULL, *again SCOPED(lock_freep) = NULL;
	char *path SCOPED(mem_freep) = in_dir("again.lock");
	struct jval *v SCOPED(jval_freep) = NULL;
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct err e;
	size_t n = 9;

	(void)state;
	if (load(list, &l, &e) != 0)
		fail_msg("%s", e.msg);
	assert_int_equal(l->recorded_n, 3);
	assert_string_equal(l->recorded[0].location, "/b");
	assert_string_equal(l->recorded[1].type, "x/y");
	assert_int_equal(l->recorded[1].size, 5);
	assert_ptr_equal(lock_recorded_of(l, "a", &n), &l->recorded[0]);
	assert_int_equal(n, 2);
	assert_ptr_equal(lock_recorded_of(l, "b", &n), &l->recorded[2]);
	assert_int_equal(n, 1);
	assert_null(lock_recorded_of(l, "c", &n));
	assert_int_equal(n, 0);
	v = lock_recorded_json(l->recorded, l->recorded_n);
	jval_write(v, &b);
	assert_string_equal(b.data, list);
	assert_int_equal(lock_save(l, path, &e), 0);
	assert_int_equal(lock_load(path, &again, &e), 0);
	assert_int_equal(again->recorded_n, 3);
}

static void refuses_what_it_would_not_write(void **state)
{
	static const struct {
		const char *list, *want;
	} bads[] = {
	    {"[]", "is empty or no list"},
	    {"{}", "is empty or no list"},
	    {"{\"a\":1}", "no list"},
	    {"[1]", "recorded[0]: not an object"},
	    {"[" ENTRY("\"x\":\"y\"", "0", "200", "a", "http://h/") "]", "unknown key \"x\""},
	    {"[" ENTRY("\"location\":\"a\\nb\"", "0", "302", "a", "http://h/") "]",
	     "\"location\" wants one line"},
	    {"[" ENTRY("", "-1", "200", "a", "http://h/") "]", "\"size\" wants"},
	    {"[" ENTRY("", "17179869185", "200", "a", "http://h/") "]", "\"size\" wants"},
	    {"[" ENTRY("", "0", "500", "a", "http://h/") "]", "\"status\" is none"},
	    {"[" ENTRY("", "0", "206", "a", "http://h/") "]", "\"status\" is none"},
	    {"[" ENTRY("", "0", "304", "a", "http://h/") "]", "\"status\" is none"},
	    {"[" ENTRY("", "1", "404", "a", "http://h/") "]", "a body without success"},
	    {"[" ENTRY("", "1", "200", "../a", "http://h/") "]", "\"step\" wants a name"},
	    {"[" PLAIN("ftp://h/") "]", "\"url\" wants a URL"},
	    {"[" PLAIN("http://H/") "]", "\"url\" wants a URL"},
	    {"[" PLAIN("http://h:80/") "]", "\"url\" wants a URL"},
	    {"[" PLAIN("http://h") "]", "\"url\" wants a URL"},
	    {"[" PLAIN("http://u:p@h/") "]", "\"url\" wants a URL"},
	    {"[" PLAIN("http://h/a b") "]", "\"url\" wants a URL"},
	    {"[" PLAIN("http://h/b") "," PLAIN("http://h/a") "]", "recorded[1]: out of order"},
	    {"[" PLAIN("http://h/a") "," PLAIN("http://h/a") "]", "recorded[1]: out of order"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
		struct lock *l = NULL;
		struct err e;

		if (load(bads[i].list, &l, &e) == 0)
			fail_msg("taken: %s", bads[i].list);
		assert_null(l);
		assert_int_equal(e.kind, ERR_RECIPE);
		if (strstr(e.msg, bads[i].want) == NULL)
			fail_msg("%s, wanted %s", e.msg, bads[i].want);
	}
}

static void says_what_changed(void **state)
{
	struct lock *a SCOPED(lock_freep) = NULL, *b SCOPED(lock_freep) = NULL;
	struct strv said SCOPED(strv_release) = {0};
	struct err e;

	(void)state;
	assert_int_equal(load("[" PLAIN("http://h/a") "," PLAIN("http://h/b") "]", &a, &e), 0);
	assert_int_equal(
	    load("[" ENTRY("", "0", "404", "a", "http://h/b") "," PLAIN("http://h/c") "]", &b, &e),
	    0);
	lock_diff(a, a, &said);
	assert_int_equal(said.n, 0);
	lock_diff(a, b, &said);
	assert_int_equal(said.n, 3);
	assert_string_equal(said.v[0], "- recorded a http://h/a");
	assert_string_equal(said.v[1],
			    "recorded a http://h/b: 200 111111111111 -> 404 111111111111");
	assert_string_equal(said.v[2], "+ recorded a http://h/c");
}

/* A digest that is known is that of a lock with other records no more. */
static void other_records_are_another_lock(void **state)
{
	struct lock *a SCOPED(lock_freep) = NULL, *b SCOPED(lock_freep) = NULL;
	struct digest of_a, of_b, d;
	struct lock with;
	struct err e;

	(void)state;
	assert_int_equal(load("[" PLAIN("http://h/a") "]", &a, &e), 0);
	assert_int_equal(load("[" PLAIN("http://h/b") "]", &b, &e), 0);
	of_a = lock_digest(a);
	of_b = lock_digest(b);
	lock_know(a);
	d = lock_digest(a);
	assert_true(digest_equal(&d, &of_a));
	with = lock_with(a, b->recorded, b->recorded_n);
	d = lock_digest(&with);
	assert_true(digest_equal(&d, &of_b));
	with = lock_with(a, NULL, 0);
	d = lock_digest(&with);
	assert_false(digest_equal(&d, &of_a));
	with = lock_with(&with, a->recorded, a->recorded_n);
	d = lock_digest(&with);
	assert_true(digest_equal(&d, &of_a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_network_of_a_step),
	    cmocka_unit_test(reads_and_writes_entries),
	    cmocka_unit_test(refuses_what_it_would_not_write),
	    cmocka_unit_test(says_what_changed),
	    cmocka_unit_test(other_records_are_another_lock),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
