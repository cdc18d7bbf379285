#include "import/df.h"
#include "recipe/grammar.h"
#include <stdlib.h>
#include <string.h>

/* The pairs of ENV and LABEL: "K=V K2=V2", or the old "K V". */
static void pairs(struct df *d, bool expand, struct strv *names, struct strv *values)
{
	struct strv words = {0};
	const char *eq;

	df_words(d, d->i->rest, expand, &words);
	eq = words.n > 0 ? strchr(words.v[0], '=') : NULL;
	if (words.n > 0 && (eq == NULL || eq == words.v[0])) {
		const char *rest = d->i->rest + strcspn(d->i->rest, " \t");
		char *value SCOPED(mem_freep) = expand ? df_expand(d, rest + strspn(rest, " \t"))
						       : mem_strdup(rest + strspn(rest, " \t"));

		found(&d->at, RULE_LEGACY_FORM, "%s %s takes the rest of the line as one value",
		      d->i->name, words.v[0]);
		strv_add(names, words.v[0]);
		strv_add(values, value);
		strv_release(&words);
		return;
	}
	for (size_t i = 0; i < words.n; i++) {
		size_t n = strcspn(words.v[i], "=");

		if (words.v[i][n] == '\0') {
			found(&d->at, RULE_STRAY_WORD, "\"%s\" has no value", words.v[i]);
			continue;
		}
		strv_take(names, mem_strndup(words.v[i], n));
		strv_add(values, words.v[i] + n + 1);
	}
	strv_release(&words);
}

/* By its name: such a value is for the site, and does not get into the recipe. */
static bool is_secret(const char *name)
{
	return strstr(name, "PASSW") != NULL || strstr(name, "SECRET") != NULL ||
	       strstr(name, "TOKEN") != NULL || strstr(name, "password") != NULL;
}

static void one_variable(struct df *d, const char *name, const char *given)
{
	struct import *im = d->im;
	char *value SCOPED(mem_freep) = without_userinfo(&d->at, given, strlen(given));
	char *quoted SCOPED(mem_freep) = yaml_scalar(value);
	size_t n = strlen(name);

	if (!grammar_ok(&grammar_env_name, name) ||
	    (value[0] != '\0' && !grammar_ok(&grammar_env_value, value))) {
		found(&d->at, RULE_BAD_VALUE, "\"%s\" is no variable of one line", name);
		return;
	}
	if (is_secret(name) && value[0] != '\0') {
		found_password(&d->at, name, value, any_hash(value));
		return;
	}
	if (!df_set(d, name, value) || im->d.env.n >= DF_VARIABLES_MAX)
		return;
	for (size_t i = 0; i < im->d.env.n; i++)
		if (strncmp(im->d.env.v[i], name, n) == 0 && im->d.env.v[i][n] == ':') {
			free(im->d.env.v[i]);
			im->d.env.v[i] = mem_format("%s: %s", name, quoted);
			return;
		}
	strv_addf(&im->d.env, "%s: %s", name, quoted);
	strv_add(&d->env, name);
}

enum outcome df_env(struct df *d)
{
	struct strv names = {0}, values = {0};
	size_t n;

	pairs(d, true, &names, &values);
	for (size_t i = 0; i < names.n; i++)
		one_variable(d, names.v[i], values.v[i]);
	n = names.n;
	strv_release(&names);
	strv_release(&values);
	return n > 0 ? OUTCOME_CARRIED : OUTCOME_FOUND;
}

enum outcome df_label(struct df *d)
{
	struct strv names = {0}, values = {0};

	pairs(d, true, &names, &values);
	for (size_t i = 0; i < names.n; i++)
		found(&d->at,
		      strstr(names.v[i], "build-date") != NULL ? RULE_BUILD_DATE : RULE_LABEL,
		      "the label \"%s\"", names.v[i]);
	if (names.n == 1 && strstr(values.v[0], " = ") != NULL)
		found(&d->at, RULE_LEGACY_FORM, "all labels of the line are one");
	strv_release(&names);
	strv_release(&values);
	return OUTCOME_FOUND;
}

enum outcome df_expose(struct df *d)
{
	struct strv words = {0};
	size_t n = 0;

	df_words(d, d->i->rest, true, &words);
	for (size_t i = 0; i < words.n; i++) {
		char *numbers SCOPED(mem_freep) = mem_strndup(words.v[i], strcspn(words.v[i], "/"));
		const char *slash = strchr(words.v[i], '/');

		if (draft_port(d->im, numbers, slash != NULL ? slash + 1 : "tcp"))
			n++;
		else
			found(&d->at, RULE_BAD_VALUE, "\"%s\" is no port", words.v[i]);
	}
	strv_release(&words);
	return n > 0 ? OUTCOME_CARRIED : OUTCOME_FOUND;
}

enum outcome df_volume(struct df *d)
{
	struct strv words = {0};
	size_t n = 0;

	if (d->i->form == DOCKERFILE_SHELL)
		df_words(d, d->i->rest, true, &words);
	else
		strv_extend(&words, &d->i->exec);
	for (size_t i = 0; i < words.n; i++) {
		char *path SCOPED(mem_freep) = df_path(d, words.v[i]);

		if (path != NULL && strncmp(path, "/sys", 4) == 0) {
			found(&d->at, RULE_NOT_NEEDED, "the volume %s", path);
		} else if (path == NULL || !grammar_ok(&grammar_image_path, path)) {
			found(&d->at, RULE_BAD_VALUE, "\"%s\" is no path", words.v[i]);
		} else {
			if (draft_once(d->im, &d->im->d.volumes, path) && d->volumes.n < 256)
				strv_add(&d->volumes, path);
			n++;
		}
	}
	strv_release(&words);
	return n > 0 ? OUTCOME_CARRIED : OUTCOME_FOUND;
}

void df_check_volume(struct df *d, const char *path)
{
	for (size_t i = 0; i < d->volumes.n; i++) {
		size_t n = strlen(d->volumes.v[i]);

		if (strncmp(path, d->volumes.v[i], n) == 0 &&
		    (path[n] == '\0' || strchr("/ \t\n;&|\"'", path[n]) != NULL))
			found(&d->at, RULE_VOLUME_BEFORE_DATA,
			      "%s was made a volume above: what is written to it here is lost",
			      d->volumes.v[i]);
	}
}

enum outcome df_start(struct df *d)
{
	struct draft *r = &d->im->d;
	bool cmd = strcmp(d->i->name, "CMD") == 0;
	struct strv *to = cmd ? &r->cmd : &r->entrypoint;

	if (to->n > 0)
		found(&d->at, RULE_DUPLICATE, "only the last %s counts", d->i->name);
	strv_release(to);
	if (!cmd)
		strv_release(&r->cmd);
	if (d->i->form == DOCKERFILE_TYPOGRAPHIC)
		found(&d->at, RULE_TYPOGRAPHIC_QUOTES, "%s has quotes that JSON does not know",
		      d->i->name);
	if (d->i->form != DOCKERFILE_SHELL) {
		strv_extend(to, &d->i->exec);
		check_words(&d->at, to);
		return to->n > 0 ? OUTCOME_CARRIED : OUTCOME_FOUND;
	}
	if (d->i->rest[0] == '\0')
		return OUTCOME_FOUND;
	if (d->i->rest[0] == '[')
		found(&d->at, RULE_NOT_UNDERSTOOD, "%s looks like a list and is none", d->i->name);
	if (d->shell.n > 0)
		strv_extend(to, &d->shell);
	else
		strv_add(to, "/bin/sh");
	strv_add(to, "-c");
	strv_add(to, d->i->rest);
	check_words(&d->at, to);
	return OUTCOME_CARRIED;
}

/* Sets one word of the recipe's run, and what instructions from here on see. */
static enum outcome set_word(struct df *d, char **to, const struct grammar *g, const char *value)
{
	if (!grammar_ok(g, value)) {
		found(&d->at, RULE_BAD_VALUE, "\"%s\" is not %s", value, g->what);
		return OUTCOME_FOUND;
	}
	free(*to);
	*to = mem_strdup(value);
	return OUTCOME_CARRIED;
}

enum outcome df_user(struct df *d)
{
	char *user SCOPED(mem_freep) = df_expand(d, d->i->rest);
	enum outcome o = set_word(d, &d->im->d.user, &grammar_run_user, user);

	if (o == OUTCOME_CARRIED) {
		free(d->user);
		d->user = mem_strdup(user);
	}
	return o;
}

enum outcome df_workdir(struct df *d)
{
	char *text SCOPED(mem_freep) = df_expand(d, d->i->rest);
	char *path SCOPED(mem_freep) = df_path(d, text);
	enum outcome o =
	    set_word(d, &d->im->d.workdir, &grammar_image_path, path != NULL ? path : text);

	if (o == OUTCOME_CARRIED) {
		free(d->workdir);
		d->workdir = mem_strdup(path);
	}
	return o;
}

enum outcome df_stopsignal(struct df *d)
{
	char *text SCOPED(mem_freep) = df_expand(d, d->i->rest);

	return set_word(d, &d->im->d.stop_signal, &grammar_signal, text);
}

enum outcome df_shell(struct df *d)
{
	if (d->i->form == DOCKERFILE_SHELL || d->i->exec.n == 0) {
		found(&d->at, RULE_NOT_UNDERSTOOD, "SHELL wants a list");
		return OUTCOME_FOUND;
	}
	strv_release(&d->shell);
	for (size_t i = 0; i < d->i->exec.n; i++)
		if (i + 1 < d->i->exec.n || strcmp(d->i->exec.v[i], "-c") != 0)
			strv_add(&d->shell, d->i->exec.v[i]);
	check_words(&d->at, &d->shell);
	found(&d->at, RULE_IMPLICIT, "steps from here on run in \"%s\"", d->shell.v[0]);
	return OUTCOME_CARRIED;
}
