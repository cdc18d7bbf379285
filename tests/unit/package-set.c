/* package/set: apt's plan becomes the fewest dpkg runs that respect every Pre-Depends. */
#include "package/set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One line a package: NAME[!] PRE-DEPENDS / DEPENDS / PROVIDES; "!" is Essential: yes. */
struct given {
	const char *name, *pre, *dep, *provides;
	bool essential;
};

static void make(struct set *s, const struct given *v, size_t n)
{
	struct buf plan SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct err e = ERR_INIT;

	for (size_t i = 0; i < n; i++)
		buf_addf(&plan, "Inst %s (1.0 x:1/y [amd64])\n", v[i].name);
	for (size_t i = 0; i < n; i++)
		buf_addf(&plan, "Conf %s (1.0 x:1/y [amd64])\n", v[n - 1 - i].name);
	if (set_parse_plan(plan.data, s, &e) != 0)
		fail_msg("%s", e.msg);
	for (size_t i = 0; i < n; i++) {
		s->v[i].pre_depends = v[i].pre == NULL ? NULL : mem_strdup(v[i].pre);
		s->v[i].depends = v[i].dep == NULL ? NULL : mem_strdup(v[i].dep);
		s->v[i].provides = v[i].provides == NULL ? NULL : mem_strdup(v[i].provides);
		s->v[i].is_essential = v[i].essential;
	}
	set_mark_essential(s);
}

static char *batches_text(const struct lock *l)
{
	struct buf b = BUF_INIT(1 << 16);

	for (size_t i = 0; i < l->batches_n; i++) {
		buf_addf(&b, "%s%c", i > 0 ? " " : "", l->batches[i].configure ? 'c' : 'u');
		for (size_t k = 0; k < l->batches[i].names.n; k++)
			buf_addf(&b, ",%s", l->batches[i].names.v[k]);
	}
	return buf_take(&b);
}

static void expect(const struct given *v, size_t n, const char *want)
{
	struct set s SCOPED(set_release) = {0};
	struct lock l SCOPED(lock_release) = {0};
	struct err e = ERR_INIT;
	char *got SCOPED(mem_freep) = NULL;

	make(&s, v, n);
	if (set_batches(&s, &l, &e) != 0)
		fail_msg("%s", e.msg);
	got = batches_text(&l);
	assert_string_equal(got, want);
}

static void reads_the_plan(void **state)
{
	struct set s SCOPED(set_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(set_parse_plan("Reading...\nInst b (1:2.0-3+x~1 D:1/s, D:2/t [all]) []\n"
					"Inst a:amd64 (2 D:1 [amd64]) [c:amd64 ]\nConf a (2 D)\n"
					"Conf b (1:2.0-3+x~1 D)\n",
					&s, &e),
			 0);
	assert_int_equal(s.n, 2);
	assert_string_equal(s.v[0].lock.name, "b");
	assert_string_equal(s.v[0].lock.version, "1:2.0-3+x~1");
	assert_string_equal(s.v[0].lock.arch, "all");
	assert_string_equal(s.v[1].lock.name, "a");
	assert_string_equal(s.v[1].lock.arch, "amd64");
	assert_ptr_equal(set_find(&s, "a"), &s.v[1]);
	assert_true(s.v[1].configured < s.v[0].configured);
	assert_null(set_find(&s, "c"));
}

static void refuses_odd_plans(void **state)
{
	static const char *const bad[] = {
	    "",
	    "nothing to do\n",
	    "Inst a (1 D [amd64])\nRemv b [1]\n",
	    "Inst a (1 D)\n",
	    "Inst \n",
	    "Inst a (1 D [amd64])\nConf b (1 D [amd64])\n",
	    "Inst a (1 D [amd64])\nInst a:i386 (1 D [i386])\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct set s SCOPED(set_release) = {0};
		struct err e = ERR_INIT;

		assert_int_equal(set_parse_plan(bad[i], &s, &e), -1);
		assert_true(e.msg[0] != '\0');
		assert_int_equal(s.n, 0);
	}
}

static void essential_takes_what_it_depends_on(void **state)
{
	static const struct given v[] = {
	    {"libc", NULL, NULL, NULL, false},
	    {"awk1", NULL, "libc (>= 2)", "awk", false},
	    {"base", "awk", "none | libc", NULL, true},
	    {"shell", "libc (>= 2.3) [amd64]", NULL, NULL, true},
	    {"more", NULL, "base", NULL, false},
	};
	struct set s SCOPED(set_release) = {0};

	(void)state;
	make(&s, v, 5);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(s.v[i].lock.essential, i < 4);
}

static void unpacks_all_at_once_when_nothing_waits(void **state)
{
	static const struct given v[] = {
	    {"e", NULL, NULL, NULL, true},
	    {"a", "e (>= 1)", "b", NULL, false},
	    {"b", NULL, "a", NULL, false},
	};

	(void)state;
	expect(v, 3, "u,a,b c,b,a");
	expect(v, 1, "");
}

static void waits_for_all_that_a_pre_dependency_needs(void **state)
{
	static const struct given v[] = {
	    {"lib", NULL, NULL, NULL, false},
	    {"sys", "lib", "tool", NULL, false},
	    {"tool", NULL, NULL, NULL, false},
	    {"init", "sys (>= 2) | other", NULL, NULL, false},
	    {"odd", NULL, NULL, NULL, false},
	    {"mail", "transport", NULL, NULL, false},
	    {"exim", NULL, NULL, "transport (= 1)", false},
	};

	(void)state;
	/* configured in the plan's order, which is the reverse of unpacking in these tests */
	expect(v, 7, "u,lib,tool,odd,exim c,exim,lib u,sys,mail c,tool,sys u,init c,mail,odd,init");
}

static void a_late_dependency_delays_the_waiter(void **state)
{
	/* top needs mid configured, mid needs late, and late itself waits for lib */
	static const struct given v[] = {
	    {"lib", NULL, NULL, NULL, false},
	    {"late", "lib", NULL, NULL, false},
	    {"mid", NULL, "late", NULL, false},
	    {"top", "mid", NULL, NULL, false},
	};

	(void)state;
	expect(v, 4, "u,lib,mid c,lib u,late c,mid,late u,top c,top");
}

static void the_first_alternative_at_hand_suffices(void **state)
{
	/* the second one would close a circle */
	static const struct given v[] = {
	    {"a", "none | b | c", NULL, NULL, false},
	    {"b", NULL, NULL, NULL, false},
	    {"c", "a", NULL, NULL, false},
	};

	(void)state;
	expect(v, 3, "u,b c,b u,a c,a u,c c,c");
}

static void refuses_a_circle_of_pre_dependencies(void **state)
{
	static const struct given v[] = {
	    {"a", "b", NULL, NULL, false},
	    {"b", "a", NULL, NULL, false},
	};
	struct set s SCOPED(set_release) = {0};
	struct lock l SCOPED(lock_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	make(&s, v, 2);
	assert_int_equal(set_batches(&s, &l, &e), -1);
	assert_int_equal(e.kind, ERR_RECIPE);
	assert_non_null(strstr(e.msg, "pre-depends on itself"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_the_plan),
	    cmocka_unit_test(refuses_odd_plans),
	    cmocka_unit_test(essential_takes_what_it_depends_on),
	    cmocka_unit_test(unpacks_all_at_once_when_nothing_waits),
	    cmocka_unit_test(waits_for_all_that_a_pre_dependency_needs),
	    cmocka_unit_test(a_late_dependency_delays_the_waiter),
	    cmocka_unit_test(the_first_alternative_at_hand_suffices),
	    cmocka_unit_test(refuses_a_circle_of_pre_dependencies),
	};

	return cmocka_run_group_tests_name("package-set", tests, NULL, NULL);
}
