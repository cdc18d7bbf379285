#include "harden/kv.h"

#include "harden/lines.h"
#include "sys/fs.h"
#include <stdlib.h>
#include <string.h>

static const struct kv_format formats[] = {
    {.name = "sshd",
     .syntax = KV_SSHD,
     .wins = KV_FIRST,
     .nocase = true,
     .main = "etc/ssh/sshd_config",
     .dropins = "etc/ssh/sshd_config.d",
     .include = "Include /etc/ssh/sshd_config.d/*.conf",
     .dropin = "00-posmedia.conf",
     .echo = true,
     .comment = "#",
     .join = " "},
    {.name = "login.defs",
     .syntax = KV_WORDS,
     .wins = KV_LAST,
     .main = "etc/login.defs",
     .comment = "#",
     .join = "\t"},
    {.name = "ini",
     .syntax = KV_INI,
     .wins = KV_LAST,
     .dropins = "",
     .dropin = "60-posmedia.conf",
     .echo = true,
     .comment = "#;",
     .join = "="},
    /* of programs that read no drop-ins beside it */
    {.name = "ini-file", .syntax = KV_INI, .wins = KV_LAST, .comment = "#;", .join = "="},
    {.name = "openssl",
     .syntax = KV_INI,
     .wins = KV_LAST,
     .main = "etc/ssl/openssl.cnf",
     .comment = "#;",
     .join = " = "},
    {.name = "pwquality",
     .syntax = KV_EQUALS,
     .wins = KV_LAST,
     .main = "etc/security/pwquality.conf",
     .dropins = "etc/security/pwquality.conf.d",
     .main_last = true,
     .comment = "#",
     .join = " = "},
    {.name = "faillock",
     .syntax = KV_EQUALS,
     .wins = KV_LAST,
     .main = "etc/security/faillock.conf",
     .comment = "#",
     .join = " = "},
    {.name = "auditd",
     .syntax = KV_EQUALS,
     .wins = KV_LAST,
     .nocase = true,
     .main = "etc/audit/auditd.conf",
     .comment = "#",
     .join = " = "},
    {.name = "equals", .syntax = KV_EQUALS, .wins = KV_LAST, .comment = "#", .join = " = "},
    {.name = "limits",
     .syntax = KV_LIMITS,
     .wins = KV_LAST,
     .main = "etc/security/limits.conf",
     .dropins = "etc/security/limits.d",
     .dropin = "60-posmedia.conf",
     .comment = "#",
     .join = " "},
    {.name = "sysctl",
     .syntax = KV_EQUALS,
     .wins = KV_LAST,
     .main = "etc/sysctl.conf",
     .dropins = "etc/sysctl.d",
     .main_last = true,
     .dropin = "60-posmedia.conf",
     .comment = "#;",
     .join = " = "},
    {.name = "shell", .syntax = KV_SHELL, .wins = KV_LAST, .comment = "#", .join = "="},
    {.name = "rsyslog",
     .syntax = KV_WORDS,
     .wins = KV_EVERY,
     .main = "etc/rsyslog.conf",
     .dropins = "etc/rsyslog.d",
     .comment = "#",
     .join = " "},
    {.name = "sudoers",
     .syntax = KV_SUDOERS,
     .wins = KV_LAST,
     .main = "etc/sudoers",
     .dropins = "etc/sudoers.d",
     .include = "@includedir /etc/sudoers.d",
     .dropin = "60-posmedia",
     .comment = "#",
     .join = "="},
};

enum { FORMATS_N = sizeof(formats) / sizeof(formats[0]) };

const struct kv_format *kv_format_find(const char *name)
{
	for (size_t i = 0; i < FORMATS_N; i++)
		if (strcmp(formats[i].name, name) == 0)
			return &formats[i];
	return NULL;
}

const char *const *kv_format_names(void)
{
	static const char *names[FORMATS_N + 1];

	for (size_t i = 0; i < FORMATS_N; i++)
		names[i] = formats[i].name;
	return names;
}

bool kv_same_key(const struct kv_format *f, const char *a, const char *b)
{
	return (f->nocase ? strcasecmp(a, b) : strcmp(a, b)) == 0;
}

void kv_take(struct kv_set *s, struct kv_entry *en)
{
	s->v = mem_resize(s->v, s->n + 1, sizeof(*s->v));
	s->v[s->n++] = *en;
	*en = (struct kv_entry){0};
}

void kv_entry_release(struct kv_entry *en)
{
	free(en->key);
	free(en->val);
	free(en->file);
}

void kv_release(struct kv_set *s)
{
	for (size_t i = 0; i < s->n; i++)
		kv_entry_release(&s->v[i]);
	free(s->v);
	*s = (struct kv_set){0};
}

/* The directory of drop-ins in /etc of a format, or NULL; the caller owns it. */
static char *dropin_dir(const struct kv_format *f, const char *main)
{
	if (f->dropins == NULL)
		return NULL;
	return *f->dropins == '\0' ? mem_format("%s.d", main) : mem_strdup(f->dropins);
}

char *kv_target(const struct kv_format *f, const char *main)
{
	char *dir SCOPED(mem_freep) = f->dropin == NULL ? NULL : dropin_dir(f, main);

	return dir == NULL ? mem_strdup(main) : mem_format("%s/%s", dir, f->dropin);
}

static int by_basename(const void *a, const void *b)
{
	const char *x = strrchr(*(char *const *)a, '/'), *y = strrchr(*(char *const *)b, '/');

	return strcmp(x, y);
}

/* Drop-ins in the order they are read: by name; one in /etc hides one of the same name in /run,
 * and that one in /usr/lib (sysctl.d(5), systemd.unit(5)). */
static int list_dropins(int rootfd, const struct kv_format *f, const char *main, struct strv *ret,
			struct err *e)
{
	static const char *const tops[] = {"etc/", "run/", "usr/local/lib/", "usr/lib/"};
	char *dir SCOPED(mem_freep) = dropin_dir(f, main);
	struct strv names SCOPED(strv_release) = {0};

	if (dir == NULL)
		return 0;
	for (size_t i = 0; i < sizeof(tops) / sizeof(tops[0]); i++) {
		struct strv found SCOPED(strv_release) = {0};
		char *pattern SCOPED(mem_freep) =
		    mem_format("%s%s/*.conf", tops[i], dir + strlen("etc/"));

		if (root_glob(rootfd, pattern, &found, e) != 0)
			return -1;
		for (size_t k = 0; k < found.n; k++) {
			const char *name = strrchr(found.v[k], '/') + 1;

			if (strv_has(&names, name))
				continue;
			strv_add(&names, name);
			strv_add(ret, found.v[k]);
		}
	}
	if (ret->n > 0)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_basename);
	return 0;
}

static int list_files(int rootfd, const struct kv_format *f, const char *main, struct strv *ret,
		      struct err *e)
{
	if (list_dropins(rootfd, f, main, ret, e) != 0)
		return -1;
	lines_insert(ret, f->main_last ? ret->n : 0, main);
	return 0;
}

static int read_file(int rootfd, const struct kv_format *f, const char *path, struct kv_set *ret,
		     struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};
	char *section SCOPED(mem_freep) = mem_strdup("");

	if (lines_read(rootfd, path, &lines, NULL, e) != 0)
		return -1;
	for (size_t i = 0; i < lines.n; i++) {
		struct kv_entry en SCOPED(kv_entry_release) = {0};

		if (!kv_split(f, lines.v[i], &section, &en))
			continue;
		en.file = mem_strdup(path);
		en.line = i + 1;
		kv_take(ret, &en);
	}
	return 0;
}

/* Whether each line of the key adds to what the others say, sshd_config(5). */
static bool adds_up(const struct kv_format *f, const char *key)
{
	static const char *const keys[] = {"AcceptEnv", "AllowGroups", "AllowUsers", "DenyGroups",
					   "DenyUsers"};

	for (size_t i = 0; f->syntax == KV_SSHD && i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcasecmp(keys[i], key) == 0)
			return true;
	return false;
}

/* Leaves of each key the one that counts. */
static void keep_effective(const struct kv_format *f, struct kv_set *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		size_t k = 0;

		while (k < n && (s->v[k].scoped || !kv_same_key(f, s->v[k].key, s->v[i].key)))
			k++;
		if (f->wins == KV_EVERY || s->v[i].scoped || k == n || adds_up(f, s->v[i].key)) {
			s->v[n++] = s->v[i];
		} else if (f->wins == KV_LAST) {
			kv_entry_release(&s->v[k]);
			s->v[k] = s->v[i];
		} else {
			kv_entry_release(&s->v[i]);
		}
	}
	s->n = n;
}

int kv_read(int rootfd, const struct kv_format *f, const char *main, struct kv_set *ret,
	    struct err *e)
{
	struct kv_set s SCOPED(kv_release) = {0};
	struct strv files SCOPED(strv_release) = {0};
	const char *path = f->main != NULL ? f->main : main;
	int rc;

	if (f->syntax == KV_SSHD)
		rc = sshd_read(rootfd, f, path, &s, e);
	else if (f->syntax == KV_SUDOERS)
		rc = sudoers_read(rootfd, f, path, &s, e);
	else
		rc = list_files(rootfd, f, path, &files, e);
	if (rc != 0)
		return -1;
	for (size_t i = 0; i < files.n; i++)
		if (read_file(rootfd, f, files.v[i], &s, e) != 0)
			return -1;
	keep_effective(f, &s);
	*ret = s;
	s = (struct kv_set){0};
	return 0;
}
