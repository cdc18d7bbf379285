#include "import/script.h"
#include <stdio.h>
#include <string.h>

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

static bool is_assignment(const char *w)
{
	size_t n = strspn(w, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

	return n > 0 && w[n] == '=';
}

size_t command_program(const struct shell_command *c)
{
	static const char *const before[] = {"sudo", "env",     "exec",    "nohup", "time",
					     "nice", "command", "builtin", "eval",  NULL};
	size_t i = 0;

	while (i < c->words.n &&
	       (is_assignment(c->words.v[i].text) || is_one_of(c->words.v[i].text, before)))
		i++;
	return i;
}

const char *command_name(const struct shell_command *c)
{
	const char *w = shell_arg(c, command_program(c));
	const char *slash = strrchr(w, '/');

	return slash != NULL ? slash + 1 : w;
}

static struct spot where(const struct script *s, const struct shell_command *c)
{
	return script_spot(s, c->line);
}

static bool has_arg(const struct shell_command *c, const char *arg)
{
	for (size_t i = command_program(c) + 1; i < c->words.n; i++)
		if (strcmp(c->words.v[i].text, arg) == 0)
			return true;
	return false;
}

/* ---- one program each */

/* "666", "0777", "a+w", "o=rw": whether others may write then; a sticky directory is meant so. */
static bool opens_to_all(const char *mode)
{
	size_t digits = strspn(mode, "01234567");

	if (digits >= 3 && mode[digits] == '\0')
		return ((mode[digits - 1] - '0') & 2) != 0 && !(digits == 4 && mode[0] == '1');
	if (strpbrk(mode, "+=") == NULL || strchr(mode, 'w') == NULL)
		return false;
	return mode[0] == '+' || mode[0] == '=' || strcspn(mode, "ao") < strcspn(mode, "+=");
}

static void look_chmod(struct script *s, const struct shell_command *c)
{
	struct spot at = where(s, c);

	for (size_t i = command_program(c) + 1; i < c->words.n; i++) {
		const char *w = c->words.v[i].text;

		if (w[0] == '-' || w[0] == '/')
			continue;
		if (opens_to_all(w))
			found(&at, RULE_WORLD_WRITABLE, "chmod %s", w);
		return;
	}
}

static void look_date(struct script *s, const struct shell_command *c)
{
	struct spot at = where(s, c);
	const char *arg = shell_arg(c, command_program(c) + 1);

	if (c->depth > 0 || arg[0] == '+' || c->words.n == 1)
		found(&at, RULE_BUILD_DATE, "the time of the build gets into the image");
}

static void look_password(struct script *s, const struct shell_command *c)
{
	struct spot at = where(s, c);
	const char *name = command_name(c);

	if (strcmp(name, "passwd") == 0 && !has_arg(c, "--stdin") && !has_arg(c, "-d")) {
		if (!has_arg(c, "-l") && !has_arg(c, "--lock"))
			found(&at, RULE_PASSWORD, "a password is set");
		return;
	}
	if ((strcmp(name, "useradd") == 0 || strcmp(name, "usermod") == 0) && !has_arg(c, "-p") &&
	    !has_arg(c, "--password"))
		return;
	found(&at, RULE_PASSWORD, "%s sets a password", name);
}

static void look_running(struct script *s, const struct shell_command *c)
{
	struct spot at = where(s, c);

	found(&at, RULE_RUNNING_SYSTEM, "%s wants a running system", command_name(c));
}

static void look_systemctl(struct script *s, const struct shell_command *c)
{
	static const char *const running[] = {
	    "start",         "stop",    "restart",   "reload",      "status",
	    "daemon-reload", "isolate", "is-active", "try-restart", NULL};
	struct import *im = s->at.im;
	struct spot at = where(s, c);
	struct strv units = {0};
	struct strv *list;

	for (size_t i = command_program(c) + 1; i < c->words.n; i++)
		if (is_one_of(c->words.v[i].text, running)) {
			look_running(s, c);
			return;
		}
	if (command_units(im, c, &list, &units)) {
		for (size_t i = 0; i < units.n; i++) {
			draft_service(&at, list, units.v[i]);
			found(&at, RULE_ENABLE_IN_SCRIPT, "the unit \"%s\"", units.v[i]);
		}
	}
	strv_release(&units);
}

static void look_loop(struct script *s, const struct shell_command *c)
{
	struct spot at = where(s, c);
	const struct shell_word *w = c->words.n == 4 ? &c->words.v[3] : NULL;

	if (w != NULL && w->quoted && !w->expands && strcmp(shell_arg(c, 2), "in") == 0 &&
	    strchr(w->text, ' ') != NULL)
		found(&at, RULE_QUOTED_LIST, "the loop runs once: its list is one quoted word");
}

static void look_umount(struct script *s, const struct shell_command *c)
{
	look_running(s, c);
}

static bool is_excluded(const struct import *im, const char *name)
{
	for (size_t i = 0; i < im->excluded.n; i++) {
		const char *p = im->excluded.v[i];
		size_t n = strlen(p);

		if (strcmp(p, name) == 0 ||
		    (n > 0 && p[n - 1] == '*' && strncmp(p, name, n - 1) == 0))
			return true;
	}
	return false;
}

static void look_remove(struct script *s, const struct shell_command *c)
{
	struct spot at = where(s, c);

	for (size_t i = command_program(c) + 1; i < c->words.n; i++) {
		const char *w = c->words.v[i].text;

		if (w[0] != '-' && is_excluded(s->at.im, w))
			found(&at, RULE_REMOVE_EXCLUDED, "\"%s\" is excluded already", w);
	}
}

/* "yum update" without a name takes whatever there is today; "apt-get update" only looks. */
static bool updates_all(const struct installer *in)
{
	static const char *const verbs[] = {"update",       "upgrade",     "dist-upgrade",
					    "full-upgrade", "distro-sync", NULL};
	bool looks = in->program != NULL && in->verb != NULL &&
		     strncmp(in->program, "ap", 2) == 0 && strcmp(in->verb, "update") == 0;

	return in->verb != NULL && is_one_of(in->verb, verbs) && in->packages.n == 0 && !looks;
}

static void look_installed(struct script *s, const struct shell_command *c,
			   const struct installer *in)
{
	struct spot at = where(s, c);

	if (in->expands) {
		found(&at, RULE_NOT_LIFTED, "what %s installs, only a run can tell", in->program);
	} else if (in->packages.n > 0) {
		found(&at, RULE_INSTALL_IN_SCRIPT, "%s %s of %zu packages", in->program, in->verb,
		      in->packages.n);
		installer_lift(&at, in);
	}
}

static void look_installer(struct script *s, const struct shell_command *c)
{
	struct spot at = where(s, c);
	struct installer in = {0};

	command_installer(c, &in);
	if (updates_all(&in))
		found(&at, RULE_UNPINNED_UPDATE, "%s %s", in.program, in.verb);
	if (installer_installs(&in))
		look_installed(s, c, &in);
	if (in.urls.n > 0)
		fetch_look(s, c);
	if (in.verb != NULL && strcmp(in.verb, "remove") == 0)
		look_remove(s, c);
	installer_release(&in);
}

static void look_fetch(struct script *s, const struct shell_command *c)
{
	struct spot at = where(s, c);

	if (strcmp(command_name(c), "curl") == 0 && has_arg(c, "-k"))
		found(&at, RULE_TLS_OFF, "the server's certificate is not checked");
	fetch_look(s, c);
}

static const struct program {
	const char *name;
	void (*look)(struct script *s, const struct shell_command *c);
} programs[] = {
    {"apk", look_installer},       {"apt", look_installer},
    {"apt-get", look_installer},   {"aria2c", look_fetch},
    {"chkconfig", look_systemctl}, {"chmod", look_chmod},
    {"chpasswd", look_password},   {"chvt", look_running},
    {"curl", look_fetch},          {"date", look_date},
    {"dnf", look_installer},       {"dpkg", look_installer},
    {"elinks", look_fetch},        {"for", look_loop},
    {"ftp", look_fetch},           {"gem", look_fetch},
    {"git", look_fetch},           {"hostnamectl", look_running},
    {"ifup", look_running},        {"insmod", look_running},
    {"lftp", look_fetch},          {"localectl", look_running},
    {"losetup", look_running},     {"lynx", look_fetch},
    {"microdnf", look_installer},  {"mknod", look_running},
    {"modprobe", look_running},    {"mount", look_running},
    {"ncftpget", look_fetch},      {"npm", look_fetch},
    {"passwd", look_password},     {"pip", look_fetch},
    {"pip3", look_fetch},          {"reboot", look_running},
    {"rpm", look_installer},       {"rsync", look_fetch},
    {"scp", look_fetch},           {"service", look_running},
    {"sftp", look_fetch},          {"shutdown", look_running},
    {"smbpasswd", look_password},  {"svn", look_fetch},
    {"sysctl", look_running},      {"systemctl", look_systemctl},
    {"timedatectl", look_running}, {"umount", look_umount},
    {"useradd", look_password},    {"usermod", look_password},
    {"wget", look_fetch},          {"yum", look_installer},
    {"zypper", look_installer},
};

static void look_redirections(struct script *s, const struct shell_command *c)
{
	struct spot at = where(s, c);

	for (size_t i = 0; i < c->files.n; i++)
		if (strncmp(c->files.v[i].text, "/dev/tty", 8) == 0)
			found(&at, RULE_RUNNING_SYSTEM, "%s wants a console", c->files.v[i].text);
}

/* "wget ... | sh" */
static void look_pipe(struct script *s, const struct shell *sh, size_t i)
{
	static const char *const fetchers[] = {"wget", "curl", "lftp", "lynx", NULL};
	static const char *const runs[] = {"sh", "bash", "perl", "python", "python3", "ksh", NULL};
	struct spot at = where(s, &sh->commands[i]);

	if (i == 0 || sh->commands[i - 1].end != SHELL_PIPE ||
	    !is_one_of(command_name(&sh->commands[i - 1]), fetchers))
		return;
	if (is_one_of(command_name(&sh->commands[i]), runs))
		found(&at, RULE_PIPE_TO_SHELL, "what the network says is run at once");
}

static void look_ignored(struct script *s, const struct shell *sh, size_t i)
{
	static const char *const nothing[] = {"true", ":", NULL};
	const struct shell_command *c = &sh->commands[i];
	struct spot at = where(s, c);

	if (i > 0 && sh->commands[i - 1].end == SHELL_OR && is_one_of(command_name(c), nothing))
		found(&at, RULE_IGNORED_STATUS, "a failure of \"%s\" is ignored",
		      command_name(&sh->commands[i - 1]));
}

void command_look(struct script *s, const struct shell *sh, size_t i)
{
	const struct shell_command *c = &sh->commands[i];
	const char *name = command_name(c);

	look_redirections(s, c);
	look_pipe(s, sh, i);
	look_ignored(s, sh, i);
	for (size_t k = 0; k < LENGTH(programs); k++)
		if (strcmp(name, programs[k].name) == 0)
			programs[k].look(s, c);
}
