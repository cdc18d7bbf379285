/* sshd_config.c - sshd_config(5) as sshd reads it: Include in place, in the order of glob(3), the
 * first value wins, what follows a Match line holds for some connections only. A Match block ends
 * with the file it is in. */
#include "harden/kv.h"

#include "harden/lines.h"
#include <string.h>

enum { INCLUDE_DEPTH = 16 };

struct sshd {
	int rootfd;
	const struct kv_format *f;
	struct kv_set *ret;
	unsigned depth;
};

static int read_one(struct sshd *s, const char *path, bool scoped, struct err *e);

static int include(struct sshd *s, const char *patterns, bool scoped, struct err *e)
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
			if (read_one(s, files.v[k], scoped, e) != 0)
				return -1;
	}
	return 0;
}

/* "Match all" holds for everybody. */
static bool match_narrows(const char *criteria)
{
	return strcasecmp(criteria, "all") != 0;
}

static int read_line(struct sshd *s, struct kv_entry *en, bool *scoped, struct err *e)
{
	en->scoped = *scoped;
	if (strcasecmp(en->key, "Include") == 0)
		return include(s, en->val, *scoped, e);
	if (strcasecmp(en->key, "Match") == 0)
		*scoped = match_narrows(en->val);
	else
		kv_take(s->ret, en);
	return 0;
}

static int read_one(struct sshd *s, const char *path, bool scoped, struct err *e)
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
		if (read_line(s, &en, &scoped, e) != 0)
			return -1;
	}
	s->depth--;
	return 0;
}

int sshd_read(int rootfd, const struct kv_format *f, const char *path, struct kv_set *ret,
	      struct err *e)
{
	struct sshd s = {.rootfd = rootfd, .f = f, .ret = ret};

	return read_one(&s, path, false, e);
}
