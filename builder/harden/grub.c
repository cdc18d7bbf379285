#include "harden/grub.h"

#include "harden/lines.h"
#include <stdlib.h>
#include <string.h>

/* The kernel takes no more. */
enum { CMDLINE_MAX = 4096 };

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";

void grub_vars_release(struct grub_vars *v)
{
	free(v->every);
	free(v->usual);
	*v = (struct grub_vars){0};
}

/* The variable with the name of n characters at s, or NULL when it is none of ours. */
static char **variable(struct grub_vars *v, const char *s, size_t n)
{
	static const char every[] = "GRUB_CMDLINE_LINUX", usual[] = "GRUB_CMDLINE_LINUX_DEFAULT";

	if (n == strlen(every) && strncmp(s, every, n) == 0)
		return &v->every;
	return n == strlen(usual) && strncmp(s, usual, n) == 0 ? &v->usual : NULL;
}

/* "$NAME" or "${NAME}" of one of ours at the start of s: its length and value, or 0. */
static size_t reference(struct grub_vars *v, const char *s, const char **ret)
{
	size_t braced = s[0] == '$' && s[1] == '{' ? 1 : 0;
	const char *name = s + 1 + braced;
	size_t n = *s == '$' ? strspn(name, letters) : 0;
	char **var = n == 0 ? NULL : variable(v, name, n);

	if (var == NULL || (braced == 1 && name[n] != '}'))
		return 0;
	*ret = *var == NULL ? "" : *var;
	return 1 + n + 2 * braced;
}

/* One character outside of single quotes, or what it stands for. Returns how many more it took, -1
 * with *e for what only a shell could expand. */
static int expand_one(const char *s, struct grub_vars *v, struct buf *out, struct err *e)
{
	const char *old = NULL;
	size_t n = reference(v, s, &old);

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

/* The value of an assignment without its quotes, with the old values where it refers to them. */
static int expand(const char *s, struct grub_vars *v, struct buf *out, struct err *e)
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
		n = expand_one(s, v, out, e);
		if (n < 0)
			return -1;
		s += n;
	}
	return buf_over(out) ? err_set(e, ERR_FAIL, "more than %d bytes", CMDLINE_MAX) : 0;
}

int grub_sourced(const struct strv *lines, struct grub_vars *v, struct err *e)
{
	for (size_t i = 0; i < lines->n; i++) {
		const char *s = lines->v[i] + strspn(lines->v[i], " \t");
		struct buf out SCOPED(buf_release) = BUF_INIT(CMDLINE_MAX);
		size_t n;
		char **var;
		bool more;

		s += strncmp(s, "export ", 7) == 0 ? 7 : 0;
		n = strspn(s, letters);
		var = variable(v, s, n);
		s += n;
		more = strncmp(s, "+=", 2) == 0;
		if (var == NULL || (*s != '=' && !more))
			continue;
		if (more && *var != NULL)
			buf_addf(&out, "%s", *var);
		if (expand(s + (more ? 2 : 1), v, &out, e) != 0)
			return err_in(e, "line %zu", i + 1);
		free(*var);
		*var = out.len == 0 ? mem_strdup("") : buf_take(&out);
	}
	return 0;
}

int grub_cmdline(int rootfd, bool alone, struct grub_vars *ret, struct err *e)
{
	struct strv files SCOPED(strv_release) = {0};
	struct grub_vars v SCOPED(grub_vars_release) = {mem_strdup(""), mem_strdup("")};

	strv_add(&files, "etc/default/grub");
	if (!alone && root_glob(rootfd, "etc/default/grub.d/*.cfg", &files, e) != 0)
		return -1;
	for (size_t i = 0; i < files.n; i++) {
		struct strv lines SCOPED(strv_release) = {0};

		if (lines_read(rootfd, files.v[i], &lines, NULL, e) != 0)
			return -1;
		if (grub_sourced(&lines, &v, e) != 0)
			return err_in(e, "/%s", files.v[i]);
	}
	*ret = v;
	v = (struct grub_vars){0};
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

/* The length of the word at s as the kernel takes it: blanks in quotes do not end it. */
static size_t word_length(const char *s)
{
	bool quoted = false;
	size_t n = 0;

	for (; s[n] != '\0' && (quoted || strchr(" \t\r\n", s[n]) == NULL); n++)
		quoted = quoted != (s[n] == '"');
	return n;
}

/* The word as NAME or NAME=VALUE, without the quotes around it or around its value. */
static char *bare_word(const char *s, size_t n)
{
	size_t equals, start = 0;
	char *word;

	if (n > 0 && *s == '"') {
		s++;
		n -= n > 1 && s[n - 2] == '"' ? 2 : 1;
	}
	word = mem_strndup(s, n);
	equals = strcspn(word, "=");
	if (word[equals] == '=' && word[equals + 1] == '"')
		start = equals + 1;
	if (start > 0) {
		memmove(word + start, word + start + 1, n - start);
		n--;
		if (n > start && word[n - 1] == '"')
			word[n - 1] = '\0';
	}
	return word;
}

/* The words up to "--": what follows is for init. Returns the length of what they are in. */
static size_t kernel_words(const char *args, struct strv *ret)
{
	const char *s = args;

	for (;;) {
		char *word SCOPED(mem_freep) = NULL;
		size_t n;

		s += strspn(s, " \t\r\n");
		n = word_length(s);
		if (n == 0)
			return strlen(args);
		word = bare_word(s, n);
		if (strcmp(word, "--") == 0)
			return (size_t)(s - args);
		strv_take(ret, STEAL(word));
		s += n;
	}
}

/* Whether the word's name is this one: '-' and '_' are the same. */
static bool is_named(const char *word, const char *name)
{
	for (; *name != '\0'; word++, name++)
		if (*word != *name &&
		    (strchr("-_", *word) == NULL || *word == '\0' || strchr("-_", *name) == NULL))
			return false;
	return *word == '=' || *word == '\0';
}

char *grub_arg(const char *args, const char *name)
{
	struct strv w SCOPED(strv_release) = {0};

	(void)kernel_words(args, &w);
	for (size_t i = w.n; i-- > 0;)
		if (is_named(w.v[i], name)) {
			const char *equals = strchr(w.v[i], '=');

			return mem_strdup(equals == NULL ? "" : equals + 1);
		}
	return NULL;
}

char *grub_with(const char *args, const char *more)
{
	struct strv w SCOPED(strv_release) = {0};
	size_t n = kernel_words(args, &w);
	const char *rest = args + n;

	if (*rest == '\0')
		return mem_format("%s%s%s", args, n == 0 ? "" : " ", more);
	return mem_format("%.*s%s %s", (int)n, args, more, rest);
}
