/* Unpacking: what is right comes out whole, what is hostile is refused. */
#include "archive-lib.h"
#include "archive-tar.h"
#include "archive/pack.h"
#include "archive/tree.h"
#include "archive/unpack.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <sys/xattr.h>

static int unpack_file(const struct scratch *s, const char *file, const char *dest,
		       const struct unpack_opts *o, struct err *e)
{
	char *path SCOPED(mem_freep) = mem_format("%s/%s", s->path, dest);
	int fd SCOPED(fd_closep) = openat(s->fd, file, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fs_mkdirs(s->fd, dest, 0755, e), 0);
	return unpack(fd, path, o, e);
}

static void unpack_ok(const struct scratch *s, const char *file, const char *dest,
		      const struct unpack_opts *o)
{
	struct err e = ERR_INIT;

	if (unpack_file(s, file, dest, o, &e) != 0)
		fail_msg("%s", e.msg);
}

static const struct unpack_opts owned = {.what = "test", .keep_owner = true};
static const struct unpack_opts media = {.what = "disc", .read_only = true};
static const struct unpack_opts layer = {.what = "layer", .layer = true, .keep_owner = true};

static void check_text(char *got, const char *want)
{
	assert_string_equal(got, want);
	free(got);
}

/* What a tree holds, in one text; times of directories included. */
#define LISTING                                                                                    \
	"cd u && find . -mindepth 1 -printf '%P %y %m %U:%G %s %T@ %l\\n' | "                      \
	"sed -E 's/ d ([0-7]+) ([0-9:]+) [0-9]+/ d \\1 \\2 -/' | LC_ALL=C sort"

static void make_tree(const struct scratch *s)
{
	put(s, "t/bin/su", "root shell", 04755);
	put(s, "t/etc/secret", "", 0600);
	put(s, "t/etc/\xc3\xa4\xff name", "x", 0644);
	assert_int_equal(linkat(s->fd, "t/bin/su", s->fd, "t/bin/zz", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", s->fd, "t/etc/abs"), 0);
	assert_int_equal(mkdirat(s->fd, "t/etc/closed", 0), 0);
	assert_int_equal(fchownat(s->fd, "t/etc/secret", 12, 4000000000U, 0), 0);
	assert_int_equal(fchmodat(s->fd, "t/etc", 02750, 0), 0);
	DO(s, "touch", "-h", "-d", "@2000", "t/etc/abs", "t/bin", "t/etc/closed", "t/etc");
	DO(s, "sh", "-c", "cp -a t u; rm -f want; " LISTING " >../want; cd ..; rm -rf u");
	DO(s, "rm", "-rf", "u");
}

static void every_tar_that_others_write(void **state)
{
	static const char *const commands[] = {
	    "tar -C t -cf a .",
	    "tar -C t --format=pax -cf a .",
	    "tar -C t --format=gnu -cf a bin etc",
	    "tar -C t -cf - . | gzip >a",
	    "tar -C t -cf - . | zstd -q >a",
	    "tar -C t -cf - . | xz >a",
	    "tar -C t -cf - . | bzip2 >a",
	    "bsdtar -C t --format=pax -cf a .",
	    "tar -C t -cf b .; split -n 3 b; gzip xaa xab xac; cat xa?.gz >a",
	};
	struct scratch s = scratch_make();

	(void)state;
	make_tree(&s);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		DO(&s, "sh", "-c", commands[i]);
		unpack_ok(&s, "a", "u", &owned);
		check_text(RUN(&s, "sh", "-c", "(" LISTING ") | diff want -"), "");
		check_text(RUN(&s, "stat", "-c", "%h", "u/bin/zz"), "2\n");
		check_text(RUN(&s, "diff", "-r", "--no-dereference", "t", "u"), "");
		DO(&s, "rm", "-rf", "u");
	}
	scratch_drop(&s);
}

static void files_with_holes(void **state)
{
	static const char *const commands[] = {
	    "tar -Scf a -C t .",
	    "tar --posix -Scf a -C t .",
	    "tar --posix --sparse-version=0.1 -Scf a -C t .",
	    "bsdtar -cf a -C t .",
	};
	struct scratch s = scratch_make();

	(void)state;
	DO(&s, "sh", "-c",
	   "mkdir t; printf x >t/tail; truncate -s 1M t/tail t/all; "
	   "printf y | dd of=t/head bs=1 seek=1000000 status=none; chmod 644 t/*");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		DO(&s, "sh", "-c", commands[i]);
		unpack_ok(&s, "a", "u", &owned);
		check_text(RUN(&s, "diff", "-r", "t", "u"), "");
		check_text(RUN(&s, "stat", "-c", "%s", "u/tail", "u/all", "u/head"),
			   "1048576\n1048576\n1000001\n");
		DO(&s, "rm", "-rf", "u");
	}
	scratch_drop(&s);
}

static void from_a_pipe_too(void **state)
{
	struct scratch s = scratch_make();
	char *dest SCOPED(mem_freep) = mem_format("%s/u", s.path);
	struct buf tar SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;
	int fds[2];

	(void)state;
	tar_file(&tar, "f", "hello");
	tar_end(&tar);
	DO(&s, "mkdir", "u");
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(write(fds[1], tar.data, tar.len), (ssize_t)tar.len);
	(void)close(fds[1]);
	assert_int_equal(unpack(fds[0], dest, &owned, &e), 0);
	(void)close(fds[0]);
	check_text(RUN(&s, "cat", "u/f"), "hello");
	scratch_drop(&s);
}

static void without_owners(void **state)
{
	struct scratch s = scratch_make();
	const struct unpack_opts o = {.what = "test"};

	(void)state;
	make_tree(&s);
	DO(&s, "tar", "-C", "t", "-cf", "a", ".");
	unpack_ok(&s, "a", "u", &o);
	check_text(RUN(&s, "sh", "-c", "stat -c '%n %a %u' u/bin/su u/etc/secret u/etc"),
		   "u/bin/su 755 0\nu/etc/secret 600 0\nu/etc 750 0\n");
	DO(&s, "rm", "-rf", "u");
	unpack_ok(&s, "a", "u", &media);
	check_text(RUN(&s, "find", "u", "!", "-type", "l", "-perm", "/0222"), "");
	scratch_drop(&s);
}

static void capabilities_are_restored(void **state)
{
	static const uint8_t cap[20] = {1, 0, 0, 2, 0, 4};
	struct scratch s = scratch_make();
	char *from SCOPED(mem_freep) = mem_format("%s/t/ping", s.path);
	char *to SCOPED(mem_freep) = mem_format("%s/u/ping", s.path);
	const struct unpack_opts o = {.what = "test"};
	char value[32];

	(void)state;
	put(&s, "t/ping", "x", 0755);
	assert_int_equal(fchownat(s.fd, "t/ping", 5, 5, 0), 0);
	assert_int_equal(setxattr(from, "security.capability", cap, sizeof(cap), 0), 0);
	assert_int_equal(setxattr(from, "user.overlay.opaque", "y", 1, 0), 0);
	assert_int_equal(setxattr(from, "user.a", "b", 1, 0), 0);
	DO(&s, "tar", "-C", "t", "--xattrs", "--xattrs-include=*", "-cf", "a", ".");
	unpack_ok(&s, "a", "u", &owned);
	assert_int_equal(getxattr(to, "security.capability", value, sizeof(value)), 20);
	assert_memory_equal(value, cap, sizeof(cap));
	assert_int_equal(getxattr(to, "user.a", value, sizeof(value)), 1);
	assert_int_equal(getxattr(to, "user.overlay.opaque", value, sizeof(value)), -1);
	DO(&s, "rm", "-rf", "u");
	unpack_ok(&s, "a", "u", &o);
	assert_int_equal(getxattr(to, "security.capability", value, sizeof(value)), -1);
	scratch_drop(&s);
}

static void discs_zips_and_cpios(void **state)
{
	static const char *const commands[] = {
	    "xorriso -as mkisofs -quiet -R -o a t",    "xorriso -as mkisofs -quiet -J -o a t",
	    "xorriso -as mkisofs -quiet -R -J -o a t", "bsdtar -C t --format=zip -cf a .",
	    "bsdtar -C t --format=newc -cf a .",       "bsdtar -C t --format=odc -cf a .",
	};
	struct scratch s = scratch_make();

	(void)state;
	put(&s, "t/install.sh", "#!/bin/sh\n", 0755);
	put(&s, "t/data/A long name of a file.txt", "text", 0644);
	DO(&s, "sh", "-c", "head -c 3000000 /dev/urandom >t/data/big");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		DO(&s, "sh", "-c", commands[i]);
		unpack_ok(&s, "a", "u", &media);
		check_text(RUN(&s, "diff", "-r", "t", "u"), "");
		DO(&s, "test", "-x", "u/install.sh");
		check_text(RUN(&s, "find", "u", "-perm", "/0222"), "");
		DO(&s, "sh", "-c", "chmod -R u+w u; rm -rf u a");
	}
	/* a disc with neither extension: all may be run, as the kernel has it */
	DO(&s, "sh", "-c",
	   "mkdir n; cp t/install.sh n/RUN.SH; chmod 0644 n/RUN.SH; "
	   "xorriso -as mkisofs -quiet --norock -o a n");
	unpack_ok(&s, "a", "u", &media);
	check_text(RUN(&s, "stat", "-c", "%n %a", "u/RUN.SH"), "u/RUN.SH 555\n");
	scratch_drop(&s);
}

static void hard_links_of_cpio(void **state)
{
	struct scratch s = scratch_make();

	(void)state;
	put(&s, "t/a", "content", 0444);
	assert_int_equal(linkat(s.fd, "t/a", s.fd, "t/b", 0), 0);
	DO(&s, "sh", "-c", "cd t && bsdtar --format=newc -cf ../x a b");
	unpack_ok(&s, "x", "u", &media);
	check_text(RUN(&s, "cat", "u/a", "u/b"), "contentcontent");
	check_text(RUN(&s, "stat", "-c", "%h %a", "u/b"), "2 444\n");
	scratch_drop(&s);
}

/* Whiteouts hide what was there, and spare what their own layer brings. */
static void whiteouts(void **state)
{
	struct scratch s = scratch_make();
	struct buf tar SCOPED(buf_release) = BUF_INIT(1 << 20);

	(void)state;
	put(&s, "u/gone", "", 0644);
	put(&s, "u/dir/old", "", 0644);
	put(&s, "u/dir/sub/old", "", 0644);
	put(&s, "u/tree/a/b", "", 0644);
	put(&s, "u/kept", "", 0644);
	put(&s, "u/file-to-dir", "", 0644);
	put(&s, "u/dir-to-file/x", "", 0644);
	put(&s, "u/again/old", "", 0644);
	DO(&s, "ln", "-s", "dir", "u/link-to-dir");
	tar_file(&tar, ".wh.gone", "");
	tar_file(&tar, "dir/new", "");
	tar_file(&tar, "dir/sub/new", "");
	tar_file(&tar, "dir/.wh..wh..opq", "");
	tar_file(&tar, ".wh.tree", "");
	tar_file(&tar, ".wh.never-there", "");
	tar_file(&tar, "nowhere/.wh.x", "");
	tar_file(&tar, "nowhere2/.wh..wh..opq", "");
	tar_file(&tar, ".wh..wh.aufs", "");
	tar_dir(&tar, "file-to-dir/");
	tar_file(&tar, "dir-to-file", "");
	tar_file(&tar, "again/new", "");
	tar_file(&tar, ".wh.again", "");
	tar_dir(&tar, "link-to-dir/");
	tar_file(&tar, "link-to-dir/x", "");
	tar_end(&tar);
	put_bytes(&s, "l", tar.data, tar.len);
	unpack_ok(&s, "l", "u", &layer);
	check_text(RUN(&s, "sh", "-c", "cd u && find . ! -type d | LC_ALL=C sort"),
		   "./again/new\n./dir-to-file\n./dir/new\n./dir/sub/new\n./kept\n"
		   "./link-to-dir/x\n");
	DO(&s, "test", "-d", "u/file-to-dir", "-a", "!", "-e", "u/nowhere");
	scratch_drop(&s);
}

static void a_layer_skips_devices(void **state)
{
	struct scratch s = scratch_make();
	struct buf tar SCOPED(buf_release) = BUF_INIT(1 << 20);

	(void)state;
	tar_entry(&tar, &(struct tar_item){.name = "null", .type = '3'});
	tar_entry(&tar, &(struct tar_item){.name = "disk", .type = '4'});
	tar_entry(&tar, &(struct tar_item){.name = "fifo", .type = '6'});
	tar_file(&tar, "f", "");
	tar_end(&tar);
	put_bytes(&s, "l", tar.data, tar.len);
	unpack_ok(&s, "l", "u", &layer);
	check_text(RUN(&s, "ls", "u"), "f\n");
	scratch_drop(&s);
}

/* Implied directories, several entries for one, and times that content would have changed. */
static void directories(void **state)
{
	struct scratch s = scratch_make();
	struct buf tar SCOPED(buf_release) = BUF_INIT(1 << 20);

	(void)state;
	tar_entry(&tar, &(struct tar_item){.name = "d/", .type = '5', .mode = 0700, .mtime = 5});
	tar_entry(&tar,
		  &(struct tar_item){.name = "./d//.//", .type = '5', .mode = 0111, .mtime = 6});
	tar_file(&tar, "d/f", "1");
	tar_file(&tar, "d/f", "2");
	tar_file(&tar, "implied/x", "");
	tar_end(&tar);
	put_bytes(&s, "a", tar.data, tar.len);
	unpack_ok(&s, "a", "u", &owned);
	check_text(RUN(&s, "stat", "-c", "%n %a %Y", "u/d", "u/implied"),
		   "u/d 111 6\nu/implied 755 0\n");
	check_text(RUN(&s, "cat", "u/d/f"), "2");
	DO(&s, "rm", "-rf", "u");
	unpack_ok(&s, "a", "u", &media);
	check_text(RUN(&s, "stat", "-c", "%n %a", "u/implied", "u/implied/x"),
		   "u/implied 555\nu/implied/x 444\n");
	scratch_drop(&s);
}

static struct pack_result pack_dir(const struct scratch *s, const char *dir, const char *file,
				   enum pack_compression c)
{
	const struct pack_opts o = {.compression = c};
	struct buf out SCOPED(buf_release) = BUF_INIT(8 << 20);
	const struct sink sink = {to_buf, &out};
	int root SCOPED(fd_closep) = open_sub(s, dir);
	struct tree t SCOPED(tree_release) = {0};
	struct pack_result r = {0};
	struct err e = ERR_INIT;

	assert_int_equal(tree_scan(root, &t, NULL, &e), 0);
	assert_int_equal(pack_layer(root, &t, &o, &sink, &r, &e), 0);
	put_bytes(s, file, out.data, out.len);
	return r;
}

/* What pack wrote comes out as it was: packed again, it has the same digest. */
static void there_and_back(void **state)
{
	struct scratch s = scratch_make();
	char *deep SCOPED(mem_freep) = mem_format("t/%0200d/%0200d/f", 1, 2);
	char *path SCOPED(mem_freep) = mem_format("%s/t/bin/su", s.path);

	(void)state;
	make_tree(&s);
	put(&s, deep, "deep", 0600);
	assert_int_equal(setxattr(path, "user.note", "value", 5, 0), 0);
	DO(&s, "sh", "-c", "head -c 3000000 /dev/urandom >t/big");
	for (int c = PACK_NONE; c <= PACK_ZSTD; c++) {
		struct pack_result first = pack_dir(&s, "t", "a", (enum pack_compression)c);
		struct pack_result second;
		struct digest id;
		struct err e = ERR_INIT;
		int fd SCOPED(fd_closep) = openat(s.fd, "a", O_RDONLY | O_CLOEXEC);

		unpack_ok(&s, "a", "u", &layer);
		second = pack_dir(&s, "u", "b", (enum pack_compression)c);
		assert_true(digest_equal(&first.digest, &second.digest));
		assert_int_equal(unpack_diff_id(fd, "a", &id, NULL, &e), 0);
		assert_true(digest_equal(&first.diff_id, &id));
		DO(&s, "rm", "-rf", "u");
	}
	scratch_drop(&s);
}

static void as_an_ordinary_user(void **state)
{
	struct scratch s = scratch_make();
	const struct unpack_opts o = {.what = "test", .read_only = true};
	pid_t pid;
	int status;

	(void)state;
	put(&s, "t/d/f", "content", 0444);
	DO(&s, "sh", "-c",
	   "chmod 755 t/d; tar -cf a t; mkdir u; chown -R 65534:65534 .; chmod 755 .");
	pid = fork();
	if (pid == 0) {
		char *dest = mem_format("%s/u", s.path);
		int fd = openat(s.fd, "a", O_RDONLY | O_CLOEXEC);
		struct err e = ERR_INIT;

		if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0)
			_exit(2);
		/* as it is for a program that an ordinary user starts */
		if (prctl(PR_SET_DUMPABLE, 1) != 0)
			_exit(3);
		if (unpack(fd, dest, &o, &e) == 0)
			_exit(0);
		print_error("%s\n", e.msg);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	check_text(RUN(&s, "stat", "-c", "%n %a %u", "u/t/d", "u/t/d/f"),
		   "u/t/d 555 65534\nu/t/d/f 444 65534\n");
	scratch_drop(&s);
}

static void diff_ids(void **state)
{
	static const char *const how[] = {"cp tar a", "gzip -c tar >a", "zstd -qc tar >a"};
	struct scratch s = scratch_make();
	struct digest want = {0}, got = {0};
	struct err e = ERR_INIT;
	uint64_t size = 0;

	(void)state;
	DO(&s, "sh", "-c", "head -c 1234567 /dev/urandom >tar; head -c 999999 /dev/zero >>tar");
	for (size_t i = 0; i < sizeof(how) / sizeof(how[0]); i++) {
		int fd SCOPED(fd_closep) = -1;

		DO(&s, "sh", "-c", how[i]);
		fd = openat(s.fd, "a", O_RDONLY | O_CLOEXEC);
		if (i == 0) {
			assert_int_equal(digest_fd(fd, &want, NULL, &e), 0);
			assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		}
		if (unpack_diff_id(fd, "layer", &got, &size, &e) != 0)
			fail_msg("%s", e.msg);
		assert_true(digest_equal(&want, &got));
		assert_int_equal(size, 1234567 + 999999);
	}
	DO(&s, "sh", "-c", "gzip -c tar | head -c 500000 >a");
	{
		int fd SCOPED(fd_closep) = openat(s.fd, "a", O_RDONLY | O_CLOEXEC);

		assert_int_equal(unpack_diff_id(fd, "layer x", &got, &size, &e), -1);
		assert_int_equal(e.kind, ERR_RECIPE);
		assert_int_equal(strncmp(e.msg, "layer x: ", 9), 0);
	}
	scratch_drop(&s);
}

static void a_full_disk(void **state)
{
	struct scratch s = scratch_make();
	struct err e = ERR_INIT;

	(void)state;
	DO(&s, "sh", "-c", "head -c 3000000 /dev/zero >f; tar -cf a f");
	DO(&s, "mkdir", "u");
	DO(&s, "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "u");
	assert_int_equal(unpack_file(&s, "a", "u", &owned, &e), -1);
	DO(&s, "umount", "u");
	assert_int_equal(e.kind, ERR_FAIL);
	assert_string_equal(e.msg, "test: f: write: No space left on device");
	assert_non_null(strstr(e.hint, "/u"));
	scratch_drop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_tar_that_others_write),
	    cmocka_unit_test(files_with_holes),
	    cmocka_unit_test(from_a_pipe_too),
	    cmocka_unit_test(without_owners),
	    cmocka_unit_test(capabilities_are_restored),
	    cmocka_unit_test(discs_zips_and_cpios),
	    cmocka_unit_test(hard_links_of_cpio),
	    cmocka_unit_test(whiteouts),
	    cmocka_unit_test(a_layer_skips_devices),
	    cmocka_unit_test(directories),
	    cmocka_unit_test(there_and_back),
	    cmocka_unit_test(as_an_ordinary_user),
	    cmocka_unit_test(diff_ids),
	    cmocka_unit_test(a_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
