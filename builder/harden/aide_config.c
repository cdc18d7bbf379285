#include "harden/aide_config.h"

#include "harden/lines.h"
#include <ctype.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

enum { INCLUDE_DEPTH = 8, GROUP_DEPTH = 16, RULES_MAX = 100000, ATTRIBUTES_MAX = 10000 };

void aide_config_release(struct aide_config *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->rules[i].regex);
		free(c->rules[i].group);
		free(c->rules[i].file);
	}
	free(c->rules);
	strv_release(&c->names);
	strv_release(&c->values);
	*c = (struct aide_config){0};
}

static int take_rule(struct aide_config *c, const char *text, const char *file, size_t line,
		     struct err *e)
{
	struct strv w SCOPED(strv_release) = {0};
	struct aide_rule r = {.kind = *text, .line = line};

	if (c->n == RULES_MAX)
		return err_set(e, ERR_FAIL, "/%s: more than %d rules", file, RULES_MAX);
	line_words(text, &w);
	r.regex = mem_strdup(w.v[0] + (r.kind == '/' ? 0 : 1));
	/* what stands between, if anything does, are the kinds of file */
	r.group = mem_strdup(w.n > 1 && r.kind != '!' ? w.v[w.n - 1] : "");
	r.file = mem_strdup(file);
	if ((c->n & (c->n - 1)) == 0)
		c->rules = mem_resize(c->rules, c->n == 0 ? 1 : c->n * 2, sizeof(r));
	c->rules[c->n++] = r;
	return 0;
}

static void take_definition(struct aide_config *c, const char *text)
{
	const char *equals = strchr(text, '=');
	char *name SCOPED(mem_freep) = mem_strndup(text, (size_t)(equals - text));
	char *value SCOPED(mem_freep) = mem_strdup(equals + 1);

	strv_add(&c->names, line_trim(name));
	strv_add(&c->values, line_trim(value));
}

static int take(struct aide_config *c, const char *line, const char *file, size_t number,
		struct err *e)
{
	char *copy SCOPED(mem_freep) = mem_strdup(line);
	char *s = line_trim(copy);

	if (*s == '/' || ((*s == '=' || *s == '!') && s[1] == '/'))
		return take_rule(c, s, file, number, e);
	if (strncmp(s, "@@if", 4) == 0)
		return err_set(e, ERR_FAIL, "/%s:%zu: conditions cannot be judged", file, number);
	/* what begins with a small letter is an option of aide itself */
	if (isupper((unsigned char)*s) && strchr(s, '=') != NULL)
		take_definition(c, s);
	return 0;
}

int aide_config_parse(const struct strv *lines, const char *file, struct aide_config *ret,
		      struct err *e)
{
	for (size_t i = 0; i < lines->n; i++)
		if (take(ret, lines->v[i], file, i + 1, e) != 0)
			return -1;
	return 0;
}

static bool name_matches(const char *regex, const char *name)
{
	regex_t re;
	bool ok;

	if (regcomp(&re, regex, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	ok = regexec(&re, name, 0, NULL, 0) == 0;
	regfree(&re);
	return ok;
}

static int read_file(int rootfd, const char *path, unsigned depth, struct aide_config *ret,
		     struct err *e);

/* "@@include FILE", or of a directory the files whose names match. */
static int include(int rootfd, const struct strv *w, unsigned depth, struct aide_config *ret,
		   struct err *e)
{
	char *pattern SCOPED(mem_freep) =
	    mem_format("%s%s", w->v[1] + strspn(w->v[1], "/"), w->n > 2 ? "/*" : "");
	bool runs = strncmp(w->v[0], "@@x_", 4) == 0;
	struct strv files SCOPED(strv_release) = {0};

	if (root_glob(rootfd, pattern, &files, e) != 0)
		return -1;
	for (size_t i = 0; i < files.n; i++) {
		const char *slash = strrchr(files.v[i], '/');
		struct stat st;

		if (root_stat(rootfd, files.v[i], true, &st) != 1 || !S_ISREG(st.st_mode) ||
		    (runs && (st.st_mode & 0111) != 0) ||
		    (w->n > 2 && !name_matches(w->v[2], slash + 1)))
			continue;
		if (read_file(rootfd, files.v[i], depth + 1, ret, e) != 0)
			return -1;
	}
	return 0;
}

static int read_file(int rootfd, const char *path, unsigned depth, struct aide_config *ret,
		     struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};

	if (depth > INCLUDE_DEPTH)
		return err_set(e, ERR_FAIL, "/%s: includes deeper than %d", path, INCLUDE_DEPTH);
	if (lines_read(rootfd, path, &lines, NULL, e) != 0)
		return -1;
	for (size_t i = 0; i < lines.n; i++) {
		struct strv w SCOPED(strv_release) = {0};
		int rc;

		if (strncmp(lines.v[i], "@@include", 9) == 0 ||
		    strncmp(lines.v[i], "@@x_include", 11) == 0)
			line_words(lines.v[i], &w);
		rc = w.n >= 2 ? include(rootfd, &w, depth, ret, e)
			      : take(ret, lines.v[i], path, i + 1, e);
		if (rc != 0)
			return -1;
	}
	return 0;
}

int aide_config_read(int rootfd, const char *path, struct aide_config *ret, struct err *e)
{
	return read_file(rootfd, path, 0, ret, e);
}

bool aide_rule_matches(const struct aide_rule *r, const char *path)
{
	char *regex SCOPED(mem_freep) = mem_format("^(%s)%s", r->regex, r->kind == '=' ? "$" : "");

	return name_matches(regex, path);
}

static void take_away(struct strv *list, const char *what)
{
	for (size_t i = list->n; i-- > 0;)
		if (strcmp(list->v[i], what) == 0)
			lines_drop(list, i);
}

static void expand(const struct aide_config *c, const char *group, unsigned depth, struct strv *ret)
{
	/* what aide(1) itself calls so */
	static const char *const built_in[][2] = {
	    {"H", "sha256+sha512"}, {"R", "p+u+g+md5"}, {"L", "p+u+g"}, {">", "p+u+g"}};
	struct strv parts SCOPED(strv_release) = {0};
	const char *value = NULL;

	for (size_t i = c->names.n; i-- > 0 && value == NULL;)
		if (strcmp(c->names.v[i], group) == 0)
			value = c->values.v[i];
	for (size_t i = 0; i < 4 && value == NULL; i++)
		if (strcmp(built_in[i][0], group) == 0)
			value = built_in[i][1];
	if (value == NULL)
		strv_add(ret, group);
	if (value == NULL || depth == GROUP_DEPTH || ret->n > ATTRIBUTES_MAX)
		return;
	line_fields(value, '+', &parts);
	for (size_t i = 0; i < parts.n; i++) {
		struct strv less SCOPED(strv_release) = {0};

		/* "a-b-c": what is taken away is not looked at */
		line_fields(line_trim(parts.v[i]), '-', &less);
		expand(c, less.v[0], depth + 1, ret);
		for (size_t k = 1; k < less.n; k++)
			take_away(ret, less.v[k]);
	}
}

void aide_attributes(const struct aide_config *c, const char *group, struct strv *ret)
{
	struct aide_config with = *c;
	char *own = NULL;

	/* a rule may say "p+u" in place of a name */
	if (strpbrk(group, "+-") == NULL) {
		expand(c, group, 0, ret);
		return;
	}
	own = mem_format("%s", group);
	with.names = (struct strv){0};
	with.values = (struct strv){0};
	strv_extend(&with.names, &c->names);
	strv_extend(&with.values, &c->values);
	strv_add(&with.names, "\n");
	strv_take(&with.values, own);
	expand(&with, "\n", 0, ret);
	strv_release(&with.names);
	strv_release(&with.values);
}
