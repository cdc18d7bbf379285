#include "base/glob.h"

#include <string.h>

/* Matches one character against the class at *p ("[…]"), moving *p behind it. An unclosed class is
 * a plain '['. */
static bool class_match(const char **p, char c)
{
	const char *at = *p + 1;
	bool negated = *at == '!', hit = false;

	if (negated)
		at++;
	for (bool first = true; *at != '\0' && (first || *at != ']'); first = false) {
		char lo = *at++, hi = lo;

		if (at[0] == '-' && at[1] != ']' && at[1] != '\0') {
			hi = at[1];
			at += 2;
		}
		if (c >= lo && c <= hi)
			hit = true;
	}
	if (*at != ']') {
		(*p)++;
		return c == '[';
	}
	*p = at + 1;
	return hit != negated && c != '/';
}

/* One pattern element other than a star; false when it does not match c. */
static bool one_match(const char **p, char c)
{
	if (**p == '?') {
		(*p)++;
		return c != '/';
	}
	if (**p == '[')
		return class_match(p, c);
	if (**p == '\\' && (*p)[1] != '\0')
		(*p)++;
	return *(*p)++ == c;
}

/* Greedy matching with one remembered star of each kind: linear in practice, never exponential. */
static bool match(const char *p, const char *s)
{
	const char *star = NULL, *star_s = NULL, *deep = NULL, *deep_s = NULL;

	for (;;) {
		const char *next = p;

		if (p[0] == '*' && p[1] == '*') {
			deep = p += 2;
			deep_s = s;
			star = NULL;
		} else if (p[0] == '*') {
			star = ++p;
			star_s = s;
		} else if (*s == '\0' && *p == '\0') {
			return true;
		} else if (*s != '\0' && *p != '\0' && one_match(&next, *s)) {
			p = next;
			s++;
		} else if (star != NULL && *star_s != '\0' && *star_s != '/') {
			p = star;
			s = ++star_s;
		} else if (deep != NULL && *deep_s != '\0') {
			p = deep;
			s = ++deep_s;
			star = NULL;
		} else {
			return false;
		}
	}
}

bool glob_match(const char *pattern, const char *path)
{
	size_t n = strlen(pattern);

	if (n >= 3 && strcmp(pattern + n - 3, "/**") == 0) {
		char *base SCOPED(mem_freep) = mem_strndup(pattern, n - 3);

		if (match(base, path))
			return true;
	}
	return match(pattern, path);
}
