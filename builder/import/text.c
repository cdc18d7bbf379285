#include "form/yaml_text.h"
#include "import/parts.h"
#include <stdio.h>
#include <string.h>

/* Letters and digits that may begin a plain scalar, and what may follow. */
static bool plain(const char *s)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "/_";

	if (s[0] == '\0' || strchr(first, s[0]) == NULL || strlen(s) > 1024)
		return false;
	for (const char *p = s; *p != '\0'; p++)
		if (strchr(first, *p) == NULL && strchr(".-+@~", *p) == NULL &&
		    !(*p == ':' && p[1] == '/'))
			return false;
	return true;
}

char *yaml_scalar(const char *s)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(16 << 20);
	size_t n = strlen(s);

	if (plain(s))
		return mem_strdup(s);
	buf_add(&b, "\"", 1);
	for (size_t i = 0; i < n;) {
		uint32_t c = 0;
		size_t len = utf8_decode(s + i, n - i, &c);

		if (len == 0)
			buf_add(&b, "?", 1);
		else if (c == '"' || c == '\\')
			buf_addf(&b, "\\%c", (char)c);
		else if (c == '\n' || c == '\t')
			buf_addf(&b, c == '\n' ? "\\n" : "\\t");
		else if (utf8_is_control(c))
			buf_add(&b, "?", 1);
		else
			buf_add(&b, s + i, len);
		i += len == 0 ? 1 : len;
	}
	buf_add(&b, "\"", 1);
	return buf_take(&b);
}

void check_words(const struct spot *at, const struct strv *words)
{
	bool bad = false;

	for (size_t i = 0; i < words->n; i++) {
		const char *s = words->v[i];
		size_t n = strlen(s), len;
		uint32_t c = 0;

		note_userinfo(at, s, n);
		for (size_t k = 0; k < n; k += len == 0 ? 1 : len) {
			len = utf8_decode(s + k, n - k, &c);
			bad |= len == 0 || utf8_is_control(c);
		}
	}
	if (bad)
		found(at, RULE_BAD_VALUE, "a word has bytes that no recipe can hold");
}

char *yaml_flow(const struct strv *l)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(16 << 20);

	buf_add(&b, "[", 1);
	for (size_t i = 0; i < l->n; i++) {
		char *s SCOPED(mem_freep) = yaml_scalar(l->v[i]);

		buf_addf(&b, "%s%s", i > 0 ? ", " : "", s);
	}
	buf_add(&b, "]", 1);
	return buf_take(&b);
}

/* Whether a list has anything but comments. */
static bool has_items(const struct strv *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i][0] != '#')
			return true;
	return false;
}

static void indented(struct buf *out, unsigned by, const char *text)
{
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");

		buf_addf(out, "%*s", (int)by, "");
		buf_add(out, text, n);
		buf_add(out, "\n", 1);
		text += n + (text[n] == '\n');
	}
}

/* "key:" and an item a line; scalars when `quote`, else YAML as it is. Only comments are written
 * above the key. */
struct list {
	const char *key;
	const struct strv *items;
	unsigned by; /* indentation of the key */
	bool quote;
};

static void put_list(struct buf *out, const struct list *l)
{
	bool items = has_items(l->items);

	if (items)
		buf_addf(out, "%*s%s:\n", (int)l->by, "", l->key);
	for (size_t i = 0; i < l->items->n; i++) {
		const char *v = l->items->v[i];
		char *s SCOPED(mem_freep) = l->quote ? yaml_scalar(v) : mem_strdup(v);
		size_t first = strcspn(s, "\n");

		if (v[0] == '#') {
			indented(out, l->by + (items ? 2 : 0), v);
			continue;
		}
		buf_addf(out, "%*s- ", (int)l->by + 2, "");
		buf_add(out, s, first);
		buf_add(out, "\n", 1);
		if (s[first] == '\n')
			indented(out, l->by + 4, s + first + 1);
	}
}

/* "key:" and members, the first line of each being "name:". */
static void put_map(struct buf *out, const char *key, const struct strv *members)
{
	if (has_items(members))
		buf_addf(out, "\n%s:\n", key);
	for (size_t i = 0; i < members->n; i++) {
		const char *v = members->v[i];
		size_t first = strcspn(v, "\n");

		buf_addf(out, "  ");
		buf_add(out, v, first);
		buf_add(out, "\n", 1);
		if (v[first] == '\n')
			indented(out, 4, v + first + 1);
	}
}

static void put_packages(struct buf *out, const struct draft *d)
{
	struct list install = {"install", &d->install, 2, true};
	struct list exclude = {"exclude", &d->exclude, 2, true};
	bool any = has_items(&d->install) || has_items(&d->exclude) || d->docs >= 0 ||
		   d->recommends >= 0 || d->langs.n > 0;

	if (any)
		buf_addf(out, "\npackages:\n");
	put_list(out, &install);
	put_list(out, &exclude);
	if (d->docs >= 0)
		buf_addf(out, "  docs: %s\n", d->docs ? "true" : "false");
	if (d->recommends >= 0)
		buf_addf(out, "  recommends: %s\n", d->recommends ? "true" : "false");
	if (d->langs.n > 0) {
		char *langs SCOPED(mem_freep) = yaml_flow(&d->langs);

		buf_addf(out, "  langs: %s\n", langs);
	}
}

static void put_services(struct buf *out, const struct draft *d)
{
	struct list lists[] = {{"enable", &d->enable, 2, true},
			       {"disable", &d->disable, 2, true},
			       {"mask", &d->mask, 2, true}};

	if (d->enable.n + d->disable.n + d->mask.n > 0)
		buf_addf(out, "\nservices:\n");
	for (size_t i = 0; i < 3; i++)
		put_list(out, &lists[i]);
}

static void put_flow(struct buf *out, const char *key, const struct strv *l)
{
	char *s SCOPED(mem_freep) = yaml_flow(l);

	if (l->n > 0)
		buf_addf(out, "  %s: %s\n", key, s);
}

static void put_one(struct buf *out, const char *key, const char *value)
{
	char *s SCOPED(mem_freep) = yaml_scalar(value != NULL ? value : "");

	if (value != NULL)
		buf_addf(out, "  %s: %s\n", key, s);
}

static void put_run(struct buf *out, const struct draft *d)
{
	if (d->entrypoint.n + d->cmd.n + d->env.n + d->volumes.n == 0 && d->user == NULL &&
	    d->workdir == NULL && d->stop_signal == NULL)
		return;
	buf_addf(out, "\nrun:\n");
	put_flow(out, "entrypoint", &d->entrypoint);
	put_flow(out, "cmd", &d->cmd);
	if (d->env.n > 0)
		buf_addf(out, "  env:\n");
	for (size_t i = 0; i < d->env.n; i++)
		indented(out, 4, d->env.v[i]);
	put_one(out, "user", d->user);
	put_one(out, "workdir", d->workdir);
	put_one(out, "stop-signal", d->stop_signal);
	put_flow(out, "volumes", &d->volumes);
}

static void put_base(struct buf *out, const struct import *im)
{
	if (im->o.base != NULL) {
		char *base SCOPED(mem_freep) = yaml_scalar(im->o.base);

		buf_addf(out, "extends: [%s]\n", base);
	} else {
		buf_addf(out, "base:\n");
	}
	for (size_t i = 0; i < im->d.base.n; i++)
		indented(out, im->o.base != NULL ? 0 : 2, im->d.base.v[i]);
}

static void put_lists(struct buf *out, const struct draft *d)
{
	const struct list lists[] = {{"overlays", &d->overlays, 0, false},
				     {"groups", &d->groups, 0, false},
				     {"users", &d->users, 0, false}};

	for (size_t i = 0; i < 3; i++) {
		if (lists[i].items->n > 0)
			buf_add(out, "\n", 1);
		put_list(out, &lists[i]);
	}
}

void import_recipe(const struct import *im, struct buf *out)
{
	const struct draft *d = &im->d;
	const struct list steps = {"steps", &d->steps, 0, false};
	char *from SCOPED(mem_freep) = harmless(im->sources[0]->name, strlen(im->sources[0]->name));

	buf_addf(out, "# Imported from the %s %s. \"WANTED\" is what only you can know.\n",
		 im->kind, from);
	for (size_t i = 0; i < d->notes.n; i++)
		buf_addf(out, "%s\n", d->notes.v[i]);
	buf_addf(out, "posmedia: 1\nname: %s\nversion: \"1\"\n", im->name);
	put_base(out, im);
	put_packages(out, d);
	put_lists(out, d);
	put_services(out, d);
	if (d->ports.n > 0) {
		char *ports SCOPED(mem_freep) = yaml_flow(&d->ports);

		buf_addf(out, "\nports: %s\n", ports);
	}
	put_map(out, "media", &d->media);
	if (d->steps.n > 0)
		buf_add(out, "\n", 1);
	put_list(out, &steps);
	if (d->profiles.n > 0) {
		char *profiles SCOPED(mem_freep) = yaml_flow(&d->profiles);

		buf_addf(out, "\nhardening: {profiles: %s, fail-on: high}\n", profiles);
	}
	put_run(out, d);
}
