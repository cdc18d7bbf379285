#include "build/reads.h"

#include <string.h>

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
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
					   "bin",
					   "sbin",
					   "lib",
					   "lib32",
					   "lib64",
					   "libx32",
					   "etc/ld.so.cache",
					   "etc/ld.so.preload",
					   "etc/alternatives"};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (is_below(path, dirs[i]))
			return true;
	return false;
}

static bool is_read(const struct strv *paths, const char *path)
{
	for (size_t i = 0; i < paths->n; i++)
		if (is_below(path, paths->v[i]))
			return true;
	return paths->n == 0;
}

static void add_entry(struct hash *h, const struct job *j, size_t i, const struct tree_entry *en)
{
	const struct digest *d = j->origins[i].content;
	const uint32_t owner[] = {en->mode, en->uid, en->gid};
	const char *link = en->link != NULL ? en->link : "";

	hash_add(h, en->path, strlen(en->path) + 1);
	hash_add(h, owner, sizeof(owner));
	hash_add(h, link, strlen(link) + 1);
	if (d != NULL)
		hash_add(h, d->b, DIGEST_BYTES);
}

struct digest reads_programs(const struct job *j, const struct tree *t)
{
	struct hash *h SCOPED(hash_freep) = hash_new();

	for (size_t i = 0; i < t->n; i++)
		if (reads_is_program(t->v[i].path))
			add_entry(h, j, i, &t->v[i]);
	return hash_final(h);
}

struct digest reads_of(const struct job *j, const struct tree *t, const struct strv *paths)
{
	struct hash *h SCOPED(hash_freep) = hash_new();

	for (size_t i = 0; i < t->n; i++)
		if (is_read(paths, t->v[i].path))
			add_entry(h, j, i, &t->v[i]);
	return hash_final(h);
}
