#include "cli/verb.h"

#include "menu/menu.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

static const struct opt opts[] = {
    {0, "sites", "DIR", "The site files; /etc/posmedia/recipes/sites when absent."},
    {0, "engine", "SOCKET", "The engine's socket; dockerd's or podman's when absent."},
    {0, "state", "DIR", "Where instances keep their data; /srv/pos when absent."},
    {0, "runtime", "DIR", "Where their secrets are while they run; /run/posmedia when absent."},
    {0, NULL, NULL, NULL},
};

/* DIR/NAME.yaml of each; no such directory has none, unless it was asked for. */
static int list_sites(const struct args *a, struct strv *ret, struct err *e)
{
	const char *given = args_get(a, "sites");
	const char *dir = given != NULL ? given : "/etc/posmedia/recipes/sites";
	struct strv names SCOPED(strv_release) = {0};
	struct err why = ERR_INIT;

	if (fs_list(AT_FDCWD, dir, &names, &why) != 0) {
		if (given == NULL && why.sys == ENOENT)
			return 0;
		*e = why;
		return -1;
	}
	for (size_t i = 0; i < names.n; i++) {
		size_t n = strlen(names.v[i]);

		if (n > 5 && strcmp(names.v[i] + n - 5, ".yaml") == 0)
			strv_addf(ret, "%s/%s", dir, names.v[i]);
	}
	return 0;
}

static void opts_release(struct menu_opts *o)
{
	strv_release(&o->sites);
	strv_release(&o->engine);
}

static int run(const struct args *a, struct err *e)
{
	static const char *const passed[] = {"engine", "state", "runtime"};
	/* this very program, whatever lies at its path by now */
	struct menu_opts o SCOPED(opts_release) = {
	    .in = stdin, .out = stdout, .program = "/proc/self/exe"};

	strv_extend(&o.sites, &a->rest);
	if ((a->rest.n == 0 || args_has(a, "sites")) && list_sites(a, &o.sites, e) != 0)
		return -1;
	for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
		if (args_has(a, passed[i]))
			strv_addf(&o.engine, "--%s=%s", passed[i], args_get(a, passed[i]));
	return menu_run(&o, e);
}

const struct verb verb_menu = {
    .name = "menu",
    .args = "[SITE...]",
    .help = "The same verbs at a terminal, for those who look after the instances of a host.",
    .max = 1000,
    .opts = opts,
    .run = run,
};
