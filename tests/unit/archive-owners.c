/* Whose the members of a hostile tar are, by its own word. */
#include "archive/owners.h"

#include "archive-lib.h"
#include "archive-tar.h"
#include <sys/mman.h>

static int read_items(const struct tar_item *items, size_t n, struct buf *ret, struct err *e)
{
	struct buf tar SCOPED(buf_release) = BUF_INIT(1 << 20);
	int fd SCOPED(fd_closep) = memfd_create("tar", MFD_CLOEXEC);

	assert_true(fd >= 0);
	for (size_t i = 0; i < n; i++)
		tar_entry(&tar, &items[i]);
	tar_end(&tar);
	assert_int_equal(fs_write_all(fd, tar.data, tar.len, e), 0);
	return owners_read(fd, ret, e);
}

/* A pax header of one record; room is the caller's. */
static struct tar_item pax(char *room, size_t size, const char *record)
{
	size_t n = strlen(record) + 2;

	n += n + 2 >= 100 ? 3 : 2;
	(void)snprintf(room, size, "%zu %s\n", n, record);
	assert_int_equal(strlen(room), n);
	return (struct tar_item){.name = "pax", .type = 'x', .data = room, .data_n = n};
}

static void by_their_paths(void **state)
{
	char user[64], acl[128], def[128];
	const struct tar_item items[] = {
	    pax(acl, sizeof(acl),
		"SCHILY.acl.access=user::rw-,user:bob:rw-,user:12:r--,group::r--,mask::rw-,other::"
		"---"),
	    {.name = "./b/z\n", .type = '0', .mode = 04660},
	    /* less is said of its other name */
	    {.name = "b/a", .link = "b/z\n", .type = '1', .id = "0000007"},
	    pax(user, sizeof(user), "uname=rti"),
	    {.name = "c", .type = '0', .id = "0000011"},
	    pax(def, sizeof(def),
		"SCHILY.acl.default=user::rwx,group:x:r-x,group::r-x,mask::r-x,other::---"),
	    {.name = "./", .type = '5', .mode = 0700},
	    {.name = "c", .type = '0', .mode = 0600, .id = "0000010"},
	};
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct err e = ERR_INIT;

	(void)state;
	if (read_items(items, sizeof(items) / sizeof(items[0]), &b, &e) != 0)
		fail_msg("%s", e.msg);
	assert_string_equal(b.data, "#user rti 9\n"
				    "# file: .\n# owner: 0\n# group: 0\n"
				    "user::rwx\ngroup::---\nother::---\n"
				    "default:user::rwx\ndefault:group:x:r-x\ndefault:group::r-x\n"
				    "default:mask::r-x\ndefault:other::---\n\n"
				    "# file: b\n# owner: root\n# group: root\n"
				    "user::rwx\ngroup::r-x\nother::r-x\n\n"
				    "# file: b/a\n# owner: 0\n# group: 0\n# flags: s--\n"
				    "user::rw-\ngroup::r--\nother::---\nuser:bob:rw-\nuser:12:r--\n"
				    "mask::rw-\n\n"
				    "# file: b/z\\012\n# owner: 0\n# group: 0\n# flags: s--\n"
				    "user::rw-\ngroup::r--\nother::---\nuser:bob:rw-\nuser:12:r--\n"
				    "mask::rw-\n\n"
				    "# file: c\n# owner: 8\n# group: 8\n"
				    "user::rw-\ngroup::---\nother::---\n\n");
}

static void refused(const struct tar_item *items, size_t n, const char *says)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1000);
	struct err e = ERR_INIT;

	if (read_items(items, n, &b, &e) == 0)
		fail_msg("taken: %s", says);
	if (strstr(e.msg, says) == NULL)
		fail_msg("wanted: %s; got: %s", says, e.msg);
}

static void what_no_tree_can_be(void **state)
{
	char acl[128], value[128];
	const struct tar_item out = {.name = "a/../../b", .type = '0'};
	const struct tar_item other = {.name = "a", .link = "b", .type = '1'};
	const struct tar_item bad[] = {
	    pax(acl, sizeof(acl),
		"SCHILY.acl.access=user::rw-,user:b\\040b:rw-,group::r--,other::---"),
	    {.name = "a", .type = '0'}};
	const struct tar_item noise[] = {
	    pax(value, sizeof(value), "SCHILY.xattr.system.posix_acl_access=noise"),
	    {.name = "a", .type = '0'}};
	const struct tar_item cut = {.name = "a", .type = '0', .size = 5000000};
	struct tar_item many[30];
	char names[30][4];

	(void)state;
	for (size_t i = 0; i < 30; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "n%zu", i);
		many[i] = (struct tar_item){.name = names[i], .type = '5'};
	}
	refused(&out, 1, "a path that leaves the tree");
	refused(&other, 1, "another name of nothing: b");
	refused(bad, 2, "an ACL of a kind that is not known here");
	refused(noise, 2, "access control list");
	refused(&cut, 1, "");
	refused(many, 30, "more owners than fit");
}

/* A name that would break the lines of a table is none. */
static void names_that_are_none(void **state)
{
	static const char *const bad[] = {"uname=a b", "uname=a:b", "uname=a\\b", "uname=12"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char room[64];
		const struct tar_item items[] = {pax(room, sizeof(room), bad[i]),
						 {.name = "c", .type = '0', .id = "0000011"}};
		struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);
		struct err e = ERR_INIT;

		if (read_items(items, 2, &b, &e) != 0)
			fail_msg("%s", e.msg);
		if (strncmp(b.data, "# file: c\n# owner: 9\n", 21) != 0)
			fail_msg("%s: %s", bad[i], b.data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(by_their_paths),
	    cmocka_unit_test(what_no_tree_can_be),
	    cmocka_unit_test(names_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
