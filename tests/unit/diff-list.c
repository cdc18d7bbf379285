/* A tree's packages against a server's list that has no epochs. */
#include "diff/compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct diff_item item(const char *name, const char *was, const char *is)
{
	return (struct diff_item){.name = mem_strdup(name),
				  .was = was != NULL ? mem_strdup(was) : NULL,
				  .is = is != NULL ? mem_strdup(is) : NULL};
}

static void an_epoch_that_the_list_does_not_have_is_no_difference(void **state)
{
	struct inventory list = {.kind = INVENTORY_RPM};
	struct diff d = {0};
	struct diff_list *l = &d.lists[DIFF_PACKAGES];
	struct diff_item v[] = {
	    item("bash", "5.1-7", "5.1-6"),   item("gone", NULL, "1-1"),
	    item("own", "1-1", NULL),         item("perl", "4:5.32-480", "5.32-480"),
	    item("zlib", "1:1.2-1", "1.3-1"),
	};
	static const char *const notes[] = {"newer", "missing", "extra", "older"};

	(void)state;
	l->n = sizeof(v) / sizeof(v[0]);
	l->v = mem_zalloc(sizeof(v));
	memcpy(l->v, v, sizeof(v));
	compare_list(&list, true, l);
	assert_int_equal(l->n, 4);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(l->v[i].note, notes[i]);
	assert_string_equal(l->v[3].name, "zlib");
	diff_release(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_epoch_that_the_list_does_not_have_is_no_difference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
