#include "shim/unit.h"

#include "base/buf.h"
#include <stdlib.h>
#include <string.h>

enum { WORD_MAX = 1 << 17 };

void unit_command_release(struct unit_command *c)
{
	strv_release(&c->argv);
	free(c->zero);
	*c = (struct unit_command){0};
}

/* systemd.unit(5), "SPECIFIERS"; NULL for one that we do not have. */
static char *specifier(const struct unit *u, char c)
{
	const char *mark = strchr(u->name, '@');
	size_t prefix = mark != NULL ? (size_t)(mark - u->name) : strlen(u->name);

	switch (c) {
	case '%':
		return mem_strdup("%");
	case 'n':
		return mem_format("%s.service", u->name);
	case 'N':
		return mem_strdup(u->name);
	case 'p':
		return mem_strndup(u->name, prefix);
	case 'i':
	case 'I':
		return mem_strdup(mark != NULL ? mark + 1 : "");
	case 't':
		return mem_strdup("/run");
	case 'S':
		return mem_strdup("/var/lib");
	case 'C':
		return mem_strdup("/var/cache");
	case 'L':
		return mem_strdup("/var/log");
	case 'E':
		return mem_strdup("/etc");
	default:
		return NULL;
	}
}

char *unit_expand(const struct unit *u, const char *text)
{
	struct buf b = BUF_INIT(WORD_MAX);

	for (; *text != '\0'; text++) {
		char *value SCOPED(mem_freep) =
		    text[0] == '%' && text[1] != '\0' ? specifier(u, text[1]) : NULL;

		if (value == NULL) {
			buf_add(&b, text, 1);
			continue;
		}
		buf_addf(&b, "%s", value);
		text++;
	}
	return buf_take(&b);
}

static const char *value_of(const struct strv *env, const char *name, size_t n)
{
	for (size_t i = env->n; i-- > 0;)
		if (strncmp(env->v[i], name, n) == 0 && env->v[i][n] == '=')
			return env->v[i] + n + 1;
	return "";
}

static size_t name_length(const char *s)
{
	return strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789");
}

/* ${NAME} anywhere in a word. */
static char *substitute(const char *word, const struct strv *env)
{
	struct buf b = BUF_INIT(WORD_MAX);

	while (*word != '\0') {
		size_t n = strncmp(word, "${", 2) == 0 ? name_length(word + 2) : 0;

		if (n > 0 && word[2 + n] == '}') {
			buf_addf(&b, "%s", value_of(env, word + 2, n));
			word += n + 3;
		} else if (strncmp(word, "$$", 2) == 0) {
			buf_add(&b, "$", 1);
			word += 2;
		} else {
			buf_add(&b, word++, 1);
		}
	}
	return buf_take(&b);
}

/* A word that is $NAME becomes the words of its value. */
static void add_word(const char *word, const struct strv *env, struct strv *argv)
{
	size_t n = word[0] == '$' && word[1] != '{' ? name_length(word + 1) : 0;
	char *values SCOPED(mem_freep) = NULL, *at;

	if (n == 0 || word[1 + n] != '\0') {
		strv_take(argv, substitute(word, env));
		return;
	}
	values = mem_strdup(value_of(env, word + 1, n));
	at = values;
	while (at != NULL) {
		const char *one = strsep(&at, " \t\n");

		if (one[0] != '\0')
			strv_add(argv, one);
	}
}

/* What a backslash stands for: systemd.syntax(7). */
static char unescaped(char c)
{
	static const char from[] = "abfnrtvs", to[] = "\a\b\f\n\r\t\v ";
	const char *at = c != '\0' ? strchr(from, c) : NULL;

	return at != NULL ? to[at - from] : c;
}

/* Takes one word; *at is behind it then. Returns 0 at the end, -1 for a quote without its other. */
static int take_word(const char **at, struct buf *word)
{
	const char *c = *at + strspn(*at, " \t\n");
	char quote = '\0';

	buf_cut(word, 0);
	if (*c == '\0')
		return 0;
	for (; *c != '\0' && (quote != '\0' || strchr(" \t\n", *c) == NULL); c++) {
		char plain = *c;

		if (quote == '\0' && (*c == '"' || *c == '\'')) {
			quote = *c;
			continue;
		}
		if (*c == quote) {
			quote = '\0';
			continue;
		}
		if (*c == '\\' && c[1] != '\0')
			plain = unescaped(*++c);
		buf_add(word, &plain, 1);
	}
	*at = c;
	return quote == '\0' ? 1 : -1;
}

int unit_command(const struct unit *u, const char *line, const struct strv *env,
		 struct unit_command *ret, struct err *e)
{
	char *text SCOPED(mem_freep) = unit_expand(u, line);
	struct buf word SCOPED(buf_release) = BUF_INIT(WORD_MAX);
	struct unit_command c = {0};
	const char *at = text;
	bool zero = false;
	int rc;

	for (at += strspn(at, " \t"); *at != '\0' && strchr("-@+!:|", *at) != NULL; at++) {
		c.may_fail = c.may_fail || *at == '-';
		zero = zero || *at == '@';
	}
	while ((rc = take_word(&at, &word)) > 0) {
		if (strcmp(word.data, ";") == 0)
			break;
		if (zero && c.argv.n == 1 && c.zero == NULL)
			c.zero = substitute(word.data, env);
		else
			add_word(word.data, env, &c.argv);
	}
	if (rc < 0 || c.argv.n == 0 || c.argv.v[0][0] == '\0') {
		unit_command_release(&c);
		return err_set(e, ERR_FAIL, "%s: not a command: %.200s", u->name, line);
	}
	*ret = c;
	return 0;
}
