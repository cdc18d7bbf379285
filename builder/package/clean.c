#include "package/package.h"

#include "base/glob.h"
#include "package/rpmdb.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What every run makes differently, and what no image needs: noise, and secrets that each machine
 * must make for itself. Globs stand for one component, and only in the last one. */
static const struct rule {
	const char *dir, *glob;
} gone[] = {
    {"etc", "passwd-"},
    {"etc", "group-"},
    {"etc", "shadow-"},
    {"etc", "gshadow-"},
    {"etc", "subuid-"},
    {"etc", "subgid-"},
    {"etc", ".pwd.lock"},
    {"etc", "machine-id"},
    {"etc/ssh", "ssh_host_*"},
    {"etc/ssl/certs", "ssl-cert-snakeoil.pem"},
    {"etc/ssl/private", "ssl-cert-snakeoil.key"},
    {"var/lib/dbus", "machine-id"},
    {"var/lib/systemd", "random-seed"},
    {"var/lib/systemd", "credential.secret"},
    {"var/lib/urandom", "random-seed"},
    {"var/lib/NetworkManager", "secret_key"},
    {"etc/nvme", "host*"},
    {"root", ".rnd"},
    {"var/lib/dpkg", "*-old"},
    {"var/lib/dpkg", "lock*"},
    {"var/lib/dpkg/triggers", "Lock"},
    {"var/lib/rpm", "__db*"},
    {"var/lib/rpm", ".rpm.lock"},
    {"var/lib/dnf", "*"},
    {"var/cache/dnf", "*"},
    {"var/cache/yum", "*"},
    {"var/lib/apt/lists", "*"},
    {"var/cache/apt", "*"},
    {"var/cache/debconf", "*-old"},
    {"var/cache/ldconfig", "aux-cache"},
    {"tmp", "*"},
    {"var/tmp", "*"},
    {"run", "*"},
};

/* Logs that programs want to find; they are emptied, all others go. */
static const char *const kept_logs[] = {"wtmp", "btmp", "lastlog", "faillog", "audit/audit.log"};

struct clean {
	int root;
	struct strv *removed; /* may be NULL */
};

static void note(struct clean *c, const char *dir, const char *name)
{
	if (c->removed != NULL)
		strv_addf(c->removed, "%s/%s", dir, name);
}

/* Opens a directory of the tree, never through a symlink. Absent (or no directory): *ret_fd stays
 * -1. */
static int open_plain(int root, const char *path, int *ret_fd, struct err *e)
{
	int fd SCOPED(fd_closep) = dup(root);

	for (const char *p = path; fd >= 0 && *p != '\0'; p += strspn(p, "/")) {
		size_t n = strcspn(p, "/");
		char *name SCOPED(mem_freep) = mem_strndup(p, n);
		int next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (next < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
			return 0;
		fd_closep(&fd);
		fd = next;
		p += n;
	}
	if (fd < 0)
		return err_sys(e, "open %s", path);
	*ret_fd = STEAL_FD(fd);
	return 0;
}

static int apply(struct clean *c, const struct rule *r, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};
	int fd SCOPED(fd_closep) = -1;

	if (open_plain(c->root, r->dir, &fd, e) != 0)
		return -1;
	if (fd < 0)
		return 0;
	if (fs_list(fd, ".", &names, e) != 0)
		return err_in(e, "clean %s", r->dir);
	for (size_t i = 0; i < names.n; i++) {
		if (!glob_match(r->glob, names.v[i]))
			continue;
		if (fs_rmtree(fd, names.v[i], e) != 0)
			return err_in(e, "clean %s", r->dir);
		note(c, r->dir, names.v[i]);
	}
	return 0;
}

static bool is_kept(const char *path)
{
	for (size_t i = 0; i < sizeof(kept_logs) / sizeof(kept_logs[0]); i++)
		if (strcmp(path, kept_logs[i]) == 0)
			return true;
	return false;
}

static int clean_log(void *ctx, const struct fs_entry *en, struct err *e)
{
	struct clean *c = ctx;
	int fd SCOPED(fd_closep) = -1;

	if (!S_ISREG(en->st.st_mode))
		return 0;
	if (!is_kept(en->path)) {
		if (unlinkat(en->parent_fd, en->name, 0) != 0)
			return err_sys(e, "remove var/log/%s", en->path);
		note(c, "var/log", en->path);
	} else if (en->st.st_size > 0) {
		fd = openat(en->parent_fd, en->name, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, "empty var/log/%s", en->path);
		note(c, "var/log", en->path);
	}
	return 0;
}

static int clean_logs(struct clean *c, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	if (open_plain(c->root, "var/log", &fd, e) != 0)
		return -1;
	return fd < 0 ? 0 : fs_walk(fd, clean_log, c, e);
}

/* The names by hash that ssl-cert gives its certificate. */
static int clean_hash_links(struct clean *c, struct err *e)
{
	static const char target[] = "ssl-cert-snakeoil.pem";
	struct strv names SCOPED(strv_release) = {0};
	int fd SCOPED(fd_closep) = -1;

	if (open_plain(c->root, "etc/ssl/certs", &fd, e) != 0)
		return -1;
	if (fd < 0)
		return 0;
	if (fs_list(fd, ".", &names, e) != 0)
		return err_in(e, "clean etc/ssl/certs");
	for (size_t i = 0; i < names.n; i++) {
		char to[sizeof(target)];
		ssize_t n = readlinkat(fd, names.v[i], to, sizeof(to));

		if (n != (ssize_t)sizeof(target) - 1 || memcmp(to, target, (size_t)n) != 0)
			continue;
		if (unlinkat(fd, names.v[i], 0) != 0)
			return err_sys(e, "remove etc/ssl/certs/%s", names.v[i]);
		note(c, "etc/ssl/certs", names.v[i]);
	}
	return 0;
}

/* Empty, not absent: that is how systemd knows a first boot (machine-id(5)). */
static int put_machine_id(struct clean *c, struct err *e)
{
	int etc SCOPED(fd_closep) = -1;
	int fd SCOPED(fd_closep) = -1;

	if (open_plain(c->root, "etc", &etc, e) != 0)
		return -1;
	if (etc < 0)
		return 0;
	fd = openat(etc, "machine-id", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (fd < 0 || fchmod(fd, 0444) != 0)
		return err_sys(e, "create etc/machine-id");
	return 0;
}

int package_clean(const char *root, struct strv *removed, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;
	struct clean c = {.removed = removed};

	if (fs_open_dir(AT_FDCWD, root, &fd, e) != 0)
		return -1;
	c.root = fd;
	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
		if (apply(&c, &gone[i], e) != 0)
			return -1;
	if (clean_hash_links(&c, e) != 0 || clean_logs(&c, e) != 0 ||
	    rpmdb_settle(fd, removed, e) != 0)
		return -1;
	return put_machine_id(&c, e);
}
