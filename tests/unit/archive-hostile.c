/* Archives that were made to do harm, and archives that are broken: each is refused by name, and
 * nothing outside the destination changes. */
#include "archive-lib.h"
#include "archive-tar.h"
#include "archive/unpack.h"

static const struct unpack_opts plain = {.what = "test.tar", .keep_owner = true};
static const struct unpack_opts layer = {.what = "test.tar", .layer = true, .keep_owner = true};

static int unpack_bytes(const struct scratch *s, const struct buf *b, const struct unpack_opts *o,
			struct err *e)
{
	char *path SCOPED(mem_freep) = mem_format("%s/u", s->path);
	int fd SCOPED(fd_closep) = -1;

	put_bytes(s, "archive", b->data, b->len);
	assert_int_equal(fs_rmtree(s->fd, "u", e), 0);
	assert_int_equal(mkdirat(s->fd, "u", 0755), 0);
	fd = openat(s->fd, "archive", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return unpack(fd, path, o, e);
}

static void refused(const struct scratch *s, const struct buf *b, const struct unpack_opts *o,
		    const char *message)
{
	struct err e = ERR_INIT;

	if (unpack_bytes(s, b, o, &e) == 0)
		fail_msg("not refused: %s, %zu bytes", message, b->len);
	if (strstr(e.msg, message) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", message, e.msg);
	assert_int_equal(e.kind, ERR_RECIPE);
	assert_int_equal(strncmp(e.msg, "test.tar: ", 10), 0);
}

/* An archive of up to two entries that must be refused, with the reason. */
struct hostile {
	struct tar_item first, second;
	const char *message;
	bool layer;
};

static void refuse_all(const struct hostile *h, size_t n)
{
	struct scratch s = scratch_make();

	put(&s, "outside/victim", "safe", 0644);
	for (size_t i = 0; i < n; i++) {
		struct buf tar SCOPED(buf_release) = BUF_INIT(1 << 20);

		tar_entry(&tar, &h[i].first);
		if (h[i].second.name != NULL)
			tar_entry(&tar, &h[i].second);
		tar_end(&tar);
		refused(&s, &tar, h[i].layer ? &layer : &plain, h[i].message);
		{
			char *seen = RUN(&s, "sh", "-c", "ls outside; cat outside/victim");

			assert_string_equal(seen, "victim\nsafe");
			free(seen);
		}
	}
	scratch_drop(&s);
}

static void names_that_leave(void **state)
{
	static const struct hostile cases[] = {
	    {{.name = "../outside/x", .type = '0'}, {0}, "../outside/x: the name has a \"..\"", 0},
	    {{.name = "a/../../x", .type = '0'}, {0}, "\"..\"", 0},
	    {{.name = "a/..", .type = '5'}, {0}, "\"..\"", 0},
	    {{.name = "..", .type = '5'}, {0}, "\"..\"", 0},
	    {{.name = "/etc/x", .type = '0'}, {0}, "/etc/x: the name is absolute", 0},
	    {{.name = "//x", .type = '0'}, {0}, "absolute", 0},
	    {{.name = "/etc/x", .type = '0'}, {0}, "absolute", 1},
	    {{.name = "../.wh.outside", .type = '0'}, {0}, "\"..\"", 1},
	    {{.name = ".", .type = '0'}, {0}, "the root must be a directory", 0},
	    {{.name = "./", .type = '2', .link = "x"}, {0}, "the root must be", 0},
	};

	(void)state;
	refuse_all(cases, sizeof(cases) / sizeof(cases[0]));
}

static void links_that_leave(void **state)
{
	static const struct hostile cases[] = {
	    {{.name = "l", .type = '2', .link = "../outside"},
	     {.name = "l/x", .type = '0'},
	     "l/x: it lies below l, which is not a directory",
	     0},
	    {{.name = "l", .type = '2', .link = "/"},
	     {.name = "l/etc/x", .type = '0'},
	     "it lies below l,",
	     0},
	    {{.name = "l", .type = '2', .link = "../outside"},
	     {.name = "l/.wh.victim", .type = '0'},
	     "it lies below l,",
	     1},
	    {{.name = "l", .type = '2', .link = "../outside"},
	     {.name = "l/.wh..wh..opq", .type = '0'},
	     "it lies below l,",
	     1},
	    {{.name = "l", .type = '2', .link = "../outside"},
	     {.name = "l/d", .type = '5'},
	     "it lies below l,",
	     0},
	    {{.name = "l", .type = '2', .link = "../outside"},
	     {.name = "h", .type = '1', .link = "l/victim"},
	     "h: the file it is a link to is not there",
	     0},
	    {{.name = "h", .type = '1', .link = "../outside/victim"}, {0}, "\"..\"", 0},
	    {{.name = "h", .type = '1', .link = "/etc/passwd"}, {0}, "absolute", 0},
	    {{.name = "h", .type = '1', .link = "nowhere"}, {0}, "is not there", 0},
	    {{.name = "h", .type = '1', .link = "h"}, {0}, "a link to itself", 0},
	    {{.name = "d", .type = '5'},
	     {.name = "h", .type = '1', .link = "d"},
	     "a link to a directory",
	     0},
	    {{.name = "f", .type = '0'}, {.name = "f/x", .type = '0'}, "it lies below f,", 0},
	    {{.name = "d/f", .type = '0'}, {.name = "d", .type = '0'}, "replace a directory", 0},
	};

	(void)state;
	refuse_all(cases, sizeof(cases) / sizeof(cases[0]));
}

/* A symlink that the archive replaces by a file must not be written through. */
static void a_symlink_is_replaced_not_followed(void **state)
{
	struct scratch s = scratch_make();
	struct buf tar SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;
	char *seen;

	(void)state;
	put(&s, "victim", "safe", 0644);
	tar_entry(&tar, &(struct tar_item){.name = "l", .type = '2', .link = "../victim"});
	tar_file(&tar, "l", "evil");
	tar_end(&tar);
	if (unpack_bytes(&s, &tar, &plain, &e) != 0)
		fail_msg("%s", e.msg);
	seen = RUN(&s, "cat", "victim", "u/l");
	assert_string_equal(seen, "safeevil");
	free(seen);
	scratch_drop(&s);
}

static void things_that_are_no_files(void **state)
{
	static const struct hostile cases[] = {
	    {{.name = "null", .type = '3'}, {0}, "null: neither a file nor", 0},
	    {{.name = "disk", .type = '4'}, {0}, "disk: neither a file nor", 0},
	    {{.name = "fifo", .type = '6'}, {0}, "fifo: neither a file nor", 0},
	    {{.name = ".wh.", .type = '0'}, {0}, "a whiteout of no file", 1},
	    {{.name = ".wh..", .type = '0'}, {0}, "a whiteout of no file", 1},
	    {{.name = ".wh...", .type = '0'}, {0}, "a whiteout of no file", 1},
	    {{.name = "a/.wh...", .type = '0'}, {0}, "a whiteout of no file", 1},
	    {{.name = "owner", .type = '0', .id = "\xff\xff\xff\xff\xff\xff\xff\xff"},
	     {0},
	     "is not a user id",
	     0},
	    {{.name = "owner", .type = '0', .id = "\x80\0\0\0\xff\xff\xff\xff"},
	     {0},
	     "is not a user id",
	     0},
	    {{.name = "\x1b[2Jred", .type = '3'}, {0}, ": ?[2Jred: ", 0},
	};

	(void)state;
	refuse_all(cases, sizeof(cases) / sizeof(cases[0]));
}

/* One pax record in front of an entry. */
static void tar_pax(struct buf *tar, const char *key, const char *val, size_t n)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
	size_t rest = strlen(key) + n + 3;
	size_t len = rest + (rest >= 9996 ? 5 : rest >= 997 ? 4 : rest >= 98 ? 3 : 2);

	buf_addf(&b, "%zu %s=", len, key);
	buf_add(&b, val, n);
	buf_add(&b, "\n", 1);
	assert_int_equal(b.len, len);
	tar_entry(tar,
		  &(struct tar_item){.name = "pax", .type = 'x', .data = b.data, .data_n = b.len});
}

static void names_from_pax_records(void **state)
{
	struct scratch s = scratch_make();
	char *longest = mem_zalloc(4098);
	static const struct {
		const char *key, *val, *message;
	} cases[] = {
	    {"path", "../x", "\"..\""},
	    {"path", "/x", "absolute"},
	    {"linkpath", "../../etc/passwd", "\"..\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf tar SCOPED(buf_release) = BUF_INIT(1 << 20);

		tar_pax(&tar, cases[i].key, cases[i].val, strlen(cases[i].val));
		tar_entry(&tar, &(struct tar_item){.name = "f", .type = '1', .link = "g"});
		tar_end(&tar);
		refused(&s, &tar, &plain, cases[i].message);
	}
	{
		struct buf tar SCOPED(buf_release) = BUF_INIT(1 << 20);

		memset(longest, 'x', 4097);
		for (size_t i = 100; i < 4097; i += 100)
			longest[i] = '/';
		tar_pax(&tar, "path", longest, 4097);
		tar_file(&tar, "f", "");
		tar_end(&tar);
		refused(&s, &tar, &plain, "more than 4096 bytes");
	}
	free(longest);
	scratch_drop(&s);
}

static void too_many(void **state)
{
	struct scratch s = scratch_make();
	struct buf tar SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct unpack_opts o = plain;
	struct err e = ERR_INIT;

	(void)state;
	for (int i = 0; i < 10; i++) {
		char *name SCOPED(mem_freep) = mem_format("f%d", i);

		tar_file(&tar, name, "1234567890");
	}
	tar_end(&tar);
	o.entries_max = 9;
	refused(&s, &tar, &o, "more than 9 entries");
	o.entries_max = 10;
	o.bytes_max = 99;
	refused(&s, &tar, &o, "f9: more than 99 bytes in all files");
	o.bytes_max = 100;
	if (unpack_bytes(&s, &tar, &o, &e) != 0)
		fail_msg("%s", e.msg);
	scratch_drop(&s);
}

/* 10 GB that are a few kB or MB on the wire. */
static void zeros_without_end(void **state)
{
	static const char *const commands[] = {
	    "truncate -s 10G f; tar -Scf archive f",
	    "truncate -s 10G f; tar --posix -Scf archive f",
	    "head -c 300000000 /dev/zero >f; tar -cf - f | gzip -1 >archive",
	    "head -c 300000000 /dev/zero >f; tar -cf - f | zstd -q >archive",
	    "head -c 300000000 /dev/zero >f; tar -cf - f | bzip2 >archive",
	    "truncate -s 10G f; mkdir t; mv f t; cd t && bsdtar -cf ../archive f",
	};
	struct scratch s = scratch_make();

	(void)state;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct buf b SCOPED(buf_release) = BUF_INIT(8 << 20);
		struct err e = ERR_INIT;
		struct unpack_opts o = plain;
		char *used;

		o.bytes_max = 200000000;
		DO(&s, "sh", "-c", commands[i]);
		assert_int_equal(fs_get(s.fd, "archive", &b, &e), 0);
		refused(&s, &b, &o, "f: more than 200000000 bytes in all files");
		used = RUN(&s, "sh", "-c", "[ $(du -sm u | cut -f1) -le 201 ] && rm -rf f t u");
		free(used);
	}
	scratch_drop(&s);
}

static void honest(struct buf *tar)
{
	char *data SCOPED(mem_freep) = mem_zalloc(100000);

	for (size_t i = 0; i < 100000; i++)
		data[i] = (char)('a' + i * i % 23);
	tar_dir(tar, "d/");
	tar_entry(tar,
		  &(struct tar_item){.name = "d/f", .type = '0', .data = data, .data_n = 100000});
	tar_file(tar, "g", "last");
	tar_end(tar);
}

static void pack_with(const struct scratch *s, const struct buf *tar, const char *command,
		      struct buf *ret)
{
	struct err e = ERR_INIT;

	put_bytes(s, "a.tar", tar->data, tar->len);
	DO(s, "sh", "-c", command);
	assert_int_equal(fs_get(s->fd, "packed", ret, &e), 0);
}

static const char *const packers[] = {
    "cp a.tar packed",     "gzip -nc a.tar >packed", "zstd -qc --check a.tar >packed",
    "xz -c a.tar >packed", "bzip2 -c a.tar >packed",
};
enum { PACKERS = sizeof(packers) / sizeof(packers[0]) };

static void truncated_anywhere(void **state)
{
	struct scratch s = scratch_make();
	struct buf tar SCOPED(buf_release) = BUF_INIT(1 << 20);

	(void)state;
	honest(&tar);
	for (size_t i = 0; i < PACKERS; i++) {
		struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
		size_t whole, step;

		pack_with(&s, &tar, packers[i], &b);
		whole = b.len;
		step = whole / 40 + 1;
		for (size_t cut = 1; cut < whole; cut += cut < 20 ? 3 : step) {
			/* what is left is the archive without its last `cut` bytes */
			b.len = whole - cut;
			refused(&s, &b, &plain, "");
		}
		for (size_t n = 512; i == 0 && n < whole; n += n < 2048 ? 512 : 25600) {
			b.len = n;
			refused(&s, &b, &plain, "");
		}
		b.len = 0;
		refused(&s, &b, &plain, "");
	}
	scratch_drop(&s);
}

/* A flipped bit is noticed, or falls on a byte that nobody reads; never is there wrong data
 * without an error. A plain tar has no checksum over its data: it is left out. */
static void flipped_bits(void **state)
{
	struct scratch s = scratch_make();
	struct buf tar SCOPED(buf_release) = BUF_INIT(1 << 20);

	(void)state;
	honest(&tar);
	put_bytes(&s, "a.tar", tar.data, tar.len);
	DO(&s, "sh", "-c", "mkdir good; tar -C good -xf a.tar");
	for (size_t i = 1; i < PACKERS; i++) {
		struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
		size_t caught = 0;

		pack_with(&s, &tar, packers[i], &b);
		for (size_t k = 0; k < 40; k++) {
			size_t at = b.len * k / 40 + k % 7;
			char *p = &b.data[at < b.len ? at : b.len - 1];
			struct err e = ERR_INIT;
			int rc;

			*p = (char)(*p ^ (1 << k % 8));
			rc = unpack_bytes(&s, &b, &plain, &e);
			*p = (char)(*p ^ (1 << k % 8));
			if (rc == 0)
				DO(&s, "diff", "-r", "good", "u");
			else
				assert_int_equal(e.kind, ERR_RECIPE);
			caught += rc != 0;
		}
		assert_true(caught >= 35);
	}
	scratch_drop(&s);
}

static void what_is_no_archive(void **state)
{
	struct scratch s = scratch_make();
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);

	(void)state;
	buf_addf(&b, "#!/bin/sh\necho this is a script and no archive at all\n");
	refused(&s, &b, &plain, "");
	refused(&s, &b, &layer, "");
	scratch_drop(&s);
}

/* Formats that a layer may not be. */
static void a_layer_is_a_tar(void **state)
{
	static const char *const commands[] = {
	    "bsdtar --format=zip -cf archive t",
	    "bsdtar --format=newc -cf archive t",
	    "xorriso -as mkisofs -quiet -R -o archive t",
	    "bsdtar --format=7zip -cf archive t",
	};
	struct scratch s = scratch_make();

	(void)state;
	put(&s, "t/f", "x", 0644);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
		struct err e = ERR_INIT;

		DO(&s, "sh", "-c", commands[i]);
		assert_int_equal(fs_get(s.fd, "archive", &b, &e), 0);
		refused(&s, &b, &layer, "");
		if (i == 3)
			refused(&s, &b, &plain, "");
	}
	scratch_drop(&s);
}

static void broken_discs_and_zips(void **state)
{
	static const char *const commands[] = {
	    "xorriso -as mkisofs -quiet -R -o archive t",
	    "bsdtar --format=zip -cf archive t",
	    "bsdtar --format=newc -cf archive t",
	};
	struct scratch s = scratch_make();

	(void)state;
	DO(&s, "sh", "-c", "mkdir t; head -c 300000 /dev/urandom >t/f");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct buf b SCOPED(buf_release) = BUF_INIT(2 << 20);
		struct err e = ERR_INIT;
		size_t whole;

		DO(&s, "sh", "-c", commands[i]);
		assert_int_equal(fs_get(s.fd, "archive", &b, &e), 0);
		whole = b.len;
		for (size_t n = 0; n < 300000; n += 29999) {
			b.len = n;
			refused(&s, &b, &plain, "");
		}
		b.len = whole;
		if (i == 1) {
			b.data[whole / 2] ^= 1;
			refused(&s, &b, &plain, "");
		}
	}
	scratch_drop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_that_leave),
	    cmocka_unit_test(links_that_leave),
	    cmocka_unit_test(a_symlink_is_replaced_not_followed),
	    cmocka_unit_test(things_that_are_no_files),
	    cmocka_unit_test(names_from_pax_records),
	    cmocka_unit_test(too_many),
	    cmocka_unit_test(zeros_without_end),
	    cmocka_unit_test(truncated_anywhere),
	    cmocka_unit_test(flipped_bits),
	    cmocka_unit_test(what_is_no_archive),
	    cmocka_unit_test(a_layer_is_a_tar),
	    cmocka_unit_test(broken_discs_and_zips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
