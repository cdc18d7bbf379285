#include "harden/grub.h"

#include "harden/lines.h"
#include <stdlib.h>
#include <string.h>

/* The kernel takes no more. */
enum { CMDLINE_MAX = 4096 };

#define NAME "GRUB_CMDLINE_LINUX"

/* The variable at the start of s when it is ours, or 0: "$NAME" and "${NAME}". */
static size_t reference(const char *s)
{
	static const char *const forms[] = {"${" NAME "}", "$" NAME};

	for (int i = 0; i < 2; i++) {
		size_t n = strlen(forms[i]);

		if (strncmp(s, forms[i], n) == 0 && (i == 0 || s[n] != '_'))
			return n;
	}
	return 0;
}

/* One character outside of single quotes, or what it stands for. Returns how many more it took, -1
 * with *e for what only a shell could expand. */
static int expand_one(const char *s, const char *old, struct buf *out, struct err *e)
{
	size_t n = reference(s);

	if (n > 0) {
		buf_add(out, old, strlen(old));
		return (int)n - 1;
	}
	if (*s == '`' || *s == '$')
		return err_set(e, ERR_FAIL, "\"%.40s\" cannot be judged", s);
	n = *s == '\\' && s[1] != '\0' ? 1 : 0;
	buf_add(out, s + n, 1);
	return (int)n;
}

/* The value of an assignment without its quotes, with the old value where it refers to it. */
static int expand(const char *s, const char *old, struct buf *out, struct err *e)
{
	char quote = '\0';

	for (; *s != '\0'; s++) {
		int n;

		if ((*s == '"' || *s == '\'') && (quote == '\0' || quote == *s)) {
			quote = quote == '\0' ? *s : '\0';
			continue;
		}
		if (quote == '\0' && strchr(" \t;#", *s) != NULL)
			break;
		if (quote == '\'') {
			buf_add(out, s, 1);
			continue;
		}
		n = expand_one(s, old, out, e);
		if (n < 0)
			return -1;
		s += n;
	}
	return buf_over(out) ? err_set(e, ERR_FAIL, "more than %d bytes", CMDLINE_MAX) : 0;
}

int grub_sourced(const struct strv *lines, char **value, struct err *e)
{
	for (size_t i = 0; i < lines->n; i++) {
		const char *s = lines->v[i] + strspn(lines->v[i], " \t");
		struct buf out SCOPED(buf_release) = BUF_INIT(CMDLINE_MAX);
		bool more;

		s += strncmp(s, "export ", 7) == 0 ? 7 : 0;
		if (strncmp(s, NAME, strlen(NAME)) != 0)
			continue;
		s += strlen(NAME);
		more = strncmp(s, "+=", 2) == 0;
		if (*s != '=' && !more)
			continue;
		if (more)
			buf_addf(&out, "%s", *value);
		if (expand(s + (more ? 2 : 1), *value, &out, e) != 0)
			return err_in(e, "line %zu", i + 1);
		free(*value);
		*value = buf_take(&out);
	}
	return 0;
}

int grub_cmdline(int rootfd, bool alone, char **ret, struct err *e)
{
	struct strv files SCOPED(strv_release) = {0};
	char *value SCOPED(mem_freep) = mem_strdup("");

	strv_add(&files, "etc/default/grub");
	if (!alone && root_glob(rootfd, "etc/default/grub.d/*.cfg", &files, e) != 0)
		return -1;
	for (size_t i = 0; i < files.n; i++) {
		struct strv lines SCOPED(strv_release) = {0};

		if (lines_read(rootfd, files.v[i], &lines, NULL, e) != 0)
			return -1;
		if (grub_sourced(&lines, &value, e) != 0)
			return err_in(e, "/%s", files.v[i]);
	}
	*ret = STEAL(value);
	return 0;
}

const char *grub_entry_args(const char *line)
{
	static const char *const words[] = {"linux", "linux16", "linuxefi"};

	line += strspn(line, " \t");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t n = strlen(words[i]);

		if (strncmp(line, words[i], n) == 0 && (line[n] == ' ' || line[n] == '\t'))
			return line + n;
	}
	return NULL;
}

char *grub_arg(const char *args, const char *name)
{
	struct strv w SCOPED(strv_release) = {0};
	size_t n = strlen(name);

	line_words(args, &w);
	for (size_t i = w.n; i-- > 0;)
		if (strncmp(w.v[i], name, n) == 0 && (w.v[i][n] == '=' || w.v[i][n] == '\0'))
			return mem_strdup(w.v[i] + n + (w.v[i][n] == '=' ? 1 : 0));
	return NULL;
}
