/* op_tls.c - what servers and runtimes say about the versions of TLS that they speak, as each of
 * them reads it. The library's own floor is CRY-01's; these settings can go below it. */
#include "harden/lines.h"
#include "harden/op.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Protocols that may not be spoken, in the words of all programs, without regard to case. */
static const char *const old[] = {"SSLv2",       "SSLv3", "TLSv1",  "TLSv1.0", "TLSv1.1",
				  "DTLSv1",      "ssl3",  "tls1.0", "tls1.1",  "VERS-TLS1.0",
				  "VERS-TLS1.1", "0300",  "0301",   "0302"};

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

/* A setting of a file, with the words of it; it begins on the line. */
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

/* A list of what is spoken; a leading "!" takes away, ">=" is a floor, "<=" none. One that only
 * takes away leaves on what it does not name. */
static void judge_list(const struct at *a)
{
	bool tls10 = true, tls11 = true, chosen = false;

	for (size_t i = 1; i < a->words.n; i++) {
		const char *rest = a->words.v[i];

		for (size_t n; *(rest += strspn(rest, ",:;\"'")) != '\0'; rest += n) {
			char *w SCOPED(mem_freep) = NULL;
			bool off = *rest == '!', ceiling = strncmp(rest, "<=", 2) == 0;

			n = strcspn(rest, ",:;\"'");
			w = mem_strndup(rest + strspn(rest, "!<>="), n - strspn(rest, "!<>="));
			if (off) {
				tls10 = tls10 && strcasecmp(w, "TLSv1") != 0;
				tls11 = tls11 && strcasecmp(w, "TLSv1.1") != 0;
			} else if (*w == '$') {
				strv_addf(a->r->found,
					  "/%s:%zu: %s is what %s says, which is not read", a->path,
					  a->line, a->words.v[0], w);
				chosen = true;
			} else if (!ceiling) {
				chosen = true;
				if (is_of(old, COUNT(old), w))
					refuse(a, w);
			}
		}
	}
	if (!chosen && tls10)
		refuse(a, "TLSv1");
	if (!chosen && tls11)
		refuse(a, "TLSv1.1");
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
	const char *name;
	void (*judge)(const struct at *a);
} apache[] = {{"SSLProtocol", judge_set}, {"SSLCipherSuite", judge_ciphers}, {0}},
  nginx[] = {{"ssl_protocols", judge_list}, {"ssl_ciphers", judge_ciphers}, {0}},
  cups[] = {{"SSLOptions", judge_allow}, {0}},
  postfix[] = {{"smtpd_tls_protocols", judge_list},
	       {"smtpd_tls_mandatory_protocols", judge_list},
	       {"smtp_tls_protocols", judge_list},
	       {"smtp_tls_mandatory_protocols", judge_list},
	       {"lmtp_tls_protocols", judge_list},
	       {"lmtp_tls_mandatory_protocols", judge_list},
	       {0}};

/* Judges the setting and forgets its words. */
static void judge(struct at *a, const struct directive *d)
{
	for (; a->words.n > 0 && d->name != NULL; d++)
		if (strcasecmp(a->words.v[0], d->name) == 0)
			d->judge(a);
	strv_release(&a->words);
}

/* Whether an odd number of backslashes ends the line; they are cut off. */
static bool goes_on(char *line)
{
	size_t n = strlen(line), first = n;

	if (n > 0 && line[n - 1] == '\r')
		first = --n;
	while (first > 0 && line[first - 1] == '\\')
		first--;
	if ((n - first) % 2 == 0)
		return false;
	line[n - 1] = '\0';
	return true;
}

/* A setting a line; a backslash at its end joins the next. */
static void read_lines(struct at *a, struct strv *lines, const struct directive *d)
{
	bool more = false;

	for (size_t i = 0; i < lines->n; i++) {
		if (!more)
			a->line = i + 1;
		more = goes_on(lines->v[i]);
		line_words(line_trim(lines->v[i]), &a->words);
		if (!more)
			judge(a, d);
	}
	judge(a, d);
}

/* Settings end with ";", "{" or "}", wherever lines do. */
static void read_nginx(struct at *a, struct strv *lines, const struct directive *d)
{
	for (size_t i = 0; i < lines->n; i++)
		for (const char *p = lines->v[i];
		     *(p += strspn(p, " \t\r")) != '\0' && *p != '#';) {
			size_t n = *p == '"' || *p == '\'' ? strcspn(p + 1, (char[]){*p, 0}) + 1
							   : strcspn(p, " \t\r;{}");

			if (a->words.n == 0)
				a->line = i + 1;
			if (n == 0)
				judge(a, d);
			else if (*p == '"' || *p == '\'')
				strv_take(&a->words, mem_strndup(p + 1, n - 1));
			else
				strv_take(&a->words, mem_strndup(p, n));
			p += n;
			p += *p != '\0' && strchr(";{}\"'", *p) != NULL && n == 0;
			p += n > 0 && (*p == '"' || *p == '\'');
		}
	judge(a, d);
}

/* "name = value"; lines that begin with a blank go on, comments and empty ones between or not. */
static void read_postfix(struct at *a, struct strv *lines, const struct directive *d)
{
	for (size_t i = 0; i < lines->n; i++) {
		char *s = lines->v[i];
		char *text = s + strspn(s, " \t\r"), *equals = strchr(text, '=');

		if (*text == '\0' || *text == '#')
			continue;
		if (s == text) {
			judge(a, d);
			a->line = i + 1;
			if (equals != NULL)
				*equals = ' ';
		}
		line_words(text, &a->words);
	}
	judge(a, d);
}

/* The value of a line "key=value", "key : value" or "key value"; NULL when it is another key's. */
static char *value_of(char *s, const char *key)
{
	size_t n = strlen(key);

	s += strspn(s, " \t\f");
	if (strncmp(s, key, n) != 0 || (s[n] != '\0' && strchr("=: \t\f", s[n]) == NULL))
		return NULL;
	s += n + strspn(s + n, " \t\f");
	return s + (*s == '=' || *s == ':');
}

static void judge_java(const struct op_run *r, const char *path, const struct strv *off)
{
	static const char *const wanted[] = {"SSLv3", "TLSv1", "TLSv1.1", "RC4", "3DES_EDE_CBC"};

	for (size_t k = 0; k < COUNT(wanted); k++) {
		bool has = false;

		for (size_t i = 0; i < off->n && !has; i++)
			has = strcmp(line_trim(off->v[i]), wanted[k]) == 0;
		if (!has)
			strv_addf(r->found, "/%s: jdk.tls.disabledAlgorithms lacks %s", path,
				  wanted[k]);
	}
}

/* Java: a list of what is switched off, which may go on over several lines; the last one counts.
 * Without one nothing is off. */
static void read_java(const struct op_run *r, const char *path, struct strv *lines)
{
	struct buf all SCOPED(buf_release) = BUF_INIT(ROOT_FILE_MAX);
	struct strv off SCOPED(strv_release) = {0};
	bool inside = false, more = false;

	for (size_t i = 0; i < lines->n; i++) {
		char *s = lines->v[i], *value = NULL;
		bool comment = !more && strchr("#!", s[strspn(s, " \t\f")]) != NULL;
		bool on = !comment && goes_on(s);

		if (!more) {
			value = comment ? NULL : value_of(s, "jdk.tls.disabledAlgorithms");
			inside = value != NULL;
		}
		if (value != NULL)
			buf_cut(&all, 0);
		if (inside)
			buf_addf(&all, "%s", value != NULL ? value : s + strspn(s, " \t\f"));
		more = on;
	}
	line_fields(all.len == 0 ? "" : all.data, ',', &off);
	judge_java(r, path, &off);
}

typedef void reader(struct at *a, struct strv *lines, const struct directive *d);

/* How the files are read; by `read_java` without a reader. */
static int look_into(const struct op_run *r, const struct strv *files, reader *read,
		     const struct directive *d, struct err *e)
{
	struct strv paths SCOPED(strv_release) = {0};

	if (root_globs(r->rootfd, files, &paths, e) != 0)
		return -1;
	for (size_t i = 0; i < paths.n; i++) {
		struct strv lines SCOPED(strv_release) = {0};
		struct at a = {.r = r, .path = paths.v[i]};

		if (lines_read(r->rootfd, paths.v[i], &lines, NULL, e) != 0)
			return -1;
		if (read == NULL)
			read_java(r, paths.v[i], &lines);
		else
			read(&a, &lines, d);
	}
	return 0;
}

static int tls_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct tls *w = want;

	if (look_into(r, &w->apache, read_lines, apache, e) != 0 ||
	    look_into(r, &w->nginx, read_nginx, nginx, e) != 0 ||
	    look_into(r, &w->cups, read_lines, cups, e) != 0 ||
	    look_into(r, &w->postfix, read_postfix, postfix, e) != 0)
		return -1;
	return look_into(r, &w->java, NULL, NULL, e);
}

const struct op_kind op_tls = {
    .name = "tls",
    .size = sizeof(struct tls),
    .fields = tls_fields,
    .check = tls_check,
};
