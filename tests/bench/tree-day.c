/* tree-day.c - what a day does to the tree: records appended and written over, files rewritten,
 * made and deleted, a directory renamed, a log rotated, modes, owners, attributes and links
 * changed, and three files changed behind the back of whoever looks at size and time. Of a file
 * that one day deletes another wants nothing: each day has the files whose number is its own modulo
 * ten. */
#include "tree.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { DAYS = 10, WRITE = 4096, KEY = 512, KEYS_IN_FILE = 20, MEAN_NEW = 60000 };

static uint64_t written;
static unsigned touched;

struct dirs {
	char (*v)[PATH_BYTES];
	size_t n;
};
static struct dirs dirs;

/* The directory of a path that comes or goes gets a time at the end. */
static void dir_of(const char *path)
{
	char d[PATH_BYTES];

	snprintf(d, sizeof d, "%s", path);
	char *slash = strrchr(d, '/');
	if (slash == NULL)
		slash = strcpy(d, ".") + 1;
	*slash = '\0';
	for (size_t i = 0; i < dirs.n; i++)
		if (strcmp(dirs.v[i], d) == 0)
			return;
	dirs.v = realloc(dirs.v, (dirs.n + 1) * sizeof *dirs.v);
	if (dirs.v == NULL)
		die("memory");
	memcpy(dirs.v[dirs.n++], d, sizeof d);
}

static int open_file(const char *path)
{
	const int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die(path);
	return fd;
}

static void write_at(int fd, struct rng *r, size_t n, uint64_t at)
{
	static uint8_t piece[1 << 20];

	for (; n > 0; n -= n < sizeof piece ? n : sizeof piece) {
		const size_t part = n < sizeof piece ? n : sizeof piece;

		content(FRESH, r, piece, part);
		if (pwrite(fd, piece, part, (off_t)at) != (ssize_t)part)
			die("write");
		at += part;
		written += part;
	}
}

/* 1 % of its records, eight of ten in the last tenth, and 0.7 % more at the end. */
static void change_records(const char *path, unsigned day)
{
	struct rng r = rng_of(path, day);
	const int fd = open_file(path);
	struct stat st;

	if (fstat(fd, &st) != 0)
		die(path);
	const uint64_t blocks = (uint64_t)st.st_size / WRITE, tenth = blocks / 10;
	for (uint64_t i = 0; i < blocks / 100 || i < 2; i++) {
		const bool recent = rng_next(&r) % 10 < 8;
		const uint64_t at =
		    recent ? blocks - 1 - rng_next(&r) % tenth : rng_next(&r) % (blocks - tenth);

		write_at(fd, &r, WRITE, at * WRITE);
	}
	write_at(fd, &r, (size_t)((uint64_t)st.st_size * 7 / 1000), (uint64_t)st.st_size);
	if (close(fd) != 0)
		die(path);
	stamp(path, day);
	touched++;
}

static void change_keyed(const char *path, unsigned day)
{
	struct rng r = rng_of(path, day);
	const int fd = open_file(path);
	struct stat st;

	if (fstat(fd, &st) != 0)
		die(path);
	for (int i = 0; i < KEYS_IN_FILE; i++)
		write_at(fd, &r, KEY, rng_next(&r) % ((uint64_t)st.st_size / KEY) * KEY);
	if (close(fd) != 0)
		die(path);
	stamp(path, day);
	touched++;
}

/* Other bytes in the middle, with the size and the time that it had. */
static void change_by_stealth(const char *path, unsigned day)
{
	struct rng r = rng_of(path, day);
	const int fd = open_file(path);
	struct stat st;

	if (fstat(fd, &st) != 0)
		die(path);
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st.st_mtim};
	write_at(fd, &r, 64, (uint64_t)st.st_size / 2);
	if (futimens(fd, times) != 0 || close(fd) != 0)
		die(path);
	touched++;
}

static void rewrite(const char *path, unsigned day, uint64_t mean)
{
	struct rng r = rng_of(path, day + 3000);
	const uint64_t n = mean / 2 + rng_next(&r) % mean;

	put(path, FRESH, n, day);
	written += n;
	touched++;
}

static void delete (const char *path)
{
	if (unlink(path) != 0)
		die(path);
	dir_of(path);
	touched++;
}

/* The j-th small file, or program, that is this day's. */
static void own_small(char *p, const struct sizes *s, unsigned day, unsigned j)
{
	const unsigned from = DAYS * s->in_dir, each = (s->small - from) / DAYS;
	const unsigned step = each / 200 > 0 ? each / 200 : 1;

	if (j * step >= each) {
		errno = ERANGE;
		die("too small a tree");
	}
	small_path(p, s, from + (j * step) * DAYS + day);
}

static void own_program(char *p, const struct sizes *s, unsigned day, unsigned j)
{
	const unsigned each = s->programs / DAYS, step = each / 75 > 0 ? each / 75 : 1;

	if (j * step >= each) {
		errno = ERANGE;
		die("too small a tree");
	}
	program_path(p, (j * step) * DAYS + day);
}

static void change_small(const struct sizes *s, unsigned day)
{
	char p[PATH_BYTES];
	unsigned j = 0, i;

	for (i = scaled(s->scale, 60); i > 0; i--) {
		own_small(p, s, day, j++);
		delete (p);
	}
	for (i = scaled(s->scale, 100); i > 0; i--) {
		own_small(p, s, day, j++);
		rewrite(p, day, 20000);
	}
	for (i = scaled(s->scale, 10); i > 0; i--, touched += 3) {
		own_small(p, s, day, j++);
		if (chmod(p, day % 2 ? 0751 : 04711) != 0)
			die(p);
		own_small(p, s, day, j++);
		if (geteuid() == 0 && chown(p, 8, 8) != 0)
			die(p);
		own_small(p, s, day, j++);
		if (setxattr(p, "user.seen", &day, sizeof day, 0) != 0)
			die(p);
	}
	own_small(p, s, day, j);
	change_by_stealth(p, day);
	for (i = scaled(s->scale, 200); i > 0; i--) {
		snprintf(p, sizeof p, "usr2/pos/items/new-%u", day);
		make_dir(p);
		dir_of(p);
		snprintf(p, sizeof p, "usr2/pos/items/new-%u/n%05u.jpg", day, i);
		dir_of(p);
		rewrite(p, day, MEAN_NEW);
	}
}

static void change_programs(const struct sizes *s, unsigned day)
{
	char p[PATH_BYTES];
	unsigned j = 0;

	for (unsigned i = scaled(s->scale, 20); i > 0; i--) {
		own_program(p, s, day, j++);
		delete (p);
	}
	for (unsigned i = scaled(s->scale, 50); i > 0; i--) {
		own_program(p, s, day, j++);
		rewrite(p, day, 40000);
	}
	own_program(p, s, day, j);
	change_by_stealth(p, day);
}

static void move(const char *from, const char *to)
{
	if (rename(from, to) != 0)
		die(from);
	dir_of(from);
	dir_of(to);
	touched++;
}

static void make_link(const char *to, const char *path, unsigned day)
{
	if (symlink(to, path) != 0)
		die(path);
	stamp(path, day);
	dir_of(path);
	touched++;
}

/* Links that point elsewhere, one that is a directory now, one hard link less and one more. */
static void change_links(const struct sizes *s, unsigned day)
{
	char p[PATH_BYTES], to[PATH_BYTES];

	for (unsigned i = 0; i < scaled(s->scale, 5); i++) {
		snprintf(p, sizeof p, "usr2/links/l%05u", day + i * DAYS);
		delete (p);
		snprintf(to, sizeof to, "/usr2/day/%u", day);
		make_link(to, p, day);
	}
	snprintf(p, sizeof p, "usr2/links/l%05u", s->symlinks - day);
	delete (p);
	make_dir(p);
	snprintf(to, sizeof to, "usr2/links/l%05u/inside", s->symlinks - day);
	dir_of(to);
	rewrite(to, day, 1000);
	snprintf(p, sizeof p, "usr2/pos/shared/h%05u", day - 1);
	delete (p);
	rewrite(p, day, 5000);
	snprintf(p, sizeof p, "usr2/pos/shared/h%05u", s->links - day);
	delete (p);
	program_path(to, 0);
	if (link(to, p) != 0)
		die(p);
}

static void change_root(unsigned day)
{
	char p[PATH_BYTES];

	snprintf(p, sizeof p, "day-%u", day);
	dir_of(p);
	rewrite(p, day, 100);
	if (chmod(".", day % 2 ? 0751 : 0755) != 0)
		die(".");
}

void change_tree(const struct sizes *s, unsigned day)
{
	char p[PATH_BYTES], to[PATH_BYTES];

	for (int i = 0; i < RECORD_FILES; i++)
		change_records(record_names[i], day);
	for (unsigned i = 0; i < scaled(s->scale, 90); i++) {
		keyed_path(p, (day - 1 + i * DAYS) % s->keyed);
		change_keyed(p, day);
	}
	keyed_path(p, (day + 4) % s->keyed);
	change_by_stealth(p, day);
	change_small(s, day);
	change_programs(s, day);
	snprintf(p, sizeof p, "usr2/pos/items/%02u", day);
	snprintf(to, sizeof to, "usr2/pos/items/moved-%u", day);
	move(p, to);
	snprintf(to, sizeof to, "d/log/messages.%u", day);
	move("d/log/messages", to);
	put("d/log/messages", FRESH, s->rotated, day);
	written += s->rotated;
	change_links(s, day);
	change_root(day);
	for (size_t i = 0; i < dirs.n; i++)
		stamp(dirs.v[i], day);
	free(dirs.v);
	printf("%u changes, %llu bytes written\n", touched, (unsigned long long)written);
}
