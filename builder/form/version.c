#include "form/version.h"

#include <stdbool.h>
#include <string.h>

/* A part of a version: not terminated. */
struct span {
	const char *p;
	size_t n;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char first(struct span s)
{
	return s.n > 0 ? s.p[0] : '\0';
}

static void skip(struct span *s, size_t n)
{
	s->p += n;
	s->n -= n;
}

/* Takes the run of digits at the front, without leading zeros; its length says its size. */
static struct span take_digits(struct span *s)
{
	struct span d;

	while (first(*s) == '0')
		skip(s, 1);
	d = (struct span){s->p, 0};
	while (is_digit(first(*s))) {
		d.n++;
		skip(s, 1);
	}
	return d;
}

/* Numbers of any length: the longer one is greater. */
static int compare_digits(struct span a, struct span b)
{
	if (a.n != b.n)
		return a.n < b.n ? -1 : 1;
	return a.n == 0 ? 0 : memcmp(a.p, b.p, a.n);
}

const char *version_without_epoch(const char *version)
{
	const char *colon = strchr(version, ':');

	for (const char *p = version; colon != NULL && p < colon; p++)
		if (!is_digit(*p))
			return version;
	return colon != NULL ? colon + 1 : version;
}

static int compare_epochs(const char *a, const char *b)
{
	struct span x = {a, (size_t)(version_without_epoch(a) - a)};
	struct span y = {b, (size_t)(version_without_epoch(b) - b)};

	return compare_digits(take_digits(&x), take_digits(&y));
}

/* deb-version(7): '~' before the end, the end before letters, letters before all others. */
static int deb_weight(struct span s)
{
	char c = first(s);

	if (c == '~')
		return -1;
	if (s.n == 0 || is_digit(c))
		return 0;
	return is_letter(c) ? (unsigned char)c : (unsigned char)c + 256;
}

static int deb_part(struct span a, struct span b)
{
	while (a.n > 0 || b.n > 0) {
		int c;

		while ((a.n > 0 && !is_digit(first(a))) || (b.n > 0 && !is_digit(first(b)))) {
			c = deb_weight(a) - deb_weight(b);
			if (c != 0)
				return c;
			skip(&a, a.n > 0);
			skip(&b, b.n > 0);
		}
		c = compare_digits(take_digits(&a), take_digits(&b));
		if (c != 0)
			return c;
	}
	return 0;
}

/* Splits "UPSTREAM-REVISION" at its last hyphen; without one *ret_rest is empty. */
static struct span split(const char *s, struct span *ret_rest)
{
	const char *hyphen = strrchr(s, '-');

	*ret_rest = (struct span){"", 0};
	if (hyphen == NULL)
		return (struct span){s, strlen(s)};
	*ret_rest = (struct span){hyphen + 1, strlen(hyphen + 1)};
	return (struct span){s, (size_t)(hyphen - s)};
}

/* Epoch, then what is before the last hyphen, then what is behind it. */
static int compare(const char *a, const char *b, int (*part)(struct span a, struct span b))
{
	struct span x, y, x_rest, y_rest;
	int c = compare_epochs(a, b);

	if (c != 0)
		return c;
	x = split(version_without_epoch(a), &x_rest);
	y = split(version_without_epoch(b), &y_rest);
	c = part(x, y);
	return c != 0 ? c : part(x_rest, y_rest);
}

int version_compare_deb(const char *a, const char *b)
{
	return compare(a, b, deb_part);
}

/* Drops what rpm takes for a separator. */
static void rpm_skip(struct span *s)
{
	while (s->n > 0 && !is_digit(s->p[0]) && !is_letter(s->p[0]) && s->p[0] != '~' &&
	       s->p[0] != '^')
		skip(s, 1);
}

static struct span take_letters(struct span *s)
{
	struct span l = {s->p, 0};

	while (is_letter(first(*s))) {
		l.n++;
		skip(s, 1);
	}
	return l;
}

static int compare_letters(struct span a, struct span b)
{
	int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	if (c != 0 || a.n == b.n)
		return c;
	return a.n < b.n ? -1 : 1;
}

/* Where one has '~' it is the older; where one has '^' it is the newer if the other ends here and
 * the older if it goes on. *ret_both: both have the mark, which is taken. */
static int rpm_marks(struct span *a, struct span *b, bool *ret_both)
{
	char x = first(*a), y = first(*b);

	*ret_both = false;
	if (x == '~' || y == '~') {
		if (x != y)
			return x == '~' ? -1 : 1;
	} else if (x == '^' || y == '^') {
		if (a->n == 0 || b->n == 0)
			return a->n == 0 ? -1 : 1;
		if (x != y)
			return x == '^' ? -1 : 1;
	} else {
		return 0;
	}
	*ret_both = true;
	skip(a, 1);
	skip(b, 1);
	return 0;
}

/* Digits are newer than letters. */
static int rpm_segment(struct span *a, struct span *b)
{
	bool number = is_digit(first(*a));

	if (number != is_digit(first(*b)))
		return number ? 1 : -1;
	if (number)
		return compare_digits(take_digits(a), take_digits(b));
	return compare_letters(take_letters(a), take_letters(b));
}

static int rpm_part(struct span a, struct span b)
{
	for (;;) {
		bool both;
		int c;

		rpm_skip(&a);
		rpm_skip(&b);
		c = rpm_marks(&a, &b, &both);
		if (c != 0)
			return c;
		if (both)
			continue;
		if (a.n == 0 || b.n == 0)
			return a.n == b.n ? 0 : a.n == 0 ? -1 : 1;
		c = rpm_segment(&a, &b);
		if (c != 0)
			return c;
	}
}

int version_compare_rpm(const char *a, const char *b)
{
	return compare(a, b, rpm_part);
}
