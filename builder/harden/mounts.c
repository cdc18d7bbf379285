#include "harden/mounts.h"

#include "harden/lines.h"
#include "sys/fs.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOUNTS_MAX = 10000 };

void mounts_release(struct mounts *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->v[i].what);
		free(m->v[i].at);
		free(m->v[i].type);
		free(m->v[i].options);
		free(m->v[i].file);
	}
	free(m->v);
	*m = (struct mounts){0};
}

/* A path without the slashes at its end; the caller owns it. */
static char *plain_path(const char *s)
{
	size_t n = strlen(s);

	while (n > 1 && s[n - 1] == '/')
		n--;
	return mem_strndup(s, n);
}

static int add(struct mounts *m, struct mount_entry *en, struct err *e)
{
	if (m->n == MOUNTS_MAX) {
		struct mounts one = {.v = mem_zalloc(sizeof(*en)), .n = 1};

		one.v[0] = *en;
		mounts_release(&one);
		return err_set(e, ERR_FAIL, "more than %d mounts", MOUNTS_MAX);
	}
	if ((m->n & (m->n - 1)) == 0)
		m->v = mem_resize(m->v, m->n == 0 ? 1 : m->n * 2, sizeof(*m->v));
	m->v[m->n++] = *en;
	return 0;
}

int mounts_parse_fstab(const struct strv *lines, struct mounts *ret, struct err *e)
{
	for (size_t i = 0; i < lines->n; i++) {
		struct strv w SCOPED(strv_release) = {0};
		struct mount_entry en = {.line = i + 1};

		line_words(lines->v[i], &w);
		if (w.n < 3 || w.v[0][0] == '#')
			continue;
		en.what = mem_strdup(w.v[0]);
		en.at = plain_path(w.v[1]);
		en.type = mem_strdup(w.v[2]);
		en.options = mem_strdup(w.n > 3 ? w.v[3] : "defaults");
		en.file = mem_strdup("etc/fstab");
		if (add(ret, &en, e) != 0)
			return -1;
	}
	return 0;
}

/* "/var/log" is "var-log.mount"; the caller owns it. */
static char *unit_name(const char *at)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);

	for (const char *p = at + 1; *p != '\0'; p++) {
		if (*p == '/')
			buf_addf(&b, "-");
		else if (isalnum((unsigned char)*p) || *p == '_' || (*p == '.' && p != at + 1))
			buf_add(&b, p, 1);
		else
			buf_addf(&b, "\\x%02x", (unsigned char)*p);
	}
	buf_addf(&b, "%s.mount", at[1] == '\0' ? "-" : "");
	return buf_take(&b);
}

static bool is_null_link(int rootfd, const char *path)
{
	char target[16];
	const char *name;
	int fd SCOPED(fd_closep) = root_parent(rootfd, path, &name);
	ssize_t n = fd < 0 ? -1 : readlinkat(fd, name, target, sizeof(target));

	return n == (ssize_t)strlen("/dev/null") && strncmp(target, "/dev/null", (size_t)n) == 0;
}

/* The last assignment of a unit and of its drop-ins. */
static int take_settings(int rootfd, const char *path, struct mount_entry *en, struct err *e)
{
	static const char *const keys[] = {"What=", "Type=", "Options="};
	char **const to[] = {&en->what, &en->type, &en->options};
	struct strv lines SCOPED(strv_release) = {0};

	if (lines_read(rootfd, path, &lines, NULL, e) != 0)
		return -1;
	for (size_t i = 0; i < lines.n; i++) {
		char *s = line_trim(lines.v[i]);

		for (int k = 0; k < 3; k++) {
			if (strncmp(s, keys[k], strlen(keys[k])) != 0)
				continue;
			free(*to[k]);
			*to[k] = mem_strdup(s + strlen(keys[k]));
		}
	}
	return 0;
}

static int read_unit(int rootfd, const char *path, const char *at, struct mounts *ret,
		     struct err *e)
{
	struct mount_entry en = {.at = mem_strdup(at), .file = mem_strdup(path)};
	struct mounts one SCOPED(mounts_release) = {.v = mem_zalloc(sizeof(en)), .n = 1};
	struct strv files SCOPED(strv_release) = {0};
	const char *tops[] = {"usr/lib", "etc"};

	en.what = mem_strdup("");
	en.type = mem_strdup("");
	en.options = mem_strdup("");
	one.v[0] = en;
	strv_add(&files, path);
	for (int i = 0; i < 2; i++) {
		char *pattern SCOPED(mem_freep) =
		    mem_format("%s/systemd/system/%s.d/*.conf", tops[i], strrchr(path, '/') + 1);

		if (root_glob(rootfd, pattern, &files, e) != 0)
			return -1;
	}
	for (size_t i = 0; i < files.n; i++)
		if (take_settings(rootfd, files.v[i], &one.v[0], e) != 0)
			return -1;
	one.n = 0;
	return add(ret, &one.v[0], e);
}

static int read_fstab(int rootfd, const char *at, struct mounts *ret, struct err *e)
{
	struct mounts all SCOPED(mounts_release) = {0};
	struct strv lines SCOPED(strv_release) = {0};

	if (lines_read(rootfd, "etc/fstab", &lines, NULL, e) != 0 ||
	    mounts_parse_fstab(&lines, &all, e) != 0)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		struct mount_entry en = all.v[i];

		if (strcmp(en.at, at) != 0)
			continue;
		all.v[i] = (struct mount_entry){0};
		if (add(ret, &en, e) != 0)
			return -1;
	}
	return 0;
}

int mounts_at(int rootfd, const char *at, struct mounts *ret, struct err *e)
{
	char *unit SCOPED(mem_freep) = unit_name(at);
	char *own SCOPED(mem_freep) = mem_format("etc/systemd/system/%s", unit);
	char *packaged SCOPED(mem_freep) = mem_format("usr/lib/systemd/system/%s", unit);
	char *wants SCOPED(mem_freep) = mem_format("etc/systemd/system/*.wants/%s", unit);
	char *more SCOPED(mem_freep) = mem_format("usr/lib/systemd/system/*.wants/%s", unit);
	struct strv links SCOPED(strv_release) = {0};
	struct stat st;

	if (is_null_link(rootfd, own))
		return 0;
	if (root_stat(rootfd, own, true, &st) == 1)
		return read_unit(rootfd, own, at, ret, e);
	if (read_fstab(rootfd, at, ret, e) != 0)
		return -1;
	if (ret->n > 0 || !root_has(rootfd, packaged))
		return 0;
	if (root_glob(rootfd, wants, &links, e) != 0 || root_glob(rootfd, more, &links, e) != 0)
		return -1;
	return links.n == 0 ? 0 : read_unit(rootfd, packaged, at, ret, e);
}

/* What one option does to the wanted one: 1 in force, -1 not, 0 nothing. */
static int effect(const char *option, const char *wanted)
{
	static const char *const limited[] = {"nodev", "nosuid", "noexec"};
	bool is_limit = false;

	if (strcmp(option, wanted) == 0)
		return 1;
	if (strncmp(wanted, "no", 2) == 0 && strcmp(option, wanted + 2) == 0)
		return -1;
	for (size_t i = 0; i < sizeof(limited) / sizeof(limited[0]); i++)
		is_limit = is_limit || strcmp(wanted, limited[i]) == 0;
	if (!is_limit)
		return 0;
	if (strcmp(option, "defaults") == 0)
		return -1;
	return strcmp(option, "user") == 0 || strcmp(option, "users") == 0 ? 1 : 0;
}

bool mount_has_option(const char *options, const char *wanted)
{
	struct strv w SCOPED(strv_release) = {0};
	bool in_force = false;

	line_fields(options, ',', &w);
	for (size_t i = 0; i < w.n; i++) {
		int n = effect(w.v[i], wanted);

		if (n != 0)
			in_force = n > 0;
	}
	return in_force;
}
