/* The commands of a unit: who they run as, and what they are given. */
#include "shim/keeper.h"

#include "base/buf.h"
#include "base/num.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ACCOUNTS_MAX = 4 << 20, GROUPS_MAX = 256 };

struct who {
	uint32_t uid, gid;
	gid_t groups[GROUPS_MAX];
	size_t groups_n;
	char *home, *shell;
};

static void who_release(struct who *w)
{
	free(w->home);
	free(w->shell);
}

/* The fields of the line of `name` (or of the id that it is) in passwd(5) or group(5). The C
 * library's own search would want modules that a static program cannot load. */
static bool find_line(const char *path, const char *name, struct strv *fields)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(ACCOUNTS_MAX);
	struct err quiet = ERR_INIT;
	char *at;

	if (fs_get_file(AT_FDCWD, path, &b, &quiet) != 0)
		return false;
	for (at = b.data; at != NULL;) {
		char *line = strsep(&at, "\n");

		strv_release(fields);
		while (line != NULL)
			strv_add(fields, strsep(&line, ":"));
		if (fields->n > 3 &&
		    (strcmp(fields->v[0], name) == 0 || strcmp(fields->v[2], name) == 0))
			return true;
	}
	return false;
}

static uint32_t id_of(const char *text)
{
	uint64_t v;

	return num_u64(text, UINT32_MAX - 1, &v) == 0 ? (uint32_t)v : 0;
}

static bool in_list(char *members, const char *name)
{
	while (members != NULL)
		if (strcmp(strsep(&members, ","), name) == 0)
			return true;
	return false;
}

static void more_groups(struct who *w, const char *name)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(ACCOUNTS_MAX);
	struct err quiet = ERR_INIT;
	char *at;

	if (fs_get_file(AT_FDCWD, "/etc/group", &b, &quiet) != 0)
		return;
	for (at = b.data; at != NULL;) {
		char *line = strsep(&at, "\n");
		const char *field[3] = {NULL};

		for (size_t i = 0; i < 3 && line != NULL; i++)
			field[i] = strsep(&line, ":");
		if (field[2] != NULL && in_list(line, name) && w->groups_n < GROUPS_MAX)
			w->groups[w->groups_n++] = id_of(field[2]);
	}
}

static int find_who(const struct unit *u, struct who *w, struct err *e)
{
	struct strv f SCOPED(strv_release) = {0}, g SCOPED(strv_release) = {0};

	w->home = mem_strdup("/root");
	w->shell = mem_strdup("/bin/sh");
	if (u->user != NULL) {
		if (!find_line("/etc/passwd", u->user, &f) || f.n < 7)
			return err_set(e, ERR_FAIL, "%s: there is no user %s", u->name, u->user);
		w->uid = id_of(f.v[2]);
		w->gid = id_of(f.v[3]);
		free(w->home);
		free(w->shell);
		w->home = mem_strdup(f.v[5]);
		w->shell = mem_strdup(f.v[6]);
		more_groups(w, f.v[0]);
	}
	if (u->group == NULL)
		return 0;
	if (!find_line("/etc/group", u->group, &g))
		return err_set(e, ERR_FAIL, "%s: there is no group %s", u->name, u->group);
	w->gid = id_of(g.v[2]);
	return 0;
}

/* NAME=VALUE lines, values perhaps in quotes: systemd.exec(5), EnvironmentFile. */
static void read_env_file(const char *path, struct strv *env)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(ACCOUNTS_MAX);
	struct err quiet = ERR_INIT;
	char *at;

	if (fs_get_file(AT_FDCWD, path, &b, &quiet) != 0)
		return;
	for (at = b.data; at != NULL;) {
		char *line = strsep(&at, "\n"), *value = strchr(line, '=');
		size_t n;

		line += strspn(line, " \t");
		if (line[0] == '#' || line[0] == ';' || value == NULL)
			continue;
		*value++ = '\0';
		n = strcspn(value, "\r");
		if (n > 1 && (value[0] == '"' || value[0] == '\'') && value[n - 1] == value[0]) {
			value++;
			n -= 2;
		}
		strv_addf(env, "%s=%.*s", line, (int)n, value);
	}
}

static int make_env(const struct unit *u, const struct who *w, pid_t main_pid, struct strv *env,
		    struct err *e)
{
	strv_add(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	strv_add(env, "LANG=C");
	strv_add(env, "SYSTEMD_OFFLINE=1");
	strv_addf(env, "HOME=%s", w->home);
	strv_addf(env, "SHELL=%s", w->shell);
	if (u->user != NULL)
		strv_addf(env, "USER=%s", u->user);
	if (main_pid > 0)
		strv_addf(env, "MAINPID=%ld", (long)main_pid);
	if (u->type == UNIT_NOTIFY)
		strv_addf(env, "NOTIFY_SOCKET=" SHIM_STATE "/%s.notify", u->name);
	strv_extend(env, &u->env);
	for (size_t i = 0; i < u->env_files.n; i++) {
		char *path SCOPED(mem_freep) = unit_expand(u, u->env_files.v[i]);
		const char *file = path[0] == '-' ? path + 1 : path;

		if (path[0] != '-' && access(file, R_OK) != 0)
			return err_sys(e, "%s: EnvironmentFile %s", u->name, file);
		read_env_file(file, env);
	}
	return 0;
}

static int make_dirs(const struct unit *u, const struct who *w, struct err *e)
{
	const struct {
		const char *below;
		const struct strv *names;
		unsigned mode;
	} kinds[] = {{"/run", &u->runtime_dirs, u->runtime_mode},
		     {"/var/lib", &u->state_dirs, 0755},
		     {"/var/cache", &u->cache_dirs, 0755},
		     {"/var/log", &u->logs_dirs, 0755}};

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		for (size_t i = 0; i < kinds[k].names->n; i++) {
			char *path SCOPED(mem_freep) =
			    fs_join(kinds[k].below, kinds[k].names->v[i]);

			if (!fs_relative_ok(kinds[k].names->v[i]))
				return err_set(e, ERR_FAIL, "%s: no name of a directory: %s",
					       u->name, kinds[k].names->v[i]);
			if (access(path, F_OK) == 0)
				continue;
			if (fs_mkdirs(AT_FDCWD, path, 0755, e) != 0)
				return -1;
			if (chmod(path, kinds[k].mode) != 0 || chown(path, w->uid, w->gid) != 0)
				return err_sys(e, "%s: %s", u->name, path);
		}
	return 0;
}

static _Noreturn void become(const struct unit *u, const struct who *w,
			     const struct unit_command *c, const struct strv *env)
{
	const char *dir = u->workdir;
	bool may_lack = dir != NULL && dir[0] == '-';

	proc_plain_signals();
	if (setgroups(w->groups_n, w->groups) != 0 || setresgid(w->gid, w->gid, w->gid) != 0 ||
	    setresuid(w->uid, w->uid, w->uid) != 0) {
		dprintf(2, "%s: become the user: %s\n", u->name, strerror(errno));
		_exit(217);
	}
	dir = dir == NULL ? "/" : dir + (may_lack ? 1 : 0);
	if (chdir(strcmp(dir, "~") == 0 ? w->home : dir) != 0 && !may_lack) {
		dprintf(2, "%s: enter %s: %s\n", u->name, dir, strerror(errno));
		_exit(200);
	}
	environ = env->v;
	char *program = c->argv.v[0];
	char **argv = c->argv.v;

	if (c->zero != NULL)
		argv[0] = c->zero;
	(void)execvpe(program, argv, environ);
	dprintf(2, "%s: run %s: %s\n", u->name, program, strerror(errno));
	_exit(203);
}

int keeper_spawn(const struct unit *u, const char *line, pid_t main_pid, pid_t *ret,
		 bool *ret_may_fail, struct err *e)
{
	struct who w SCOPED(who_release) = {0};
	struct strv env SCOPED(strv_release) = {0};
	struct unit_command c SCOPED(unit_command_release) = {0};

	if (find_who(u, &w, e) != 0 || make_dirs(u, &w, e) != 0 ||
	    make_env(u, &w, main_pid, &env, e) != 0 || unit_command(u, line, &env, &c, e) != 0)
		return -1;
	*ret_may_fail = c.may_fail;
	*ret = fork();
	if (*ret == 0)
		become(u, &w, &c, &env);
	return *ret > 0 ? 0 : err_sys(e, "%s: fork", u->name);
}

int keeper_run_all(const struct unit *u, enum unit_exec kind, pid_t main_pid, struct err *e)
{
	for (size_t i = 0; i < u->exec[kind].n; i++) {
		bool may_fail = false;
		int status = 0;
		pid_t pid;

		if (keeper_spawn(u, u->exec[kind].v[i], main_pid, &pid, &may_fail, e) != 0)
			return -1;
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			continue;
		if (status != 0 && !may_fail)
			return err_set(e, ERR_FAIL, "%s: it failed: %.200s", u->name,
				       u->exec[kind].v[i]);
	}
	return 0;
}
