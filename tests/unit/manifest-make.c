/* Making the manifest of a tree. */
#include "form/abreast.h"
#include "manifest-lib.h"

#include <pthread.h>

static void it_says_all_of_an_entry(void **state)
{
	static const char hello[] =
	    "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
	struct scratch s = awkward();
	struct manifest m = make_of(s.fd);
	const struct manifest_entry *en = at(&m, "plain");
	const struct manifest_entry *other = at(&m, "dir/same");

	(void)state;
	assert_string_equal(m.v[0].path, "");
	assert_int_equal(m.v[0].type, MANIFEST_DIR);
	/* "dir/same" comes before "plain", so it is the file and "plain" another name of it */
	assert_null(other->same_as);
	assert_string_equal(en->same_as, "dir/same");
	assert_string_equal(at(&m, "zz")->same_as, "dir/same");
	assert_int_equal(en->size, 5);
	assert_string_equal(digest_hex(&other->digest).s, hello);
	assert_int_equal(other->mtime, 12);
	assert_int_equal(other->mtime_ns, 345);
	assert_int_equal(other->xattrs_n, 3);
	assert_string_equal(other->xattrs[0].name, "trusted.t");
	assert_string_equal(other->xattrs[1].name, "user.a");
	assert_int_equal(other->xattrs[2].len, 2);
	assert_int_equal(en->xattrs_n, 0);
	assert_int_equal(at(&m, "setuid")->mode, 04755);
	assert_string_equal(at(&m, "setuid")->user, "anna");
	assert_string_equal(at(&m, "setuid")->group, "staff");
	/* 1003 is the second anna's: the name would lead to the first */
	assert_string_equal(at(&m, "owned")->user, "1003");
	assert_string_equal(at(&m, "owned")->group, "77");
	assert_string_equal(at(&m, "link")->target, "../a b");
	assert_int_equal(at(&m, "link")->mtime, -2);
	assert_int_equal(at(&m, "fifo")->type, MANIFEST_FIFO);
	assert_int_equal(at(&m, "null")->device, makedev(1, 300));
	assert_int_equal(at(&m, "sparse")->size, (1 << 20) + 3);
	assert_true(at(&m, "sparse")->holes >= 1 << 19);
	assert_int_equal(at(&m, "plain")->holes, 0);
	assert_int_equal(m.left_out, 1);
	assert_int_equal(m.files, 8);
	assert_int_equal(m.bytes, 5 + 3 + 20 + 4 + 2 + 15 + (1 << 20) + 3);
	for (size_t i = 1; i < m.n; i++)
		assert_true(strcmp(m.v[i - 1].path, m.v[i].path) < 0);
	manifest_release(&m);
	scratch_drop(&s);
}

/* by name, whatever the number: setfacl(1) is a system test's */
static void an_acl_has_names(void **state)
{
	static const uint8_t acl[] = {2,  0, 0, 0,                          /* version */
				      1,  0, 6, 0, 0xff, 0xff, 0xff, 0xff,  /* u::rw- */
				      2,  0, 4, 0, 0xe9, 3,    0,    0,     /* u:anna:r-- */
				      2,  0, 7, 0, 0xea, 3,    0,    0,     /* u:odd one:rwx */
				      4,  0, 0, 0, 0xff, 0xff, 0xff, 0xff,  /* g::--- */
				      8,  0, 5, 0, 0x39, 5,    0,    0,     /* g:1337:r-x */
				      16, 0, 7, 0, 0xff, 0xff, 0xff, 0xff,  /* m::rwx */
				      32, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}; /* o::--- */
	static const char want[] =
	    "u::rw-,u:anna:r--,u:odd\\040one:rwx,g::---,g:1337:r-x,m::rwx,o::---";
	struct scratch s = scratch_make();
	struct manifest_names *n = names();
	struct buf value = BUF_INIT(1 << 16);
	struct err e = ERR_INIT;
	struct manifest m;

	(void)state;
	put(&s, "d/f", "", 0640);
	assert_int_equal(fs_mkdirs(s.fd, "d", 0755, &e), 0);
	{
		char *path SCOPED(mem_freep) = mem_format("%s/d/f", s.path);
		char *dir SCOPED(mem_freep) = mem_format("%s/d", s.path);

		assert_int_equal(setxattr(path, "system.posix_acl_access", acl, sizeof(acl), 0), 0);
		assert_int_equal(setxattr(dir, "system.posix_acl_default", acl, sizeof(acl), 0), 0);
	}
	m = make_of(s.fd);
	assert_string_equal(at(&m, "d/f")->acl, want);
	assert_null(at(&m, "d/f")->acl_default);
	assert_null(at(&m, "d")->acl);
	assert_string_equal(at(&m, "d")->acl_default, want);
	assert_int_equal(manifest_acl_value(n, want, &value, &e), 0);
	assert_int_equal(value.len, sizeof(acl));
	assert_memory_equal(value.data, acl, sizeof(acl));
	manifest_release(&m);
	buf_release(&value);
	manifest_names_free(n);
	scratch_drop(&s);
}

static void what_is_no_acl_is_refused(void **state)
{
	static const char *const bad[] = {
	    "",
	    "u::rw-",
	    "u::rw-,g::r--,o::r--,",
	    "u::rw-,u:anna:rwx,g::r--,o::r--",
	    "u::rw-,u::rw-,g::r--,o::r--",
	    "u::rw-,u:nobodyknows:rwx,g::r--,m::rwx,o::r--",
	    "u::rw-,g::r--,o::r-z",
	    "u::rw-,g::r--,o:x:r--",
	    "u::rw-,u:\\000:rwx,g::r--,m::rwx,o::r--",
	    "u::rw-,u:\\9:rwx,g::r--,m::rwx,o::r--",
	    "u::rw-,u:01:rwx,g::r--,m::rwx,o::r--",
	};
	struct manifest_names *n = names();

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct buf b = BUF_INIT(1 << 16);
		struct err e = ERR_INIT;

		assert_int_equal(manifest_acl_value(n, bad[i], &b, &e), -1);
		assert_int_equal(e.kind, ERR_VERIFY);
		buf_release(&b);
	}
	manifest_names_free(n);
}

static void names_lead_to_numbers(void **state)
{
	struct manifest_names *n = names();
	struct err e = ERR_INIT;
	uid_t uid = 1;

	(void)state;
	assert_int_equal(manifest_names_uid(n, "anna", &uid, &e), 0);
	assert_int_equal(uid, 1001);
	assert_int_equal(manifest_names_uid(n, "1001", &uid, &e), 0);
	assert_int_equal(uid, 1001);
	assert_int_equal(manifest_names_gid(n, "users", &uid, &e), 0);
	assert_int_equal(uid, 100);
	assert_int_equal(manifest_names_uid(n, "users", &uid, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	assert_int_equal(manifest_names_uid(n, "4294967295", &uid, &e), -1);
	assert_string_equal(manifest_names_user(n, 1002), "odd one");
	assert_null(manifest_names_user(n, 77));
	manifest_names_free(n);
}

static bool no_logs(void *ctx, const char *path, enum manifest_type type)
{
	(void)ctx;
	return type != MANIFEST_DIR || strcmp(path, "log") != 0;
}

static void a_filter_keeps_out(void **state)
{
	struct scratch s = scratch_make();
	struct manifest_names *n = names();
	struct manifest m;

	(void)state;
	put(&s, "log/1", "1", 0644);
	put(&s, "log/2", "2", 0644);
	put(&s, "log2", "3", 0644);
	m = make_with(s.fd, &(struct manifest_opts){.names = n, .wants = no_logs});
	assert_int_equal(m.n, 2);
	assert_int_equal(m.excluded, 1);
	manifest_release(&m);
	manifest_names_free(n);
	scratch_drop(&s);
}

/* by one thread or several, in whatever order they were made */
static void equal_trees_have_equal_texts(void **state)
{
	struct scratch a = awkward(), b = awkward();
	struct manifest_names *n = names();
	struct manifest x, y;
	char *s, *t;

	(void)state;
	for (int i = 0; i < 2; i++) {
		const struct scratch *w = i == 0 ? &a : &b;

		set_time(w, "socket", 1, 1);
		set_time(w, "sparse", 1, 1);
		set_time(w, "fifo", 1, 1);
		set_time(w, "null", 1, 1);
		set_time(w, ".", 1, 1);
	}
	x = make_with(a.fd, &(struct manifest_opts){.names = n, .threads = 1});
	y = make_with(b.fd, &(struct manifest_opts){.names = n, .threads = 7});
	s = text_of(&x);
	t = text_of(&y);
	assert_string_equal(s, t);
	assert_int_equal(manifest_compare(&x, &y, NULL, NULL), 0);
	free(s);
	free(t);
	manifest_release(&x);
	manifest_release(&y);
	manifest_names_free(n);
	scratch_drop(&a);
	scratch_drop(&b);
}

struct busy {
	const struct scratch *s;
	int times; /* that the file is still to be written */
	struct buf told;
};

/* the writer is the reader's own progress: so it comes in the midst of a reading, always */
static void write_on(void *ctx, const struct manifest_progress *p)
{
	struct busy *b = ctx;
	int fd;

	if (p->files == p->files_total || b->times == 0)
		return;
	b->times--;
	fd = openat(b->s->fd, "big", O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "x", 1, 9 << 20), 1);
	(void)close(fd);
}

static void tell_path(void *ctx, const char *path)
{
	struct busy *b = ctx;

	buf_addf(&b->told, "%s\n", path);
}

static void a_file_that_changes_is_read_again(void **state)
{
	struct scratch s = scratch_make();
	struct busy b = {.s = &s, .times = 1, .told = BUF_INIT(1000)};
	struct manifest_names *n = names();
	struct manifest_opts o = {.names = n, .progress = write_on, .ctx = &b, .threads = 1};
	struct manifest m = {0}, again;
	struct err e = ERR_INIT;
	int fd;

	(void)state;
	put(&s, "big", "", 0644);
	fd = openat(s.fd, "big", O_RDWR | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, 17 << 20), 0);
	(void)close(fd);
	m = make_with(s.fd, &o);
	assert_int_equal(m.reread, 1);
	again = make_of(s.fd);
	assert_true(digest_equal(&at(&m, "big")->digest, &at(&again, "big")->digest));
	manifest_release(&m);
	manifest_release(&again);
	b.times = 100;
	assert_int_equal(manifest_make(s.fd, &o, &m, &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	assert_non_null(strstr(e.msg, "big"));
	b.times = 100;
	o.unsteady = tell_path;
	m = make_with(s.fd, &o);
	assert_string_equal(b.told.data, "big\n");
	manifest_release(&m);
	buf_release(&b.told);
	manifest_names_free(n);
	scratch_drop(&s);
}

static void take_away(void *ctx, const struct manifest_progress *p)
{
	struct busy *b = ctx;

	if (b->times-- != 1)
		return;
	(void)p;
	assert_int_equal(unlinkat(b->s->fd, "d/z-first", 0), 0);
	assert_int_equal(unlinkat(b->s->fd, "d/gone", 0), 0);
	assert_int_equal(unlinkat(b->s->fd, "e/f", 0), 0);
	assert_int_equal(unlinkat(b->s->fd, "e", AT_REMOVEDIR), 0);
}

/* also the first name of a file, whose content is then to be read by its second */
static void what_goes_away_is_told(void **state)
{
	static const char *const big[ABREAST] = {"big-1", "big-2", "big-3"};
	struct scratch s = scratch_make();
	struct busy b = {.s = &s, .times = 1, .told = BUF_INIT(1000)};
	struct manifest_names *n = names();
	struct manifest_opts o = {.names = n, .progress = take_away, .ctx = &b, .threads = 1};
	struct manifest m = {0};
	struct err e = ERR_INIT;
	int fd;

	(void)state;
	for (int i = 0; i < 2; i++) {
		/* as many as are read together: no other is open yet when the first is told */
		for (size_t k = 0; k < ABREAST; k++) {
			put(&s, big[k], "", 0644);
			fd = openat(s.fd, big[k], O_RDWR | O_CLOEXEC);
			assert_int_equal(ftruncate(fd, 17 << 20), 0);
			(void)close(fd);
		}
		put(&s, "d/gone", "g", 0644);
		put(&s, "e/f", "f", 0644);
		put(&s, "d/z-first", "two names", 0644);
		(void)unlinkat(s.fd, "d/z-second", 0);
		assert_int_equal(linkat(s.fd, "d/z-first", s.fd, "d/z-second", 0), 0);
		b.times = 1;
		if (i == 0) {
			assert_int_equal(manifest_make(s.fd, &o, &m, &e), -1);
			assert_int_equal(e.kind, ERR_BUSY);
		}
		o.unsteady = tell_path;
	}
	m = make_with(s.fd, &o);
	assert_null(manifest_find(&m, "d/z-first"));
	assert_null(manifest_find(&m, "d/gone"));
	assert_null(manifest_find(&m, "e"));
	assert_null(at(&m, "d/z-second")->same_as);
	assert_int_equal(at(&m, "d/z-second")->size, 9);
	assert_int_equal(m.gone, 4);
	assert_non_null(strstr(b.told.data, "d/gone\n"));
	manifest_release(&m);
	buf_release(&b.told);
	manifest_names_free(n);
	scratch_drop(&s);
}

static void more_entries_than_allowed(void **state)
{
	struct scratch s = awkward();
	const struct manifest_opts o = {.entries_max = 5};
	struct manifest m = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(manifest_make(s.fd, &o, &m, &e), -1);
	assert_non_null(strstr(e.msg, "more than 5 entries"));
	assert_null(m.v);
	scratch_drop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_says_all_of_an_entry),
	    cmocka_unit_test(an_acl_has_names),
	    cmocka_unit_test(what_is_no_acl_is_refused),
	    cmocka_unit_test(names_lead_to_numbers),
	    cmocka_unit_test(a_filter_keeps_out),
	    cmocka_unit_test(equal_trees_have_equal_texts),
	    cmocka_unit_test(a_file_that_changes_is_read_again),
	    cmocka_unit_test(what_goes_away_is_told),
	    cmocka_unit_test(more_entries_than_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
