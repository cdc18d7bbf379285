/* op_modules.c - kernel modules that can, or cannot, be loaded. */
#include "harden/conf_dirs.h"
#include "harden/lines.h"
#include "harden/modprobe.h"
#include "harden/op.h"

#include <stddef.h>
#include <string.h>

/* The first line counts: ours has to be read before all others. */
#define OURS "etc/modprobe.d/00-posmedia.conf"

enum { ROUNDS_MAX = 200 };

struct modules {
	struct strv disabled, allowed;
};

static const struct field modules_fields[] = {
    {"disabled", FIELD_LIST, offsetof(struct modules, disabled), false},
    {"allowed", FIELD_LIST, offsetof(struct modules, allowed), false},
    {0},
};

static void look_disabled(const struct op_run *r, const struct modprobe *m, const char *name)
{
	const struct modprobe_line *l = modprobe_install(m, name);

	if (l == NULL)
		strv_addf(r->found, "module %s can be loaded: no install line", name);
	else if (!modprobe_loads_nothing(l))
		strv_addf(r->found, "/%s:%zu: module %s is loaded by \"%s\"", l->file, l->line,
			  name, l->command);
	else if (modprobe_blacklist(m, name) == NULL)
		strv_addf(r->found, "module %s is not on the blacklist", name);
	else if (r->held != NULL)
		strv_addf(r->held, "/%s:%zu: module %s is not loaded", l->file, l->line, name);
}

/* The line that keeps an allowed module out, or NULL. */
static const struct modprobe_line *barrier(const struct modprobe *m, const char *name)
{
	const struct modprobe_line *l = modprobe_install(m, name);

	return l != NULL && modprobe_loads_nothing(l) ? l : modprobe_blacklist(m, name);
}

static int modules_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct modules *w = want;
	struct modprobe m SCOPED(modprobe_release) = {0};

	if (modprobe_read(r->rootfd, &m, e) != 0)
		return -1;
	for (size_t i = 0; i < w->disabled.n; i++)
		look_disabled(r, &m, w->disabled.v[i]);
	for (size_t i = 0; i < w->allowed.n; i++) {
		const struct modprobe_line *l = barrier(&m, w->allowed.v[i]);

		if (l != NULL)
			strv_addf(r->found, "/%s:%zu: module %s cannot be loaded", l->file, l->line,
				  w->allowed.v[i]);
	}
	return 0;
}

/* Adds our lines for a module, in front of all that is there. */
static int disable(const struct op_run *r, const char *name, struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};
	char *install SCOPED(mem_freep) = mem_format("install %s /bin/false", name);
	char *black SCOPED(mem_freep) = mem_format("blacklist %s", name);
	bool there;

	if (lines_read(r->rootfd, OURS, &lines, &there, e) != 0)
		return -1;
	if (!there)
		strv_add(&lines, "# Written by posmedia from a hardening profile.");
	if (!strv_has(&lines, install))
		strv_add(&lines, install);
	if (!strv_has(&lines, black))
		strv_add(&lines, black);
	strv_addf(r->done, "/%s: module %s is not loaded any more", OURS, name);
	return lines_write(r->rootfd, OURS, &lines, 0644, e);
}

/* One step towards what is wanted. Returns 1 when there was one, 0 when nothing is left. */
static int mend_once(const struct op_run *r, const struct modules *w, struct err *e)
{
	struct modprobe m SCOPED(modprobe_release) = {0};
	const struct modprobe_line *l = NULL;

	if (modprobe_read(r->rootfd, &m, e) != 0)
		return -1;
	for (size_t i = 0; i < w->disabled.n && l == NULL; i++) {
		const char *name = w->disabled.v[i];

		l = modprobe_install(&m, name);
		if (l == NULL || modprobe_blacklist(&m, name) == NULL)
			return disable(r, name, e) == 0 ? 1 : -1;
		if (modprobe_loads_nothing(l))
			l = NULL;
	}
	for (size_t i = 0; i < w->allowed.n && l == NULL; i++)
		l = barrier(&m, w->allowed.v[i]);
	if (l == NULL)
		return 0;
	strv_addf(r->done, "/%s:%zu: commented out", l->file, l->line);
	return conf_comment_out(r->rootfd, l->file, l->line, e) == 0 ? 1 : -1;
}

static int modules_fix(const struct op_run *r, const void *want, struct err *e)
{
	int rc = 1;

	for (int i = 0; i < ROUNDS_MAX && rc > 0; i++)
		rc = mend_once(r, want, e);
	return rc <= 0 ? rc : err_set(e, ERR_FAIL, "modules are set again and again");
}

const struct op_kind op_modules = {
    .name = "modules",
    .size = sizeof(struct modules),
    .fields = modules_fields,
    .check = modules_check,
    .fix = modules_fix,
};
