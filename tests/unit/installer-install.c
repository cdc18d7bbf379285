/* installer: to files in place of disks, from the first byte to the last, cut off at any moment,
 * and what is refused. */
#include "harden-lib.h"

#include "form/digest.h"
#include "installer/install.h"
#include "installer/md.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { BLOCKS = 8, SITE = 3, ROOM = BLOCKS + 3, MANY = 80, MIB = BLOCKLIST_BLOCK };

#define RUN_1 "11111111111111111111111111111111"
#define RUN_2 "22222222222222222222222222222222"

static struct rootfs dir;
static struct blocklist list;
static char *medium; /* what the list is of */

/* Its blocks 2, 3, 4 and 6 are zeros. */
static const uint8_t of_block[BLOCKS] = {1, 2, 0, 0, 0, 3, 0, 4};

/* What a disk does with a write to its first mebibyte, or to what is behind. */
static struct {
	size_t at;       /* this one, of those to the first mebibyte, is the last that it gets, */
	size_t from, to; /* and of that it has these bytes of the block; */
	off_t loses;     /* or: of all writes it loses the byte here, and takes the others */
	size_t n;
} bad_disk;

static ssize_t put_to_disk(int fd, const char *p, size_t n, off_t at)
{
	size_t from = bad_disk.from, to = bad_disk.to;

	if (bad_disk.at > 0 && at < MIB && ++bad_disk.n == bad_disk.at) {
		from = from > (size_t)at ? from - (size_t)at : 0;
		to = to > (size_t)at ? to - (size_t)at : 0;
		to = to < n ? to : n;
		if (from < to)
			(void)syscall(SYS_pwrite64, fd, p + from, to - from, at + (off_t)from);
		_exit(0);
	}
	if (bad_disk.loses > 0 && at <= bad_disk.loses && bad_disk.loses < at + (off_t)n) {
		char *q SCOPED(mem_freep) = mem_zalloc(n);

		memcpy(q, p, n);
		q[bad_disk.loses - at] ^= 1;
		return syscall(SYS_pwrite64, fd, q, n, at);
	}
	return syscall(SYS_pwrite64, fd, p, n, at);
}

/* In place of the C library's. */
ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	return put_to_disk(fd, p, n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	return put_to_disk(fd, p, n, at);
}

static char *path_of(const char *name)
{
	return mem_format("%s/%s", dir.path, name);
}

static int set_up(void **state)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct blocklist made SCOPED(blocklist_release) = {.n = BLOCKS, .site = SITE};
	struct err e = ERR_INIT;
	char *path SCOPED(mem_freep) = NULL;
	FILE *payload;

	(void)state;
	dir = rootfs_make();
	path = path_of("payload");
	payload = fopen(path, "w");
	assert_non_null(payload);
	medium = mem_zalloc((size_t)BLOCKS * MIB);
	made.block = mem_zalloc(BLOCKS * sizeof(*made.block));
	made.zero = mem_zalloc(BLOCKS * sizeof(*made.zero));
	for (size_t i = 0; i < BLOCKS; i++) {
		memset(medium + i * MIB, of_block[i], MIB);
		made.block[i] = sha256_of(medium + i * MIB, MIB);
		made.zero[i] = of_block[i] == 0;
		if (of_block[i] != 0)
			assert_int_equal(fwrite(medium + i * MIB, MIB, 1, payload), 1);
	}
	assert_int_equal(fclose(payload), 0);
	blocklist_write(&made, &text);
	assert_int_equal(blocklist_parse(text.data, text.len, &list, &e), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	blocklist_release(&list);
	free(medium);
	rootfs_drop(&dir);
	return 0;
}

/* A disk of so many mebibytes, with a byte somewhere (or nowhere: 0). */
static void disk(const char *name, size_t mib, size_t at)
{
	char *path SCOPED(mem_freep) = path_of(name);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0 && ftruncate(fd, (off_t)(mib * MIB)) == 0);
	assert_true(at == 0 || pwrite(fd, "x", 1, (off_t)at) == 1);
	assert_int_equal(close(fd), 0);
}

static struct sheet sheet_of(const char *run, size_t disks, const char *erase)
{
	char *text SCOPED(mem_freep) = mem_format(
	    "shop=12345600\nhostname=till1.example\nrun=%s\nmachine-id=%s\ncontents=%s\n"
	    "disk=A\n%s%s%s\n",
	    run, RUN_1, "00000000000000000000000000000000" RUN_1, disks > 1 ? "disk=B\n" : "",
	    erase != NULL ? "erase=" : "", erase != NULL ? erase : "");
	struct digest id;
	struct digest_hex hex;
	struct sheet s;
	struct err e = ERR_INIT;

	assert_int_equal(sheet_parse(text, strlen(text), SHEET_INSTALLED, &s, &e), 0);
	memcpy(id.b, list.id.b, sizeof(id.b));
	hex = digest_hex(&id);
	memcpy(s.contents, hex.s, sizeof(s.contents));
	return s;
}

struct cut {
	size_t at, n; /* ends the process at this call */
};

static void told(void *ctx, const char *what, size_t done, size_t all)
{
	struct cut *c = ctx;

	(void)what;
	(void)done;
	(void)all;
	if (c->at > 0 && ++c->n == c->at)
		_exit(0);
}

static int install(const struct sheet *s, struct cut *c, enum install_end *end, struct err *e)
{
	struct targets t SCOPED(targets_release) = {0};
	char *payload SCOPED(mem_freep) = path_of("payload");
	int fd SCOPED(fd_closep) = open(payload, O_RDONLY | O_CLOEXEC);
	struct install i = {
	    .c = &list, .s = s, .payload = fd, .t = &t, .told = c != NULL ? told : NULL, .ctx = c};

	for (const char *name = "A"; *name <= 'B'; name = *name == 'A' ? "B" : "C") {
		char *path SCOPED(mem_freep) = path_of(name);
		struct stat st;

		if (stat(path, &st) == 0)
			targets_add(&t, &(struct target){.name = (char *)name,
							 .path = path,
							 .serial = (char *)name,
							 .sector = 512,
							 .size = (uint64_t)st.st_size});
	}
	return install_run(&i, end, e);
}

/* The same in a process that ends at the n-th step. */
static void install_until(const struct sheet *s, size_t n)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct cut c = {.at = n};
		enum install_end end;
		struct err e = ERR_INIT;

		_exit(install(s, &c, &end, &e) == 0 ? 17 : 18);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static char *bytes_of(const char *name, size_t *ret_n)
{
	char *path SCOPED(mem_freep) = path_of(name);
	struct buf b = BUF_INIT(1 << 27);
	struct err e = ERR_INIT;

	assert_int_equal(fs_get(AT_FDCWD, path, &b, &e), 0);
	*ret_n = b.len;
	return buf_take(&b);
}

/* All of it is the medium's, but for the block of the site; of a pair it says so at its end. */
static void assert_installed(const char *name, const char *run, bool pair)
{
	size_t n;
	char *p SCOPED(mem_freep) = bytes_of(name, &n), *path SCOPED(mem_freep) = path_of(name);
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
	struct md_member m;
	struct sheet s;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < BLOCKS; i++)
		if (i != SITE)
			assert_memory_equal(p + i * MIB, medium + i * MIB, MIB);
	assert_int_equal(
	    sheet_parse(p + SITE * MIB, strlen(p + SITE * MIB), SHEET_INSTALLED, &s, &e), 0);
	assert_string_equal(s.hostname, "till1.example");
	assert_string_equal(s.run, run);
	assert_int_equal(md_get(fd, n, &m), pair);
	if (pair) {
		assert_int_equal(m.size, BLOCKS * MIB);
		assert_int_equal(m.number, *name - 'A');
		assert_true(m.active[0] && m.active[1]);
		assert_int_equal(m.set[0], (run[0] - '0') * 0x11);
	}
}

/* Whether all between the system and the last mebibyte is zeros. */
static bool is_cleared(const char *name)
{
	size_t n;
	char *p SCOPED(mem_freep) = bytes_of(name, &n);
	char *zeros SCOPED(mem_freep) = mem_zalloc(n);

	return memcmp(p + BLOCKS * MIB, zeros, n - (BLOCKS + 1) * MIB) == 0;
}

static void to_a_blank_disk_and_once(void **state)
{
	const struct sheet s = sheet_of(RUN_1, 1, NULL), again = sheet_of(RUN_2, 1, "12345600");
	enum install_end end = INSTALL_ALREADY;
	struct err e = ERR_INIT;

	(void)state;
	disk("A", ROOM, 0);
	disk("B", ROOM, 5);
	if (install(&s, NULL, &end, &e) != 0)
		fail_msg("%s", e.msg);
	assert_int_equal(end, INSTALL_DONE);
	assert_installed("A", RUN_1, false);
	/* not even when it may be erased */
	assert_int_equal(install(&again, NULL, &end, &e), 0);
	assert_int_equal(end, INSTALL_ALREADY);
	assert_installed("A", RUN_1, false);
}

/* What there may be, and whether it is seen where it is. */
static void not_to_one_with_data(void **state)
{
	static const struct {
		size_t at;
		const char *bytes, *says;
	} rows[] = {
	    {0, "x", "there is data on it"},
	    {512, "EFI PART", "a partition table (GPT)"},
	    {510, "\x55\xaa", "a partition table (MBR)"},
	    {1080, "\x53\xef", "ext4"},
	    {ROOM * MIB - 8192, "\xfc\x4e\x2b\xa9", "there is data on it"},
	    {ROOM * MIB - 512, "EFI PART", "there is data on it"},
	    {(BLOCKS - 1) * MIB + 77, "x", "there is data on it"},
	    {BLOCKS * MIB + 700000, "x", "there is data on it"},
	};
	const struct sheet no = sheet_of(RUN_1, 1, NULL), yes = sheet_of(RUN_1, 1, "12345600");

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *path SCOPED(mem_freep) = path_of("A");
		char *before SCOPED(mem_freep) = NULL, *after SCOPED(mem_freep) = NULL;
		enum install_end end;
		struct err e = ERR_INIT;
		size_t n;
		int fd;

		disk("A", ROOM, 0);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		assert_true(pwrite(fd, rows[i].bytes, strlen(rows[i].bytes), (off_t)rows[i].at) >
			    0);
		assert_int_equal(close(fd), 0);
		before = bytes_of("A", &n);
		assert_int_equal(install(&no, NULL, &end, &e), -1);
		if (e.kind != ERR_BUSY || strstr(e.msg, rows[i].says) == NULL ||
		    strstr(e.hint, "erase=12345600") == NULL)
			fail_msg("row %zu: %s", i, e.msg);
		after = bytes_of("A", &n);
		assert_memory_equal(before, after, n);
		assert_int_equal(install(&yes, NULL, &end, &e), 0);
		assert_installed("A", RUN_1, false);
	}
}

/* A byte of an earlier life behind the system. */
static void put_behind(const char *name)
{
	char *path SCOPED(mem_freep) = path_of(name);
	int fd SCOPED(fd_closep) = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(pwrite(fd, "4111", 4, BLOCKS * MIB + 5) == 4);
	assert_true(pwrite(fd, "4111", 4, (ROOM - 1) * MIB - 4) == 4);
}

static void clears_what_was_given_up(void **state)
{
	const struct sheet yes = sheet_of(RUN_1, 1, "12345600");
	enum install_end end;
	struct err e = ERR_INIT;

	(void)state;
	disk("A", ROOM, 600);
	put_behind("A");
	assert_int_equal(install(&yes, NULL, &end, &e), 0);
	assert_true(is_cleared("A"));
	disk("A", MANY, BLOCKS * MIB + 70000); /* between two places: it seems blank */
	assert_int_equal(install(&yes, NULL, &end, &e), 0);
	assert_true(is_cleared("A"));
	/* a disk that keeps what was there */
	disk("A", ROOM, 600);
	put_behind("A");
	bad_disk.loses = BLOCKS * MIB + 5;
	assert_int_equal(install(&yes, NULL, &end, &e), -1);
	bad_disk.loses = 0;
	assert_non_null(strstr(e.msg, "it has not kept the zeros at its byte 8388608"));
}

static void not_over_another_shop(void **state)
{
	const struct sheet first = sheet_of(RUN_1, 1, NULL);
	struct sheet second = sheet_of(RUN_2, 1, NULL);
	enum install_end end;
	struct err e = ERR_INIT;

	(void)state;
	disk("A", ROOM, 0);
	assert_int_equal(install(&first, NULL, &end, &e), 0);
	memcpy(second.shop, "999", 4);
	assert_int_equal(install(&second, NULL, &end, &e), -1);
	assert_non_null(strstr(e.msg, "another system, of the shop 12345600"));
	memcpy(second.erase, "999", 4);
	assert_int_equal(install(&second, NULL, &end, &e), 0);
	assert_int_equal(end, INSTALL_DONE);
	/* what another shop has begun is data too */
	disk("A", ROOM, 0);
	install_until(&first, BLOCKS + 2);
	second.erase[0] = '\0';
	assert_int_equal(install(&second, NULL, &end, &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
}

/* At each step; without erase= the next one goes on by itself. */
static void cut_off_it_begins_again(void **state)
{
	for (size_t disks = 1; disks <= SHEET_DISKS; disks++) {
		const struct sheet s = sheet_of(RUN_1, disks, "12345600");
		const struct sheet again = sheet_of(RUN_2, disks, NULL);
		/* blocks are checked, written and read back but for the first; cleared; ends */
		const size_t steps = BLOCKS + 7 + 7 + 2 * disks;

		for (size_t n = BLOCKS + 1; n <= steps; n++) {
			enum install_end end = INSTALL_ALREADY;
			struct err e = ERR_INIT;
			char *p SCOPED(mem_freep) = NULL;
			size_t size;
			bool last = disks > 1 && n == steps;

			disk("A", ROOM, 600);
			disk("B", ROOM, 600);
			put_behind("A");
			install_until(&s, n);
			p = bytes_of(disks > 1 ? "B" : "A", &size);
			assert_memory_not_equal(p, medium, MIB);
			if (install(&again, NULL, &end, &e) != 0)
				fail_msg("%zu disks, step %zu: %s", disks, n, e.msg);
			assert_int_equal(end, INSTALL_DONE);
			/* of a pair one was finished: the other is of the same installation */
			assert_installed("A", last ? RUN_1 : RUN_2, disks > 1);
			assert_true(is_cleared("A"));
			if (disks > 1)
				assert_installed("B", last ? RUN_1 : RUN_2, true);
		}
	}
	(void)state;
}

/* In the middle of each write to the first block, of which a part is on the disk: then the next run
 * goes on, and needs no erase=. */
static void cut_off_in_the_first_block(void **state)
{
	static const size_t parts[][2] = {{0, 0},      {0, 512},    {0, 4096},  {0, MIB / 2},
					  {512, 4096}, {4096, MIB}, {512, MIB}, {0, MIB}};

	(void)state;
	for (size_t disks = 1; disks <= SHEET_DISKS; disks++) {
		const struct sheet s = sheet_of(RUN_1, disks, NULL);

		for (size_t k = 0; k < 6 * disks * sizeof(parts) / sizeof(parts[0]); k++) {
			enum install_end end = INSTALL_ALREADY;
			struct err e = ERR_INIT;

			disk("A", ROOM, 0);
			disk("B", ROOM, 0);
			bad_disk.at = k % (6 * disks) + 1;
			bad_disk.from = parts[k / (6 * disks)][0];
			bad_disk.to = parts[k / (6 * disks)][1];
			install_until(&s, 0);
			bad_disk.at = 0;
			if (install(&s, NULL, &end, &e) != 0)
				fail_msg("%zu disks, write %zu, bytes %zu to %zu: %s", disks,
					 k % (6 * disks) + 1, parts[k / (6 * disks)][0],
					 parts[k / (6 * disks)][1], e.msg);
			assert_installed("A", RUN_1, disks > 1);
			if (disks > 1)
				assert_installed("B", RUN_1, true);
		}
	}
}

/* What it says to have written, and has not. */
static void a_disk_that_lies(void **state)
{
	static const struct {
		off_t at;
		const char *says;
	} rows[] = {{MIB - 5, "it has not kept its mebibyte 0"},
		    {5 * MIB + 7, "it has not kept its mebibyte 5"},
		    {ROOM * MIB - 16 * 512 + 20, "it has not kept what makes it one of a pair"}};
	const struct sheet s = sheet_of(RUN_1, 2, NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *p SCOPED(mem_freep) = NULL;
		enum install_end end;
		struct err e = ERR_INIT;
		size_t n;
		int rc;

		disk("A", ROOM, 0);
		disk("B", ROOM, 0);
		bad_disk.loses = rows[i].at;
		rc = install(&s, NULL, &end, &e);
		bad_disk.loses = 0;
		if (rc == 0 || e.kind != ERR_VERIFY || strstr(e.msg, rows[i].says) == NULL)
			fail_msg("row %zu: %s", i, e.msg);
		p = bytes_of("A", &n);
		assert_memory_equal(p, "posmedia-install 1\n", 19);
	}
}

/* A pair of which one was replaced, or of two installations. */
static void not_half_a_pair(void **state)
{
	const struct sheet s = sheet_of(RUN_1, 2, "12345600"), one = sheet_of(RUN_2, 1, NULL);
	enum install_end end;
	struct err e = ERR_INIT;
	size_t n;
	char *before SCOPED(mem_freep) = NULL, *after SCOPED(mem_freep) = NULL;

	(void)state;
	disk("A", ROOM, 0);
	disk("B", ROOM, 0);
	assert_int_equal(install(&s, NULL, &end, &e), 0);
	assert_int_equal(install(&s, NULL, &end, &e), 0);
	assert_int_equal(end, INSTALL_ALREADY);
	disk("B", ROOM, 0);
	before = bytes_of("A", &n);
	assert_int_equal(install(&s, NULL, &end, &e), -1);
	assert_non_null(strstr(e.msg, "the disk B is not its pair"));
	after = bytes_of("A", &n);
	assert_memory_equal(before, after, n);
	disk("A", ROOM, 0);
	assert_int_equal(install(&one, NULL, &end, &e), 0);
	assert_int_equal(install(&s, NULL, &end, &e), -1);
	assert_non_null(strstr(e.msg, "not its pair"));
}

static void the_disk_that_is_meant(void **state)
{
	const struct sheet s = sheet_of(RUN_1, 1, "12345600");
	struct targets t SCOPED(targets_release) = {0};
	const uint64_t need = install_need(&list);
	struct target one = {
	    .name = "vda", .path = "/dev/vda", .serial = "A", .sector = 512, .size = need};
	struct err e = ERR_INIT;
	size_t at;

	(void)state;
	assert_int_equal(targets_choose(&t, s.disks[0], need, &at, &e), -1);
	assert_non_null(strstr(e.msg, "no disk has the serial number A"));
	targets_add(&t, &one);
	assert_int_equal(targets_choose(&t, s.disks[0], need, &at, &e), 0);
	assert_int_equal(targets_choose(&t, "B", need, &at, &e), -1);
	assert_non_null(strstr(e.hint, "There are: vda (A, "));
	assert_int_equal(targets_choose(&t, s.disks[0], need + 1, &at, &e), -1);
	assert_non_null(strstr(e.msg, "the disk A is too small"));
	t.v[0].sector = 4096;
	assert_int_equal(targets_choose(&t, s.disks[0], need, &at, &e), -1);
	assert_non_null(strstr(e.msg, "the disk A has sectors of 4096 bytes"));
	t.v[0].sector = 512;
	t.v[0].site = true;
	assert_int_equal(targets_choose(&t, s.disks[0], need, &at, &e), -1);
	assert_non_null(strstr(e.msg, "a medium of this installation"));
	targets_add(&t, &one);
	assert_int_equal(targets_choose(&t, s.disks[0], need, &at, &e), -1);
	assert_non_null(strstr(e.msg, "more than one disk"));
}

static void too_small(void **state)
{
	const struct sheet s = sheet_of(RUN_1, 1, "12345600");
	enum install_end end;
	struct err e = ERR_INIT;
	size_t n;
	char *p SCOPED(mem_freep) = NULL;

	(void)state;
	disk("A", BLOCKS, 600);
	assert_int_equal(install(&s, NULL, &end, &e), -1);
	assert_non_null(strstr(e.msg, "too small"));
	p = bytes_of("A", &n);
	assert_int_equal(p[600], 'x');
}

/* A medium that is damaged costs nothing; a disk that takes no more does not start. */
static void faults(void **state)
{
	const struct sheet s = sheet_of(RUN_1, 1, "12345600");
	char *path SCOPED(mem_freep) = path_of("payload"), *p SCOPED(mem_freep) = NULL;
	int fd SCOPED(fd_closep) = open(path, O_RDWR | O_CLOEXEC);
	enum install_end end;
	struct err e = ERR_INIT;
	size_t n;
	pid_t pid;
	int status = -1;

	(void)state;
	disk("A", ROOM, 600);
	assert_int_equal(pwrite(fd, "y", 1, 2 * MIB + 5), 1);
	assert_int_equal(install(&s, NULL, &end, &e), -1);
	assert_int_equal(e.kind, ERR_VERIFY);
	assert_non_null(strstr(e.msg, "the installer's medium is damaged, at its block 2"));
	p = bytes_of("A", &n);
	assert_int_equal(p[600], 'x');
	assert_int_equal(pwrite(fd, "\3", 1, 2 * MIB + 5), 1);
	disk("A", ROOM, 0);
	pid = fork();
	if (pid == 0) {
		const struct rlimit most = {4 * MIB, 4 * MIB};

		(void)signal(SIGXFSZ, SIG_IGN);
		(void)setrlimit(RLIMIT_FSIZE, &most);
		_exit(install(&s, NULL, &end, &e) != 0 && strstr(e.msg, "the disk A: ") ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	free(p);
	p = bytes_of("A", &n);
	assert_memory_not_equal(p, medium, MIB);
}

static void hashes_as_another_does(void **state)
{
	char *p SCOPED(mem_freep) = mem_zalloc(300);

	(void)state;
	for (size_t n = 0; n < 300; n++) {
		const struct digest d = digest_of(p, n);
		const struct sha256 is = sha256_of(p, n);

		assert_memory_equal(d.b, is.b, sizeof(is.b));
		p[n] = (char)(n * 7);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(to_a_blank_disk_and_once),
	    cmocka_unit_test(not_to_one_with_data),
	    cmocka_unit_test(clears_what_was_given_up),
	    cmocka_unit_test(not_over_another_shop),
	    cmocka_unit_test(cut_off_it_begins_again),
	    cmocka_unit_test(cut_off_in_the_first_block),
	    cmocka_unit_test(a_disk_that_lies),
	    cmocka_unit_test(not_half_a_pair),
	    cmocka_unit_test(the_disk_that_is_meant),
	    cmocka_unit_test(too_small),
	    cmocka_unit_test(faults),
	    cmocka_unit_test(hashes_as_another_does),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
