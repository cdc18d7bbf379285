/* What a thread writes and hashes behind its caller. */
#include "base/mem.h"
#include "sys/behind.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { SIZE = 3000001 };

static char *bytes(void)
{
	char *p = mem_zalloc(SIZE);

	for (size_t i = 0; i < SIZE; i++)
		p[i] = (char)(i * 31 + i / 4096);
	return p;
}

static void test_all_of_it_in_order(void **state)
{
	static const size_t steps[] = {1, 16384, 524288, 700001, SIZE};
	char *p SCOPED(mem_freep) = bytes();
	const struct digest want = digest_of(p, SIZE);
	struct err e = ERR_INIT;

	(void)state;
	for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
		struct hash *h SCOPED(hash_freep) = hash_new();
		int fd SCOPED(fd_closep) = memfd_create("behind", MFD_CLOEXEC);
		struct behind *b = behind_new(fd, h);
		struct digest got;
		uint64_t n;

		assert_non_null(b);
		for (size_t at = 0; at < SIZE; at += steps[s])
			assert_int_equal(
			    behind_add(b, p + at, SIZE - at < steps[s] ? SIZE - at : steps[s], &e),
			    0);
		assert_int_equal(behind_wait(b, &e), 0);
		got = hash_final(h);
		assert_true(digest_equal(&got, &want));
		/* and on, after a wait */
		assert_int_equal(behind_add(b, "x", 1, &e), 0);
		behind_free(b);
		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		assert_int_equal(digest_fd(fd, &got, &n, &e), 0);
		assert_int_equal(n, SIZE + 1);
	}
}

static void test_a_full_disk_is_told(void **state)
{
	char *p SCOPED(mem_freep) = bytes();
	struct hash *h SCOPED(hash_freep) = hash_new();
	int fd SCOPED(fd_closep) = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct behind *b = behind_new(fd, h);
	struct err e = ERR_INIT;
	int rc;

	(void)state;
	assert_non_null(b);
	rc = behind_add(b, p, SIZE, &e);
	if (rc == 0)
		rc = behind_wait(b, &e);
	assert_int_equal(rc, -1);
	assert_non_null(strstr(e.msg, "No space left"));
	/* and again */
	assert_int_equal(behind_wait(b, &e), -1);
	behind_free(b);
	behind_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_all_of_it_in_order),
	    cmocka_unit_test(test_a_full_disk_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
