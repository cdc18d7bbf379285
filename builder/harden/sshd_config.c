/* sshd_config.c - sshd_config(5) as sshd reads it: Include in place, in the order of glob(3), the
 * first value wins, what follows a Match line holds for some connections only, or after "Match all"
 * for every one, and wins over what stands outside. A Match block ends with the file it is in. */
#include "harden/kv.h"

#include "harden/lines.h"
#include <string.h>

enum { INCLUDE_DEPTH = 16 };

enum block { OUTSIDE, FOR_ALL, FOR_SOME };

struct sshd {
	int rootfd;
	const struct kv_format *f;
	struct kv_set all, rest; /* of blocks for all, and whatever else */
	unsigned depth;
};

static int read_one(struct sshd *s, const char *path, enum block block, struct err *e);

static int include(struct sshd *s, const char *patterns, enum block block, struct err *e)
{
	struct strv words SCOPED(strv_release) = {0};

	line_words(patterns, &words);
	for (size_t i = 0; i < words.n; i++) {
		struct strv files SCOPED(strv_release) = {0};
		char *pattern SCOPED(mem_freep) = words.v[i][0] == '/'
						      ? mem_strdup(words.v[i] + 1)
						      : mem_format("etc/ssh/%s", words.v[i]);

		if (root_glob(s->rootfd, pattern, &files, e) != 0)
			return -1;
		for (size_t k = 0; k < files.n; k++)
			if (read_one(s, files.v[k], block, e) != 0)
				return -1;
	}
	return 0;
}

static int read_line(struct sshd *s, struct kv_entry *en, enum block *block, struct err *e)
{
	en->scoped = *block == FOR_SOME;
	if (strcasecmp(en->key, "Include") == 0)
		return include(s, en->val, *block, e);
	if (strcasecmp(en->key, "Match") == 0)
		*block = strcasecmp(en->val, "all") == 0 ? FOR_ALL : FOR_SOME;
	else
		kv_take(*block == FOR_ALL ? &s->all : &s->rest, en);
	return 0;
}

static int read_one(struct sshd *s, const char *path, enum block block, struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};
	char *section SCOPED(mem_freep) = mem_strdup("");

	if (++s->depth > INCLUDE_DEPTH)
		return err_set(e, ERR_FAIL, "/%s: included too deep", path);
	if (lines_read(s->rootfd, path, &lines, NULL, e) != 0)
		return -1;
	for (size_t i = 0; i < lines.n; i++) {
		struct kv_entry en SCOPED(kv_entry_release) = {0};

		if (!kv_split(s->f, lines.v[i], &section, &en))
			continue;
		en.file = mem_strdup(path);
		en.line = i + 1;
		if (read_line(s, &en, &block, e) != 0)
			return -1;
	}
	s->depth--;
	return 0;
}

static void take_all(struct kv_set *from, struct kv_set *ret)
{
	for (size_t i = 0; i < from->n; i++)
		kv_take(ret, &from->v[i]);
	kv_release(from);
}

int sshd_read(int rootfd, const struct kv_format *f, const char *path, struct kv_set *ret,
	      struct err *e)
{
	struct sshd s = {.rootfd = rootfd, .f = f};
	int rc = read_one(&s, path, OUTSIDE, e);

	take_all(&s.all, ret);
	take_all(&s.rest, ret);
	return rc;
}
