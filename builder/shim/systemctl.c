#include "shim/shim.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct line {
	const char *verb;
	struct strv units;
	struct strv properties; /* of show -p */
	bool quiet, now, value;
};

static bool is_in(const char *const *list, const char *word)
{
	for (; *list != NULL; list++)
		if (strcmp(*list, word) == 0)
			return true;
	return false;
}

/* Options that have a value behind them. */
static const char *const with_value[] = {"-p", "--property", "-t", "--type", "-n", "--lines",
					 "-o", "--output",   "-H", "-M",     NULL};

static void take_option(struct line *l, const char *option, const char *value)
{
	const char *equals = strchr(option, '=');

	if (strcmp(option, "-q") == 0 || strcmp(option, "--quiet") == 0)
		l->quiet = true;
	else if (strcmp(option, "--now") == 0)
		l->now = true;
	else if (strcmp(option, "--value") == 0)
		l->value = true;
	else if (strncmp(option, "--property=", 11) == 0)
		strv_add(&l->properties, equals + 1);
	else if (value != NULL && (strcmp(option, "-p") == 0 || strcmp(option, "--property") == 0))
		strv_add(&l->properties, value);
}

static void parse(char *const *args, struct line *l)
{
	for (; *args != NULL; args++) {
		const char *value = is_in(with_value, *args) ? args[1] : NULL;

		if ((*args)[0] == '-') {
			take_option(l, *args, value);
			if (value != NULL)
				args++;
		} else if (l->verb == NULL) {
			l->verb = *args;
		} else {
			strv_add(&l->units, *args);
		}
	}
}

/* Whether a unit is of a kind that only a real service manager has: sockets, timers, targets. */
static bool is_other(const char *name)
{
	static const char *const kinds[] = {"socket", "timer", "target", "path",   "mount",
					    "slice",  "scope", "swap",   "device", NULL};
	const char *dot = strrchr(name, '.');

	return dot != NULL && is_in(kinds, dot + 1);
}

static int is_active(const struct line *l)
{
	int rc = 3;

	for (size_t i = 0; i < l->units.n; i++) {
		char *name SCOPED(mem_freep) = NULL;
		struct err e = ERR_INIT;
		bool active = !is_other(l->units.v[i]) &&
			      unit_name(l->units.v[i], &name, &e) == 0 && keeper_pid(name) > 0;

		if (!l->quiet)
			dprintf(1, "%s\n", active ? "active" : "inactive");
		if (active)
			rc = 0;
	}
	return rc;
}

static void show_one(const struct line *l, const char *property, const char *value)
{
	if (l->properties.n > 0 && !strv_has(&l->properties, property))
		return;
	if (l->value)
		dprintf(1, "%s\n", value);
	else
		dprintf(1, "%s=%s\n", property, value);
}

static int show(const struct line *l)
{
	for (size_t i = 0; i < l->units.n; i++) {
		char *name SCOPED(mem_freep) = NULL, *pid SCOPED(mem_freep) = NULL;
		struct err e = ERR_INIT;
		bool active;

		if (unit_name(l->units.v[i], &name, &e) != 0)
			return shim_say(1, "%s", e.msg);
		active = keeper_pid(name) > 0;
		pid = mem_format("%ld", (long)keeper_main(name));
		show_one(l, "MainPID", pid);
		show_one(l, "ActiveState", active ? "active" : "inactive");
		show_one(l, "SubState", active ? "running" : "dead");
	}
	return 0;
}

static int act(const struct line *l)
{
	int rc = 0;

	for (size_t i = 0; i < l->units.n; i++) {
		int one = is_other(l->units.v[i]) ? 0 : shim_act(l->verb, l->units.v[i]);

		rc = one != 0 ? one : rc;
	}
	return l->units.n > 0 ? rc : shim_say(1, "%s: which service?", l->verb);
}

/* enable --now and disable --now: the files by the real one, the service by us. */
static int act_now(struct line *l, char *const *args)
{
	struct strv plain SCOPED(strv_release) = {0};
	int status = 0;
	pid_t pid;

	for (; *args != NULL; args++)
		if (strcmp(*args, "--now") != 0)
			strv_add(&plain, *args);
	pid = fork();
	if (pid == 0)
		_exit(shim_real("systemctl", plain.v));
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : 1;
	l->verb = strcmp(l->verb, "enable") == 0 ? "start" : "stop";
	return act(l);
}

static int list_units(void)
{
	struct strv running SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	if (keeper_running(&running, &e) != 0)
		return shim_say(1, "%s", e.msg);
	for (size_t i = running.n; i-- > 0;)
		dprintf(1, "%s.service loaded active running\n", running.v[i]);
	return 0;
}

static int dispatch(struct line *l, char *const *args)
{
	static const char *const ours[] = {
	    "start",  "stop",   "restart",      "try-restart",       "condrestart",
	    "reload", "status", "force-reload", "reload-or-restart", NULL};
	static const char *const nothing[] = {"daemon-reload", "daemon-reexec", "reset-failed",
					      NULL};

	if (is_in(ours, l->verb))
		return act(l);
	if (is_in(nothing, l->verb))
		return 0;
	if (strcmp(l->verb, "is-active") == 0)
		return is_active(l);
	if (strcmp(l->verb, "is-failed") == 0)
		return 1;
	if (strcmp(l->verb, "show") == 0)
		return show(l);
	if (strcmp(l->verb, "list-units") == 0)
		return list_units();
	if (l->now && (strcmp(l->verb, "enable") == 0 || strcmp(l->verb, "disable") == 0))
		return act_now(l, args);
	return shim_real("systemctl", args);
}

int shim_systemctl(char *const *args)
{
	struct line l = {0};
	int rc;

	parse(args, &l);
	if (l.verb == NULL)
		return shim_real("systemctl", args);
	if (strcmp(l.verb, "is-system-running") == 0) {
		dprintf(1, "running\n");
		return 0;
	}
	rc = dispatch(&l, args);
	strv_release(&l.units);
	strv_release(&l.properties);
	return rc;
}
