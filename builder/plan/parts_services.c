/* What of the overlays enabling and masking units depends on: systemctl, the scripts that it calls
 * for old services, and what all of these read. */
#include "plan/parts_kind.h"

#include <string.h>

struct pick {
	const char *to; /* where the overlay goes, without leading slash */
	struct jval *ret;
};

/* Below these lie programs, libraries, units and what tells them how to behave. */
static const char *const places[] = {
    "bin/",
    "sbin/",
    "lib",
    "usr/",
    "run/",
    "etc/systemd",
    "etc/init",
    "etc/rc",
    "etc/insserv",
    "etc/ld.so",
    "etc/perl",
    "etc/nsswitch",
    "etc/passwd",
    "etc/group",
    "etc/alternatives",
    "etc/selinux",
    "etc/machine-id",
    "etc/default",
    "etc/os-release",
    "etc/environment",
    "var/lib/systemd",
};

/* Units may be linked from anywhere. */
static const char *const endings[] = {".service", ".socket", ".target",    ".timer", ".path",
				      ".mount",   ".slice",  ".automount", ".swap",  ".conf"};

static bool is_in_place(const char *path)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (strncmp(path, places[i], strlen(places[i])) == 0)
			return true;
	return false;
}

static bool ends_like_a_unit(const char *path)
{
	size_t n = strlen(path);

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		size_t k = strlen(endings[i]);

		if (n >= k && strcmp(path + n - k, endings[i]) == 0)
			return true;
	}
	return false;
}

/* Links and programs count wherever they are: a link may lead to a unit, or to where units lie. */
static int pick_entry(void *ctx, const char *key, struct jval *what)
{
	struct pick *p = ctx;
	char *path SCOPED(mem_freep) =
	    mem_format("%s%s%s", p->to, p->to[0] != '\0' ? "/" : "", key);
	const char *s = jval_str(what);
	bool plain = s != NULL && (strcmp(s, "directory") == 0 || strncmp(s, "file ", 5) == 0);

	if (!plain || is_in_place(path) || ends_like_a_unit(path))
		jval_put(p->ret, key, jval_ref(what));
	return 0;
}

struct jval *parts_services(const struct recipe *r, const struct jval *overlays)
{
	struct jval *v = parts_fresh("services"), *list = jval_array();
	const struct jval *all = jval_get(overlays, "overlay");

	for (size_t i = 0; i < r->overlays_n; i++) {
		struct pick p = {.to = r->overlays[i].to + 1, .ret = jval_object()};

		(void)jval_each(jval_at(all, i), pick_entry, &p);
		jval_push(list, p.ret);
	}
	jval_put(v, "overlay", list);
	parts_take(v, r, "services");
	return v;
}
