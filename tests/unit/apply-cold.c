/* Large files that are not in memory: they are taken over as they are, whatever their size, and are
 * not in memory after it. */
#include "apply-lib.h"

#include <sys/mman.h>

enum { MIB = 1 << 20 };

/* Brings a file to the disk and out of memory. */
static void chill(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	assert_int_equal(close(fd), 0);
}

static size_t pages_in_memory(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	size_t size = (size_t)stat_of(dirfd, path).st_size, page = (size_t)sysconf(_SC_PAGESIZE);
	size_t n = (size + page - 1) / page, found = 0;
	uint8_t *there = mem_zalloc(n);
	void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	assert_true(p != MAP_FAILED);
	assert_int_equal(mincore(p, size, there), 0);
	for (size_t i = 0; i < n; i++)
		found += there[i] & 1;
	(void)munmap(p, size);
	free(there);
	assert_int_equal(close(fd), 0);
	return found;
}

/* Whether the file system of the test lets files be read past memory. */
static bool can_be_read_directly(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	void *p = NULL;
	bool can;

	assert_int_equal(posix_memalign(&p, APPLY_BLOCK, MIB), 0);
	can = fd >= 0 && pread(fd, p, MIB, 0) == MIB;
	free(p);
	fd_closep(&fd);
	return can;
}

static void of_every_size(void **state)
{
	static const size_t sizes[] = {MIB - 1, MIB,         MIB + 1,     MIB + 4095,    MIB + 4096,
				       2 * MIB, 2 * MIB + 1, 3 * MIB - 1, 5 * MIB + 4097};
	struct bed *b = *state;
	struct run run = {.unread = true};
	struct timespec unread;
	char name[32];

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		(void)snprintf(name, sizeof(name), "f%u", i);
		put_bytes(b->src, name, sizes[i], i);
		set_time(b->src, name, 1000000000, 0);
		chill(b->src, name);
	}
	unread = stat_of(b->src, name).st_atim;
	if (run_apply(b, &run) != 0)
		fail_msg("%s", run.e.msg);
	if (geteuid() == 0) { /* else it is not ours to ask for */
		assert_int_equal(stat_of(b->src, name).st_atim.tv_sec, unread.tv_sec);
		assert_int_equal(stat_of(b->src, name).st_atim.tv_nsec, unread.tv_nsec);
	}
	assert_int_equal(differences(b), 0);
}

static void nothing_is_driven_out_of_memory(void **state)
{
	struct bed *b = *state;
	struct run run = {.unread = true};
	size_t at_hand;

	put_bytes(b->src, "large", 16 * MIB, 1);
	put_bytes(b->src, "at-hand", 2 * MIB, 2);
	chill(b->src, "large");
	if (!can_be_read_directly(b->src, "large") || pages_in_memory(b->src, "large") > 0)
		skip();
	at_hand = pages_in_memory(b->src, "at-hand");
	if (run_apply(b, &run) != 0)
		fail_msg("%s", run.e.msg);
	assert_true(pages_in_memory(b->src, "large") < 16 * MIB / 4096 / 8);
	assert_true(at_hand > 0 && pages_in_memory(b->src, "at-hand") > 0);
	assert_int_equal(differences(b), 0);
}

static void with_holes(void **state)
{
	struct bed *b = *state;
	struct run run = {.unread = true};

	put_bytes(b->src, "sparse", MIB, 3);
	set_size(b->src, "sparse", 9 * MIB + 5);
	put_at(b->src, "sparse", "end", 3, 9 * MIB + 2);
	chill(b->src, "sparse");
	if (run_apply(b, &run) != 0)
		fail_msg("%s", run.e.msg);
	assert_int_equal(differences(b), 0);
	assert_true(stat_of(b->dst, "sparse").st_blocks * 512 < 3 * MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(of_every_size, bed_setup, bed_teardown),
	    cmocka_unit_test_setup_teardown(nothing_is_driven_out_of_memory, bed_setup,
					    bed_teardown),
	    cmocka_unit_test_setup_teardown(with_holes, bed_setup, bed_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
