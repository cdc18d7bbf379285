#include "cli/args.h"

#include "base/num.h"
#include "form/yaml.h"
#include <string.h>

const struct opt args_common[] = {
    {'h', "help", NULL, "Show this help."},
    {'q', "quiet", NULL, "Say nothing but errors and results."},
    {'v', "verbose", NULL, "Also show what the programs that run say."},
    {0, "log", "FORMAT", "Messages as text (the default) or json, one object a line."},
    {0, "store", "DIR", "Keep packages, blobs and caches in DIR (default: out/store)."},
    {0, "ledger", "DIR", "Note in DIR what was done (default: beside the store)."},
    {0, NULL, NULL, NULL},
};

static const struct opt *find_in(const struct opt *t, const char *name, size_t n, char letter)
{
	for (; t != NULL && t->name != NULL; t++)
		if (letter != '\0' ? t->letter == letter
				   : strlen(t->name) == n && strncmp(t->name, name, n) == 0)
			return t;
	return NULL;
}

static const struct opt *find(const struct opt *table, const char *name, size_t n, char letter)
{
	const struct opt *o = find_in(table, name, n, letter);

	return o != NULL ? o : find_in(args_common, name, n, letter);
}

static int unknown(const struct opt *table, const char *word, struct err *e)
{
	const char *known[64] = {NULL};
	const char *near;
	size_t n = 0;

	for (const struct opt *o = table; o != NULL && o->name != NULL && n < 50; o++)
		known[n++] = o->name;
	for (const struct opt *o = args_common; o->name != NULL && n < 63; o++)
		known[n++] = o->name;
	near = strncmp(word, "--", 2) == 0 ? yaml_nearest(word + 2, known) : NULL;
	(void)err_set(e, ERR_USAGE, "no such option: %s", word);
	if (near != NULL)
		return err_hint(e, "did you mean --%s?", near);
	return err_hint(e, "see --help of the verb");
}

struct scan {
	const struct opt *table;
	int argc, at;
	char **argv;
};

/* Takes one option at argv[at]; its value may be the next argument. */
static int take(struct scan *s, struct args *a, struct err *e)
{
	const char *word = s->argv[s->at];
	bool is_long = word[1] == '-';
	const char *name = is_long ? word + 2 : word + 1;
	const char *eq = is_long ? strchr(name, '=') : NULL;
	size_t n = eq != NULL ? (size_t)(eq - name) : strlen(name);
	const struct opt *o = find(s->table, name, n, is_long ? '\0' : name[0]);
	const char *val = eq != NULL ? eq + 1 : NULL;

	if (o == NULL)
		return unknown(s->table, word, e);
	if (!is_long && name[1] != '\0')
		val = name + 1;
	if (o->arg == NULL && val != NULL)
		return err_set(e, ERR_USAGE, "--%s takes no value", o->name);
	if (o->arg != NULL && val == NULL) {
		if (++s->at >= s->argc)
			return err_set(e, ERR_USAGE, "--%s wants %s", o->name, o->arg);
		val = s->argv[s->at];
	}
	strv_add(&a->names, o->name);
	strv_add(&a->values, val != NULL ? val : "");
	return 0;
}

int args_parse(int argc, char **argv, const struct opt *table, struct args *ret, struct err *e)
{
	struct scan s = {.table = table, .argc = argc, .at = 1, .argv = argv};
	struct args a = {0};
	bool plain = false;

	for (; s.at < argc; s.at++) {
		const char *word = argv[s.at];

		if (plain || word[0] != '-' || word[1] == '\0') {
			strv_add(&a.rest, word);
		} else if (strcmp(word, "--") == 0) {
			plain = true;
		} else if (take(&s, &a, e) != 0) {
			args_release(&a);
			return -1;
		}
	}
	*ret = a;
	return 0;
}

void args_release(struct args *a)
{
	strv_release(&a->names);
	strv_release(&a->values);
	strv_release(&a->rest);
}

const char *args_nth(const struct args *a, const char *name, size_t i)
{
	for (size_t k = 0; k < a->names.n; k++)
		if (strcmp(a->names.v[k], name) == 0 && i-- == 0)
			return a->values.v[k];
	return NULL;
}

const char *args_get(const struct args *a, const char *name)
{
	for (size_t k = a->names.n; k-- > 0;)
		if (strcmp(a->names.v[k], name) == 0)
			return a->values.v[k];
	return NULL;
}

bool args_has(const struct args *a, const char *name)
{
	return args_get(a, name) != NULL;
}

int args_num(const struct args *a, const char *name, uint64_t max, uint64_t *ret, struct err *e)
{
	const char *s = args_get(a, name);

	if (s != NULL && num_u64(s, max, ret) != 0)
		return err_set(e, ERR_USAGE, "--%s: not a number up to %llu: %s", name,
			       (unsigned long long)max, s);
	return 0;
}
