#include "base/glob.h"
#include "import/parts.h"
#include "recipe/grammar.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MATCHES_MAX = 4000000 };

/* Where the entry comes from that was just added to the list. */
static void from(struct origins *o, const struct spot *at)
{
	if (o->n == o->cap) {
		o->cap = o->cap ? o->cap * 2 : 64;
		o->v = mem_resize(o->v, o->cap, sizeof(*o->v));
	}
	o->v[o->n++] = *at;
}

void draft_comment(const struct spot *at, const char *text)
{
	strv_add(&at->im->d.install, text);
	from(&at->im->install_at, at);
}

/* Notes what is not carried over as a comment in the list. */
static void comment(const struct spot *at, bool exclude, const char *name, const char *why)
{
	struct import *im = at->im;
	char *shown SCOPED(mem_freep) = harmless(name, strlen(name));
	char *text SCOPED(mem_freep) =
	    mem_format("# %s: %s, %s:%u", shown, why, at->src->name, at->line);

	strv_add(exclude ? &im->d.exclude : &im->d.install, text);
	from(exclude ? &im->exclude_at : &im->install_at, at);
	im->a.packages.found++;
}

/* What rpm and comps have as a name, a group or a pattern. */
static bool el_name(const char *s)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789+._-*?@^~:/";

	return s[0] != '\0' && strlen(s) <= 128 && s[strspn(s, letters)] == '\0' &&
	       strstr(s, "://") == NULL && strchr("-./+~:", s[0]) == NULL;
}

/* "name" of "name.i686"; the caller owns it. */
static char *without_arch(const char *name)
{
	static const char *const arches[] = {".i386",   ".i586",    ".i686", ".x86_64",
					     ".noarch", ".aarch64", NULL};
	const char *dot = strrchr(name, '.');

	for (const char *const *a = arches; dot != NULL && *a != NULL; a++)
		if (strcmp(dot, *a) == 0)
			return mem_strndup(name, (size_t)(dot - name));
	return mem_strdup(name);
}

static bool has_glob(const char *s)
{
	return strpbrk(s, "*?[") != NULL;
}

/* Adds each word of the list that replaces a name. */
static void replace(const struct spot *at, bool exclude, const char *words)
{
	struct import *im = at->im;
	struct strv *l = exclude ? &im->d.exclude : &im->d.install;

	while (*words != '\0') {
		size_t n = strcspn(words, " ");
		char *word SCOPED(mem_freep) = mem_strndup(words, n);

		if (draft_once(im, l, word))
			from(exclude ? &im->exclude_at : &im->install_at, at);
		words += n + (words[n] == ' ');
	}
}

/* What is known of a name that the base does not have under it; false when it may stay. */
static bool known_otherwise(const struct spot *at, bool exclude, const char *name)
{
	struct import *im = at->im;
	char *plain SCOPED(mem_freep) = without_arch(name);
	const struct known_name *k = known_name(plain);
	const char *now;

	if (k == NULL || (!im->debian && (k->gone == 0 || im->release < k->gone)))
		return false;
	now = im->debian ? k->debian : k->el;
	if (strcmp(now, plain) == 0)
		return false;
	if (now[0] != '\0') {
		found(at, RULE_RENAMED_PACKAGE, "\"%s\" is called \"%s\" there", name, now);
		replace(at, exclude, now);
		im->a.packages.replaced++;
		return true;
	}
	found(at, RULE_GONE_PACKAGE, "\"%s\" is not in the base's repositories", name);
	comment(at, exclude, name, "not there");
	return true;
}

static bool acceptable(const struct import *im, bool exclude, const char *name)
{
	if (!im->debian)
		return el_name(name) && (!exclude || grammar_ok(&grammar_rpm_glob, name));
	return grammar_ok(exclude ? &grammar_package_glob : &grammar_package, name);
}

static void one(const struct spot *at, bool exclude, const char *name)
{
	struct import *im = at->im;
	struct strv *l = exclude ? &im->d.exclude : &im->d.install;
	char *plain SCOPED(mem_freep) = without_arch(name);

	im->a.packages.in++;
	if (draft_has(im, l, name)) {
		found(at, RULE_DUPLICATE, "\"%s\" is listed twice", name);
		im->a.packages.found++;
		return;
	}
	if (known_otherwise(at, exclude, name))
		return;
	if (!acceptable(im, exclude, name)) {
		found(at, RULE_NOT_A_PACKAGE, "\"%s\" is no name of a package of the base", name);
		comment(at, exclude, name, "no package");
		return;
	}
	if (!exclude && im->known.n > 0 && name[0] != '@' && !has_glob(name) &&
	    !map_has(&im->known, plain) && !map_has(&im->known, name))
		found(at, RULE_NO_SUCH_PACKAGE, "no repository has \"%s\"", name);
	replace(at, exclude, name);
	mark(at, MARK_CARRIED);
	im->a.packages.carried++;
}

void draft_install(const struct spot *at, const char *name)
{
	one(at, false, name);
}

void draft_exclude(const struct spot *at, const char *pattern)
{
	one(at, true, pattern);
}

void draft_implied(const struct spot *at, const char *name)
{
	replace(at, false, name);
}

/* ---- what contradicts */

/* Names have no slashes that a pattern of paths would stop at. */
static void check_glob(struct import *im, size_t i)
{
	const char *pattern = im->d.exclude.v[i];

	for (size_t k = 0; k < im->d.install.n; k++) {
		const char *name = im->d.install.v[k];

		if (name[0] != '#' && glob_match(pattern, name))
			found(&im->exclude_at.v[i], RULE_CONFLICT,
			      "\"%s\" excludes \"%s\", which line %u installs", pattern, name,
			      im->install_at.v[k].line);
	}
}

/* A recipe that lists a name twice is refused: the exclusion becomes a comment. */
static void check_exact(struct import *im, size_t i)
{
	char *name SCOPED(mem_freep) = mem_strdup(im->d.exclude.v[i]);

	if (!draft_has(im, &im->d.install, name))
		return;
	found(&im->exclude_at.v[i], RULE_CONFLICT, "\"%s\" is excluded here and installed", name);
	mem_freep(&im->d.exclude.v[i]);
	im->d.exclude.v[i] = mem_format("# %s: also under install", name);
}

static void check_needs(struct import *im)
{
	for (size_t k = 0; k < im->d.install.n; k++) {
		const char *need = known_need(im->d.install.v[k]);

		if (need != NULL && draft_has(im, &im->d.exclude, need))
			found(&im->install_at.v[k], RULE_CONFLICT,
			      "\"%s\" needs \"%s\", which is excluded", im->d.install.v[k], need);
	}
}

void packages_check(struct import *im)
{
	bool globs = im->d.install.n * im->d.exclude.n <= MATCHES_MAX;

	for (size_t i = 0; i < im->d.exclude.n; i++) {
		if (im->d.exclude.v[i][0] == '#')
			continue;
		if (!has_glob(im->d.exclude.v[i]))
			check_exact(im, i);
		else if (globs)
			check_glob(im, i);
	}
	if (!globs)
		found(&im->exclude_at.v[0], RULE_NOT_UNDERSTOOD,
		      "too many packages and exclusions to compare each with each");
	check_needs(im);
}
