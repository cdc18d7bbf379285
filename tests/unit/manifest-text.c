/* The manifest's text, and what two of them do not share. */
#include "manifest-lib.h"

#define HEAD  "#mtree posmedia 1\n"
#define ROOT  ". type=dir uname=root gname=root mode=0755 time=1.000000000\n"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define FILE_A(path)                                                                               \
	"./" path " type=file uname=anna gname=0 mode=0644 size=0 time=-1.000000005 "              \
	"sha256digest=" EMPTY "\n"
#define DIR_D "./d type=dir uname=root gname=root mode=0755 time=1.000000000\n"

static void it_reads_what_it_writes(void **state)
{
	struct scratch s = awkward();
	struct manifest m = make_of(s.fd), back = {0};
	char *text = text_of(&m), *again;
	struct digest root = manifest_root(&m), sum = digest_of(text, strlen(text));
	struct err e = ERR_INIT;

	(void)state;
	if (read_text(text, strlen(text), &back, &e) != 0)
		fail_msg("%s", e.msg);
	again = text_of(&back);
	assert_string_equal(text, again);
	assert_true(digest_equal(&root, &sum));
	assert_int_equal(m.n, back.n);
	assert_int_equal(m.files, back.files);
	assert_int_equal(m.bytes, back.bytes);
	assert_int_equal(manifest_compare(&m, &back, NULL, NULL), 0);
	assert_non_null(
	    strstr(text, "\n./dir/a\\040b\\012c\\377\\043\\052\\133\\077\\075\\134 type="));
	assert_non_null(strstr(text, "\n#+ hardlink=./dir/same\n"));
	assert_non_null(strstr(text, "\n#+ xattr.trusted.t=eA== xattr.user.a= "
				     "xattr.user.b\\075\\012=AAE=\n"));
	assert_non_null(strstr(text, " device=native,1,300 "));
	free(text);
	free(again);
	manifest_release(&m);
	manifest_release(&back);
	scratch_drop(&s);
}

static const struct {
	const char *text, *why;
} bad[] = {
    {"", "m:1: no manifest"},
    {"#mtree\n" ROOT, "m:1: no manifest"},
    {HEAD, "m:1: ends before the root"},
    {HEAD FILE_A("a"), "m:2: the first entry"},
    {HEAD ROOT "\n", "m:3: wants an entry"},
    {HEAD ROOT "# said\n", "m:3: wants an entry"},
    {HEAD ROOT "/set type=file\n", "m:3: wants an entry"},
    {HEAD ROOT FILE_A("b") FILE_A("a"), "m:4: the paths are not in byte order"},
    {HEAD ROOT FILE_A("a") FILE_A("a"), "m:4: the paths are not in byte order"},
    {HEAD ROOT FILE_A("d/a"), "m:3: its directory is not there"},
    {HEAD ROOT FILE_A("a") FILE_A("a/b"), "m:4: its directory is not there"},
    {HEAD ROOT FILE_A("../a"), "m:3: the path is wrong"},
    {HEAD ROOT FILE_A("a//b"), "m:3: the path is wrong"},
    {HEAD ROOT FILE_A("\\000"), "m:3: the path is wrong"},
    {HEAD ROOT FILE_A("a\\"), "m:3: the path is wrong"},
    {HEAD ROOT FILE_A("\\141"), "m:3: not as a manifest is written"},
    {HEAD ROOT FILE_A("a*"), "m:3: not as a manifest is written"},
    {HEAD ROOT "./a type=file\n", "m:3: its owner"},
    {HEAD ROOT "./a type=link uname=a gname=b mode=0777 time=1.000000000\n", "m:3: its target"},
    {HEAD ROOT "./d type=dir uname=a gname=b mode=755 time=1.000000000\n",
     "m:3: not as a manifest"},
    {HEAD ROOT "./d type=dir uname=a gname=b mode=0755 time=1.0\n", "m:3: not as a manifest"},
    {HEAD ROOT "./d type=dir gname=b uname=a mode=0755 time=1.000000000\n",
     "m:3: not as a manifest"},
    {HEAD ROOT "./d type=dir uname=a gname=b mode=0755 time=1.000000000 \n",
     "m:3: wants KEY=VALUE"},
    {HEAD ROOT "./d type=dir uname=007 gname=b mode=0755 time=1.000000000\n",
     "m:3: \"uname\" has a wrong value"},
    {HEAD ROOT "./d type=dir uname= gname=b mode=0755 time=1.000000000\n",
     "m:3: \"uname\" has a wrong value"},
    {HEAD ROOT "./d type=socket uname=a gname=b mode=0755 time=1.000000000\n",
     "m:3: \"type\" has a wrong value"},
    {HEAD ROOT "./d type=dir uname=a gname=b mode=0755 time=1.000000000 content=/etc\n",
     "m:3: \"content\" has a wrong value"},
    {HEAD ROOT FILE_A("a") "#+ xattr.security.selinux=YQ==\n", "m:4: \"xattr."},
    {HEAD ROOT FILE_A("a") "#+ xattr.system.posix_acl_access=YQ==\n", "m:4: \"xattr."},
    {HEAD ROOT FILE_A("a") "#+ xattr.user.b=YQ== xattr.user.a=YQ==\n", "m:4: \"xattr."},
    {HEAD ROOT FILE_A("a") "#+ xattr.user.b=YQ\n", "m:3: not as a manifest"},
    {HEAD ROOT FILE_A("a") "#+ acl=u::rw-\n", "m:4: \"acl\""},
    {HEAD ROOT FILE_A("a") "#+ acl.default=u::rw-,g::r--,o::r--\n", "m:3: such an entry"},
    {HEAD ROOT FILE_A("a") "#+ \n", "m:4: wants KEY=VALUE"},
    {HEAD ROOT FILE_A("a") "#+ hardlink=./b\n", "m:4: \"hardlink\""},
    {HEAD ROOT FILE_A("a") "#+ hardlink=./a\n", "m:3: it is not what its first name is"},
    {HEAD ROOT FILE_A("a") "#+ hardlink=.\n", "m:3: it is not what its first name is"},
    {HEAD ROOT DIR_D "#+ hardlink=.\n", "m:3: it is not what its first name is"},
    {HEAD ROOT FILE_A("a") "#+ xattr.user.a=\n#+ xattr.user.b=\n", "m:5: goes on with no"},
    {HEAD "#+ hardlink=.\n", "m:2: goes on with no"},
    {HEAD ROOT FILE_A("a") "./b", "m:4: the last line has no end"},
};

static void one_text_and_no_other(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct manifest m = {0};
		struct err e = ERR_INIT;

		assert_int_equal(read_text(bad[i].text, strlen(bad[i].text), &m, &e), -1);
		assert_int_equal(e.kind, ERR_RECIPE);
		if (strncmp(e.msg, bad[i].why, strlen(bad[i].why)) != 0)
			fail_msg("%s: wanted %s", e.msg, bad[i].why);
	}
}

static void good_ones_are_read(void **state)
{
	static const char *const good[] = {
	    HEAD ROOT,
	    HEAD ROOT FILE_A("a") DIR_D FILE_A("d-") FILE_A("d/a"),
	    HEAD ROOT FILE_A("a") "#+ acl=u::rw-,u:x:---,g::r--,m::rwx,o::r--\n" FILE_A(
		"b") "#+ hardlink=./a\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct manifest m = {0};
		struct err e = ERR_INIT;

		if (read_text(good[i], strlen(good[i]), &m, &e) != 0)
			fail_msg("%s", e.msg);
		manifest_release(&m);
	}
}

static void zeros_and_long_lines_are_refused(void **state)
{
	static const char zero[] = HEAD ROOT "./a\0b type=file\n";
	char *line SCOPED(mem_freep) = mem_zalloc(3 << 20);
	struct manifest m = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(read_text(zero, sizeof(zero) - 1, &m, &e), -1);
	assert_string_equal(e.msg, "m:3: a zero byte");
	memset(line, 'a', 3 << 20);
	memcpy(line, HEAD, sizeof(HEAD) - 1);
	assert_int_equal(read_text(line, 3 << 20, &m, &e), -1);
	assert_string_equal(e.msg, "m:2: a line of more than 1 MiB");
}

static void one_change_one_difference(void **state)
{
	struct scratch s = awkward();
	struct manifest a = make_of(s.fd), b;
	char *text, *path = mem_format("%s/dir-x", s.path);
	const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	int fd = openat(s.fd, "dir-x", O_WRONLY | O_CLOEXEC);

	(void)state;
	/* the same size and time, and one byte is another: only the content tells */
	assert_int_equal(pwrite(fd, "B", 1, 0), 1);
	assert_int_equal(futimens(fd, times), 0);
	(void)close(fd);
	b = make_of(s.fd);
	text = differences(&a, &b);
	assert_true(strncmp(text, "dir-x content ", 14) == 0);
	assert_null(strchr(strchr(text, '\n') + 1, '\n'));
	free(text);
	manifest_release(&a);
	a = b;
	assert_int_equal(setxattr(path, "user.q", "v", 1, 0), 0);
	assert_int_equal(fchmodat(s.fd, "empty", 0100, 0), 0);
	assert_int_equal(fchownat(s.fd, "setuid", 0, 50, 0), 0);
	set_time(&s, "fifo", 3, 4);
	set_time(&s, ".", a.v[0].mtime, a.v[0].mtime_ns);
	b = make_of(s.fd);
	text = differences(&a, &b);
	assert_non_null(strstr(text, "dir-x xattr - user.q=dg==\n"));
	assert_non_null(strstr(text, "empty mode 0000 0100\n"));
	assert_non_null(strstr(text, "setuid owner anna root\n"));
	assert_non_null(strstr(text, "setuid mode 4755 0755\n"));
	assert_non_null(strstr(text, "fifo mtime "));
	free(text);
	manifest_release(&a);
	manifest_release(&b);
	free(path);
	scratch_drop(&s);
}

static void names_types_and_what_is_not_there(void **state)
{
	struct scratch s = awkward();
	struct manifest a = make_of(s.fd), b;
	char *text;

	(void)state;
	assert_int_equal(unlinkat(s.fd, "zz", 0), 0);
	put(&s, "zz", "hello", 0644);
	assert_int_equal(unlinkat(s.fd, "fifo", 0), 0);
	assert_int_equal(symlinkat("x", s.fd, "fifo"), 0);
	assert_int_equal(unlinkat(s.fd, "link", 0), 0);
	assert_int_equal(symlinkat("elsewhere", s.fd, "link"), 0);
	assert_int_equal(unlinkat(s.fd, "empty", 0), 0);
	put(&s, "zzz", "", 0644);
	set_time(&s, ".", a.v[0].mtime, a.v[0].mtime_ns);
	set_time(&s, "link", -2, 999999999);
	b = make_of(s.fd);
	text = differences(&a, &b);
	assert_string_equal(text, "empty missing file -\n"
				  "fifo type fifo link\n"
				  "link target ../a b elsewhere\n"
				  "zz link dir/same -\n"
				  "zz mtime 12.000000345 1000.000000000\n"
				  "zz xattr trusted.t=eA== -\n"
				  "zz xattr user.a= -\n"
				  "zz xattr user.b\\075\\012=AAE= -\n"
				  "zzz extra - file\n");
	free(text);
	manifest_release(&a);
	manifest_release(&b);
	scratch_drop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_reads_what_it_writes),
	    cmocka_unit_test(one_text_and_no_other),
	    cmocka_unit_test(good_ones_are_read),
	    cmocka_unit_test(zeros_and_long_lines_are_refused),
	    cmocka_unit_test(one_change_one_difference),
	    cmocka_unit_test(names_types_and_what_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
