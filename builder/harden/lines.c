#include "harden/lines.h"

#include <stdlib.h>
#include <string.h>

void lines_split(const char *text, struct strv *ret)
{
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");

		strv_take(ret, mem_strndup(text, n));
		text += n + (text[n] == '\n' ? 1 : 0);
	}
}

void lines_join(const struct strv *lines, struct buf *ret)
{
	for (size_t i = 0; i < lines->n; i++) {
		buf_add(ret, lines->v[i], strlen(lines->v[i]));
		buf_add(ret, "\n", 1);
	}
}

int lines_read(int rootfd, const char *path, struct strv *ret, bool *ret_there, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(ROOT_FILE_MAX);

	if (root_read(rootfd, path, &text, ret_there, e) != 0)
		return -1;
	if (strlen(text.data) != text.len)
		return err_set(e, ERR_FAIL, "%s: holds bytes of 0", path);
	lines_split(text.data, ret);
	return 0;
}

int lines_write(int rootfd, const char *path, const struct strv *lines, mode_t mode, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(ROOT_FILE_MAX);

	lines_join(lines, &text);
	return root_write(rootfd, path, &text, mode, e);
}

void lines_insert(struct strv *lines, size_t i, const char *text)
{
	char *last;

	strv_add(lines, text);
	last = lines->v[lines->n - 1];
	memmove(lines->v + i + 1, lines->v + i, (lines->n - 1 - i) * sizeof(*lines->v));
	lines->v[i] = last;
}

void lines_replace(struct strv *lines, size_t i, const char *text)
{
	char *copy = mem_strdup(text);

	free(lines->v[i]);
	lines->v[i] = copy;
}

void lines_drop(struct strv *lines, size_t i)
{
	free(lines->v[i]);
	memmove(lines->v + i, lines->v + i + 1, (lines->n - i) * sizeof(*lines->v));
	lines->n--;
}

void line_words(const char *line, struct strv *ret)
{
	for (;;) {
		size_t n;

		line += strspn(line, " \t\r");
		if (*line == '\0')
			return;
		n = strcspn(line, *line == '"' ? "" : " \t\r");
		if (*line == '"') {
			n = strcspn(line + 1, "\"");
			strv_take(ret, mem_strndup(line + 1, n));
			line += n + 1 + (line[n + 1] == '"' ? 1 : 0);
			continue;
		}
		strv_take(ret, mem_strndup(line, n));
		line += n;
	}
}

void line_fields(const char *line, char sep, struct strv *ret)
{
	for (;;) {
		const char *end = strchr(line, sep);

		if (end == NULL) {
			strv_add(ret, line);
			return;
		}
		strv_take(ret, mem_strndup(line, (size_t)(end - line)));
		line = end + 1;
	}
}

char *line_trim(char *s)
{
	size_t n;

	s += strspn(s, " \t\r");
	n = strlen(s);
	while (n > 0 && strchr(" \t\r", s[n - 1]) != NULL)
		s[--n] = '\0';
	return s;
}
