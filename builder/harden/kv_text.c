/* kv_text.c - lines of settings: taking them apart, and editing a file of them. */
#include "harden/kv.h"

#include "harden/lines.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool is_comment(const struct kv_format *f, const char *s)
{
	return *s == '\0' || strchr(f->comment, *s) != NULL;
}

/* The section that a line opens, without brackets or blanks (openssl.cnf pads them); NULL when it
 * opens none. The caller owns it. */
static char *section_of(const char *line)
{
	char *copy SCOPED(mem_freep) = mem_strdup(line);
	char *s = line_trim(copy);

	if (*s != '[')
		return NULL;
	s[strcspn(s, "]")] = '\0';
	return mem_strdup(line_trim(s + 1));
}

/* Cuts "key<blanks or seps>value" of s in two; the value may be "". */
static void cut(char *s, const char *seps, struct kv_entry *ret)
{
	size_t n = strcspn(s, seps);
	char *val = s + n + strspn(s + n, " \t");

	if (*val != '\0' && *val == '=' && strchr(seps, '=') != NULL)
		val++;
	val = line_trim(val);
	ret->key = mem_strndup(s, n);
	ret->val = mem_strdup(val);
}

static void unquote(struct kv_entry *en)
{
	size_t n = strlen(en->val);

	if (n < 2 || (en->val[0] != '"' && en->val[0] != '\'') || en->val[n - 1] != en->val[0])
		return;
	en->val[n - 1] = '\0';
	memmove(en->val, en->val + 1, n - 1);
}

static bool split_limits(const char *s, struct kv_entry *ret)
{
	struct strv w SCOPED(strv_release) = {0};

	line_words(s, &w);
	if (w.n < 4)
		return false;
	/* "-" is both, soft and hard: what counts is the hard one */
	ret->key = mem_format("%s %s", strcmp(w.v[1], "-") == 0 ? "hard" : w.v[1], w.v[2]);
	ret->val = mem_strdup(w.v[3]);
	ret->scoped = strcmp(w.v[0], "*") != 0;
	return true;
}

/* sysctl.d(5): with a slash as the first separator, slashes and dots change places. */
static void dot_key(char *key)
{
	if (key[strcspn(key, "./")] != '/')
		return;
	for (; *key != '\0'; key++)
		*key = *key == '/' ? '.' : *key == '.' ? '/' : *key;
}

static bool split_equals(const struct kv_format *f, char *s, const char *section,
			 struct kv_entry *ret)
{
	char *key;

	/* sysctl.d(5): a leading '-' only says that failing to set it is no error */
	if (strcmp(f->name, "sysctl") == 0)
		s += *s == '-' ? 1 : 0;
	cut(s, "= \t", ret);
	if (strcmp(f->name, "sysctl") == 0)
		dot_key(ret->key);
	if (*section == '\0')
		return true;
	key = mem_format("%s.%s", section, ret->key);
	mem_freep(&ret->key);
	ret->key = key;
	return true;
}

/* "Defaults name=value" with one setting, as we write it. */
static bool split_defaults(char *s, struct kv_entry *ret)
{
	if (strncmp(s, "Defaults", 8) != 0 || (s[8] != ' ' && s[8] != '\t'))
		return false;
	cut(line_trim(s + 8), "= \t", ret);
	unquote(ret);
	return true;
}

bool kv_split(const struct kv_format *f, const char *line, char **section, struct kv_entry *ret)
{
	char *copy SCOPED(mem_freep) = mem_strdup(line);
	char *s = line_trim(copy);

	if (is_comment(f, s))
		return false;
	if (f->syntax == KV_INI && *s == '[') {
		mem_freep(section);
		*section = section_of(s);
		return false;
	}
	switch (f->syntax) {
	case KV_LIMITS:
		return split_limits(s, ret);
	case KV_WORDS:
		cut(s, " \t", ret);
		return true;
	case KV_SHELL:
		s += strncmp(s, "export ", 7) == 0 ? 7 : 0;
		cut(s, "=", ret);
		unquote(ret);
		return true;
	case KV_SSHD:
		cut(s, "= \t", ret);
		unquote(ret);
		return true;
	case KV_SUDOERS:
		return split_defaults(s, ret);
	case KV_EQUALS:
	case KV_INI:
		break;
	}
	return split_equals(f, s, *section, ret);
}

/* "Defaults name=value": quoted where sudoers(5) wants it, since scanners know numbers only bare.
 */
static char *default_line(const char *key, const char *val)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_./-";

	if (*val == '\0')
		return mem_format("Defaults\t%s", key);
	return val[strspn(val, plain)] == '\0' ? mem_format("Defaults\t%s=%s", key, val)
					       : mem_format("Defaults\t%s=\"%s\"", key, val);
}

/* Whether what follows holds for some only. */
static bool begins_block(const struct kv_format *f, const char *line)
{
	struct strv w SCOPED(strv_release) = {0};

	if (f->syntax != KV_SSHD)
		return false;
	line_words(line, &w);
	return w.n > 0 && strcasecmp(w.v[0], "Match") == 0;
}

/* The line that sets a key, without its section. */
static char *make_line(const struct kv_format *f, const char *const key_val[2])
{
	const char *key = key_val[0], *dot = strchr(key, '.');

	if (f->syntax == KV_INI && dot != NULL)
		key = dot + 1;
	if (f->syntax == KV_LIMITS)
		return mem_format("* %s%s%s", key, f->join, key_val[1]);
	if (f->syntax == KV_SUDOERS)
		return default_line(key, key_val[1]);
	return *key_val[1] == '\0' ? mem_strdup(key)
				   : mem_format("%s%s%s", key, f->join, key_val[1]);
}

/* Where a new line for the key belongs: the end of what holds for all, or the end of its section,
 * which is made. */
static size_t place(const struct kv_format *f, const char *key, struct strv *lines)
{
	const char *dot = strchr(key, '.');
	char *wanted SCOPED(mem_freep) = mem_strndup(key, dot == NULL ? 0 : (size_t)(dot - key));
	bool inside = dot == NULL;

	if (f->syntax != KV_INI) {
		size_t i = 0;

		while (i < lines->n && !begins_block(f, lines->v[i]))
			i++;
		return i;
	}
	for (size_t i = 0; i < lines->n; i++) {
		char *section SCOPED(mem_freep) = section_of(lines->v[i]);

		if (section != NULL && inside)
			return i;
		inside = inside || (section != NULL && strcmp(section, wanted) == 0);
	}
	if (!inside)
		strv_addf(lines, "[%s]", wanted);
	return lines->n;
}

int kv_write(int rootfd, const struct kv_format *f, const char *path, const char *const key_val[2],
	     struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};
	char *section SCOPED(mem_freep) = mem_strdup("");
	char *line SCOPED(mem_freep) = make_line(f, key_val);
	size_t at = SIZE_MAX;
	bool there;

	if (lines_read(rootfd, path, &lines, &there, e) != 0)
		return -1;
	if (!there && f->dropin != NULL)
		strv_add(&lines, "# Written by posmedia from a hardening profile.");
	for (size_t i = 0; i < lines.n && !begins_block(f, lines.v[i]); i++) {
		struct kv_entry en SCOPED(kv_entry_release) = {0};

		if (kv_split(f, lines.v[i], &section, &en) && !en.scoped &&
		    kv_same_key(f, en.key, key_val[0]))
			at = i;
	}
	if (at != SIZE_MAX)
		lines_replace(&lines, at, line);
	else
		lines_insert(&lines, place(f, key_val[0], &lines), line);
	return lines_write(rootfd, path, &lines,
			   f->syntax == KV_SSHD      ? 0600
			   : f->syntax == KV_SUDOERS ? 0440
						     : 0644,
			   e);
}
