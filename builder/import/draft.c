#include "base/num.h"
#include "import/parts.h"
#include "recipe/grammar.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Which list of the draft it is, and the word. */
static char *seen_key(const struct import *im, const struct strv *l, const char *word)
{
	return mem_format("%zu %s", (size_t)((const char *)l - (const char *)&im->d), word);
}

bool draft_has(const struct import *im, const struct strv *l, const char *word)
{
	char *key SCOPED(mem_freep) = seen_key(im, l, word);

	return map_has(&im->seen, key);
}

bool draft_mark(struct import *im, const struct strv *l, const char *word)
{
	char *key SCOPED(mem_freep) = seen_key(im, l, word);

	return map_put(&im->seen, key, im) == NULL;
}

bool draft_once(struct import *im, struct strv *l, const char *word)
{
	bool first = draft_mark(im, l, word);

	if (first)
		strv_add(l, word);
	return first;
}

void draft_file(struct import *im, const char *path, const void *p, size_t n, mode_t mode)
{
	struct draft *d = &im->d;

	if (d->files_n == d->files_cap) {
		d->files_cap = d->files_cap ? d->files_cap * 2 : 16;
		d->files = mem_resize(d->files, d->files_cap, sizeof(*d->files));
	}
	d->files[d->files_n++] = (struct draft_file){mem_strdup(path), mem_strndup(p, n), n, mode};
}

char *draft_path(const struct import *im, const char *file)
{
	char *path SCOPED(mem_freep) = mem_format("%s%s.d/%s", im->o.below, im->name, file);

	return yaml_scalar(path);
}

static void config_overlay(struct import *im)
{
	char *from SCOPED(mem_freep) = draft_path(im, "overlay");

	if (draft_mark(im, &im->d.overlays, "configuration"))
		strv_addf(&im->d.overlays, "{from: %s, to: /, owner: \"0:0\"}", from);
}

void draft_config(const struct spot *where, const char *path, const char *text)
{
	struct import *im = where->im;
	char *at SCOPED(mem_freep) = mem_format("overlay/%s", path);

	for (size_t i = 0; i < im->d.files_n; i++) {
		struct draft_file *f = &im->d.files[i];

		if (strcmp(f->path, at) != 0)
			continue;
		found(where, RULE_DUPLICATE, "%s is set twice: this one holds", path);
		mem_freep(&f->data);
		f->data = mem_strdup(text);
		f->n = strlen(text);
		return;
	}
	config_overlay(im);
	draft_file(im, at, text, strlen(text), strcmp(path, "etc/localtime") == 0 ? S_IFLNK : 0644);
}

bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

char *draft_medium_name(struct import *im, const char *from)
{
	char name[48] = "";
	size_t n = 0;

	for (; *from != '\0' && n < 40; from++) {
		char last = n > 0 ? name[n - 1] : '-';

		if (is_letter(*from))
			name[n++] = *from;
		else if (strchr(".-_", last) == NULL)
			name[n++] = *from == '.' || *from == '_' ? *from : '-';
	}
	while (n > 0 && strchr(".-_", name[n - 1]) != NULL)
		n--;
	name[n] = '\0';
	for (unsigned k = 1;; k++) {
		char *try = k == 1 ? mem_strdup(n > 0 ? name : "medium")
				   : mem_format("%s-%u", n > 0 ? name : "medium", k);

		if (!map_has(&im->media, try)) {
			map_put(&im->media, try, im);
			return try;
		}
		mem_freep(&try);
	}
}

void draft_service(const struct spot *at, struct strv *list, const char *unit)
{
	struct draft *d = &at->im->d;
	struct strv *lists[] = {&d->enable, &d->disable, &d->mask};
	const char *name = at->im->debian ? known_unit(unit) : unit;

	if (!grammar_ok(&grammar_unit, name)) {
		found(at, RULE_BAD_VALUE, "\"%s\" is no name of a unit", unit);
		return;
	}
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (lists[i] != list && draft_has(at->im, lists[i], name)) {
			found(at, RULE_CONFLICT,
			      "the service \"%s\" is switched on and off: the first holds", name);
			return;
		}
	draft_once(at->im, list, name);
}

bool draft_port(struct import *im, const char *numbers, const char *protocol)
{
	char *text SCOPED(mem_freep) = mem_strdup(numbers);
	char *entry SCOPED(mem_freep) = NULL;
	char *dash = strchr(text, '-');
	uint64_t a = 0, b = 0;

	if (dash != NULL)
		*dash = '\0';
	if (num_u64(text, UINT16_MAX, &a) != 0 || a == 0)
		return false;
	b = a;
	if (dash != NULL && (num_u64(dash + 1, UINT16_MAX, &b) != 0 || b < a))
		return false;
	if (strcmp(protocol, "tcp") != 0 && strcmp(protocol, "udp") != 0)
		return false;
	entry = a == b ? mem_format("%u/%s", (unsigned)a, protocol)
		       : mem_format("%u-%u/%s", (unsigned)a, (unsigned)b, protocol);
	draft_once(im, &im->d.ports, entry);
	return true;
}

char *draft_fetch(const struct spot *at, const char *given, const char *sha256)
{
	struct import *im = at->im;
	char *url SCOPED(mem_freep) = without_userinfo(at, given, strlen(given));
	char *name = NULL, *quoted SCOPED(mem_freep) = yaml_scalar(url);
	const char *slash = strrchr(url, '/');

	if (strstr(url, "://") == NULL || !grammar_ok(&grammar_url, url)) {
		char *shown SCOPED(mem_freep) = harmless(url, strlen(url));

		strv_addf(&im->d.media, "# %s:%u: %s", at->src->name, at->line, shown);
		return NULL;
	}
	if (map_has(&im->urls, url))
		return mem_strdup(map_get(&im->urls, url));
	name = draft_medium_name(im, slash[1] != '\0' ? slash + 1 : url);
	strv_addf(&im->d.media, "%s:\n# %s:%u\nurl: %s\nsha256: %s", name, at->src->name, at->line,
		  quoted, sha256 != NULL ? sha256 : "WANTED");
	map_put(&im->urls, url, mem_strdup(name));
	return name;
}
