/* recipe/resolved: what a recipe resolves to is a recipe again, and the same one. */
#include "recipe/recipe.h"

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

static char dir[] = "/tmp/posmedia-again.XXXXXX";

static int set_up(void **state)
{
	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	return fs_rmtree(AT_FDCWD, dir, &e);
}

static struct recipe *load(const char *path, const char *root)
{
	struct recipe *r = NULL;
	struct err e = ERR_INIT;

	if (recipe_load_in(path, root, &r, &e) != 0)
		fail_msg("%s (%s)", e.msg, e.hint);
	return r;
}

/* The resolved text of r, read in the project at root, resolves to that text. */
static void is_the_same_again(const struct recipe *r, const char *root)
{
	struct buf before SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct buf after SCOPED(buf_release) = BUF_INIT(1 << 20);
	char *path SCOPED(mem_freep) = fs_join(dir, "recipe.json");
	struct recipe *again SCOPED(recipe_freep) = NULL;
	struct digest d;

	jval_write(r->resolved, &before);
	put_text(dir, "recipe.json", before.data);
	again = load(path, root);
	jval_write(again->resolved, &after);
	assert_string_equal(after.data, before.data);
	d = digest_of(before.data, before.len);
	assert_true(digest_equal(&d, &r->digest));
	assert_true(digest_equal(&again->digest, &r->digest));
}

static void every_key_comes_back(void **state)
{
	struct recipe *r SCOPED(recipe_freep) = load("tests/fixtures/recipes/full.yaml", NULL);

	(void)state;
	is_the_same_again(r, "tests/fixtures");
}

static void texts_and_defaults_come_back(void **state)
{
	char *path SCOPED(mem_freep) = fs_join(dir, "a/recipes/t.yaml");
	char *root SCOPED(mem_freep) = fs_join(dir, "a");
	struct recipe *r SCOPED(recipe_freep) = NULL;

	(void)state;
	put_text(dir, "a/k.gpg", "");
	put_text(
	    dir, "a/recipes/t.yaml",
	    "posmedia: 1\nname: t\nversion: 1\nbase: {apt: {suite: bookworm, keyring: k.gpg}}\n"
	    "steps:\n"
	    "  - name: s\n"
	    "    run: [sh, -c, \"a \\\"b\\\" \\\\ {x: [y]}\\n\\tno: 0755 # ü\", \"\", \"*p\", "
	    "'<<']\n"
	    "    timeout: 1h\n"
	    "run: {env: {A: \"x=y: #\", B: \"\"}}\n");
	r = load(path, NULL);
	is_the_same_again(r, root);
}

/* What the recipe names by an absolute path gets a name of its own in the project. */
static void a_path_outside_has_a_name_inside(void **state)
{
	char *path SCOPED(mem_freep) = fs_join(dir, "a/recipes/t.yaml");
	char *from SCOPED(mem_freep) = fs_join(dir, "elsewhere/tree");
	char *other SCOPED(mem_freep) = fs_join(dir, "b");
	char *name SCOPED(mem_freep) = NULL, *inside SCOPED(mem_freep) = NULL;
	char *text SCOPED(mem_freep) = NULL;
	struct recipe *r SCOPED(recipe_freep) = NULL;
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);

	(void)state;
	put_text(dir, "a/k.gpg", "");
	put_text(dir, "b/k.gpg", "");
	put_text(dir, "elsewhere/tree/etc/motd", "");
	text = mem_format("posmedia: 1\nname: t\nversion: 1\n"
			  "base: {apt: {suite: bookworm, keyring: k.gpg}}\n"
			  "overlays: [{from: \"%s\", to: /}]\n",
			  from);
	put_text(dir, "a/recipes/t.yaml", text);
	r = load(path, NULL);
	jval_write(r->resolved, &b);
	assert_null(strstr(b.data, dir));
	name = recipe_path(r, r->overlays[0].from);
	assert_int_equal(strncmp(name, "outside/", 8), 0);
	assert_string_equal(name + 8 + 16, "-tree");
	inside = mem_format("b/%s/etc/motd", name);
	put_text(dir, inside, "");
	is_the_same_again(r, other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(every_key_comes_back, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(texts_and_defaults_come_back, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_path_outside_has_a_name_inside, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("recipe-again", tests, NULL, NULL);
}
