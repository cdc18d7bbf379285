/* A service and the services that it says it needs: systemd.unit(5), Requires=, Wants=, After=. */
#include "shim/shim.h"

#include <string.h>

enum { UNITS_MAX = 64 };

/* One start of a service; `under_way` are those that began and are not started yet, the last one
 * last. */
struct starting {
	struct strv under_way, seen;
};

/* The name of a service of the tree that is to be started for another; NULL for what is none. The
 * caller owns it. */
static char *service_of(const char *text)
{
	size_t n = strlen(text);
	struct err quiet = ERR_INIT;
	char *name SCOPED(mem_freep) = NULL;

	if (n < 9 || strcmp(text + n - 8, ".service") != 0 || strncmp(text, "systemd-", 8) == 0 ||
	    unit_name(text, &name, &quiet) != 0)
		return NULL;
	return strcmp(name, "dbus") == 0 || strcmp(name, "dbus-broker") == 0 ? NULL : STEAL(name);
}

/* Whether u is started behind the service of that name. */
static bool is_after(const struct unit *u, const char *name)
{
	char *unit SCOPED(mem_freep) = mem_format("%s.service", name);

	return strv_has(&u->after, unit);
}

static int circle(const char *a, const char *b, struct err *e)
{
	return err_set(e, ERR_FAIL, "%s and %s are each to be started after the other", a, b);
}

static int start_one(struct starting *s, const char *name, bool must, const struct unit *by,
		     struct err *e);

/* Those of one list that come before u, or those behind it. */
static int start_list(struct starting *s, const struct unit *u, bool must, bool behind,
		      struct err *e)
{
	const struct strv *list = must ? &u->needs : &u->wants;

	for (size_t i = 0; i < list->n; i++) {
		char *name SCOPED(mem_freep) = service_of(list->v[i]);
		struct unit *other SCOPED(unit_freep) = NULL;
		struct err why = ERR_INIT;

		if (name == NULL || keeper_pid(name) > 0)
			continue;
		if (unit_load("/", name, &other, &why) != 0 && must)
			return err_set(e, ERR_FAIL, "%s needs %s: %s", u->name, name, why.msg);
		if (other == NULL)
			continue;
		if (is_after(other, u->name) && is_after(u, name))
			return circle(u->name, name, e);
		if (is_after(other, u->name) != behind)
			continue;
		if (start_one(s, name, must, u, e) != 0)
			return -1;
	}
	return 0;
}

static int start_unit(struct starting *s, const struct unit *u, struct err *e)
{
	int rc;

	if (s->seen.n == UNITS_MAX)
		return err_set(e, ERR_FAIL, "%s: more than %d services for one", u->name,
			       UNITS_MAX);
	strv_add(&s->seen, u->name);
	strv_add(&s->under_way, u->name);
	rc = start_list(s, u, true, false, e) != 0 || start_list(s, u, false, false, e) != 0 ||
		     keeper_start(u, e) != 0
		 ? -1
		 : 0;
	mem_freep(&s->under_way.v[--s->under_way.n]);
	if (rc == 0 &&
	    (start_list(s, u, true, true, e) != 0 || start_list(s, u, false, true, e) != 0))
		return -1;
	return rc;
}

/* One that is under way already is needed by what it needs: fine, but for an order of both. */
static int start_one(struct starting *s, const char *name, bool must, const struct unit *by,
		     struct err *e)
{
	struct unit *u SCOPED(unit_freep) = NULL;
	struct err why = ERR_INIT;
	int rc;

	if (strv_has(&s->under_way, name))
		return is_after(by, name) ? circle(by->name, name, e) : 0;
	if (strv_has(&s->seen, name))
		return 0; /* it was tried */
	rc = unit_load("/", name, &u, &why);
	if (rc == 0 && u != NULL)
		rc = start_unit(s, u, &why);
	if (rc == 0)
		return 0;
	if (must)
		return err_set(e, ERR_FAIL, "%s needs %s: %s", by->name, name, why.msg);
	(void)shim_say(0, "%s wants %s: %s", by->name, name, why.msg);
	return 0;
}

int shim_start(const struct unit *u, struct err *e)
{
	struct starting s = {0};
	int rc = keeper_pid(u->name) > 0 ? 0 : start_unit(&s, u, e);

	strv_release(&s.under_way);
	strv_release(&s.seen);
	return rc;
}
