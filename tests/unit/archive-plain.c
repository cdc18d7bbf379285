/* Packages with their members decompressed: what dpkg sees in them is the same. */
#include "archive-lib.h"
#include "archive/plain.h"

static void make_package(const struct scratch *s, const char *name, const char *compression)
{
	char *z SCOPED(mem_freep) = mem_format("-Z%s", compression);

	DO(s, "rm", "-rf", "p");
	put(s, "p/DEBIAN/control",
	    "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: none\nDescription: x\n", 0644);
	put(s, "p/DEBIAN/postinst", "#!/bin/sh\n", 0755);
	put(s, "p/usr/bin/x", "a program", 04755);
	/* One clock for the members and the archive, however long the making takes. */
	DO(s, "find", "p", "-exec", "touch", "-d", "@1700000000", "{}", "+");
	DO(s, "env", "SOURCE_DATE_EPOCH=1700000000", "dpkg-deb", z, "-b", "p", name);
}

/* Makes FILE.plain of each file. */
static void make_plain(const struct scratch *s, const char *const *files, size_t n,
		       struct plain_deb *v)
{
	struct err e = ERR_INIT;

	for (size_t i = 0; i < n; i++) {
		char *to SCOPED(mem_freep) = mem_format("%s.plain", files[i]);

		v[i] = (struct plain_deb){
		    .in = openat(s->fd, files[i], O_RDONLY | O_CLOEXEC),
		    .out = openat(s->fd, to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
		assert_true(v[i].in >= 0 && v[i].out >= 0);
	}
	if (plain_debs(v, n, 3, &e) != 0)
		fail_msg("%s", e.msg);
	for (size_t i = 0; i < n; i++) {
		(void)close(v[i].in);
		(void)close(v[i].out);
	}
}

static void dpkg_sees_the_same(void **state)
{
	static const char *const how[] = {"xz", "gzip", "zstd", "none"};
	struct scratch s = scratch_make();
	struct plain_deb v[4];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		make_package(&s, how[i], how[i]);
	make_plain(&s, how, 4, v);
	for (size_t i = 0; i < 4; i++) {
		assert_true(v[i].done);
		assert_true(digest_equal(&v[i].digest, &v[0].digest));
		DO(&s, "sh", "-c",
		   "for part in fsys ctrl; do dpkg-deb --$part-tarfile $0 >a && "
		   "dpkg-deb --$part-tarfile $0.plain >b && cmp a b || exit 1; done; "
		   "ar t $0.plain | tr '\\n' ' ' | grep -qx 'debian-binary control.tar data.tar '",
		   how[i]);
	}
	scratch_drop(&s);
}

static void what_is_no_package_stays(void **state)
{
	static const char *const files[] = {"good", "empty", "text", "cut", "flipped", "bare"};
	struct scratch s = scratch_make();
	struct plain_deb v[6];

	(void)state;
	make_package(&s, "good", "gzip");
	DO(&s, "sh", "-c",
	   ": >empty; echo no package >text; head -c -40 good >cut; ar x good; "
	   "ar rc bare debian-binary control.tar.gz; cp good flipped; "
	   "printf x | dd of=flipped bs=1 seek=$(($(stat -c %s good) - 30)) conv=notrunc "
	   "status=none");
	make_plain(&s, files, 6, v);
	for (size_t i = 0; i < 6; i++)
		if (v[i].done != (i == 0))
			fail_msg("%s", files[i]);
	scratch_drop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(dpkg_sees_the_same),
	    cmocka_unit_test(what_is_no_package_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
