/* op_tls.c - what servers and runtimes say about the versions of TLS that they speak, as each of
 * them reads it. The library's own floor is CRY-01's; these settings can go below it. */
#include "harden/lines.h"
#include "harden/op.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Protocols that may not be spoken, in the words of all programs, without regard to case. */
static const char *const old[] = {"SSLv2",   "SSLv3",       "TLSv1",      "TLSv1.0",
				  "TLSv1.1", "DTLSv1",      "ssl3",       "tls1.0",
				  "tls1.1",  "VERS-TLS1.0", "VERS-TLS1.1"};

static const char *const weak[] = {"RC4", "3DES", "DES-CBC3", "NULL", "EXPORT", "aNULL", "MD5"};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct tls {
	struct strv apache, nginx, cups, postfix, java; /* patterns of files */
};

static const struct field tls_fields[] = {
    {"apache", FIELD_PATHS, offsetof(struct tls, apache), false},
    {"nginx", FIELD_PATHS, offsetof(struct tls, nginx), false},
    {"cups", FIELD_PATHS, offsetof(struct tls, cups), false},
    {"postfix", FIELD_PATHS, offsetof(struct tls, postfix), false},
    {"java", FIELD_PATHS, offsetof(struct tls, java), false},
    {0},
};

static bool is_of(const char *const *list, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(list[i], word) == 0)
			return true;
	return false;
}

/* A line of a file, with the words of it. */
struct at {
	const struct op_run *r;
	const char *path;
	size_t line;
	struct strv words;
};

static void refuse(const struct at *a, const char *what)
{
	strv_addf(a->r->found, "/%s:%zu: %s speaks %s", a->path, a->line, a->words.v[0], what);
}

/* Apache: "all" and "+X" add, "-X" takes away, from left to right. */
static void judge_set(const struct at *a)
{
	static const char *const known[] = {"SSLv3", "TLSv1", "TLSv1.1"};
	bool on[COUNT(known)] = {false};

	for (size_t i = 1; i < a->words.n; i++) {
		const char *w = a->words.v[i];
		bool add = *w != '-';

		w += *w == '-' || *w == '+';
		for (size_t k = 0; k < COUNT(known); k++)
			/* SSLv3 is not among "all" since 2.4.17 */
			if (strcasecmp(w, known[k]) == 0 || (k > 0 && strcasecmp(w, "all") == 0))
				on[k] = add;
	}
	for (size_t k = 0; k < COUNT(known); k++)
		if (on[k])
			refuse(a, known[k]);
}

/* A list of what is spoken; a leading "!" takes away, ">=" is a floor. */
static void judge_list(const struct at *a)
{
	for (size_t i = 1; i < a->words.n; i++) {
		char *w = a->words.v[i];

		w[strcspn(w, ";,")] = '\0';
		w += strspn(w, ">=<\"'");
		if (*w != '!' && is_of(old, COUNT(old), w))
			refuse(a, w);
	}
}

/* Ciphers, by OpenSSL's rules: "!X" and "-X" take away. */
static void judge_ciphers(const struct at *a)
{
	for (size_t i = 1; i < a->words.n; i++) {
		struct strv parts SCOPED(strv_release) = {0};

		line_fields(a->words.v[i], ':', &parts);
		for (size_t k = 0; k < parts.n; k++) {
			char *p = parts.v[k];

			p[strcspn(p, ";\"'")] = '\0';
			p += strspn(p, "+\"'");
			if (*p == '!' || *p == '-')
				continue;
			for (size_t x = 0; x < COUNT(weak); x++)
				if (strcasestr(p, weak[x]) != NULL)
					refuse(a, p);
		}
	}
}

/* CUPS: what is allowed in addition. */
static void judge_allow(const struct at *a)
{
	static const char *const allow[] = {"AllowSSL3", "AllowRC4", "AllowDH", "MinTLS1.0",
					    "MinTLS1.1"};

	for (size_t i = 1; i < a->words.n; i++)
		if (is_of(allow, COUNT(allow), a->words.v[i]))
			refuse(a, a->words.v[i]);
}

static const struct directive {
	size_t files; /* offset of the patterns in struct tls */
	const char *name;
	void (*judge)(const struct at *a);
} directives[] = {
    {offsetof(struct tls, apache), "SSLProtocol", judge_set},
    {offsetof(struct tls, apache), "SSLCipherSuite", judge_ciphers},
    {offsetof(struct tls, nginx), "ssl_protocols", judge_list},
    {offsetof(struct tls, nginx), "ssl_ciphers", judge_ciphers},
    {offsetof(struct tls, cups), "SSLOptions", judge_allow},
    {offsetof(struct tls, postfix), "smtpd_tls_protocols", judge_list},
    {offsetof(struct tls, postfix), "smtpd_tls_mandatory_protocols", judge_list},
    {offsetof(struct tls, postfix), "smtp_tls_mandatory_protocols", judge_list},
};

/* "name = value", as postfix has it, is words as well; ">=value" stays one. */
static void split_equals(char *line)
{
	for (char *p = line; *p != '\0'; p++)
		if (*p == '=' && (p == line || strchr("<>", p[-1]) == NULL))
			*p = ' ';
}

static int look_into(const struct op_run *r, const struct directive *d, const char *path,
		     struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};

	if (lines_read(r->rootfd, path, &lines, NULL, e) != 0)
		return -1;
	for (size_t i = 0; i < lines.n; i++) {
		struct at a = {.r = r, .path = path, .line = i + 1};

		split_equals(lines.v[i]);
		line_words(line_trim(lines.v[i]), &a.words);
		if (a.words.n > 1 && strcasecmp(a.words.v[0], d->name) == 0)
			d->judge(&a);
		strv_release(&a.words);
	}
	return 0;
}

/* Java: a list of what is switched off, which may go on over several lines. */
static int look_into_java(const struct op_run *r, const char *path, struct err *e)
{
	static const char key[] = "jdk.tls.disabledAlgorithms=";
	static const char *const wanted[] = {"SSLv3", "TLSv1", "TLSv1.1", "RC4", "3DES_EDE_CBC"};
	struct strv lines SCOPED(strv_release) = {0}, off SCOPED(strv_release) = {0};
	bool inside = false, seen = false;

	if (lines_read(r->rootfd, path, &lines, NULL, e) != 0)
		return -1;
	for (size_t i = 0; i < lines.n; i++) {
		char *s = line_trim(lines.v[i]);
		bool more = *s != '\0' && s[strlen(s) - 1] == '\\';

		if (!inside && strncmp(s, key, strlen(key)) == 0) {
			strv_release(&off);
			s += strlen(key);
			inside = seen = true;
		}
		if (inside)
			line_fields(s, ',', &off);
		inside = inside && more;
	}
	for (size_t k = 0; k < COUNT(wanted) && seen; k++) {
		bool has = false;

		for (size_t i = 0; i < off.n && !has; i++)
			has = strcmp(line_trim(off.v[i]), wanted[k]) == 0;
		if (!has)
			strv_addf(r->found, "/%s: jdk.tls.disabledAlgorithms lacks %s", path,
				  wanted[k]);
	}
	return 0;
}

static int tls_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct tls *w = want;
	struct strv java SCOPED(strv_release) = {0};

	for (size_t i = 0; i < COUNT(directives); i++) {
		const struct strv *files =
		    (const struct strv *)((const char *)want + directives[i].files);
		struct strv paths SCOPED(strv_release) = {0};

		if (root_globs(r->rootfd, files, &paths, e) != 0)
			return -1;
		for (size_t k = 0; k < paths.n; k++)
			if (look_into(r, &directives[i], paths.v[k], e) != 0)
				return -1;
	}
	if (root_globs(r->rootfd, &w->java, &java, e) != 0)
		return -1;
	for (size_t i = 0; i < java.n; i++)
		if (look_into_java(r, java.v[i], e) != 0)
			return -1;
	return 0;
}

const struct op_kind op_tls = {
    .name = "tls",
    .size = sizeof(struct tls),
    .fields = tls_fields,
    .check = tls_check,
};
