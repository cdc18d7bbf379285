/* archive/tarcmp: the first difference of two tars, in words. */
#include "archive/tarcmp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "archive-tar.h"
#include "archive/pack.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int file_of(const struct buf *b)
{
	int fd = memfd_create("tar", MFD_CLOEXEC);
	struct err e = ERR_INIT;

	assert_true(fd >= 0);
	assert_int_equal(fs_write_all(fd, b->data, b->len, &e), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void says(const struct buf *was, const struct buf *is, const char *words)
{
	int a SCOPED(fd_closep) = file_of(was), b SCOPED(fd_closep) = file_of(is);
	char *got SCOPED(mem_freep) = NULL;
	struct err e = ERR_INIT;

	if (tar_compare(a, b, &got, &e) != 0)
		fail_msg("%s", e.msg);
	if (words == NULL)
		assert_null(got);
	else
		assert_string_equal(got, words);
}

/* A tar of one file whose header differs by one field, and of another file. */
static void one(struct buf *b, const struct tar_item *first)
{
	tar_entry(b, first);
	tar_file(b, "b", "text b\n");
	tar_end(b);
}

static void the_same_is_nothing(void **state)
{
	struct buf a SCOPED(buf_release) = BUF_INIT(1 << 20);

	(void)state;
	one(&a, &(struct tar_item){.name = "a", .type = '0', .data = "x", .data_n = 1});
	says(&a, &a, NULL);
}

static void headers_by_field(void **state)
{
	static const struct {
		struct tar_item was, is;
		const char *words;
	} rows[] = {
	    {{.name = "a", .type = '0', .mtime = 1},
	     {.name = "a", .type = '0', .mtime = 2},
	     "\"a\": mtime is \"00000000001\" and \"00000000002\" in the header"},
	    {{.name = "a", .type = '0', .mode = 0644},
	     {.name = "a", .type = '0', .mode = 0600},
	     "\"a\": mode is \"0000644\" and \"0000600\" in the header"},
	    {{.name = "a", .type = '2', .link = "x"},
	     {.name = "a", .type = '2', .link = "y"},
	     "\"a\": link is \"x\" and \"y\" in the header"},
	    {{.name = "a", .type = '0', .data = "1", .data_n = 1},
	     {.name = "a", .type = '0', .data = "2", .data_n = 1},
	     "\"a\": content at byte 0"},
	    {{.name = "p", .type = 'x', .data = "10 atime=1\n", .data_n = 11},
	     {.name = "p", .type = 'x', .data = "10 atime=2\n", .data_n = 11},
	     "\"p\": a pax record at byte 0"},
	    {{.name = "a\n", .type = '0'},
	     {.name = "c", .type = '0'},
	     "the order of the entries: \"a?\" stands where \"c\" does"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf a SCOPED(buf_release) = BUF_INIT(1 << 20);
		struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);

		one(&a, &rows[i].was);
		one(&b, &rows[i].is);
		says(&a, &b, rows[i].words);
	}
}

static void names_of_users_and_padding(void **state)
{
	struct buf a SCOPED(buf_release) = BUF_INIT(1 << 20),
		     b SCOPED(buf_release) = BUF_INIT(1 << 20);

	(void)state;
	one(&a, &(struct tar_item){.name = "a", .type = '0', .data = "x", .data_n = 1});
	buf_add(&b, a.data, a.len);
	memcpy(b.data + 265, "root", 4);
	says(&a, &b, "\"a\": user name is \"\" and \"root\" in the header");
	memset(b.data + 265, 0, 4);
	b.data[512 + 7] = 'x';
	says(&a, &b, "\"a\": padding at byte 0");
}

static void ends(void **state)
{
	struct buf a SCOPED(buf_release) = BUF_INIT(1 << 20),
		     b SCOPED(buf_release) = BUF_INIT(1 << 20);

	(void)state;
	tar_file(&a, "a", "x");
	tar_end(&a);
	tar_file(&b, "a", "x");
	tar_file(&b, "b", "x");
	tar_end(&b);
	says(&a, &b, "one tar ends where the other has \"b\"");
	says(&b, &a, "one tar ends where the other has \"b\"");
}

static int to_buf(void *ctx, const void *p, size_t n, struct err *e)
{
	(void)e;
	buf_add(ctx, p, n);
	return 0;
}

/* Another level of the compressor is no difference of the tar. */
static void compression_does_not_count(void **state)
{
	struct buf a SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct buf v[2] = {BUF_INIT(1 << 20), BUF_INIT(1 << 20)};
	static const struct pack_opts opts[] = {{.compression = PACK_GZIP, .level = 1},
						{.compression = PACK_ZSTD, .level = 3}};

	(void)state;
	one(&a, &(struct tar_item){.name = "a", .type = '0', .data = "x", .data_n = 1});
	for (size_t i = 0; i < 2; i++) {
		struct sink out = {to_buf, &v[i]}, in;
		struct pack_stream *s = NULL;
		struct pack_result r;
		struct err e = ERR_INIT;

		assert_int_equal(pack_stream_open(&opts[i], &out, &s, &e), 0);
		in = pack_stream_sink(s);
		assert_int_equal(sink_write(&in, a.data, a.len, &e), 0);
		assert_int_equal(pack_stream_close(s, &r, &e), 0);
		pack_stream_free(s);
	}
	says(&v[0], &v[1], NULL);
	says(&v[0], &a, NULL);
	buf_release(&v[0]);
	buf_release(&v[1]);
}

static void damage_is_an_error(void **state)
{
	struct buf bad SCOPED(buf_release) = BUF_INIT(100);
	struct err e = ERR_INIT;
	char *got = NULL;
	int a SCOPED(fd_closep) = -1;

	(void)state;
	buf_add(&bad, "\x1f\x8b\x08\0\0\0\0\0\0\xff garbage", 18);
	a = file_of(&bad);
	assert_int_equal(tar_compare(a, a, &got, &e), -1);
	assert_null(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_same_is_nothing),        cmocka_unit_test(headers_by_field),
	    cmocka_unit_test(names_of_users_and_padding), cmocka_unit_test(ends),
	    cmocka_unit_test(compression_does_not_count), cmocka_unit_test(damage_is_an_error),
	};

	return cmocka_run_group_tests_name("archive-tarcmp", tests, NULL, NULL);
}
