/* units.c - systemd's units of instances on a host. */
#include "host/parts.h"

#include "harden/root.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { UNIT_MAX = 1 << 16, SAID_MAX = 1 << 12, STEP_MS = 60000 };

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

static int units(const struct host *h, struct host_item *i, struct err *e)
{
	struct host_put put SCOPED(host_put_release) = HOST_PUT_INIT;
	struct strv names SCOPED(strv_release) = {0};

	if (list_units(h, &names, e) != 0)
		return -1;
	for (size_t k = 0; k < names.n; k++) {
		struct buf text SCOPED(buf_release) = BUF_INIT(UNIT_MAX);

		if (read_unit(h, names.v[k], &text, e) != 0)
			return -1;
		const struct host_text t = {UNITS_DIR, names.v[k], text.data, text.len};

		if (host_put(h, &t, &put, e) != 0)
			return -1;
	}
	if (put.left.len > 0)
		i->hint = mem_strdup("systemctl unmask, or remove it: then it is written.");
	host_put_end(h, i, &put, "all there", "wrote");
	return 0;
}

/* The directories with links to it of what wants it, which is nothing for a template. */
static int wanting(const struct host *h, const char *name, struct strv *ret, struct err *e)
{
	static const char key[] = "\nWantedBy=";
	struct buf text SCOPED(buf_release) = BUF_INIT(UNIT_MAX);

	if (strchr(name, '@') != NULL)
		return 0;
	buf_add(&text, "\n", 1);
	if (read_unit(h, name, &text, e) != 0)
		return -1;
	for (const char *at = strstr(text.data, key); at != NULL; at = strstr(at + 1, key)) {
		const char *by = at + strlen(key);

		while (*(by += strspn(by, " \t")) != '\n' && *by != '\0') {
			size_t n = strcspn(by, " \t\n");
			char *one SCOPED(mem_freep) = mem_strndup(by, n);

			if (!is_unit(one))
				return err_set(e, ERR_FAIL, "%s: WantedBy=%s is no unit", name,
					       one);
			strv_addf(ret, UNITS_DIR "/%s.wants", one);
			by += n;
		}
	}
	return 0;
}

/* As systemctl enable does it, but no link of the tree leads out of it. */
static int make_link(const struct host *h, const char *wants, const char *name, struct err *e)
{
	char *to SCOPED(mem_freep) = mem_format(UNITS_DIR "/%s", name);
	int dir SCOPED(fd_closep) = -1;

	if (fs_mkdirs_in_root(h->rootfd, wants, 0755, NULL, e) != 0 ||
	    fs_open_in_root(h->rootfd, wants, O_RDONLY | O_DIRECTORY, &dir, e) != 0)
		return -1;
	if (symlinkat(to, dir, name) != 0 && errno != EEXIST)
		return err_sys(e, "link %s/%s", wants, name);
	return fsync(dir) == 0 ? 0 : err_sys(e, "sync %s", wants);
}

/* A unit without its links was disabled by somebody, if it is there; it is written after them. */
static int enable(const struct host *h, const char *name, struct host_put *put, struct err *e)
{
	char *unit SCOPED(mem_freep) = mem_format("%s/%s", &UNITS_DIR[1], name);
	struct strv wants SCOPED(strv_release) = {0};
	struct stat st;
	bool there = root_stat(h->rootfd, unit, false, &st) == 1, lacks = false;

	if (wanting(h, name, &wants, e) != 0)
		return -1;
	for (size_t k = 0; k < wants.n; k++) {
		char *link SCOPED(mem_freep) = mem_format("%s/%s", wants.v[k] + 1, name);

		if (root_stat(h->rootfd, link, false, &st) == 1)
			continue;
		lacks = true;
		if (!there && !h->o->check && make_link(h, wants.v[k], name, e) != 0)
			return -1;
	}
	if (lacks && there)
		host_add(&put->left, "%s is disabled", name);
	else if (lacks)
		host_add(&put->wrote, "%s", name);
	return 0;
}

static int enabled(const struct host *h, struct host_item *i, struct err *e)
{
	struct host_put put SCOPED(host_put_release) = HOST_PUT_INIT;
	struct strv names SCOPED(strv_release) = {0};

	if (list_units(h, &names, e) != 0)
		return -1;
	for (size_t k = 0; k < names.n; k++)
		if (enable(h, names.v[k], &put, e) != 0)
			return -1;
	if (put.left.len > 0)
		i->hint = mem_strdup("systemctl enable, if it is to start with the machine.");
	host_put_end(h, i, &put, "all that start with the machine do", "enabled");
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

/* The links come first: a unit that is there without them was disabled by somebody. */
const struct host_check host_unit_checks[] = {
    {"units.enabled", "those that start with the machine enabled", enabled},
    {"units.installed", "the units of instances in " UNITS_DIR, units},
    {"units.loaded", "systemd knows what is in the files", loaded},
    {NULL, NULL, NULL},
};
