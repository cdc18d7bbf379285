#include "harden/conf_dirs.h"

#include "harden/lines.h"
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
	return strcmp(strrchr(*(char *const *)a, '/'), strrchr(*(char *const *)b, '/'));
}

int conf_dirs_list(int rootfd, const char *name, const char *suffix, struct strv *ret,
		   struct err *e)
{
	static const char *const tops[] = {"etc", "run", "usr/local/lib", "usr/lib"};
	struct strv names SCOPED(strv_release) = {0};
	size_t from = ret->n;

	for (size_t i = 0; i < sizeof(tops) / sizeof(tops[0]); i++) {
		struct strv found SCOPED(strv_release) = {0};
		char *pattern SCOPED(mem_freep) = mem_format("%s/%s/*%s", tops[i], name, suffix);

		if (root_glob(rootfd, pattern, &found, e) != 0)
			return -1;
		for (size_t k = 0; k < found.n; k++) {
			const char *base = strrchr(found.v[k], '/') + 1;

			if (strv_has(&names, base))
				continue;
			strv_add(&names, base);
			strv_add(ret, found.v[k]);
		}
	}
	if (ret->n > from)
		qsort(ret->v + from, ret->n - from, sizeof(*ret->v), by_name);
	return 0;
}

int conf_comment_out(int rootfd, const char *path, size_t line, struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};

	if (lines_read(rootfd, path, &lines, NULL, e) != 0)
		return -1;
	if (line == 0 || line > lines.n)
		return err_set(e, ERR_FAIL, "/%s: changed while it was mended", path);
	for (size_t i = line - 1; i < lines.n; i++) {
		char *text SCOPED(mem_freep) = mem_format("# posmedia: %s", lines.v[i]);
		size_t n = strlen(lines.v[i]);
		bool more = n > 0 && lines.v[i][n - 1] == '\\';

		lines_replace(&lines, i, text);
		if (!more)
			break;
	}
	return lines_write(rootfd, path, &lines, 0644, e);
}
