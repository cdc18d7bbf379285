#include "build/reads.h"

#include "sys/fs.h"
#include <stdlib.h>
#include <string.h>

/* More links than that among what is read: then everything is. */
enum { PATHS_MAX = 512, PATH_BYTES_MAX = 1 << 16 };

/* dir "" is the root. */
static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return n == 0 || (strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/'));
}

bool reads_is_program(const char *path)
{
	static const char *const dirs[] = {"usr/bin",
					   "usr/sbin",
					   "usr/lib",
					   "usr/lib32",
					   "usr/lib64",
					   "usr/libx32",
					   "usr/libexec",
					   "usr/local",
					   "usr/games",
					   "usr/share/perl",
					   "usr/share/perl5",
					   "usr/share/python3",
					   "bin",
					   "sbin",
					   "lib",
					   "lib32",
					   "lib64",
					   "libx32",
					   "etc/ld.so.cache",
					   "etc/ld.so.preload",
					   "etc/ld.so.conf",
					   "etc/ld.so.conf.d",
					   "etc/ssl",
					   "etc/crypto-policies",
					   "etc/alternatives"};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (is_below(path, dirs[i]))
			return true;
	return false;
}

/* Wherever it lies, what may be executed is a program. */
static bool is_program(const struct tree_entry *en)
{
	return (S_ISREG(en->mode) && (en->mode & 0111) != 0) || reads_is_program(en->path);
}

static bool is_read(const struct strv *paths, const char *path)
{
	for (size_t i = 0; i < paths->n; i++)
		if (is_below(path, paths->v[i]))
			return true;
	return paths->n == 0;
}

static void add_text(struct hash *h, const char *s)
{
	hash_add(h, s, strlen(s) + 1);
}

static void add_entry(struct hash *h, const struct job *j, size_t i, const struct tree_entry *en)
{
	const struct digest *d = j->origins[i].content;
	const uint32_t owner[] = {en->mode, en->uid, en->gid};

	add_text(h, en->path);
	hash_add(h, owner, sizeof(owner));
	add_text(h, en->link != NULL ? en->link : "");
	if (d != NULL)
		hash_add(h, d->b, DIGEST_BYTES);
	for (size_t k = 0; k < en->xattrs_n; k++) {
		const uint64_t n = en->xattrs[k].len;

		add_text(h, en->xattrs[k].name);
		hash_add(h, &n, sizeof(n));
		hash_add(h, en->xattrs[k].val, n);
	}
}

struct digest reads_programs(const struct job *j, const struct tree *t)
{
	struct hash *h SCOPED(hash_freep) = hash_new();

	for (size_t i = 0; i < t->n; i++)
		if (is_program(&t->v[i]))
			add_entry(h, j, i, &t->v[i]);
	return hash_final(h);
}

/* The path that a link at `link` with this target stands for, and what comes after it: relative,
 * without "." and "..", which do not lead out of the root. The caller owns it. */
static char *resolve(const char *link, const char *target, const char *rest)
{
	char *dir SCOPED(mem_freep) = fs_dirname(link);
	char *whole SCOPED(mem_freep) = mem_format(
	    "%s/%s/%s", target[0] == '/' || strcmp(dir, ".") == 0 ? "" : dir, target, rest);
	struct strv parts SCOPED(strv_release) = {0};
	struct buf b SCOPED(buf_release) = BUF_INIT(PATH_BYTES_MAX);
	char *at = whole, *part;

	while ((part = strsep(&at, "/")) != NULL) {
		if (strcmp(part, "..") == 0 && parts.n > 0)
			free(parts.v[--parts.n]);
		else if (part[0] != '\0' && strcmp(part, ".") != 0 && strcmp(part, "..") != 0)
			strv_add(&parts, part);
	}
	for (size_t i = 0; i < parts.n; i++)
		buf_addf(&b, "%s%s", i > 0 ? "/" : "", parts.v[i]);
	return buf_take(&b);
}

static void add_path(struct strv *paths, char *path)
{
	if (is_read(paths, path))
		free(path);
	else
		strv_take(paths, path);
}

/* The first link among the directories above path, or at it. */
static void follow_above(const struct tree *t, const char *path, struct strv *paths)
{
	for (size_t n = strcspn(path, "/"); n > 0; n += 1 + strcspn(path + n + 1, "/")) {
		char *above SCOPED(mem_freep) = mem_strndup(path, n);
		const struct tree_entry *en = tree_find(t, above);
		bool last = path[n] == '\0';

		if (en != NULL && S_ISLNK(en->mode)) {
			add_path(paths, resolve(above, en->link, last ? "" : path + n + 1));
			return;
		}
		if (last)
			return;
	}
}

/* What the links among the paths, above and below them lead to is read as well. False when that
 * never ends. */
static bool follow(const struct tree *t, struct strv *paths)
{
	for (size_t k = 0; k < paths->n && k < PATHS_MAX; k++) {
		char *path SCOPED(mem_freep) = mem_strdup(paths->v[k]);

		follow_above(t, path, paths);
		for (size_t i = 0; i < t->n && paths->n < PATHS_MAX; i++)
			if (S_ISLNK(t->v[i].mode) && is_below(t->v[i].path, path))
				add_path(paths, resolve(t->v[i].path, t->v[i].link, ""));
	}
	return paths->n < PATHS_MAX;
}

struct digest reads_of(const struct job *j, const struct tree *t, const struct strv *paths)
{
	struct hash *h SCOPED(hash_freep) = hash_new();
	struct strv all SCOPED(strv_release) = {0};

	strv_extend(&all, paths);
	if (!follow(t, &all))
		strv_release(&all);
	for (size_t i = 0; i < t->n; i++)
		if (is_read(&all, t->v[i].path))
			add_entry(h, j, i, &t->v[i]);
	return hash_final(h);
}
