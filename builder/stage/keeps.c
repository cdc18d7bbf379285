#include "stage/keeps.h"

#include "base/glob.h"
#include "stage/accounts.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STORED_MAX = 64 << 20, ENTRIES_MAX = 20000 };

/* What a POS server writes outside of its data, and must not lose with an image: patterns of files
 * without their leading "/", of Debian and of Enterprise Linux. */
static const char *const always[] = {
    "etc/machine-id",
    "etc/ssh/ssh_host_*_key",
    "etc/ssh/ssh_host_*_key.pub",
    "etc/security/opasswd",
    "etc/samba/smbpasswd",
    "etc/cups/printers.conf",
    "etc/cups/classes.conf",
    "etc/cups/lpoptions",
    "etc/cups/ppd/*.ppd",
    "var/lib/samba/private/*.tdb",
    "var/spool/cron/*",
    "var/spool/cron/crontabs/*",
};

/* The directories that these are in. */
static const char *const always_roots[] = {"/etc", "/var/lib/samba/private", "/var/spool/cron"};

#define COUNT(v) (sizeof(v) / sizeof((v)[0]))

static bool lies_in(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

char *keeps_data(const struct site *s, const char *dir, const char *at)
{
	for (size_t i = 0; i < s->data_n; i++)
		if (lies_in(at, s->data[i].at))
			return mem_format("%s/%s%s", dir, s->data[i].name,
					  at + strlen(s->data[i].at));
	return NULL;
}

static bool is_data(const struct site *s, const char *at)
{
	char *path SCOPED(mem_freep) = keeps_data(s, "", at);

	return path != NULL;
}

bool keeps_wants(const struct site *s, const char *path)
{
	char *at SCOPED(mem_freep) = mem_format("/%s", path);
	bool wanted = strv_has(&s->keep, at);

	for (size_t t = 0; t < ACCOUNT_TABLES; t++)
		if (strcmp(path, account_paths[t]) == 0)
			return true;
	for (size_t i = 0; !wanted && i < COUNT(always); i++)
		wanted = glob_match(always[i], path);
	return wanted && !is_data(s, at);
}

/* Whether the first components of a pattern, as many as the path has, are those of the path. */
static bool leads_to(const char *path, const char *pattern)
{
	const char *end = strchr(pattern, '/');
	char *head SCOPED(mem_freep) = NULL;

	for (const char *p = strchr(path, '/'); p != NULL && end != NULL; p = strchr(p + 1, '/'))
		end = strchr(end + 1, '/');
	if (end == NULL)
		return false;
	head = mem_strndup(pattern, (size_t)(end - pattern));
	return glob_match(head, path);
}

bool keeps_enters(const struct site *s, const char *path)
{
	size_t n = strlen(path);

	for (size_t i = 0; i < COUNT(always); i++)
		if (leads_to(path, always[i]))
			return true;
	for (size_t i = 0; i < s->keep.n; i++)
		if (strncmp(s->keep.v[i] + 1, path, n) == 0 && s->keep.v[i][n + 1] == '/')
			return true;
	return false;
}

void keeps_roots(const struct site *s, struct strv *ret)
{
	for (size_t i = 0; i < COUNT(always_roots); i++)
		if (!is_data(s, always_roots[i]))
			strv_add(ret, always_roots[i]);
	for (size_t i = 0; i < s->keep.n; i++)
		if (!lies_in(s->keep.v[i], "/etc") && !is_data(s, s->keep.v[i]))
			strv_add(ret, s->keep.v[i]);
}

int keeps_accounts(const struct files *f, const char *below, const char *whose,
		   struct account_files *ret, struct err *e)
{
	const char *texts[ACCOUNT_TABLES] = {NULL};

	for (size_t t = 0; t < ACCOUNT_TABLES; t++) {
		char *path SCOPED(mem_freep) = mem_format("%s%s", below, account_paths[t]);
		const struct small_file *one = files_find(f, path);

		if (one != NULL)
			texts[t] = one->data;
		if (one != NULL && strlen(one->data) != one->n)
			return err_set(e, ERR_VERIFY, "%s: /%s has bytes of 0", whose,
				       account_paths[t]);
	}
	return account_files_read(texts, whose, ret, e);
}

static bool any(void *ctx, const char *path)
{
	(void)ctx;
	(void)path;
	return true;
}

int keeps_load(const struct stage *st, const char *name, struct files *ret, struct err *e)
{
	const struct files_want all = {
	    .below = "", .wants = any, .bytes_max = KEEPS_ALL_MAX, .entries_max = ENTRIES_MAX};
	int fd SCOPED(fd_closep) = -1;

	if (st->ownfd < 0)
		return 0;
	fd = openat(st->ownfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "open %s/%s", st->own, name);
	return files_read(fd, &all, ret, e) == 0 ? 0 : err_in(e, "%s/%s", st->own, name);
}

int keeps_save(const struct stage *st, const char *name, const struct files *f, bool *ret_changed,
	       struct err *e)
{
	struct buf now SCOPED(buf_release) = BUF_INIT(STORED_MAX);
	struct buf before SCOPED(buf_release) = BUF_INIT(STORED_MAX);
	struct err quiet = ERR_INIT;

	if (files_tar(f, &now, e) != 0)
		return err_in(e, "%s", name);
	if (fs_get_file(st->ownfd, name, &before, &quiet) == 0 && before.len == now.len &&
	    memcmp(before.data, now.data, now.len) == 0) {
		*ret_changed = false;
		return 0;
	}
	if (fs_put(st->ownfd, name, now.data, now.len, 0600, e) != 0)
		return -1;
	*ret_changed = true;
	return 0;
}
