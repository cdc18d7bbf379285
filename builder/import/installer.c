#include "import/script.h"
#include <string.h>

/* Options of installers that have a word behind them. */
static const char *const valued[] = {"-c",
				     "-x",
				     "-o",
				     "-t",
				     "-d",
				     "--setopt",
				     "--exclude",
				     "--enablerepo",
				     "--disablerepo",
				     "--releasever",
				     "--installroot",
				     "--repo",
				     "--virtual",
				     "--repository",
				     NULL};

/* One word behind the verb. */
static void add_operand(const struct shell_word *w, struct installer *ret)
{
	size_t n = strlen(w->text);

	if (w->expands)
		ret->expands = true;
	else if (strstr(w->text, "://") != NULL ||
		 (n > 4 && strcmp(w->text + n - 4, ".rpm") == 0) ||
		 (n > 4 && strcmp(w->text + n - 4, ".deb") == 0))
		strv_add(&ret->urls, w->text);
	else
		strv_add(&ret->packages, w->text);
}

/* rpm and dpkg have their verb as an option, and files as operands. */
static void file_installer(const struct shell_command *c, size_t from, struct installer *ret)
{
	ret->verb = "";
	for (size_t i = from; i < c->words.n; i++) {
		const char *w = c->words.v[i].text;

		if (strcmp(w, "-e") == 0 || strcmp(w, "--erase") == 0)
			ret->verb = "remove";
		if (strstr(w, "://") != NULL)
			strv_add(&ret->urls, w);
	}
}

void command_installer(const struct shell_command *c, struct installer *ret)
{
	static const char *const known[] = {"yum", "dnf", "microdnf", "apt-get",
					    "apt", "apk", "zypper",   NULL};
	size_t at = command_program(c);
	const char *name = command_name(c);

	*ret = (struct installer){0};
	if (strcmp(name, "rpm") == 0 || strcmp(name, "dpkg") == 0) {
		ret->program = name;
		file_installer(c, at + 1, ret);
		return;
	}
	if (!is_one_of(name, known))
		return;
	ret->program = name;
	for (size_t i = at + 1; i < c->words.n; i++) {
		const struct shell_word *w = &c->words.v[i];

		if (is_one_of(w->text, valued))
			i++;
		else if (w->text[0] == '-')
			continue;
		else if (ret->verb == NULL)
			ret->verb = w->text;
		else
			add_operand(w, ret);
	}
}

void installer_release(struct installer *i)
{
	strv_release(&i->packages);
	strv_release(&i->urls);
}

bool installer_installs(const struct installer *i)
{
	static const char *const verbs[] = {"install",      "add",    "in",        "groupinstall",
					    "localinstall", "module", "reinstall", NULL};

	return i->program != NULL && i->verb != NULL && is_one_of(i->verb, verbs);
}

void installer_lift(const struct spot *at, const struct installer *in)
{
	bool group = strcmp(in->verb, "groupinstall") == 0;

	for (size_t i = 0; i < in->packages.n; i++) {
		const char *word = in->packages.v[i];
		size_t n = strcspn(word, "=");
		char *name SCOPED(mem_freep) = mem_strndup(word, n);
		char *entry SCOPED(mem_freep) =
		    mem_format("%s%s", group && name[0] != '@' ? "@" : "", name);

		if (word[n] == '=')
			found(at, RULE_OPTION, "the version in \"%s\": the lock has versions",
			      word);
		draft_install(at, entry);
	}
}

/* ---- units */

/* Where "ln -s ... /etc/systemd/system/multi-user.target.wants/NAME" enables a unit. */
static bool wanted_link(const struct shell_command *c, struct strv *ret_units)
{
	const char *last = c->words.n > 0 ? c->words.v[c->words.n - 1].text : "";
	const char *wants = strstr(last, ".wants/");
	const char *from = c->words.n > 1 ? c->words.v[c->words.n - 2].text : "";
	const char *slash = strrchr(from, '/');

	if (strcmp(command_name(c), "ln") != 0 || wants == NULL)
		return false;
	if (wants[7] != '\0')
		strv_add(ret_units, wants + 7);
	else if (slash != NULL)
		strv_add(ret_units, slash + 1);
	return ret_units->n > 0;
}

static struct strv *list_of(struct draft *d, const char *verb)
{
	static const char *const on[] = {"enable", "on", NULL};
	static const char *const off[] = {"disable", "off", NULL};

	if (is_one_of(verb, on))
		return &d->enable;
	if (is_one_of(verb, off))
		return &d->disable;
	return strcmp(verb, "mask") == 0 ? &d->mask : NULL;
}

bool command_units(struct import *im, const struct shell_command *c, struct strv **ret_list,
		   struct strv *ret_units)
{
	struct strv *list = NULL;
	size_t i = command_program(c) + 1;

	*ret_list = &im->d.enable;
	if (wanted_link(c, ret_units))
		return true;
	if (strcmp(command_name(c), "systemctl") != 0 && strcmp(command_name(c), "chkconfig") != 0)
		return false;
	for (; i < c->words.n; i++) {
		const struct shell_word *w = &c->words.v[i];

		if (w->expands)
			return false;
		if (w->text[0] == '-')
			continue;
		if (list == NULL && list_of(&im->d, w->text) != NULL)
			list = list_of(&im->d, w->text);
		else
			strv_add(ret_units, w->text);
	}
	*ret_list = list;
	return list != NULL && ret_units->n > 0;
}
