/* Debian packages: the part with the files, and what is no package. */
#include "archive-lib.h"
#include "archive/unpack.h"

static const struct unpack_opts o = {.what = "x.deb"};

static int unpack_it(const struct scratch *s, const char *file, struct err *e)
{
	char *dest SCOPED(mem_freep) = mem_format("%s/data", s->path);
	int fd SCOPED(fd_closep) = openat(s->fd, file, O_RDONLY | O_CLOEXEC);
	const struct unpack_package one = {fd, o.what};

	assert_true(fd >= 0);
	DO(s, "sh", "-c", "rm -rf data; mkdir data");
	return unpack_debs(&one, 1, dest, &o, e);
}

static void make_package(const struct scratch *s, const char *compression)
{
	char *z SCOPED(mem_freep) = mem_format("-Z%s", compression);

	DO(s, "rm", "-rf", "p");
	put(s, "p/DEBIAN/control",
	    "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: none\nDescription: x\n", 0644);
	put(s, "p/DEBIAN/postinst", "#!/bin/sh\n", 0755);
	put(s, "p/usr/bin/x", "program", 04755);
	assert_int_equal(symlinkat("x", s->fd, "p/usr/bin/y"), 0);
	assert_int_equal(fchownat(s->fd, "p/usr/bin/x", 7, 8, 0), 0);
	assert_int_equal(fchmodat(s->fd, "p/usr/bin/x", 04755, 0), 0);
	DO(s, "dpkg-deb", z, "-b", "p", "x.deb");
}

static void what_is_in_it(void **state)
{
	static const char *const compressions[] = {"xz", "gzip", "zstd", "none"};
	struct scratch s = scratch_make();

	(void)state;
	for (size_t i = 0; i < sizeof(compressions) / sizeof(compressions[0]); i++) {
		struct err e = ERR_INIT;
		char *text;

		make_package(&s, compressions[i]);
		if (unpack_it(&s, "x.deb", &e) != 0)
			fail_msg("%s: %s", compressions[i], e.msg);
		text = RUN(&s, "sh", "-c",
			   "find data -mindepth 1 ! -type d -printf '%p %m %U %G\\n' | "
			   "LC_ALL=C sort; stat -c %Y data/usr/bin/x; rm -rf ref; "
			   "dpkg-deb -x x.deb ref && diff -r ref data");
		assert_string_equal(text,
				    "data/usr/bin/x 4755 7 8\ndata/usr/bin/y 777 0 0\n1000\n");
		free(text);
	}
	scratch_drop(&s);
}

static void what_is_no_package(void **state)
{
	static const char *const commands[] = {
	    ": >bad",
	    "echo no >bad",
	    "printf '!<arch>\\n' >bad",
	    "tar -cf bad p",
	    "echo 3.0 >debian-binary; rm -f bad; ar r bad debian-binary 2>&1",
	    "echo 2.0 >debian-binary; rm -f bad; ar r bad debian-binary 2>&1",
	    "echo x >f; rm -f bad; ar r bad f debian-binary 2>&1",
	    "head -c 70 x.deb >bad",
	    "head -c 100 x.deb >bad",
	    "head -c 131 x.deb >bad",
	    "head -c 300 x.deb >bad",
	    "head -c -40 x.deb >bad",
	    "sed 's/data.tar/dada.tar/' x.deb >bad",
	    "sed 's/data.tar.gz /data.tarry  /' x.deb >bad",
	    "sed '2s/`/x/' x.deb >bad",
	};
	struct scratch s = scratch_make();

	(void)state;
	make_package(&s, "gzip");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct err e = ERR_INIT;

		DO(&s, "sh", "-c", commands[i]);
		if (unpack_it(&s, "bad", &e) == 0)
			fail_msg("not refused: %s", commands[i]);
		if (e.kind != ERR_RECIPE || strncmp(e.msg, "x.deb: ", 7) != 0)
			fail_msg("%s: %s", commands[i], e.msg);
	}
	scratch_drop(&s);
}

/* A size field that would lead out of the file, or around in circles. */
static void sizes_that_lie(void **state)
{
	static const char *const sizes[] = {"-64       ", "9999999999", "          ", "1e3       ",
					    "0x10      "};
	struct scratch s = scratch_make();
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;

	(void)state;
	make_package(&s, "gzip");
	assert_int_equal(fs_get(s.fd, "x.deb", &b, &e), 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		/* the second member's header follows the first's four bytes */
		memcpy(b.data + 8 + 60 + 4 + 48, sizes[i], 10);
		put_bytes(&s, "bad", b.data, b.len);
		assert_int_equal(unpack_it(&s, "bad", &e), -1);
		assert_int_equal(e.kind, ERR_RECIPE);
	}
	scratch_drop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_in_it),
	    cmocka_unit_test(what_is_no_package),
	    cmocka_unit_test(sizes_that_lie),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
