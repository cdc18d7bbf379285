/* files.c - what is set on a host: units, settings of the kernel, modules, the place of data. */
#include "host/parts.h"

#include "base/num.h"
#include "harden/root.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { UNIT_MAX = 1 << 16, TABLE_MAX = 32 << 20, SAID_MAX = 1 << 12, STEP_MS = 60000 };

#define UNITS_DIR "/etc/systemd/system"

static bool is_unit(const char *name)
{
	static const char *const kinds[] = {".service", ".target", ".timer"};
	size_t n = strlen(name);

	if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.@-") != n)
		return false;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		if (n > strlen(kinds[k]) && strcmp(name + n - strlen(kinds[k]), kinds[k]) == 0)
			return true;
	return false;
}

static int list_units(const struct host *h, struct strv *ret, struct err *e)
{
	struct strv all SCOPED(strv_release) = {0};

	if (fs_list(AT_FDCWD, h->o->units, &all, e) != 0)
		return err_hint(e, "--project names the directory with recipes/hosts/units.");
	for (size_t k = 0; k < all.n; k++)
		if (is_unit(all.v[k]))
			strv_add(ret, all.v[k]);
	return ret->n > 0 ? 0 : err_set(e, ERR_FAIL, "%s has no units", h->o->units);
}

static int read_unit(const struct host *h, const char *name, struct buf *ret, struct err *e)
{
	char *path SCOPED(mem_freep) = mem_format("%s/%s", h->o->units, name);

	return fs_get_file(AT_FDCWD, path, ret, e);
}

/* Ends an item of things that are each there or not. */
static void note_set(const struct host *h, struct host_item *i, const char *what,
		     const struct buf *differ)
{
	if (differ->len == 0) {
		(void)host_found(i, HOST_OK, "%s", what);
		return;
	}
	(void)host_found(i, h->o->check ? HOST_WANTED : HOST_CHANGED, "not so: %s", differ->data);
	if (!h->o->check)
		i->did = mem_format("wrote %s", differ->data);
}

static int units(const struct host *h, struct host_item *i, struct err *e)
{
	struct buf differ SCOPED(buf_release) = BUF_INIT(UNIT_MAX);
	struct strv names SCOPED(strv_release) = {0};

	if (list_units(h, &names, e) != 0)
		return -1;
	for (size_t k = 0; k < names.n; k++) {
		struct buf text SCOPED(buf_release) = BUF_INIT(UNIT_MAX);
		bool same;

		if (read_unit(h, names.v[k], &text, e) != 0)
			return -1;
		const struct host_text t = {UNITS_DIR, names.v[k], text.data, text.len};

		if (host_put(h, &t, &same, e) != 0)
			return -1;
		if (!same)
			buf_addf(&differ, "%s" UNITS_DIR "/%s", differ.len == 0 ? "" : ", ",
				 names.v[k]);
	}
	note_set(h, i, "all there", &differ);
	return 0;
}

/* Whether it is wanted by something that is not linked to it yet. A template is never. */
static int wants_enabling(const struct host *h, const char *name, bool *ret, struct err *e)
{
	static const char key[] = "\nWantedBy=";
	struct buf text SCOPED(buf_release) = BUF_INIT(UNIT_MAX);

	*ret = false;
	if (strchr(name, '@') != NULL)
		return 0;
	buf_add(&text, "\n", 1);
	if (read_unit(h, name, &text, e) != 0)
		return -1;
	for (const char *at = strstr(text.data, key); at != NULL; at = strstr(at + 1, key)) {
		const char *by = at + strlen(key);
		char *link SCOPED(mem_freep) = mem_format("%s/%.*s.wants/%s", &UNITS_DIR[1],
							  (int)strcspn(by, " \n"), by, name);
		struct stat st;

		*ret = *ret || root_stat(h->rootfd, link, false, &st) != 1;
	}
	return 0;
}

static int enable(const struct host *h, const char *name, struct err *e)
{
	char *root SCOPED(mem_freep) = mem_format("--root=%s", h->o->root);
	const char *const argv[] = {"systemctl", root, "--quiet", "enable", name, NULL};
	const char *const live[] = {"systemctl", "--quiet", "enable", name, NULL};
	const struct proc_spec p = {.argv = h->systemd ? live : argv, .timeout_ms = STEP_MS};

	return proc_ok(&p, ERR_FAIL, e);
}

static int enabled(const struct host *h, struct host_item *i, struct err *e)
{
	struct buf differ SCOPED(buf_release) = BUF_INIT(UNIT_MAX);
	struct strv names SCOPED(strv_release) = {0};

	if (list_units(h, &names, e) != 0)
		return -1;
	for (size_t k = 0; k < names.n; k++) {
		bool wants;

		if (wants_enabling(h, names.v[k], &wants, e) != 0)
			return -1;
		if (!wants)
			continue;
		buf_addf(&differ, "%s%s", differ.len == 0 ? "" : ", ", names.v[k]);
		if (!h->o->check && enable(h, names.v[k], e) != 0)
			return -1;
	}
	if (differ.len == 0)
		return host_found(i, HOST_OK, "all that start with the machine do");
	(void)host_found(i, h->o->check ? HOST_WANTED : HOST_CHANGED, "not enabled: %s",
			 differ.data);
	if (!h->o->check)
		i->did = mem_format("enabled %s", differ.data);
	return 0;
}

/* What was written, systemd only knows when it has read it again; a run that was killed in between
 * is no reason not to. */
static int loaded(const struct host *h, struct host_item *i, struct err *e)
{
	static const char *const ask[] = {
	    "systemctl", "show", "--property=NeedDaemonReload", "--value", "--", "posmedia*", NULL};
	static const char *const reload[] = {"systemctl", "daemon-reload", NULL};
	struct buf said SCOPED(buf_release) = BUF_INIT(SAID_MAX);
	const struct proc_spec p = {.argv = ask, .out = &said, .timeout_ms = STEP_MS};
	const struct proc_spec r = {.argv = reload, .timeout_ms = STEP_MS};

	if (!h->live)
		return host_not_here(i);
	if (!h->systemd)
		return host_found(i, HOST_UNKNOWN, "systemd does not run here");
	if (proc_ok(&p, ERR_FAIL, e) != 0)
		return -1;
	if (strstr(said.data, "yes") == NULL)
		return host_found(i, HOST_OK, "as in the files");
	(void)host_found(i, HOST_WANTED, "older ones than in the files");
	if (h->o->check)
		return 0;
	if (proc_ok(&r, ERR_FAIL, e) != 0)
		return -1;
	i->did = mem_strdup("systemctl daemon-reload");
	i->status = HOST_CHANGED;
	return 0;
}

/* Of the tunnels, which end here, and of systemd in many containers. */
static const struct setting {
	const char *key, *file; /* as sysctl.d(5) has it, and below /proc/sys */
	uint64_t least;
} settings[] = {
    {"net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward", 1},
    {"fs.inotify.max_user_instances", "/proc/sys/fs/inotify/max_user_instances", 1024},
};

static int write_setting(const struct setting *s, struct err *e)
{
	char *text SCOPED(mem_freep) = mem_format("%llu\n", (unsigned long long)s->least);
	int fd SCOPED(fd_closep) = open(s->file, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open %s", s->file);
	return fs_write_all(fd, text, strlen(text), e);
}

/* Those that the kernel has now. */
static int running_settings(const struct host *h, struct buf *differ, struct err *e)
{
	for (size_t k = 0; h->live && k < sizeof(settings) / sizeof(settings[0]); k++) {
		struct buf text SCOPED(buf_release) = BUF_INIT(SAID_MAX);
		uint64_t now;

		if (fs_get(AT_FDCWD, settings[k].file, &text, e) != 0)
			return -1;
		text.data[strcspn(text.data, "\n")] = '\0';
		if (num_u64(text.data, UINT64_MAX, &now) == 0 && now >= settings[k].least)
			continue;
		buf_addf(differ, "%s%s is %s", differ->len == 0 ? "" : ", ", settings[k].key,
			 text.data);
		if (!h->o->check && write_setting(&settings[k], e) != 0)
			return -1;
	}
	return 0;
}

static int sysctl(const struct host *h, struct host_item *i, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(SAID_MAX);
	struct buf differ SCOPED(buf_release) = BUF_INIT(SAID_MAX);
	bool same;

	buf_addf(&text, "# Written by posmedia host prepare.\n");
	for (size_t k = 0; k < sizeof(settings) / sizeof(settings[0]); k++)
		buf_addf(&text, "%s = %llu\n", settings[k].key,
			 (unsigned long long)settings[k].least);
	const struct host_text t = {"/etc/sysctl.d", "60-posmedia.conf", text.data, text.len};

	if (host_put(h, &t, &same, e) != 0)
		return -1;
	if (!same)
		buf_addf(&differ, "%s/%s", t.dir, t.name);
	if (running_settings(h, &differ, e) != 0)
		return -1;
	note_set(h, i, "so in /etc/sysctl.d/60-posmedia.conf", &differ);
	return 0;
}

/* Whether a kernel's list names the module, which is a file ".../NAME.ko" with or without a suffix
 * of what it is packed with. */
static bool has_module(const char *list, const char *name)
{
	char *file SCOPED(mem_freep) = mem_format("/%s.ko", name);
	size_t n = strlen(file);

	for (const char *at = strstr(list, file); at != NULL; at = strstr(at + 1, file))
		if (at[n] == ':' || at[n] == '.')
			return true;
	return false;
}

/* Modules that every kernel of the tree has: one that is not there fails the unit that loads them.
 */
static int common_modules(const struct host *h, struct strv *ret, struct err *e)
{
	static const char *const wanted[] = {"overlay", "macvlan", "ipvlan",
					     "tun",     "esp4",    "nf_tables"};
	struct strv lists SCOPED(strv_release) = {0};
	unsigned lacks = 0;

	if (root_glob(h->rootfd, "usr/lib/modules/*/modules.dep", &lists, e) != 0 ||
	    (lists.n == 0 && root_glob(h->rootfd, "lib/modules/*/modules.dep", &lists, e) != 0))
		return -1;
	for (size_t l = 0; l < lists.n; l++) {
		struct buf text SCOPED(buf_release) = BUF_INIT(TABLE_MAX);

		if (root_read(h->rootfd, lists.v[l], &text, NULL, e) != 0)
			return -1;
		for (size_t k = 0; k < sizeof(wanted) / sizeof(wanted[0]); k++)
			if (!has_module(text.data, wanted[k]))
				lacks |= 1u << k;
	}
	for (size_t k = 0; lists.n > 0 && k < sizeof(wanted) / sizeof(wanted[0]); k++)
		if ((lacks & 1u << k) == 0)
			strv_add(ret, wanted[k]);
	return 0;
}

static int modules(const struct host *h, struct host_item *i, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(SAID_MAX);
	struct buf differ SCOPED(buf_release) = BUF_INIT(SAID_MAX);
	struct strv names SCOPED(strv_release) = {0};
	bool same;

	if (common_modules(h, &names, e) != 0)
		return -1;
	if (names.n == 0)
		return host_found(i, HOST_OK, "the kernel has none of them as a module");
	buf_addf(&text, "# Written by posmedia host prepare.\n");
	for (size_t k = 0; k < names.n; k++)
		buf_addf(&text, "%s\n", names.v[k]);
	const struct host_text t = {"/etc/modules-load.d", "posmedia.conf", text.data, text.len};

	if (host_put(h, &t, &same, e) != 0)
		return -1;
	if (!same)
		buf_addf(&differ, "%s/%s", t.dir, t.name);
	note_set(h, i, "so in /etc/modules-load.d/posmedia.conf", &differ);
	return 0;
}

static int make_state(const struct host *h, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	if (fs_mkdirs_in_root(h->rootfd, h->o->state, 0755, NULL, e) != 0 ||
	    fs_open_in_root(h->rootfd, h->o->state, O_RDONLY | O_DIRECTORY, &fd, e) != 0)
		return -1;
	if (fchown(fd, 0, 0) != 0 || fchmod(fd, 0755) != 0 || fsync(fd) != 0)
		return err_sys(e, "%s: owner and mode", h->o->state);
	return 0;
}

static int state(const struct host *h, struct host_item *i, struct err *e)
{
	struct stat st;
	int there = root_stat(h->rootfd, h->o->state + 1, true, &st);

	if (there == 1 && !S_ISDIR(st.st_mode))
		return err_set(e, ERR_FAIL, "%s is no directory", h->o->state);
	if (there == 1 && st.st_uid == 0 && st.st_gid == 0 && (st.st_mode & 07777) == 0755)
		return host_found(i, HOST_OK, "%s, 0755 of root", h->o->state);
	(void)(there != 1 ? host_found(i, HOST_WANTED, "%s is not there", h->o->state)
			  : host_found(i, HOST_WANTED, "%s is %04o of %u:%u", h->o->state,
				       st.st_mode & 07777, st.st_uid, st.st_gid));
	if (h->o->check)
		return 0;
	if (make_state(h, e) != 0)
		return -1;
	i->did = mem_format("%s %s", there == 1 ? "set owner and mode of" : "made", h->o->state);
	i->status = HOST_CHANGED;
	return 0;
}

const struct host_check host_file_checks[] = {
    {"units.installed", "the units of instances in " UNITS_DIR, units},
    {"units.enabled", "those that start with the machine enabled", enabled},
    {"units.loaded", "systemd knows what is in the files", loaded},
    {"settings", "forwarding for tunnels, inotify for many systemds", sysctl},
    {"modules", "the kernel's modules loaded at the start", modules},
    {"data.directory", "a directory for the data of instances, 0755 of root", state},
    {NULL, NULL, NULL},
};
