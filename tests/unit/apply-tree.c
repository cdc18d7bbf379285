/* apply_tree: whatever the target is, it becomes what the manifest says, and nothing else is
 * touched. */
#include "apply-lib.h"

#include <linux/fs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>

enum { MIB = 1 << 20, SOMEBODY = 54321 };

static void set_acl(const struct bed *b, const char *path, const char *which, const char *text)
{
	char *name SCOPED(mem_freep) = mem_format("system.posix_acl_%s", which);
	struct buf val SCOPED(buf_release) = BUF_INIT(4096);
	struct manifest_names *names = NULL;
	struct err e = ERR_INIT;

	if (manifest_names_host(&names, &e) != 0 || manifest_acl_value(names, text, &val, &e) != 0)
		fail_msg("%s", e.msg);
	set_attr(b, path, name, val.data, val.len);
	manifest_names_free(names);
}

static void awkward_names(int dirfd)
{
	char longest[256];

	memset(longest, 'n', 255);
	longest[255] = '\0';
	put_text(dirfd, "two\nlines", "a");
	put_text(dirfd, "\xff\xfe", "b");
	put_text(dirfd, longest, "c");
	put_text(dirfd, " a b ", "d");
	put_text(dirfd, "-x", "e");
	put_text(dirfd, "tab\t*[?]\\#=", "f");
	put_text(dirfd, "x.tar", "g");
	make_dir(dirfd, "a");
	put_text(dirfd, "a-b", "sorts between a and a/b");
	put_text(dirfd, "a/b", "h");
}

static void awkward_files(const struct bed *b)
{
	int d = b->src;

	put_text(d, "empty", "");
	set_size(d, "hollow", 3 * MIB + 5);
	put_bytes(d, "sparse", 5000, 1);
	set_size(d, "sparse", 2 * MIB);
	put_at(d, "sparse", "end", 3, 4 * MIB);
	put_bytes(d, "large", MIB + 4097, 2);
	assert_int_equal(mkfifoat(d, "fifo", 0640), 0);
	assert_int_equal(symlinkat("no/where\n", d, "link"), 0);
	put_text(d, "one", "three names");
	assert_int_equal(linkat(d, "one", d, "a/two", 0), 0);
	assert_int_equal(linkat(d, "one", d, "three", 0), 0);
	assert_int_equal(linkat(d, "link", d, "link2", 0), 0);
	put_text(d, "closed", "x");
	assert_int_equal(fchmodat(d, "closed", 0, 0), 0);
	set_time(d, "closed", -5, 999999999);
	set_attr(b, "src/large", "user.kind", "\0\n=", 3);
	set_acl(b, "src/large", "access", "u::rw-,u:12345:r--,g::---,m::r--,o::---");
	set_acl(b, "src/a", "default", "u::rwx,g::r-x,g:12346:rwx,m::rwx,o::---");
	set_time(d, "link", 1000000000, 123456789);
	set_time(d, "a", 1100000000, 1);
	set_time(d, ".", 1200000000, 2);
}

static void owners(const struct bed *b)
{
	static const char capability[] = "\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

	if (geteuid() != 0)
		return;
	put_text(b->src, "suid", "x");
	assert_int_equal(fchownat(b->src, "suid", SOMEBODY, SOMEBODY + 1, 0), 0);
	assert_int_equal(fchmodat(b->src, "suid", 06755, 0), 0);
	put_text(b->src, "capable", "x");
	assert_int_equal(fchownat(b->src, "capable", SOMEBODY, 0, 0), 0);
	set_attr(b, "src/capable", "security.capability", capability, sizeof(capability) - 1);
	set_attr(b, "src/link", "trusted.kind", "l", 1);
	assert_int_equal(mknodat(b->src, "null", S_IFCHR | 0600, makedev(1, 3)), 0);
	assert_int_equal(fchownat(b->src, "link", SOMEBODY, SOMEBODY, AT_SYMLINK_NOFOLLOW), 0);
}

static void everything_from_nothing(void **state)
{
	const struct bed *b = *state;
	struct apply_result r;

	awkward_names(b->src);
	awkward_files(b);
	owners(b);
	r = applies(b, true);
	assert_int_equal(r.removed, 0);
	assert_true(r.made > 20);
	assert_int_equal(r.bytes_compared > r.bytes_written + 3 * MIB, 1);
	assert_true(stat_of(b->dst, "hollow").st_blocks < 100);
	assert_true(stat_of(b->dst, "sparse").st_blocks * 512 < MIB);
}

/* What lies in the target under a name of every type, for every type that should. */
static void make_kind(int dirfd, const char *name, unsigned kind)
{
	char *below SCOPED(mem_freep) = mem_format("%s/below", name);

	switch (kind) {
	case 0:
		put_text(dirfd, name, "file");
		break;
	case 1:
		make_dir(dirfd, name);
		put_text(dirfd, below, "in it");
		break;
	case 2:
		assert_int_equal(symlinkat("a", dirfd, name), 0);
		break;
	case 3:
		assert_int_equal(mkfifoat(dirfd, name, 0600), 0);
		break;
	default: /* nothing */
		break;
	}
}

static void types_swap(void **state)
{
	const struct bed *b = *state;
	struct apply_result r;

	for (unsigned src = 0; src < 5; src++)
		for (unsigned dst = 0; dst < 5; dst++) {
			char *name SCOPED(mem_freep) = mem_format("%u%u", src, dst);

			make_kind(b->src, name, src);
			make_kind(b->dst, name, dst);
		}
	r = applies(b, false);
	/* a type that is another: four of each, and what was in the directories besides */
	assert_int_equal(r.removed, 4 * 4 + 4);
	assert_int_equal(r.made, 4 * 4 + 4);
}

static void links_split_and_join(void **state)
{
	const struct bed *b = *state;

	for (unsigned i = 0; i < 2; i++) {
		int d = i == 0 ? b->src : b->dst;
		/* apart here and one there; the other way round; in other pairs */
		put_text(d, "a1", "the same");
		put_text(d, "b1", "the same");
		put_text(d, "p", "pair 1");
		put_text(d, "q", "pair 2");
		set_time(d, "a1", 1000000000, 0);
		set_time(d, "b1", 1000000000, 0);
	}
	assert_int_equal(linkat(b->dst, "a1", b->dst, "a2", 0), 0);
	put_text(b->src, "a2", "the same");
	set_time(b->src, "a2", 1000000000, 0);
	assert_int_equal(linkat(b->src, "b1", b->src, "b2", 0), 0);
	put_text(b->dst, "b2", "the same");
	assert_int_equal(linkat(b->src, "p", b->src, "p2", 0), 0);
	assert_int_equal(linkat(b->src, "q", b->src, "q2", 0), 0);
	assert_int_equal(linkat(b->dst, "p", b->dst, "q2", 0), 0);
	assert_int_equal(linkat(b->dst, "q", b->dst, "p2", 0), 0);
	(void)applies(b, true);
	assert_int_equal(stat_of(b->dst, "a1").st_nlink, 1);
	assert_int_equal(stat_of(b->dst, "p2").st_nlink, 2);
	/* and what this program itself left as one */
	assert_int_equal(unlinkat(b->src, "b2", 0), 0);
	put_text(b->src, "b2", "the same");
	set_time(b->src, "b2", 1000000000, 0);
	(void)applies(b, true);
}

static char *text_of(int dirfd, const char *path)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(MIB);
	struct err e = ERR_INIT;

	if (fs_get(dirfd, path, &text, &e) != 0)
		fail_msg("%s", e.msg);
	return buf_take(&text);
}

/* A file of the target may have names outside it: a copy of the live data made of links. */
static void nothing_outside_changes(void **state)
{
	const struct bed *b = *state;
	char *text SCOPED(mem_freep) = NULL;
	struct stat before, after;

	make_dir(b->top, "live");
	put_bytes(b->top, "live/data", MIB, 1);
	put_text(b->top, "live/mode", "text");
	put_text(b->top, "live/precious", "text");
	assert_int_equal(linkat(b->top, "live/data", b->dst, "data", 0), 0);
	assert_int_equal(linkat(b->top, "live/mode", b->dst, "mode", 0), 0);
	assert_int_equal(symlinkat("../live", b->dst, "dir"), 0);
	put_bytes(b->src, "data", MIB, 2);
	put_text(b->src, "mode", "text");
	assert_int_equal(fchmodat(b->src, "mode", 0600, 0), 0);
	make_dir(b->src, "dir");
	put_text(b->src, "dir/data", "not into the live one");
	before = stat_of(b->top, "live/mode");
	(void)applies(b, false);
	after = stat_of(b->top, "live/mode");
	text = text_of(b->top, "live/precious");
	assert_string_equal(text, "text");
	assert_int_equal(after.st_mode, before.st_mode);
	assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
	assert_int_equal(after.st_nlink, 1);
	assert_int_equal(stat_of(b->top, "live/data").st_size, MIB);
	put_bytes(b->src, "data", MIB, 1); /* the link was cut, not written through */
	assert_int_equal(unlinkat(b->dst, "data", 0), 0);
	assert_int_equal(linkat(b->top, "live/data", b->dst, "data", 0), 0);
	(void)applies(b, false);
	assert_int_equal(stat_of(b->top, "live/data").st_nlink, 1);
}

static void attributes_come_and_go(void **state)
{
	const struct bed *b = *state;

	for (unsigned i = 0; i < 2; i++) {
		int d = i == 0 ? b->src : b->dst;

		put_text(d, "more", "x");
		put_text(d, "less", "x");
		make_dir(d, "dir");
	}
	set_attr(b, "src/more", "user.one", "1", 1);
	set_attr(b, "src/more", "user.two", "", 0);
	set_attr(b, "dst/more", "user.one", "other", 5);
	set_attr(b, "dst/less", "user.gone", "1", 1);
	set_acl(b, "src/more", "access", "u::rw-,u:12345:r--,g::---,m::r--,o::---");
	set_acl(b, "dst/less", "access", "u::rw-,u:12345:rwx,g::---,m::rwx,o::---");
	set_acl(b, "dst/dir", "default", "u::rwx,g::r-x,o::---");
	(void)applies(b, true);
	set_attr(b, "src/more", "user.one", "2", 1);
	set_acl(b, "src/more", "access", "u::rw-,u:12345:rw-,g::---,m::rw-,o::---");
	(void)applies(b, true);
}

/* What is made in a directory gets an ACL by its default one; what a manifest says is all the same
 * all that there is, of what is replaced and of what is new. */
static void default_acls_add_nothing(void **state)
{
	static const char few[] = "u::rwx,u:12345:rwx,g::rwx,g:12346:r-x,m::rwx,o::r-x";
	const struct bed *b = *state;

	set_acl(b, "dst", "default", few);
	set_acl(b, "dst", "access", few);
	make_dir(b->dst, "d");
	put_text(b->dst, "d/file", "x");
	put_text(b->dst, "d/other", "x");
	put_text(b->dst, "d/fifo", "x");
	assert_int_equal(linkat(b->dst, "d/other", b->top, "elsewhere", 0), 0);
	make_dir(b->dst, "d/type");
	make_dir(b->src, "d");
	put_text(b->src, "d/file", "y");
	put_text(b->src, "d/other", "y");
	put_text(b->src, "d/type", "a file now");
	put_text(b->src, "d/with", "an ACL");
	put_text(b->src, "d/new", "x");
	make_dir(b->src, "d/dir");
	make_dir(b->src, "d/own");
	assert_int_equal(mkfifoat(b->src, "d/fifo", 0640), 0);
	assert_int_equal(fchmodat(b->src, "d/new", 04775, 0), 0);
	assert_int_equal(fchmodat(b->src, "d/other", 0600, 0), 0);
	set_acl(b, "src/d/with", "access", "u::rw-,u:12345:r--,g::---,m::rw-,o::---");
	set_acl(b, "src/d/own", "default", "u::rwx,g::r-x,g:12347:---,m::r-x,o::---");
	(void)applies(b, true);
	/* and where the manifest has a default one, what is made below it later */
	set_acl(b, "src/d", "default", few);
	put_text(b->src, "d/later", "x");
	(void)applies(b, true);
}

static bool set_flags(int dirfd, const char *path, int flags)
{
	int fd SCOPED(fd_closep) = openat(dirfd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int is = 0;

	assert_true(fd >= 0);
	if (ioctl(fd, FS_IOC_GETFLAGS, &is) != 0)
		return false;
	is |= flags;
	return ioctl(fd, FS_IOC_SETFLAGS, &is) == 0;
}

static void immutable_is_no_obstacle(void **state)
{
	const struct bed *b = *state;

	make_dir(b->src, "dir");
	put_text(b->src, "dir/new", "x");
	put_text(b->src, "file", "x");
	put_text(b->src, "log", "x");
	make_dir(b->dst, "dir");
	make_dir(b->dst, "gone");
	put_text(b->dst, "gone/too", "y");
	put_text(b->dst, "file", "y");
	put_text(b->dst, "log", "y");
	put_text(b->dst, "dir/old", "y");
	if (!set_flags(b->dst, "file", FS_IMMUTABLE_FL))
		skip();
	assert_true(set_flags(b->dst, "dir/old", FS_IMMUTABLE_FL));
	assert_true(set_flags(b->dst, "dir", FS_IMMUTABLE_FL));
	assert_true(set_flags(b->dst, "gone/too", FS_IMMUTABLE_FL));
	assert_true(set_flags(b->dst, "gone", FS_APPEND_FL));
	assert_true(set_flags(b->dst, "log", FS_APPEND_FL));
	(void)applies(b, false);
	put_text(b->src, "file", "z");
	assert_true(set_flags(b->dst, "file", FS_IMMUTABLE_FL));
	(void)applies(b, true);
}

static void only_blocks_that_differ(void **state)
{
	static const char zeroes[2 * APPLY_BLOCK];
	const struct bed *b = *state;

	for (unsigned memory = 0; memory < 2; memory++) {
		put_bytes(b->src, "f", MIB + 100, 1);
		(void)applies(b, memory);
		put_at(b->src, "f", "\0", 1, 5000);
		put_at(b->src, "f", "\0", 1, MIB + 50);
		assert_int_equal(applies(b, memory).bytes_written, APPLY_BLOCK + 100);
		put_bytes(b->src, "f", 2 * MIB + 1, 1); /* grows, and what was there is as before */
		assert_int_equal(applies(b, memory).bytes_written, MIB - 100 + 100 + 1 + 4096);
		set_size(b->src, "f", MIB + 5);
		assert_int_equal(applies(b, memory).bytes_written, 5);
		put_at(b->src, "f", zeroes, sizeof(zeroes), MIB / 2);
		assert_int_equal(applies(b, memory).bytes_written, 0); /* a hole */
		put_at(b->src, "f", "x", 1, MIB / 2 + 5);
		assert_int_equal(applies(b, memory).bytes_written, APPLY_BLOCK);
		set_size(b->src, "f", 3 * MIB);
		assert_int_equal(applies(b, memory).bytes_written, 0);
		set_size(b->src, "f", 0);
		assert_int_equal(applies(b, memory).bytes_written, 0);
		put_text(b->src, "f", "small");
		assert_int_equal(applies(b, memory).bytes_written, 5);
	}
}

/* Changed, and of the same size and time. */
static void stealth(void **state)
{
	const struct bed *b = *state;
	struct stat st;

	put_bytes(b->src, "big", MIB, 1);
	put_text(b->src, "small", "one");
	(void)applies(b, true);
	st = stat_of(b->src, "big");
	put_text(b->src, "big", "x");
	set_time(b->src, "big", st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	st = stat_of(b->src, "small");
	put_text(b->src, "small", "two");
	set_time(b->src, "small", st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	assert_int_equal(applies(b, true).bytes_written, APPLY_BLOCK + 3);
	st = stat_of(b->dst, "big"); /* behind the memory's back */
	put_text(b->dst, "big", "y");
	set_time(b->dst, "big", st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	assert_int_equal(applies(b, true).bytes_written, APPLY_BLOCK);
}

static void a_day_moves_things(void **state)
{
	const struct bed *b = *state;

	make_dir(b->src, "old");
	for (unsigned i = 0; i < 30; i++) {
		char *name SCOPED(mem_freep) = mem_format("old/%u", i);

		put_bytes(b->src, name, 100 + i * 1000, i);
	}
	put_bytes(b->src, "log", 50000, 1);
	(void)applies(b, true);
	assert_int_equal(renameat(b->src, "old", b->src, "new"), 0);
	assert_int_equal(renameat(b->src, "log", b->src, "log.1"), 0);
	put_text(b->src, "log", "begins");
	assert_int_equal(applies(b, true).removed, 31);
}

static void an_owner_nobody_knows(void **state)
{
	const struct bed *b = *state;
	struct manifest want SCOPED(manifest_release) = {0};
	struct manifest_names *names = NULL;
	struct apply_content c = {0};
	struct apply_opts o = {0};
	struct apply_result r;
	struct err e = ERR_INIT;

	put_text(b->src, "f", "x");
	put_text(b->dst, "stays", "x");
	want = manifest_of(b->src);
	assert_int_equal(manifest_names_of("", "", &names, &e), 0);
	o.names = names;
	assert_int_equal(apply_content_of_dir(b->src, &want, &c, &e), 0);
	assert_int_equal(apply_tree(&want, &c, b->dst, &o, &r, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	assert_non_null(strstr(e.msg, want.v[0].user));
	(void)stat_of(b->dst, "stays");
	apply_content_free(&c);
	manifest_names_free(names);
}

static void a_dry_run_is_exact(void **state)
{
	const struct bed *b = *state;
	struct run dry = {.dry_run = true}, wet = {0};
	struct manifest before SCOPED(manifest_release) = {0};
	struct manifest after SCOPED(manifest_release) = {0};

	awkward_names(b->src);
	awkward_files(b);
	put_bytes(b->dst, "large", MIB, 2);
	make_dir(b->dst, "one");
	put_text(b->dst, "one/below", "x");
	put_text(b->dst, "three", "x");
	put_text(b->dst, "link", "no link");
	before = manifest_of(b->dst);
	if (run_apply(b, &dry) != 0)
		fail_msg("%s", dry.e.msg);
	after = manifest_of(b->dst);
	assert_int_equal(manifest_compare(&before, &after, tell, NULL), 0);
	if (run_apply(b, &wet) != 0)
		fail_msg("%s", wet.e.msg);
	assert_int_equal(dry.r.made, wet.r.made);
	assert_int_equal(dry.r.changed, wet.r.changed);
	assert_int_equal(dry.r.removed, wet.r.removed);
	assert_int_equal(dry.r.same, wet.r.same);
	assert_int_equal(dry.r.bytes_written, wet.r.bytes_written);
}

/* Runs fn in a process of its own, whose mounts and whose user are nobody else's. Returns what fn
 * does; 77 when that cannot be had. */
static int apart(const struct bed *b, int (*fn)(const struct bed *b))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		if (unshare(CLONE_NEWNS) != 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
			_exit(77);
		_exit(fn(b));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int apply_over_mount(const struct bed *b)
{
	char *at SCOPED(mem_freep) = mem_format("%s/dst/dir", b->dir);
	char *dst SCOPED(mem_freep) = mem_format("%s/dst", b->dir);
	struct bed here = *b; /* what was opened before knows nothing of the mount */
	struct run run = {0};
	int rc;

	if (mount(at, at, NULL, MS_BIND, NULL) != 0)
		return 77;
	here.dst = opened(AT_FDCWD, dst);
	rc = run_apply(&here, &run);
	return rc != 0 && strstr(run.e.msg, "dir") != NULL ? 0 : 1;
}

static void mounts_are_not_crossed(void **state)
{
	const struct bed *b = *state;
	int rc;

	make_dir(b->dst, "dir");
	put_text(b->dst, "dir/stays", "x");
	rc = apart(b, apply_over_mount);
	if (rc == 77)
		skip();
	assert_int_equal(rc, 0);
	(void)stat_of(b->dst, "dir/stays");
	make_dir(b->src, "dir");
	assert_int_equal(apart(b, apply_over_mount), 0);
	(void)stat_of(b->dst, "dir/stays");
}

static int apply_as_nobody(const struct bed *b)
{
	if (geteuid() == 0 && (setgid(SOMEBODY) != 0 || setuid(SOMEBODY) != 0))
		return 77;
	make_dir(b->src, "shut");
	put_text(b->src, "shut/in", "x");
	make_dir(b->dst, "shut");
	put_text(b->dst, "shut/out", "x");
	make_dir(b->dst, "gone");
	put_text(b->dst, "gone/out", "x");
	put_text(b->src, "read", "x");
	put_text(b->dst, "read", "y");
	set_attr(b, "src/read", "user.a", "1", 1);
	assert_int_equal(fchmodat(b->src, "read", 0400, 0), 0);
	assert_int_equal(fchmodat(b->dst, "read", 0, 0), 0);
	assert_int_equal(fchmodat(b->src, "shut", 0500, 0), 0);
	assert_int_equal(fchmodat(b->dst, "shut", 0, 0), 0);
	assert_int_equal(fchmodat(b->dst, "gone", 0, 0), 0);
	(void)applies(b, true);
	return 0;
}

/* Modes stand in the way of whoever is not root. */
static void modes_are_no_obstacle(void **state)
{
	const struct bed *b = *state;
	int rc;

	if (geteuid() == 0) {
		assert_int_equal(fchmodat(b->top, ".", 0777, 0), 0);
		assert_int_equal(fchownat(b->top, ".", SOMEBODY, SOMEBODY, 0), 0);
		assert_int_equal(fchownat(b->src, ".", SOMEBODY, SOMEBODY, 0), 0);
		assert_int_equal(fchownat(b->dst, ".", SOMEBODY, SOMEBODY, 0), 0);
		rc = apart(b, apply_as_nobody);
		if (rc == 77)
			skip();
		assert_int_equal(rc, 0);
	} else {
		assert_int_equal(apply_as_nobody(b), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(everything_from_nothing, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(types_swap, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(links_split_and_join, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(nothing_outside_changes, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(attributes_come_and_go, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(default_acls_add_nothing, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(immutable_is_no_obstacle, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(only_blocks_that_differ, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(stealth, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(a_day_moves_things, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(an_owner_nobody_knows, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(a_dry_run_is_exact, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(mounts_are_not_crossed, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(modes_are_no_obstacle, bed_setup, bed_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
