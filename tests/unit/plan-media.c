/* plan/parts: what a step is shown is in its key. */
#include "plan/parts.h"

#include "shim/image.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The parts of a step that mounts the medium. */
static struct jval *parts(const char *file, bool as_file, const char *a, const char *b)
{
	struct recipe_media m = {
	    .name = (char *)(uintptr_t) "m", .file = (char *)(uintptr_t)file, .as_file = as_file};
	struct recipe_mount at = {.media = m.name};
	struct recipe_step s = {.name = m.name, .mounts = &at, .mounts_n = 1};
	struct jval *resolved SCOPED(jval_freep) = jval_object(), *steps = jval_array();
	struct recipe r = {.media = &m, .media_n = 1, .steps = &s, .steps_n = 1};
	const struct lock l = {0};
	struct jval *v;

	jval_push(steps, jval_object());
	jval_put(resolved, "steps", steps);
	r.resolved = resolved;
	if (a != NULL)
		strv_add(&m.inside, a);
	if (b != NULL)
		strv_add(&m.inside, b);
	v = parts_step(&r, &l, &s);
	strv_release(&m.inside);
	return v;
}

/* The parts of a step that expects something of its machine. */
static struct jval *parts_of(struct recipe_expects x)
{
	struct recipe_step s = {.name = (char *)(uintptr_t) "s", .expects = x};
	struct jval *resolved SCOPED(jval_freep) = jval_object(), *steps = jval_array();
	struct recipe r = {.steps = &s, .steps_n = 1};
	const struct lock l = {0};

	jval_push(steps, jval_object());
	jval_put(resolved, "steps", steps);
	r.resolved = resolved;
	return parts_step(&r, &l, &s);
}

static bool same(struct jval *a, struct jval *b)
{
	bool is = jval_equal(a, b);

	jval_free(a);
	jval_free(b);
	return is;
}

static void blanks_do_not_join(void **state)
{
	(void)state;
	assert_true(same(parts("x", true, NULL, NULL), parts("x", true, NULL, NULL)));
	assert_false(same(parts("file x", false, NULL, NULL), parts("x", true, NULL, NULL)));
	assert_false(same(parts("x", false, "a in b", NULL), parts("x", false, "a", "b")));
}

static void names_of_any_bytes_differ(void **state)
{
	(void)state;
	assert_false(
	    same(parts("x", false, "a\xe4.tar", NULL), parts("x", false, "a\xf6.tar", NULL)));
	assert_false(same(parts("%20", false, NULL, NULL), parts(" ", false, NULL, NULL)));
}

/* The program that stands in for systemctl and mount. */
static void what_stands_in_is_in_the_key(void **state)
{
	struct jval *plain SCOPED(jval_freep) = NULL, *with SCOPED(jval_freep) = NULL;
	const void *p;
	struct digest d;
	size_t n = 0;

	(void)state;
	plain = parts_of((struct recipe_expects){.hostname = (char *)(uintptr_t) "till"});
	assert_null(jval_get(plain, "shim"));
	p = shim_image(&n);
	d = digest_of(p, n);
	with = parts_of((struct recipe_expects){.shim = true});
	assert_string_equal(jval_str(jval_get(with, "shim")), digest_text(&d).s);
	jval_free(with);
	with = parts_of((struct recipe_expects){.loop = true});
	assert_string_equal(jval_str(jval_get(with, "shim")), digest_text(&d).s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(blanks_do_not_join),
	    cmocka_unit_test(names_of_any_bytes_differ),
	    cmocka_unit_test(what_stands_in_is_in_the_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
