/* tree-make.c - the tree: four large record files, keyed files, programs, many small ones, jars,
 * logs and archives; hard and symbolic links, sparse files, ACLs, attributes, awkward names. */
#include "tree.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { PIECE = 1 << 20, UNIT = 256, TEMPLATES = 256, MEGA = 1000000, WORKERS = 2, DEEP = 14 };
enum { THE_DAY_BEFORE = 1767225600, A_DAY = 86400, TWO_YEARS = 63072000 };

const char *const record_names[RECORD_FILES] = {
    "usr2/bbx/data/CUSTMST",
    "usr2/bbx/data/JOURNAL",
    "usr2/bbx/data/ORDHIST",
    "usr2/bbx/data/INVHIST",
};

/* Of a unit of each kind, how many bytes are its own; the rest is a template's. A day's writes
 * (FRESH) compress worse than what has lain there for years. */
static const unsigned own[KINDS] = {48, 24, 40, 16, 8, UNIT, 184};

unsigned scaled(double scale, unsigned n)
{
	const double d = scale * n;

	return d < 1 ? 1 : (unsigned)d;
}

static unsigned at_least(unsigned least, unsigned n)
{
	return n < least ? least : n;
}

struct sizes sizes_of(double scale)
{
	static const unsigned record[RECORD_FILES] = {500, 400, 300, 200};
	struct sizes s = {
	    .keyed = at_least(10, scaled(scale, 900)),
	    .programs = scaled(scale, 6000),
	    .small = scaled(scale, 20000),
	    .jars = at_least(2, scaled(scale, 200)),
	    .logs = at_least(4, scaled(scale, 180)),
	    .archives = at_least(2, scaled(scale, 20)),
	    .links = at_least(20, scaled(scale, 400)),
	    .symlinks = at_least(40, scaled(scale, 300)),
	    .sparse = (uint64_t)(scale * 50 * MEGA) & ~(uint64_t)4095,
	    .rotated = (uint64_t)(scale * 6.4 * MEGA),
	    .scale = scale,
	};

	for (int i = 0; i < RECORD_FILES; i++)
		s.record[i] = (uint64_t)(scale * record[i] * MEGA) / UNIT * UNIT;
	s.in_dir = s.small / 40 < 250 ? s.small / 40 : 250;
	return s;
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
	return x ^ (x >> 31);
}

uint64_t rng_next(struct rng *r)
{
	r->at += 0x9e3779b97f4a7c15U;
	return mix(r->at);
}

struct rng rng_of(const char *path, unsigned day)
{
	uint64_t h = 0xcbf29ce484222325U ^ mix(tree_seed + day * 1000003U);

	for (; *path != '\0'; path++)
		h = (h ^ (uint8_t)*path) * 0x100000001b3U;
	return (struct rng){mix(h)};
}

void keyed_path(char *p, unsigned i)
{
	snprintf(p, PATH_BYTES, "usr2/bbx/keyed/%02u/k%05u.key", i / KEYED_IN_DIR, i);
}

void program_path(char *p, unsigned i)
{
	snprintf(p, PATH_BYTES, "usr2/bbx/prog/%02u/P%05u.bbx", i / 100, i);
}

void small_path(char *p, const struct sizes *s, unsigned i)
{
	snprintf(p, PATH_BYTES, "usr2/pos/items/%02u/i%05u.%s", i / s->in_dir, i,
		 i % 2 == 0 ? "xml" : "jpg");
}

void log_path(char *p, unsigned i)
{
	snprintf(p, PATH_BYTES, "d/log/%02u/l%05u.log", i / LOGS_IN_DIR, i);
}

static const uint8_t *template(unsigned i)
{
	static uint8_t pool[TEMPLATES][UNIT];

	if (pool[0][0] == 0) {
		struct rng r = {mix(7)};

		for (unsigned t = 0; t < TEMPLATES; t++)
			for (unsigned b = 0; b < UNIT; b++)
				pool[t][b] = (uint8_t)(' ' + rng_next(&r) % 64);
	}
	return pool[i % TEMPLATES];
}

/* A record: the letters of its own come first, then what it shares with others. */
static void unit(enum kind k, struct rng *r, uint8_t *p)
{
	unsigned i = 0;

	for (; i < own[k]; i += 8) {
		uint64_t w = rng_next(r);

		if (k != NOISE && k != FRESH)
			w = (w & 0x3f3f3f3f3f3f3f3fU) + 0x2020202020202020U;
		memcpy(p + i, &w, 8);
	}
	if (i < UNIT)
		memcpy(p + i, template((unsigned)rng_next(r)) + i, UNIT - i);
}

void content(enum kind k, struct rng *r, void *p, size_t n)
{
	uint8_t *at = p, last[UNIT];

	for (; n >= UNIT; n -= UNIT, at += UNIT)
		unit(k, r, at);
	unit(k, r, last);
	memcpy(at, last, n);
}

void make_dir(const char *path)
{
	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		die(path);
}

/* Directories on the way to a file. */
static void make_parents(const char *path)
{
	char dir[PATH_BYTES];

	for (const char *s = strchr(path, '/'); s != NULL; s = strchr(s + 1, '/')) {
		snprintf(dir, sizeof dir, "%.*s", (int)(s - path), path);
		make_dir(dir);
	}
}

void stamp(const char *path, unsigned day)
{
	struct rng r = rng_of(path, day + 1000);
	const uint64_t x = rng_next(&r);
	const time_t at = THE_DAY_BEFORE +
			  (day == 0 ? -(time_t)(x % TWO_YEARS) : (time_t)(day * A_DAY + x % 80000));
	const struct timespec times[2] = {
	    {.tv_nsec = UTIME_OMIT}, {.tv_sec = at, .tv_nsec = (long)(rng_next(&r) % 1000000000)}};

	if (utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) != 0)
		die(path);
}

static void owner_and_mode(const char *path, unsigned day)
{
	static const uid_t ids[4] = {0, 1, 2, 33};
	static const mode_t modes[4] = {0644, 0640, 0664, 0600};
	struct rng r = rng_of(path, day + 2000);
	const uint64_t x = rng_next(&r);

	if (geteuid() == 0 && lchown(path, ids[x % 4], ids[x / 4 % 4]) != 0)
		die(path);
	if (chmod(path, modes[x / 16 % 4]) != 0)
		die(path);
}

void put(const char *path, enum kind k, uint64_t n, unsigned day)
{
	static uint8_t piece[PIECE];
	struct rng r = rng_of(path, day);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		die(path);
	while (n > 0) {
		const size_t part = n < PIECE ? (size_t)n : PIECE;

		content(k, &r, piece, part);
		if (write(fd, piece, part) != (ssize_t)part)
			die(path);
		n -= part;
	}
	if (close(fd) != 0)
		die(path);
	owner_and_mode(path, day);
	stamp(path, day);
}

void set_acl(const char *path, const char *name)
{
	/* version 2; user::rw- user:3:r-- group::r-- mask::r-- other::---, as the kernel has it */
	static const uint8_t acl[] = {2,   0,   0,   0,   1,   0,   6,  0,   255, 255, 255,
				      255, 2,   0,   4,   0,   3,   0,  0,   0,   4,   0,
				      4,   0,   255, 255, 255, 255, 16, 0,   4,   0,   255,
				      255, 255, 255, 32,  0,   0,   0,  255, 255, 255, 255};

	if (setxattr(path, name, acl, sizeof acl, 0) != 0)
		die(path);
}

/* Sizes vary by a factor of three around the mean. */
static void make_one(const char *path, enum kind k, uint64_t mean)
{
	struct rng r = rng_of(path, 3000);

	make_parents(path);
	put(path, k, mean / 2 + rng_next(&r) % mean, 0);
}

static void make_programs(const struct sizes *s, unsigned first)
{
	char p[PATH_BYTES];

	for (unsigned i = first; i < s->programs; i += WORKERS) {
		program_path(p, i);
		make_one(p, PROGRAM, 40000);
		if (i % 40 == 7) {
			set_acl(p, "system.posix_acl_access");
			stamp(p, 0);
		}
		if (i % 300 == 5 && chmod(p, 04755) != 0)
			die(p);
	}
}

static void make_small(const struct sizes *s, unsigned first)
{
	char p[PATH_BYTES];

	for (unsigned i = first; i < s->small; i += WORKERS) {
		small_path(p, s, i);
		make_one(p, i % 2 == 0 ? XML : NOISE, i % 2 == 0 ? 10000 : 20000);
		if (i % 160 == 3 && setxattr(p, "user.origin", "till\0 7", 7, 0) != 0)
			die(p);
	}
}

static void make_sparse(const struct sizes *s, unsigned i)
{
	char p[PATH_BYTES], island[65536];
	int fd;

	snprintf(p, sizeof p, "d/sparse/s%u.img", i);
	make_parents(p);
	struct rng r = rng_of(p, 0);
	fd = open(p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)s->sparse) != 0)
		die(p);
	for (int n = 0; n < 4 && s->sparse > sizeof island; n++) {
		const uint64_t at = rng_next(&r) % (s->sparse - sizeof island) & ~(uint64_t)4095;

		content(RECORD, &r, island, sizeof island);
		if (pwrite(fd, island, sizeof island, (off_t)at) != sizeof island)
			die(p);
	}
	if (close(fd) != 0)
		die(p);
	owner_and_mode(p, 0);
	stamp(p, 0);
}

static void make_share(const struct sizes *s, unsigned w)
{
	char p[PATH_BYTES];

	for (unsigned i = w; i < RECORD_FILES; i += WORKERS) {
		make_parents(record_names[i]);
		put(record_names[i], RECORD, s->record[i], 0);
	}
	for (unsigned i = w; i < s->keyed; i += WORKERS) {
		keyed_path(p, i);
		make_one(p, KEYED, 400000);
	}
	for (unsigned i = w; i < s->jars; i += WORKERS) {
		snprintf(p, sizeof p, "usr2/java/lib/j%03u.jar", i);
		make_one(p, NOISE, 895000);
	}
	for (unsigned i = w; i < s->logs; i += WORKERS) {
		log_path(p, i);
		make_one(p, LOG, 1000000);
	}
	for (unsigned i = w; i < s->archives; i += WORKERS) {
		snprintf(p, sizeof p, "usr2/backup/b%02u.tgz", i);
		make_one(p, NOISE, s->scale < 1 ? 1000000 : 10000000);
	}
	make_programs(s, w);
	make_small(s, w);
	for (unsigned i = w; i < SPARSE_FILES; i += WORKERS)
		make_sparse(s, i);
}

static void make_links(const struct sizes *s)
{
	char p[PATH_BYTES], to[PATH_BYTES];

	make_parents("usr2/pos/shared/x");
	for (unsigned i = 0; i < s->links; i++) {
		small_path(to, s, i * (s->small / s->links));
		snprintf(p, sizeof p, "usr2/pos/shared/h%05u", i);
		if (link(to, p) != 0)
			die(p);
	}
	make_parents("usr2/links/x");
	for (unsigned i = 0; i < s->symlinks; i++) {
		snprintf(p, sizeof p, "usr2/links/l%05u", i);
		small_path(to, s, i * 7 % s->small);
		if (symlink(i % 10 == 0 ? "/nowhere/to be \xff" : to, p) != 0)
			die(p);
		if (geteuid() == 0 && lchown(p, i % 3, i % 3) != 0)
			die(p);
		stamp(p, 0);
	}
}

static void make_awkward(void)
{
	static const char *const names[] = {"tab\there",
					    "new\nline",
					    "\xff\xfe not UTF-8",
					    "two  spaces ",
					    "-n",
					    "back\\slash",
					    "#comment",
					    "price list.iso",
					    "kept.tar",
					    "fix.patch",
					    "caf\xc3\xa9",
					    "CASE",
					    "case",
					    "core",
					    ".hidden",
					    "*",
					    "quote'\"",
					    "old~",
					    "lost+found",
					    "a=b",
					    "type=file mode",
					    "$HOME",
					    "`id`",
					    "a;b",
					    "x|y",
					    "%41",
					    "\x7f",
					    "\x1b[31m",
					    "...",
					    "nul",
					    "0"};
	char p[PATH_BYTES];

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(p, sizeof p, "d/awkward/%s", names[i]);
		make_parents(p);
		put(p, XML, i * 100, 0);
	}
	snprintf(p, sizeof p, "d/awkward/%0255d", 7);
	put(p, XML, 1, 0);
	snprintf(p, sizeof p, "d/awkward");
	for (int i = 0; i < DEEP; i++) {
		strcat(p, "/deep");
		make_dir(p);
	}
	make_dir("d/awkward/empty");
	make_dir("d/awkward/shared");
	set_acl("d/awkward/shared", "system.posix_acl_default");
	if (chmod("d/awkward/shared", 03775) != 0)
		die("d/awkward/shared");
	if (mkfifo("d/awkward/fifo", 0620) != 0)
		die("d/awkward/fifo");
	stamp("d/awkward/fifo", 0);
	make_parents("d/log/messages");
	put("d/log/messages", LOG, 100000, 0);
}

static unsigned entries, files;
static uint64_t bytes;

static int see(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)ftw;
	entries++;
	if (S_ISREG(st->st_mode)) {
		files++;
		bytes += (uint64_t)st->st_size;
	}
	if (type == FTW_DP)
		stamp(path, 0);
	return 0;
}

void make_tree(const struct sizes *s)
{
	pid_t pid[WORKERS];

	for (unsigned w = 0; w < WORKERS; w++) {
		pid[w] = fork();
		if (pid[w] < 0)
			die("fork");
		if (pid[w] == 0) {
			make_share(s, w);
			_exit(0);
		}
	}
	for (unsigned w = 0; w < WORKERS; w++) {
		int status;

		if (waitpid(pid[w], &status, 0) < 0 || status != 0)
			exit(1);
	}
	make_links(s);
	make_awkward();
	if (nftw(".", see, 32, FTW_DEPTH | FTW_PHYS) != 0)
		die("nftw");
	printf("%u entries, %u files, %llu bytes\n", entries, files, (unsigned long long)bytes);
}
