/* form: MD5 of parts and of blocks of a file. */
#include "form/md5.h"

#include "form/hex.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { BYTES = 600001 };

static int enter(void **state)
{
	static int fd;
	char path[] = "/tmp/form-md5-XXXXXX";

	fd = mkstemp(path);
	if (fd < 0 || unlink(path) != 0)
		return -1;
	for (int i = 0; i < BYTES; i++) {
		char c = (char)(i % 251);

		if (i < 4096 || i == BYTES - 1)
			if (pwrite(fd, &c, 1, i) != 1)
				return -1;
	}
	*state = &fd;
	return 0;
}

static int leave(void **state)
{
	return close(*(int *)*state);
}

/* Each block is what md5_part says of it, the last, shorter one too. */
static void of_blocks(void **state)
{
	static const size_t blocks[] = {4096, 5000, 1 << 20};
	int fd = *(int *)*state;
	struct err e = ERR_INIT;

	for (size_t b = 0; b < sizeof(blocks) / sizeof(blocks[0]); b++) {
		struct buf sums SCOPED(buf_release) = BUF_INIT(1 << 20);
		struct hash *h SCOPED(hash_freep) = hash_new();
		const uint64_t n = (BYTES + blocks[b] - 1) / blocks[b];
		const struct md5_blocks of = {BYTES, blocks[b], h};
		struct digest all, same;

		assert_int_equal(md5_blocks(fd, &of, &sums, &e), 0);
		assert_int_equal(sums.len, n * MD5_BYTES);
		all = hash_final(h);
		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		assert_int_equal(digest_fd(fd, &same, NULL, &e), 0);
		assert_string_equal(digest_hex(&all).s, digest_hex(&same).s);
		for (uint64_t i = 0; i < n; i++) {
			const uint64_t from = i * blocks[b];
			const uint64_t len = BYTES - from < blocks[b] ? BYTES - from : blocks[b];
			char want[MD5_HEX + 1], is[MD5_HEX + 1];

			assert_int_equal(md5_part(fd, from, len, want, &e), 0);
			hex_encode((const unsigned char *)sums.data + i * MD5_BYTES, MD5_BYTES, is);
			assert_string_equal(is, want);
		}
	}
}

static void of_none_and_of_too_much(void **state)
{
	int fd = *(int *)*state;
	struct buf sums SCOPED(buf_release) = BUF_INIT(1 << 20);
	const struct md5_blocks none = {0, 4096, NULL}, more = {BYTES + 1, 4096, NULL};
	struct err e = ERR_INIT;

	assert_int_equal(md5_blocks(fd, &none, &sums, &e), 0);
	assert_int_equal(sums.len, 0);
	assert_int_equal(md5_blocks(fd, &more, &sums, &e), -1);
	assert_int_equal(e.kind, ERR_FAIL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(of_blocks, enter, leave),
	    cmocka_unit_test_setup_teardown(of_none_and_of_too_much, enter, leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
