/* Layers: their bytes, and strangers that read them. */
#include "archive-lib.h"
#include "archive/acl.h"
#include "archive/pack.h"
#include "archive/tree.h"

#include <sys/xattr.h>

enum { OUT_MAX = 64 << 20 };

/* cap_net_bind_service=ep, struct vfs_cap_data version 2 */
static const uint8_t cap[20] = {1, 0, 0, 2, 0, 4};

static struct tree scan(int fd)
{
	struct tree t = {0};
	struct err e = ERR_INIT;

	if (tree_scan(fd, &t, NULL, &e) != 0)
		fail_msg("%s", e.msg);
	return t;
}

static bool is_digest_of(const struct digest *d, const void *p, size_t n)
{
	struct digest want = digest_of(p, n);

	return digest_equal(d, &want);
}

static struct pack_result pack(int root, const struct tree *t, const struct pack_opts *o,
			       struct buf *out)
{
	const struct sink sink = {to_buf, out};
	struct pack_result r = {0};
	struct err e = ERR_INIT;

	if (pack_layer(root, t, o, &sink, &r, &e) != 0)
		fail_msg("%s", e.msg);
	assert_int_equal(r.size, out->len);
	assert_true(is_digest_of(&r.digest, out->data, out->len));
	return r;
}

/* Scans and packs the directory "t" of the scratch directory to the file "out". */
static struct pack_result pack_file(const struct scratch *s, const struct pack_opts *o)
{
	struct buf out SCOPED(buf_release) = BUF_INIT(OUT_MAX);
	int root SCOPED(fd_closep) = open_sub(s, "t");
	struct tree t SCOPED(tree_release) = scan(root);
	struct pack_result r = pack(root, &t, o, &out);

	put_bytes(s, "out", out.data, out.len);
	return r;
}

static const struct pack_opts plain = {.compression = PACK_NONE, .epoch = 7777};

static void gnu_tar_lists_it(void **state)
{
	struct scratch s = scratch_make();
	struct pack_result r;
	char *text;

	(void)state;
	put(&s, "t/d/file", "hello", 0640);
	put(&s, "t/d-x", "", 04755);
	put(&s, "t/d/z", "0123456789", 0600);
	assert_int_equal(symlinkat("../d-x", s.fd, "t/d/link"), 0);
	assert_int_equal(linkat(s.fd, "t/d/z", s.fd, "t/a", 0), 0);
	assert_int_equal(fchownat(s.fd, "t/d/file", 3, 4, 0), 0);
	assert_int_equal(fchmodat(s.fd, "t/d", 01777, 0), 0);
	assert_int_equal(utimensat(s.fd, "t/d", (struct timespec[2]){{5, 5}, {5, 5}}, 0), 0);
	assert_int_equal(
	    utimensat(s.fd, "t/d/link", (struct timespec[2]){{6, 5}, {6, 5}}, AT_SYMLINK_NOFOLLOW),
	    0);
	r = pack_file(&s, &plain);
	assert_int_equal(r.entries, 6);
	assert_int_equal(r.raw_size % 512, 0);
	assert_true(digest_equal(&r.digest, &r.diff_id));
	text = RUN(&s, "tar", "--utc", "--full-time", "--numeric-owner", "-tvf", "out");
	assert_string_equal(text,
			    "-rw------- 0/0              10 1970-01-01 00:16:40 a\n"
			    "drwxrwxrwt 0/0               0 1970-01-01 00:00:05 d/\n"
			    "-rwsr-xr-x 0/0               0 1970-01-01 00:16:40 d-x\n"
			    "-rw-r----- 3/4               5 1970-01-01 00:16:40 d/file\n"
			    "lrwxrwxrwx 0/0               0 1970-01-01 00:00:06 d/link -> "
			    "../d-x\n"
			    "hrw------- 0/0               0 1970-01-01 00:16:40 d/z link to a\n");
	free(text);
	DO(&s, "bsdtar", "-tf", "out");
	scratch_drop(&s);
}

/* Holes depend on the file system and on how a file was written: they are never told. */
static void holes_are_zeros(void **state)
{
	struct scratch s = scratch_make();
	struct pack_result a, b;
	struct err e = ERR_INIT;
	static char zeros[1 << 16];
	int fd;

	(void)state;
	put(&s, "t/f", "", 02755);
	fd = openat(s.fd, "t/f", O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	assert_int_equal(fchmod(fd, 02755), 0);
	assert_int_equal(futimens(fd, (struct timespec[2]){{1000, 0}, {1000, 0}}), 0);
	a = pack_file(&s, &plain);
	for (int i = 0; i < 16; i++)
		assert_int_equal(fs_write_all(fd, zeros, sizeof(zeros), &e), 0);
	assert_int_equal(fchmod(fd, 02755), 0);
	assert_int_equal(futimens(fd, (struct timespec[2]){{1000, 0}, {1000, 0}}), 0);
	b = pack_file(&s, &plain);
	(void)close(fd);
	assert_true(digest_equal(&a.diff_id, &b.diff_id));
	assert_true(a.raw_size > 1 << 20);
	scratch_drop(&s);
}

static void a_header_byte_by_byte(void **state)
{
	static const char head[] = "00000000000\0"  /* size */
				   "00000001750\0"; /* mtime 1000 */
	struct scratch s = scratch_make();
	struct buf out = BUF_INIT(OUT_MAX);

	(void)state;
	put(&s, "t/f", "", 0644);
	(void)pack_file(&s, &plain);
	assert_int_equal(fs_get(s.fd, "out", &out, &(struct err)ERR_INIT), 0);
	assert_int_equal(out.len, 3 * 512);
	assert_memory_equal(out.data, "f\0", 2);
	assert_memory_equal(out.data + 100, "0000644\0000000000\0000000000", 24);
	assert_memory_equal(out.data + 124, head, 24);
	assert_memory_equal(out.data + 154, "\0 0", 3);
	assert_memory_equal(out.data + 257, "ustar\00000", 8);
	assert_memory_equal(out.data + 265, (char[64]){0}, 64);
	assert_memory_equal(out.data + 329, "0000000\0000000000", 16);
	assert_memory_equal(out.data + 345, (char[167]){0}, 167);
	assert_memory_equal(out.data + 512, (char[1024]){0}, 1024);
	buf_release(&out);
	scratch_drop(&s);
}

/* A path of n characters in components of at most `part`. */
static char *long_path(size_t n, size_t part)
{
	char *p = mem_zalloc(n + 1);

	for (size_t i = 0; i < n; i++)
		p[i] = i % (part + 1) == part && i + 1 < n ? '/' : (char)('a' + i % 26);
	return p;
}

static bool has_pax(const struct scratch *s)
{
	struct buf out SCOPED(buf_release) = BUF_INIT(OUT_MAX);

	assert_int_equal(fs_get(s->fd, "out", &out, &(struct err)ERR_INIT), 0);
	return memmem(out.data, out.len, "PaxHeader", 9) != NULL;
}

static void check_name(const char *path, bool pax)
{
	struct scratch s = scratch_make();
	char *in SCOPED(mem_freep) = mem_format("t/%s", path);
	char *diff;

	put(&s, in, "content", 0644);
	(void)pack_file(&s, &plain);
	assert_int_equal(has_pax(&s), pax);
	DO(&s, "mkdir", "u");
	DO(&s, "tar", "-C", "u", "-xpf", "out");
	diff = RUN(&s, "diff", "-r", "t", "u");
	assert_string_equal(diff, "");
	free(diff);
	DO(&s, "mkdir", "v");
	DO(&s, "bsdtar", "-C", "v", "-xpf", "out");
	diff = RUN(&s, "diff", "-r", "t", "v");
	assert_string_equal(diff, "");
	free(diff);
	scratch_drop(&s);
}

static void long_names(void **state)
{
	static const struct {
		size_t n, part;
		bool pax;
	} cases[] = {
	    {99, 200, false},  {100, 200, false}, {101, 200, true}, {101, 100, true},
	    {102, 50, false},  {255, 99, true},   {200, 99, false}, {253, 50, false},
	    {254, 50, true},   {256, 15, true},   {257, 127, true}, {1500, 200, true},
	    {3000, 250, true}, {200, 77, false},  {200, 156, true}, {990, 200, true},
	    {991, 200, true},  {992, 200, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *p = long_path(cases[i].n, cases[i].part);

		check_name(p, cases[i].pax);
		free(p);
	}
	check_name("with space/new\nline/\xff\xfe", false);
}

static void long_links(void **state)
{
	struct scratch s = scratch_make();
	char *target = long_path(100, 30), *longer = long_path(1000, 200);
	char *in SCOPED(mem_freep) = mem_format("t/%s", longer);
	char *text;

	(void)state;
	DO(&s, "mkdir", "t", "u");
	assert_int_equal(symlinkat(target, s.fd, "t/l"), 0);
	(void)pack_file(&s, &plain);
	assert_false(has_pax(&s));
	assert_int_equal(symlinkat(longer, s.fd, "t/ll"), 0);
	put(&s, in, "x", 0644);
	assert_int_equal(linkat(s.fd, in, s.fd, "t/zz", 0), 0);
	(void)pack_file(&s, &plain);
	assert_true(has_pax(&s));
	DO(&s, "tar", "-C", "u", "-xpf", "out");
	text = RUN(&s, "diff", "-r", "--no-dereference", "t", "u");
	assert_string_equal(text, "");
	free(text);
	text = RUN(&s, "stat", "-c", "%h", "u/zz");
	assert_string_equal(text, "2\n");
	free(text);
	free(target);
	free(longer);
	scratch_drop(&s);
}

static void capabilities_and_attributes(void **state)
{
	struct scratch s = scratch_make();
	char value[32] = {0};
	char *path;

	(void)state;
	put(&s, "t/ping", "x", 0755);
	DO(&s, "mkdir", "u");
	path = mem_format("%s/t/ping", s.path);
	assert_int_equal(setxattr(path, "security.capability", cap, sizeof(cap), 0), 0);
	assert_int_equal(setxattr(path, "user.note", "a=b\n\0c", 6, 0), 0);
	free(path);
	(void)pack_file(&s, &plain);
	DO(&s, "tar", "-C", "u", "--xattrs", "--xattrs-include=*", "-xpf", "out");
	path = mem_format("%s/u/ping", s.path);
	assert_int_equal(getxattr(path, "security.capability", value, sizeof(value)), 20);
	assert_memory_equal(value, cap, sizeof(cap));
	assert_int_equal(getxattr(path, "user.note", value, sizeof(value)), 6);
	assert_memory_equal(value, "a=b\n\0c", 6);
	free(path);
	scratch_drop(&s);
}

static void same_attribute(const struct scratch *s, const char *to, const char *name)
{
	char *a SCOPED(mem_freep) = mem_format("%s/t/d", s->path);
	char *b SCOPED(mem_freep) = mem_format("%s/%s/d", s->path, to);
	uint8_t was[256], is[256];
	ssize_t n = getxattr(a, name, was, sizeof(was));

	assert_true(n > 0);
	assert_int_equal(getxattr(b, name, is, sizeof(is)), n);
	assert_memory_equal(was, is, (size_t)n);
}

/* What data may have, and an image has not. */
static void strangers_restore_lists(void **state)
{
	struct buf out SCOPED(buf_release) = BUF_INIT(OUT_MAX);
	struct scratch s = scratch_make();
	struct tree t SCOPED(tree_release) = {0};
	struct err e = ERR_INIT;
	char *path;
	int root;

	(void)state;
	put(&s, "t/d/f", "x", 0640);
	DO(&s, "mkdir", "u", "v");
	DO(&s, "setfacl", "-m", "u:1600:rwx,g:70000:r,m::rx", "-d", "-m", "u:7:rx", "t/d");
	DO(&s, "setfacl", "-m", "u:1600:rwx,g:70000:r,m::rx", "t/d");
	path = mem_format("%s/t/d", s.path);
	assert_int_equal(setxattr(path, "trusted.t", "x", 1, 0), 0);
	assert_int_equal(setxattr(path, "security.note", "y", 1, 0), 0);
	free(path);
	root = open_sub(&s, "t");
	assert_int_equal(tree_scan_all(root, &t, NULL, &e), 0);
	(void)pack(root, &t, &plain, &out);
	(void)close(root);
	put_bytes(&s, "out", out.data, out.len);
	DO(&s, "tar", "-C", "u", "--acls", "--xattrs", "--xattrs-include=*", "-xpf", "out");
	same_attribute(&s, "u", "system.posix_acl_access");
	same_attribute(&s, "u", "system.posix_acl_default");
	same_attribute(&s, "u", "trusted.t");
	same_attribute(&s, "u", "security.note");
	DO(&s, "bsdtar", "-C", "v", "--acls", "--xattrs", "-xpf", "out");
	same_attribute(&s, "v", "system.posix_acl_access");
	same_attribute(&s, "v", "system.posix_acl_default");
	scratch_drop(&s);
}

static void damaged_lists(void **state)
{
	static const struct {
		uint8_t v[16];
		size_t len;
	} bad[] = {
	    {{0}, 0},
	    {{2, 0, 0}, 3},
	    {{1, 0, 0, 0}, 4},
	    {{2, 0, 0, 0, 1, 0, 7}, 11},
	    {{2, 0, 0, 0, 3, 0, 7, 0, 0, 0, 0, 0}, 12},
	    {{2, 0, 0, 0, 1, 0, 8, 0, 0, 0, 0, 0}, 12},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct buf text SCOPED(buf_release) = BUF_INIT(256);
		struct err e = ERR_INIT;

		assert_int_equal(acl_text(bad[i].v, bad[i].len, &text, &e), -1);
		assert_int_equal(e.kind, ERR_VERIFY);
	}
}

static void numbers_without_room(void **state)
{
	struct scratch s = scratch_make();
	char *text;

	(void)state;
	put(&s, "t/f", "x", 0644);
	assert_int_equal(fchownat(s.fd, "t/f", 2097152, 4000000000U, 0), 0);
	assert_int_equal(utimensat(s.fd, "t/f", (struct timespec[2]){{0, 0}, {-5, 0}}, 0), 0);
	(void)pack_file(&s, &plain);
	text = RUN(&s, "tar", "--utc", "--full-time", "--numeric-owner", "-tvf", "out");
	assert_string_equal(text, "-rw-r--r-- 2097152/4000000000 1 1969-12-31 23:59:55 f\n");
	free(text);
	put(&s, "t/f", "x", 0644);
	assert_int_equal(fchownat(s.fd, "t/f", 2097151, 2097151, 0), 0);
	(void)pack_file(&s, &plain);
	assert_false(has_pax(&s));
	scratch_drop(&s);
}

static void layers_and_their_parents(void **state)
{
	struct scratch s = scratch_make();
	struct buf out SCOPED(buf_release) = BUF_INIT(OUT_MAX);
	struct pack_opts o = plain;
	struct pack_result r;
	struct tree t;
	char *text;
	int root;

	(void)state;
	put(&s, "t/etc/app/conf", "x", 0644);
	put(&s, "t/etc/base", "yy", 0644);
	put(&s, "t/usr/none", "", 0644);
	assert_int_equal(fchownat(s.fd, "t/etc/app", 8, 9, 0), 0);
	assert_int_equal(fchmodat(s.fd, "t/etc/app", 0700, 0), 0);
	root = open_sub(&s, "t");
	t = scan(root);
	tree_find(&t, "etc/app/conf")->layer = 2;
	tree_find(&t, "usr/none")->layer = -1;
	tree_find(&t, "usr")->layer = -1;
	tree_find(&t, "etc")->mtime = 50;
	tree_find(&t, "etc/app")->mtime = 60;
	o.layer = 2;
	r = pack(root, &t, &o, &out);
	assert_int_equal(r.entries, 3);
	put_bytes(&s, "out", out.data, out.len);
	text = RUN(&s, "tar", "--utc", "--full-time", "--numeric-owner", "-tvf", "out");
	assert_string_equal(text, "drwxr-xr-x 0/0               0 1970-01-01 02:09:37 etc/\n"
				  "drwx------ 8/9               0 1970-01-01 02:09:37 etc/app/\n"
				  "-rw-r--r-- 0/0               1 1970-01-01 00:16:40 "
				  "etc/app/conf\n");
	free(text);
	buf_release(&out);
	out = (struct buf)BUF_INIT(OUT_MAX);
	o.layer = 0;
	r = pack(root, &t, &o, &out);
	put_bytes(&s, "out", out.data, out.len);
	text = RUN(&s, "tar", "--utc", "--full-time", "--numeric-owner", "-tvf", "out");
	assert_string_equal(text, "drwxr-xr-x 0/0               0 1970-01-01 00:00:50 etc/\n"
				  "drwx------ 8/9               0 1970-01-01 00:01:00 etc/app/\n"
				  "-rw-r--r-- 0/0               2 1970-01-01 00:16:40 etc/base\n");
	free(text);
	buf_release(&out);
	out = (struct buf)BUF_INIT(OUT_MAX);
	o.layer = 5;
	r = pack(root, &t, &o, &out);
	assert_int_equal(r.entries, 0);
	assert_int_equal(r.size, 1024);
	tree_release(&t);
	(void)close(root);
	scratch_drop(&s);
}

/* No data follows the header of a second name, and it says so. */
static void a_link_has_no_size(void **state)
{
	struct scratch s = scratch_make();
	struct buf out SCOPED(buf_release) = BUF_INIT(OUT_MAX);

	(void)state;
	put(&s, "t/a", "xyz", 0644);
	assert_int_equal(linkat(s.fd, "t/a", s.fd, "t/b", 0), 0);
	(void)pack_file(&s, &plain);
	assert_int_equal(fs_get(s.fd, "out", &out, &(struct err)ERR_INIT), 0);
	assert_int_equal(out.len, 5 * 512);
	assert_string_equal(out.data + 124, "00000000003");
	assert_string_equal(out.data + 1024, "b");
	assert_string_equal(out.data + 1024 + 124, "00000000000");
	assert_memory_equal(out.data + 1024 + 156, "1a", 3);
	scratch_drop(&s);
}

static void hard_links_across_layers_are_files(void **state)
{
	static const char *const want[] = {
	    "-rw-r--r-- 0/0               3 1970-01-01 00:16:40 a\n",
	    "-rw-r--r-- 0/0               3 1970-01-01 00:16:40 b\n"
	    "hrw-r--r-- 0/0               0 1970-01-01 00:16:40 c link to b\n"};
	struct scratch s = scratch_make();
	struct pack_opts o = plain;
	struct tree t;
	int root;

	(void)state;
	put(&s, "t/a", "xyz", 0644);
	assert_int_equal(linkat(s.fd, "t/a", s.fd, "t/b", 0), 0);
	assert_int_equal(linkat(s.fd, "t/a", s.fd, "t/c", 0), 0);
	root = open_sub(&s, "t");
	t = scan(root);
	tree_find(&t, "b")->layer = 1;
	tree_find(&t, "c")->layer = 1;
	for (o.layer = 0; o.layer < 2; o.layer++) {
		struct buf out SCOPED(buf_release) = BUF_INIT(OUT_MAX);
		char *text;

		(void)pack(root, &t, &o, &out);
		put_bytes(&s, "out", out.data, out.len);
		text = RUN(&s, "tar", "--utc", "--full-time", "--numeric-owner", "-tvf", "out");
		assert_string_equal(text, want[o.layer]);
		free(text);
	}
	tree_release(&t);
	(void)close(root);
	scratch_drop(&s);
}

/* Two trees with the same content, made in another order, under another umask. */
static void the_making_leaves_no_trace(void **state)
{
	static const char *const names[] = {"t/b/c", "t/a", "t/b/a", "t/z", "t/b-b", "t/m"};
	enum { N = sizeof(names) / sizeof(names[0]) };
	struct pack_result r[2];

	(void)state;
	for (int round = 0; round < 2; round++) {
		struct scratch s = scratch_make();
		mode_t before = umask(round ? 077 : 0);

		for (size_t i = 0; i < N; i++)
			put(&s, names[round ? N - 1 - i : i], "data", 0644);
		for (int i = 0; i < 200 && round; i++) {
			char *extra SCOPED(mem_freep) = mem_format("t/extra-%d", i);

			put(&s, extra, "", 0600);
			assert_int_equal(unlinkat(s.fd, extra, 0), 0);
		}
		assert_int_equal(fchmodat(s.fd, "t/b", 0755, 0), 0);
		assert_int_equal(
		    utimensat(s.fd, "t/b", (struct timespec[2]){{9, round}, {9, round}}, 0), 0);
		r[round] = pack_file(&s, &plain);
		(void)umask(before);
		scratch_drop(&s);
	}
	assert_true(digest_equal(&r[0].digest, &r[1].digest));
}

static void a_file_that_changed_is_an_error(void **state)
{
	static const char *const now[] = {"12", "1234", ""};
	struct scratch s = scratch_make();
	struct buf out SCOPED(buf_release) = BUF_INIT(OUT_MAX);
	const struct sink sink = {to_buf, &out};
	struct pack_result r = {.size = 42};
	struct tree t;

	(void)state;
	put(&s, "d/f", "123", 0644);
	t = scan(s.fd);
	for (size_t i = 0; i < sizeof(now) / sizeof(now[0]); i++) {
		struct err e = ERR_INIT;

		put(&s, "d/f", now[i], 0644);
		assert_int_equal(pack_layer(s.fd, &t, &plain, &sink, &r, &e), -1);
		assert_non_null(strstr(e.msg, "d/f changed"));
		assert_true(e.hint[0] != '\0');
		assert_int_equal(r.size, 42);
	}
	for (int i = 0; i < 3; i++) {
		struct err e = ERR_INIT;

		DO(&s, "rm", "-rf", "d");
		if (i == 1)
			DO(&s, "ln", "-s", "/etc", "d");
		if (i == 2)
			DO(&s, "sh", "-c", "mkdir d; printf 123 >d/g; ln -s g d/f");
		assert_int_equal(pack_layer(s.fd, &t, &plain, &sink, &r, &e), -1);
		assert_non_null(strstr(e.msg, "d/f changed"));
	}
	tree_release(&t);
	scratch_drop(&s);
}

static int refuse(void *ctx, const void *p, size_t n, struct err *e)
{
	size_t *left = ctx;

	(void)p;
	if (n > *left)
		return err_set(e, ERR_REMOTE, "the sink is full");
	*left -= n;
	return 0;
}

static void a_sink_that_fails(void **state)
{
	struct scratch s = scratch_make();
	struct tree t;

	(void)state;
	DO(&s, "sh", "-c", "head -c 9000000 /dev/urandom >f");
	t = scan(s.fd);
	for (int c = PACK_NONE; c <= PACK_ZSTD; c++)
		for (size_t room = 0; room < 9000000; room += 2999999) {
			size_t left = room;
			const struct sink sink = {refuse, &left};
			struct pack_opts o = {.compression = (enum pack_compression)c, .level = 1};
			struct pack_result r;
			struct err e = ERR_INIT;

			assert_int_equal(pack_layer(s.fd, &t, &o, &sink, &r, &e), -1);
			assert_int_equal(e.kind, ERR_REMOTE);
			assert_string_equal(e.msg, "the sink is full");
		}
	tree_release(&t);
	scratch_drop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(gnu_tar_lists_it),
	    cmocka_unit_test(a_header_byte_by_byte),
	    cmocka_unit_test(holes_are_zeros),
	    cmocka_unit_test(long_names),
	    cmocka_unit_test(long_links),
	    cmocka_unit_test(capabilities_and_attributes),
	    cmocka_unit_test(strangers_restore_lists),
	    cmocka_unit_test(damaged_lists),
	    cmocka_unit_test(numbers_without_room),
	    cmocka_unit_test(layers_and_their_parents),
	    cmocka_unit_test(a_link_has_no_size),
	    cmocka_unit_test(hard_links_across_layers_are_files),
	    cmocka_unit_test(the_making_leaves_no_trace),
	    cmocka_unit_test(a_file_that_changed_is_an_error),
	    cmocka_unit_test(a_sink_that_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
