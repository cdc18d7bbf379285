/* stage: the archive of a site, and who writes while it is made. */
#include "stage/final.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/posmedia-final-XXXXXX";
static int top = -1, from = -1;

static int enter(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	if (mkdtemp(dir) == NULL || fs_open_dir(AT_FDCWD, dir, &top, &e) != 0 ||
	    fs_mkdirs(top, "site", 0755, &e) != 0 || fs_open_dir(top, "site", &from, &e) != 0)
		return -1;
	return 0;
}

static int leave(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	(void)close(from);
	(void)close(top);
	return fs_rmtree(AT_FDCWD, dir, &e);
}

/* Another sale of the same length, with the old times. */
static void write_as_before(const char *name)
{
	int fd = openat(from, name, O_WRONLY | O_CLOEXEC);
	struct timespec times[2];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		_exit(1);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	if (pwrite(fd, "rose", 4, 0) != 4 || futimens(fd, times) != 0)
		_exit(1);
	(void)close(fd);
}

/* The archive gets its name when all has been read, and is then read back, which takes long enough:
 * who waits for the name writes before anything is compared. */
static void a_change_of_the_same_size_and_time_is_seen(void **state)
{
	const struct final f = {.from = from, .to = top, .name = "a", .what = "a"};
	struct stage_ended r SCOPED(stage_ended_release) = {0};
	struct err e = ERR_INIT;
	static char large[8 << 20];
	struct stat st;
	int status;
	pid_t writer;

	(void)state;
	for (size_t i = 0; i < sizeof(large); i++)
		large[i] = (char)rand();
	assert_int_equal(fs_put(from, "sales", large, sizeof(large), 0600, &e), 0);
	assert_int_equal(fs_put(from, "first", "lily", 4, 0600, &e), 0);
	writer = fork();
	if (writer == 0) {
		while (fstatat(top, "a", &st, AT_SYMLINK_NOFOLLOW) != 0)
			(void)usleep(200);
		write_as_before("first");
		_exit(0);
	}
	assert_int_equal(final_write(&f, &r, &e), -1);
	assert_int_equal(waitpid(writer, &status, 0), writer);
	assert_int_equal(status, 0);
	assert_int_equal(e.kind, ERR_BUSY);
	assert_string_equal(e.msg, "first changed while it was kept");
}

static void what_nobody_changes_is_kept(void **state)
{
	const struct final f = {.from = from, .to = top, .name = "b", .what = "b"};
	struct stage_ended r SCOPED(stage_ended_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(final_write(&f, &r, &e), 0);
	assert_int_equal(r.entries, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_change_of_the_same_size_and_time_is_seen),
	    cmocka_unit_test(what_nobody_changes_is_kept),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
