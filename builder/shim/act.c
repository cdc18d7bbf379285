#include "shim/shim.h"

#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* systemctl(1), "EXIT STATUS" */
enum { NOT_RUNNING = 3, NOT_FOUND = 4, NOT_LOADED = 5 };

static int load(const char *name, struct unit **ret)
{
	struct err e = ERR_INIT;

	if (unit_load("/", name, ret, &e) != 0)
		return shim_say(1, "%s", e.msg);
	if (*ret == NULL)
		return shim_say(NOT_LOADED, "Unit %s.service not found.", name);
	return 0;
}

static int start(const char *name)
{
	struct unit *u SCOPED(unit_freep) = NULL;
	struct err e = ERR_INIT;
	int rc = load(name, &u);

	if (rc != 0)
		return rc;
	if (!keeper_expected(name))
		return shim_say(NOT_LOADED,
				"%s: the step does not expect this service; add it to expects: "
				"services: of the step",
				name);
	return shim_start(u, &e) == 0 ? 0 : shim_say(1, "%s", e.msg);
}

static int stop(const char *name)
{
	struct err e = ERR_INIT;

	return keeper_stop(name, &e) == 0 ? 0 : shim_say(1, "%s", e.msg);
}

static int restart(const char *name)
{
	int rc = stop(name);

	return rc == 0 ? start(name) : rc;
}

static int try_restart(const char *name)
{
	return keeper_pid(name) > 0 ? restart(name) : 0;
}

static int reload(const char *name)
{
	struct unit *u SCOPED(unit_freep) = NULL;
	struct err e = ERR_INIT;
	int rc = load(name, &u);

	if (rc != 0)
		return rc;
	return keeper_reload(u, &e) == 0 ? 0 : shim_say(1, "%s", e.msg);
}

static int reload_or_restart(const char *name)
{
	struct unit *u SCOPED(unit_freep) = NULL;
	int rc = load(name, &u);

	if (rc != 0)
		return rc;
	if (keeper_pid(name) > 0 && u->exec[UNIT_RELOAD].n > 0)
		return reload(name);
	return restart(name);
}

static int status(const char *name)
{
	struct unit *u SCOPED(unit_freep) = NULL;
	pid_t pid = keeper_pid(name), main_pid = keeper_main(name);
	int rc = load(name, &u);

	if (rc != 0)
		return NOT_FOUND;
	dprintf(1, "* %s.service - %s\n", name, u->description != NULL ? u->description : name);
	dprintf(1, "   Active: %s\n", pid > 0 ? "active (running)" : "inactive (dead)");
	if (main_pid > 0)
		dprintf(1, " Main PID: %ld\n", (long)main_pid);
	return pid > 0 ? 0 : NOT_RUNNING;
}

int shim_act(const char *verb, const char *name)
{
	static const struct {
		const char *verb;
		int (*fn)(const char *name);
	} verbs[] = {{"start", start},
		     {"stop", stop},
		     {"restart", restart},
		     {"force-restart", restart},
		     {"try-restart", try_restart},
		     {"condrestart", try_restart},
		     {"reload", reload},
		     {"force-reload", reload_or_restart},
		     {"reload-or-restart", reload_or_restart},
		     {"status", status}};
	struct err e = ERR_INIT;
	char *unit SCOPED(mem_freep) = NULL;

	if (unit_name(name, &unit, &e) != 0)
		return shim_say(1, "%s", e.msg);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verb, verbs[i].verb) == 0)
			return verbs[i].fn(unit);
	return shim_say(2, "%s: a step has no \"%s\" for services", unit, verb);
}

int shim_service(char *const *args)
{
	struct strv running SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	if (args[0] != NULL && strcmp(args[0], "--status-all") == 0) {
		if (keeper_running(&running, &e) != 0)
			return shim_say(1, "%s", e.msg);
		for (size_t i = 0; i < running.n; i++)
			dprintf(1, " [ + ]  %s\n", running.v[i]);
		return 0;
	}
	if (args[0] == NULL || args[1] == NULL)
		return shim_say(2, "usage: service NAME start|stop|restart|reload|status");
	return shim_act(args[1], args[0]);
}

int shim_script(const char *name, char *const *args)
{
	if (args[0] == NULL)
		return shim_say(2, "usage: %s start|stop|restart|reload|status", name);
	return shim_act(args[0], name);
}

/* ---- the step */

/* Starts what is there of the services that the step expects; others it may bring itself. */
static int start_all(void)
{
	struct strv names SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;

	if (fs_mkdirs(AT_FDCWD, SHIM_STATE, 0755, &e) != 0 || keeper_services(&names, &e) != 0)
		return shim_say(1, "%s", e.msg);
	for (size_t i = 0; i < names.n; i++) {
		struct unit *u SCOPED(unit_freep) = NULL;

		if (unit_load("/", names.v[i], &u, &e) != 0)
			return shim_say(1, "%s", e.msg);
		if (u != NULL && shim_start(u, &e) != 0)
			return shim_say(1, "%s", e.msg);
	}
	return 0;
}

static int stop_all(void)
{
	struct strv names SCOPED(strv_release) = {0};
	struct err e = ERR_INIT;
	int rc = 0;

	if (keeper_running(&names, &e) != 0)
		return shim_say(1, "%s", e.msg);
	for (size_t i = 0; i < names.n; i++)
		if (keeper_stop(names.v[i], &e) != 0)
			rc = shim_say(1, "%s", e.msg);
	return rc;
}

static _Noreturn void program(char *const *args)
{
	const char *path = getenv("PATH");
	char *with SCOPED(mem_freep) =
	    mem_format(SHIM_DIR "/bin:%s", path != NULL ? path : "/usr/bin:/bin");

	(void)setenv("PATH", with, 1);
	(void)execvpe(args[0], args, environ);
	_exit(shim_say(127, "run %s: %s", args[0], strerror(errno)));
}

int shim_run(char *const *args)
{
	int status = 0, rc = start_all();
	pid_t pid, ended;

	if (rc != 0)
		return stop_all() == 0 ? rc : 1;
	pid = fork();
	if (pid == 0)
		program(args);
	if (pid < 0)
		return shim_say(1, "fork: %s", strerror(errno));
	do
		ended = waitpid(-1, &status, 0); /* also keepers that end meanwhile */
	while (ended != pid && (ended > 0 || errno == EINTR));
	rc = stop_all();
	if (WIFSIGNALED(status))
		(void)kill(getpid(), WTERMSIG(status));
	return status == 0 ? rc : WEXITSTATUS(status);
}
