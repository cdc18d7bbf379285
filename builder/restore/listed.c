#include "restore/listed.h"

#include <stdlib.h>
#include <string.h>

void listed_release(struct listed *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].raw);
		free(l->v[i].path);
		free(l->v[i].full);
		free(l->v[i].same_as);
	}
	free(l->v);
	*l = (struct listed){0};
}

/* Without what a name may begin and end with, and without what says nothing within. */
static char *plain(const char *raw)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);

	for (const char *at = raw; *at != '\0';) {
		size_t n = strcspn(at, "/");

		if (n > 0 && !(n == 1 && at[0] == '.')) {
			if (b.len > 0)
				buf_add(&b, "/", 1);
			buf_add(&b, at, n);
		}
		at += n + (at[n] == '/');
	}
	return b.len > 0 ? buf_take(&b) : mem_strdup("");
}

static void add(struct listed *l, const char *raw, const char *same_as)
{
	struct listed_one *one;

	if (l->n == l->cap)
		l->v = mem_resize(l->v, l->cap = l->cap * 2 + 64, sizeof(*l->v));
	one = &l->v[l->n];
	*one = (struct listed_one){.raw = mem_strdup(raw), .path = plain(raw)};
	one->full = mem_format("/%s", one->path);
	one->same_as = same_as != NULL ? plain(same_as) : NULL;
	l->n++;
}

static bool octal(const char *s)
{
	return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' && s[2] >= '0' &&
	       s[2] <= '7';
}

static char byte_of(const char *s)
{
	return (char)((s[0] - '0') << 6 | (s[1] - '0') << 3 | (s[2] - '0'));
}

/* \#ooo, as rsync writes what is not printable, and a backslash before such a thing. */
static void rsync_plain(char *s)
{
	char *to = s;

	while (*s != '\0') {
		if (s[0] == '\\' && s[1] == '#' && octal(s + 2)) {
			*to++ = byte_of(s + 2);
			s += 5;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

int listed_rsync(char *text, struct listed *ret, struct err *e)
{
	static const char between[] = "\\#001", arrow[] = " => ";
	const size_t n = sizeof(between) - 1;

	for (char *at = text, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
		char *name, *link;

		*end = '\0';
		name = strstr(at, between);
		link = name != NULL ? strstr(name + n, between) : NULL;
		if (link == NULL)
			return err_set(e, ERR_REMOTE, "rsync: no line of a list: %.100s", at);
		*name = *link = '\0';
		name += n;
		link += n;
		rsync_plain(name);
		rsync_plain(link);
		if (at[0] != 'h')
			link = NULL;
		else if (strncmp(link, arrow, strlen(arrow)) != 0)
			return err_set(e, ERR_REMOTE, "rsync: no line of a link: %.100s", at);
		add(ret, name, link != NULL ? link + strlen(arrow) : NULL);
	}
	return 0;
}

/* A string of C, changed in place: *at is its first quote, and then what is behind its last. */
static char *quoted(char **at)
{
	static const char letters[] = "abfnrtv", means[] = "\a\b\f\n\r\t\v";
	char *from = *at, *to, *start;

	if (*from++ != '"')
		return NULL;
	start = to = from;
	while (*from != '"') {
		const char *letter;

		if (*from != '\\') {
			if (*from == '\0')
				return NULL;
			*to++ = *from++;
			continue;
		}
		letter = from[1] != '\0' ? strchr(letters, from[1]) : NULL;
		if (octal(from + 1)) {
			*to++ = byte_of(from + 1);
			from += 4;
			continue;
		}
		if (from[1] == '\0')
			return NULL;
		*to++ = letter != NULL ? means[letter - letters] : from[1];
		from += 2;
	}
	*to = '\0';
	*at = from + 1;
	return start;
}

int listed_tar(char *text, struct listed *ret, struct err *e)
{
	static const char link_to[] = " link to ";

	for (char *at = text, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
		bool link = at[0] == 'h';
		char *name, *of = NULL, *rest;

		*end = '\0';
		rest = strchr(at, '"');
		name = rest != NULL ? quoted(&rest) : NULL;
		if (link && name != NULL && strncmp(rest, link_to, strlen(link_to)) == 0) {
			rest += strlen(link_to);
			of = quoted(&rest);
		}
		if (name == NULL || (link && of == NULL))
			return err_set(e, ERR_VERIFY, "tar: no line of a list: %.100s", at);
		add(ret, name, of);
	}
	return 0;
}

void listed_find_links(const struct listed *l, struct restore_filter *f)
{
	struct restore_name *v SCOPED(mem_freep) = mem_zalloc((l->n + 1) * sizeof(*v));

	for (size_t i = 0; i < l->n; i++)
		v[i] = (struct restore_name){l->v[i].path, l->v[i].full, l->v[i].same_as};
	restore_filter_find_links(f, v, l->n);
}
