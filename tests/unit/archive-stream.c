/* Compressors whose bytes do not depend on the machine. */
#include "archive-lib.h"
#include "archive/pack.h"

enum { OUT_MAX = 64 << 20 };

static bool is_digest_of(const struct digest *d, const void *p, size_t n)
{
	struct digest want = digest_of(p, n);

	return digest_equal(d, &want);
}

/* Some of it compresses, some does not; not a whole number of blocks. */
static char *mixed(size_t n)
{
	char *p = mem_zalloc(n);
	uint32_t x = 1;

	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = (i >> 16) % 3 == 0 ? (char)(x >> 24) : "POS sale 0001 "[i % 14];
	}
	return p;
}

static struct pack_result compress(const struct pack_opts *o, const char *p, size_t n, size_t step,
				   struct buf *out)
{
	const struct sink sink = {to_buf, out};
	struct pack_stream *st = NULL;
	struct pack_result r = {0};
	struct err e = ERR_INIT;
	struct sink in;

	assert_int_equal(pack_stream_open(o, &sink, &st, &e), 0);
	in = pack_stream_sink(st);
	for (size_t at = 0; at < n; at += step)
		assert_int_equal(sink_write(&in, p + at, n - at < step ? n - at : step, &e), 0);
	assert_int_equal(pack_stream_close(st, &r, &e), 0);
	pack_stream_free(st);
	assert_int_equal(r.raw_size, n);
	assert_int_equal(r.size, out->len);
	assert_true(is_digest_of(&r.diff_id, p, n));
	assert_true(is_digest_of(&r.digest, out->data, out->len));
	return r;
}

static void check_stable(enum pack_compression c, size_t n, const char *tool)
{
	static const unsigned threads[] = {1, 2, 4, 8, 0};
	static const size_t steps[] = {1 << 16, 777777, 4096, 100000000, 12345};
	char *p SCOPED(mem_freep) = mixed(n);
	struct scratch s = scratch_make();
	struct digest first = {0};
	char *diff;

	for (size_t i = 0; i < sizeof(threads) / sizeof(threads[0]); i++) {
		struct pack_opts o = {.compression = c, .threads = threads[i]};
		struct buf out SCOPED(buf_release) = BUF_INIT(OUT_MAX);
		struct pack_result r = compress(&o, p, n, steps[i], &out);

		if (i == 0) {
			first = r.digest;
			put_bytes(&s, "packed", out.data, out.len);
		}
		assert_true(digest_equal(&first, &r.digest));
	}
	put_bytes(&s, "plain", p, n);
	DO(&s, tool, "-t", "packed");
	diff = mem_format("%s -dc <packed | cmp - plain", tool);
	DO(&s, "sh", "-c", diff);
	free(diff);
	scratch_drop(&s);
}

static void threads_do_not_change_the_bytes(void **state)
{
	static const size_t sizes[] = {0, 1, 5000, 1 << 20, (1 << 20) + 1, 9 << 20, 23456789};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		check_stable(PACK_GZIP, sizes[i], "gzip");
		check_stable(PACK_ZSTD, sizes[i], "zstd");
	}
}

static void the_gzip_header_says_nothing(void **state)
{
	static const uint8_t head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
	const struct pack_opts o = {.compression = PACK_GZIP};
	struct buf out SCOPED(buf_release) = BUF_INIT(OUT_MAX);

	(void)state;
	(void)compress(&o, "x", 1, 1, &out);
	assert_memory_equal(out.data, head, sizeof(head));
}

static void zstd_has_a_checksum(void **state)
{
	const struct pack_opts o = {.compression = PACK_ZSTD};
	struct buf out SCOPED(buf_release) = BUF_INIT(OUT_MAX);

	(void)state;
	(void)compress(&o, "x", 1, 1, &out);
	assert_memory_equal(out.data, "\x28\xb5\x2f\xfd", 4);
	assert_true((out.data[4] & 4) != 0);
}

static void levels(void **state)
{
	static const struct {
		enum pack_compression c;
		int level;
		bool ok;
	} cases[] = {
	    {PACK_GZIP, 1, true},   {PACK_GZIP, 9, true},   {PACK_GZIP, 13, false},
	    {PACK_GZIP, -1, false}, {PACK_ZSTD, 1, true},   {PACK_ZSTD, 19, true},
	    {PACK_ZSTD, 20, false}, {PACK_ZSTD, -7, false}, {PACK_NONE, 0, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pack_opts o = {.compression = cases[i].c, .level = cases[i].level};
		struct buf out SCOPED(buf_release) = BUF_INIT(OUT_MAX);
		const struct sink sink = {to_buf, &out};
		struct pack_stream *st = NULL;
		struct err e = ERR_INIT;

		assert_int_equal(pack_stream_open(&o, &sink, &st, &e) == 0, cases[i].ok);
		if (!cases[i].ok)
			assert_int_equal(e.kind, ERR_USAGE);
		pack_stream_free(st);
	}
	pack_stream_free(NULL);
}

static void the_compressor_is_named(void **state)
{
	struct pack_opts o = {.compression = PACK_GZIP};
	char *id = pack_compressor_id(&o);

	(void)state;
	assert_int_equal(strncmp(id, "gzip-6/libdeflate-1.", 20), 0);
	free(id);
	o = (struct pack_opts){.compression = PACK_ZSTD, .level = 19};
	id = pack_compressor_id(&o);
	assert_int_equal(strncmp(id, "zstd-19/libzstd-1.", 18), 0);
	free(id);
	o.compression = PACK_NONE;
	id = pack_compressor_id(&o);
	assert_string_equal(id, "none");
	free(id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(threads_do_not_change_the_bytes),
	    cmocka_unit_test(the_gzip_header_says_nothing),
	    cmocka_unit_test(zstd_has_a_checksum),
	    cmocka_unit_test(levels),
	    cmocka_unit_test(the_compressor_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
