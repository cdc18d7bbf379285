#include "import/script.h"
#include <string.h>

/* Bytes of the URL that begins at s. */
static size_t url_length(const char *s)
{
	return strcspn(s, " \t\r\n\"'`;|<>)(\\");
}

/* The beginning of a scheme in front of "://", or NULL. */
static const char *url_start(const char *word)
{
	const char *sep = strstr(word, "://");
	const char *p = sep;

	if (sep == NULL)
		return NULL;
	while (p > word && ((p[-1] >= 'a' && p[-1] <= 'z') || p[-1] == '+'))
		p--;
	return p < sep ? p : NULL;
}

static bool is_variable(const char *url)
{
	return strpbrk(url, "$`{*") != NULL;
}

static void one_url(struct script *s, const struct spot *at, const char *program, const char *url)
{
	char *name SCOPED(mem_freep) = NULL;

	/* a tree under version control is no file */
	if (strcmp(program, "git") != 0 && strcmp(program, "svn") != 0)
		name = draft_fetch(at, url, NULL);
	if (is_variable(url))
		found(at, RULE_FETCH, "a download whose address only a run can tell: %s", url);
	else if (name == NULL)
		found(at, RULE_FETCH, "a download that no medium can be: %s", url);
	else
		found(at, RULE_FETCH, "a download, now the medium %s: %s", name, url);
	if (name != NULL)
		strv_add(&s->media, name);
}

/* host:path or host::module among the operands. */
static bool names_host(const struct shell_command *c)
{
	for (size_t i = command_program(c) + 1; i < c->words.n; i++) {
		const char *w = c->words.v[i].text;

		if (w[0] != '-' && w[0] != '/' && strchr(w, ':') != NULL)
			return true;
	}
	return false;
}

/* Whether the command fetches something although it names no URL. */
static bool is_remote(const struct shell_command *c)
{
	static const char *const always[] = {"ftp", "ncftpget", "lftp", "sftp", "pip", "pip3",
					     "gem", "npm",      "wget", "curl", NULL};
	static const char *const git[] = {"clone", "fetch", "pull", "submodule", NULL};
	static const char *const svn[] = {"checkout", "co", "export", "update", NULL};
	static const char *const copies[] = {"rsync", "scp", NULL};
	const char *name = command_name(c);
	size_t at = command_program(c) + 1;

	if (is_one_of(name, copies))
		return names_host(c);
	if (strcmp(name, "git") == 0)
		return is_one_of(shell_arg(c, at), git);
	if (strcmp(name, "svn") == 0)
		return is_one_of(shell_arg(c, at), svn);
	return is_one_of(name, always) && c->words.n > at;
}

void fetch_look(struct script *s, const struct shell_command *c)
{
	size_t found_n = 0;

	for (size_t i = command_program(c) + 1; i < c->words.n; i++) {
		const struct shell_word *w = &c->words.v[i];
		struct spot at = script_spot(s, w->line);
		char *text SCOPED(mem_freep) = without_userinfo(&at, w->text, strlen(w->text));

		for (const char *p = url_start(text); p != NULL; found_n++) {
			size_t n = url_length(p);
			char *url SCOPED(mem_freep) = mem_strndup(p, n);

			one_url(s, &at, command_name(c), url);
			p = url_start(p + n);
		}
	}
	if (found_n == 0 && is_remote(c)) {
		struct spot at = script_spot(s, c->line);

		found(&at, RULE_FETCH, "%s fetches what the script does not name by a URL",
		      command_name(c));
	}
}
