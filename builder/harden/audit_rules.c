#include "harden/audit_rules.h"

#include "harden/lines.h"
#include <stdlib.h>
#include <string.h>

/* A message to the kernel is no longer. */
enum { RULE_BYTES = 8192, RULES_MAX = 20000, ALL_PERMS = 15 };

#define RULES_GLOB "etc/audit/rules.d/*.rules"

void audit_rule_release(struct audit_rule *r)
{
	free(r->list);
	free(r->action);
	free(r->watch);
	free(r->value);
	free(r->file);
	strv_release(&r->syscalls);
	strv_release(&r->fields);
	*r = (struct audit_rule){0};
}

void audit_rules_release(struct audit_rules *s)
{
	for (size_t i = 0; i < s->n; i++)
		audit_rule_release(&s->v[i]);
	free(s->v);
	*s = (struct audit_rules){0};
}

static int take_perms(const char *text, unsigned *ret, struct err *e)
{
	static const char letters[] = "rwxa";

	*ret = 0;
	for (const char *p = text; *p != '\0'; p++) {
		const char *at = strchr(letters, *p);

		if (at == NULL)
			return err_set(e, ERR_FAIL, "\"%.20s\" are no permissions", text);
		*ret |= 1U << (at - letters);
	}
	return 0;
}

static void take_watch(const char *path, struct audit_rule *ret)
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	free(ret->watch);
	ret->watch = mem_strndup(path, n);
}

/* "unset", "-1" and "4294967295" are one value of a login id. */
static int take_field(const char *text, struct audit_rule *ret, struct err *e)
{
	static const char *const unset[] = {"auid!=-1", "auid!=4294967295"};
	static const char *const names[] = {"path=", "dir=", "perm=", "key="};
	int i = 0;

	while (i < 4 && strncmp(text, names[i], strlen(names[i])) != 0)
		i++;
	if (i < 2)
		take_watch(text + strlen(names[i]), ret);
	else if (i == 2)
		return take_perms(text + strlen("perm="), &ret->perms, e);
	else if (i == 4 && strpbrk(text, "=<>&") == NULL)
		return err_set(e, ERR_FAIL, "\"%.40s\" is no field", text);
	else if (i == 4)
		strv_add(&ret->fields, strcmp(text, unset[0]) == 0 || strcmp(text, unset[1]) == 0
					   ? "auid!=unset"
					   : text);
	return 0;
}

static int take_list(const char *text, struct audit_rule *ret, struct err *e)
{
	static const char *const actions[] = {"always", "never", NULL};
	struct strv w SCOPED(strv_release) = {0};

	line_fields(text, ',', &w);
	if (w.n != 2)
		return err_set(e, ERR_FAIL, "\"%.40s\" is no list and action", text);
	for (int i = 0; i < 2; i++) {
		bool first = strcmp(w.v[0], actions[i]) == 0;

		if (!first && strcmp(w.v[1], actions[i]) != 0)
			continue;
		ret->action = mem_strdup(actions[i]);
		ret->list = mem_strdup(w.v[first ? 1 : 0]);
		return 0;
	}
	return err_set(e, ERR_FAIL, "\"%.40s\" is no action", text);
}

/* Of "euid!=uid" and "uid!=euid", which are one, the second. */
static void take_compare(const char *text, struct audit_rule *ret)
{
	const char *op = strpbrk(text, "!=");
	const char *right = op == NULL ? NULL : op + strspn(op, "!=");
	char *left SCOPED(mem_freep) = op == NULL ? NULL : mem_strndup(text, (size_t)(op - text));

	if (op == NULL || strcmp(left, right) > 0)
		strv_addf(&ret->fields, "-C %s", text);
	else
		strv_addf(&ret->fields, "-C %s%.*s%s", right, (int)(right - op), op, left);
}

/* An option with its value. */
static int take_option(char option, const char *val, struct audit_rule *ret, struct err *e)
{
	switch (option) {
	case 'a':
	case 'A':
		return ret->list != NULL ? err_set(e, ERR_FAIL, "two rules in one line")
					 : take_list(val, ret, e);
	case 'S':
		line_fields(val, ',', &ret->syscalls);
		return 0;
	case 'F':
		return take_field(val, ret, e);
	case 'C':
		take_compare(val, ret);
		return 0;
	case 'w':
		take_watch(val, ret);
		ret->perms = ALL_PERMS;
		ret->list = mem_strdup("exit");
		ret->action = mem_strdup("always");
		return *val == '/' ? 0 : err_set(e, ERR_FAIL, "\"%.40s\" is no path", val);
	case 'p':
		return take_perms(val, &ret->perms, e);
	case 'e':
		ret->kind = AUDIT_LOCK;
		free(ret->value);
		ret->value = mem_strdup(val);
		return 0;
	case 'd':
	case 'W':
	case 'R':
		ret->kind = AUDIT_UNDO;
		return 0;
	case 'k':
		return 0;
	default:
		ret->kind = AUDIT_SETTING;
		return 0;
	}
}

/* Options without a value, and those of one letter with one. */
static bool is_bare(const char *w)
{
	static const char *const bare[] = {"-D", "-i", "-c",           "-s",
					   "-l", "-q", "--reset-lost", "--loginuid-immutable"};

	for (size_t i = 0; i < sizeof(bare) / sizeof(bare[0]); i++)
		if (strcmp(w, bare[i]) == 0)
			return true;
	return false;
}

static int parse_words(const struct strv *w, struct audit_rule *ret, struct err *e)
{
	for (size_t i = 0; i < w->n; i++) {
		const char *o = w->v[i];
		bool is_long = strcmp(o, "--backlog_wait_time") == 0;

		if (is_bare(o)) {
			ret->kind = AUDIT_SETTING;
			continue;
		}
		if (!is_long &&
		    (o[0] != '-' || strlen(o) != 2 || strchr("aASFCwpkedWRbfrt", o[1]) == NULL))
			return err_set(e, ERR_FAIL, "\"%.40s\" is no option", o);
		if (++i == w->n)
			return err_set(e, ERR_FAIL, "%s wants a value", o);
		if (take_option(is_long ? 'b' : o[1], w->v[i], ret, e) != 0)
			return -1;
	}
	if (ret->kind == AUDIT_RULE && ret->list == NULL)
		return err_set(e, ERR_FAIL, "no rule");
	return 0;
}

int audit_rule_parse(const char *line, struct audit_rule *ret, struct err *e)
{
	struct strv w SCOPED(strv_release) = {0};
	struct audit_rule r SCOPED(audit_rule_release) = {0};

	line += strspn(line, " \t");
	if (*line == '\0' || *line == '#')
		return 0;
	if (strlen(line) >= RULE_BYTES)
		return err_set(e, ERR_FAIL, "a rule of more than %d bytes", RULE_BYTES);
	line_words(line, &w);
	if (parse_words(&w, &r, e) != 0)
		return -1;
	if (r.watch != NULL && r.perms == 0)
		r.perms = ALL_PERMS;
	strv_sort(&r.fields);
	strv_uniq(&r.fields);
	*ret = r;
	r = (struct audit_rule){0};
	return 1;
}

/* ls -v */
static int by_version(const void *a, const void *b)
{
	return strverscmp(strrchr(*(char *const *)a, '/'), strrchr(*(char *const *)b, '/'));
}

static int read_file(int rootfd, const char *path, struct audit_rules *ret, struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};

	if (lines_read(rootfd, path, &lines, NULL, e) != 0)
		return -1;
	for (size_t i = 0; i < lines.n; i++) {
		struct audit_rule r = {0};
		int rc = audit_rule_parse(lines.v[i], &r, e);

		if (rc < 0)
			return err_in(e, "/%s:%zu: cannot be loaded", path, i + 1);
		if (rc == 0)
			continue;
		if (ret->n == RULES_MAX) {
			audit_rule_release(&r);
			return err_set(e, ERR_FAIL, "/%s: more than %d rules", path, RULES_MAX);
		}
		r.file = mem_strdup(path);
		r.line = i + 1;
		if ((ret->n & (ret->n - 1)) == 0)
			ret->v = mem_resize(ret->v, ret->n == 0 ? 1 : ret->n * 2, sizeof(r));
		ret->v[ret->n++] = r;
	}
	return 0;
}

int audit_rules_read(int rootfd, struct audit_rules *ret, struct err *e)
{
	struct strv files SCOPED(strv_release) = {0};

	if (root_glob(rootfd, RULES_GLOB, &files, e) != 0)
		return -1;
	if (files.n > 0)
		qsort(files.v, files.n, sizeof(*files.v), by_version);
	for (size_t i = 0; i < files.n; i++)
		if (read_file(rootfd, files.v[i], ret, e) != 0)
			return -1;
	return 0;
}

static bool covers_path(const char *have, const char *wanted)
{
	size_t n = strlen(have);

	return strncmp(have, wanted, n) == 0 &&
	       (wanted[n] == '\0' || wanted[n] == '/' || strcmp(have, "/") == 0);
}

static bool covers_watch(const struct audit_rule *r, const struct audit_rule *wanted)
{
	if (r->watch == NULL || wanted->watch == NULL)
		return r->watch == wanted->watch;
	return covers_path(r->watch, wanted->watch) && (wanted->perms & ~r->perms) == 0;
}

static const char *arch_of(const struct audit_rule *r)
{
	for (size_t i = 0; i < r->fields.n; i++)
		if (strncmp(r->fields.v[i], "arch=", 5) == 0)
			return r->fields.v[i] + 5;
	return "";
}

/* Whether the rule records what wanted does of one syscall, NULL = of a watch. */
static bool covers(const struct audit_rule *r, const struct audit_rule *wanted, const char *call)
{
	if (r->kind != AUDIT_RULE || strcmp(r->action, "always") != 0 ||
	    strcmp(r->list, wanted->list) != 0 || strcmp(arch_of(r), arch_of(wanted)) != 0)
		return false;
	if (!covers_watch(r, wanted))
		return false;
	for (size_t i = 0; i < r->fields.n; i++)
		if (!strv_has(&wanted->fields, r->fields.v[i]))
			return false;
	return r->syscalls.n == 0 || strv_has(&r->syscalls, "all") ||
	       (call != NULL && strv_has(&r->syscalls, call));
}

static bool any_covers(const struct audit_rules *s, const struct audit_rule *wanted,
		       const char *call)
{
	for (size_t i = 0; i < s->n; i++)
		if (covers(&s->v[i], wanted, call))
			return true;
	return false;
}

bool audit_rules_cover(const struct audit_rules *s, const struct audit_rule *wanted)
{
	if (wanted->syscalls.n == 0)
		return any_covers(s, wanted, NULL);
	for (size_t i = 0; i < wanted->syscalls.n; i++)
		if (!any_covers(s, wanted, wanted->syscalls.v[i]))
			return false;
	return true;
}

bool audit_rule_silences(const struct audit_rule *r)
{
	if (r->kind == AUDIT_UNDO)
		return true;
	if (r->kind != AUDIT_RULE)
		return false;
	return strcmp(r->action, "never") == 0 || strcmp(r->list, "exclude") == 0;
}
