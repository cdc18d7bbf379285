/* What a thread does ahead of its caller. */
#include "sys/ahead.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

enum { N = 50, MOST = 3 };

struct row {
	atomic_size_t done, waited, furthest, told;
	size_t order[N];
};

static void work(void *ctx, size_t i)
{
	struct row *r = ctx;
	size_t past = i - r->waited;

	if (i > r->waited && past > r->furthest)
		r->furthest = past;
	r->order[r->done++] = i;
}

static void test_in_order_and_not_too_far(void **state)
{
	struct row r = {0};
	struct ahead *a = ahead_new(N, MOST, work, NULL, &r);

	(void)state;
	for (size_t i = 0; i < N; i += 2) {
		r.waited = i;
		ahead_wait(a, i);
		assert_true(r.done > i);
		assert_int_equal(r.order[i], i);
		if (i % 10 == 0)
			(void)usleep(2000);
	}
	ahead_free(a);
	assert_true(r.furthest <= MOST + 1);
	assert_true(r.furthest > 0);
}

static void tell(void *ctx)
{
	struct row *r = ctx;

	r->told++;
}

/* Nobody waits, and yet it goes on: whoever is told finds it done. */
static void test_told_of_each(void **state)
{
	struct row r = {0};
	struct ahead *a = ahead_new(N, MOST, work, tell, &r);

	(void)state;
	for (size_t i = 0; i < N; i++) {
		while (!ahead_done(a, i))
			(void)usleep(100);
		assert_true(r.done > i);
		assert_int_equal(r.order[i], i);
	}
	ahead_free(a);
	assert_int_equal(r.told, N);
}

static void test_left_early(void **state)
{
	struct row r = {0};
	struct ahead *a = ahead_new(N, MOST, work, NULL, &r);

	(void)state;
	ahead_wait(a, 0);
	ahead_free(a);
	assert_true(r.done >= 1 && r.done <= MOST + 2);
	ahead_free(ahead_new(0, MOST, work, NULL, &r));
	ahead_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_in_order_and_not_too_far),
	    cmocka_unit_test(test_told_of_each),
	    cmocka_unit_test(test_left_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
