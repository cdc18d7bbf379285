#include "import/df.h"
#include "import/script.h"
#include <stdlib.h>
#include <string.h>

/* The script that is left of an instruction, and which line of the file each of its lines is. */
struct rest {
	const struct dockerfile_instruction *i;
	struct buf text;
	unsigned *lines;
	size_t lines_n, lines_cap;
	size_t kept; /* bytes of the instruction in it */
};

static void rest_release(struct rest *r)
{
	buf_release(&r->text);
	mem_freep(&r->lines);
}

static void next_line(struct rest *r, unsigned line)
{
	if (r->lines_n == r->lines_cap)
		r->lines = mem_resize(r->lines, r->lines_cap = r->lines_cap ? r->lines_cap * 2 : 32,
				      sizeof(*r->lines));
	r->lines[r->lines_n++] = line;
}

/* Appends text whose first line is `line` of the file, and the next ones follow it. */
static void put(struct rest *r, const char *p, size_t n, unsigned line)
{
	for (size_t i = 0; i < n; i++) {
		if (r->text.len == 0 || r->text.data[r->text.len - 1] == '\n')
			next_line(r, line);
		line += p[i] == '\n';
		buf_add(&r->text, p + i, 1);
	}
}

/* Which line of the file the n-th of the instruction is. */
static unsigned line_of(const struct dockerfile_instruction *i, unsigned n)
{
	size_t k = n > 0 ? n - 1 : 0;

	return i->lines_n == 0 ? i->line : i->lines[k < i->lines_n ? k : i->lines_n - 1];
}

/* ---- what becomes data */

/* Caches of package managers, which a build has none of. */
static bool is_cleaning(const struct shell_command *c)
{
	static const char *const verbs[] = {"clean", "makecache", "autoremove", "autoclean", NULL};
	static const char *const caches[] = {"/var/cache/", "/var/lib/apt/", "/var/lib/dnf", NULL};
	struct installer in;
	bool yes;

	command_installer(c, &in);
	yes = in.verb != NULL && (is_one_of(in.verb, verbs) || (strncmp(in.program, "ap", 2) == 0 &&
								strcmp(in.verb, "update") == 0));
	installer_release(&in);
	if (yes || strcmp(command_name(c), "rm") != 0)
		return yes;
	for (size_t i = command_program(c) + 1; i < c->words.n; i++) {
		const char *w = c->words.v[i].text;
		const char *const *k = caches;

		while (*k != NULL && strncmp(w, *k, strlen(*k)) != 0)
			k++;
		if (w[0] != '-' && *k == NULL)
			return false;
	}
	return c->words.n > command_program(c) + 1;
}

static bool lift_packages(struct df *d, const struct shell_command *c)
{
	struct spot at = d->at;
	struct installer in;
	bool yes;

	at.line = c->line;
	command_installer(c, &in);
	yes = installer_installs(&in) && in.packages.n > 0 && in.urls.n == 0 && !in.expands;
	if (yes) {
		found(&at, RULE_LIFTED, "%zu packages", in.packages.n);
		for (size_t i = 0; i < c->words.n; i++)
			if (strcmp(c->words.v[i].text, "--no-install-recommends") == 0)
				d->im->d.recommends = 0;
		installer_lift(&at, &in);
	}
	installer_release(&in);
	return yes;
}

static bool lift_units(struct df *d, const struct shell_command *c)
{
	struct strv *list = NULL;
	struct strv units = {0};
	struct spot at = d->at;
	bool yes = command_units(d->im, c, &list, &units);

	at.line = c->line;
	for (size_t i = 0; i < units.n && yes; i++) {
		draft_service(&at, list, units.v[i]);
		found(&at, RULE_LIFTED, "the unit \"%s\"", units.v[i]);
	}
	strv_release(&units);
	return yes;
}

/* Whether the command becomes data, so that the script does without it. */
static bool lift(struct df *d, const struct shell_command *c)
{
	struct spot at = d->at;

	at.line = c->line;
	for (size_t i = 0; i < c->files.n; i++)
		if (strcmp(c->files.v[i].text, "/dev/null") != 0 && c->files.v[i].text[0] != '1' &&
		    c->files.v[i].text[0] != '2')
			return false;
	if (is_cleaning(c)) {
		found(&at, RULE_NOT_NEEDED, "\"%s\" for a package manager's cache",
		      command_name(c));
		return true;
	}
	return lift_packages(d, c) || lift_units(d, c);
}

/* A command may go when what comes before and after does not ask for its result. */
static bool may_go(const struct shell_command *c, enum shell_end before)
{
	bool after = c->end == SHELL_AND || c->end == SHELL_LINE || c->end == SHELL_END;

	return after && before != SHELL_PIPE && before != SHELL_OR;
}

/* What stood between two commands that are kept, or a line end for a shell. */
static void put_between(struct rest *r, const struct shell_command *kept, unsigned line)
{
	put(r, r->i->text + kept->to, kept->next - kept->to, line);
	if (r->text.data[r->text.len - 1] != '\n')
		put(r, " \\\n", 3, line);
}

/* Lifts what can be, and puts the rest together again. */
static void split(struct df *d, struct shell *sh, struct rest *r)
{
	const struct shell_command *kept = NULL;
	enum shell_end before = SHELL_LINE;

	if (sh->compound) {
		r->kept = strlen(d->i->text);
		put(r, d->i->text, r->kept, d->i->line);
		return;
	}
	for (size_t i = 0; i < sh->commands_n; i++) {
		struct shell_command *c = &sh->commands[i];
		bool goes;

		if (c->depth > 0)
			continue;
		c->line = line_of(d->i, c->line);
		goes = may_go(c, before) && lift(d, c);
		before = c->end;
		if (goes)
			continue;
		if (kept != NULL)
			put_between(r, kept, c->line);
		put(r, d->i->text + c->from, c->to - c->from, c->line);
		r->kept += c->to - c->from;
		kept = c;
	}
}

/* ---- the step */

static void put_text(struct rest *r, const char *text)
{
	put(r, text, strlen(text), r->i->line);
}

/* What instructions above have set, for a shell. */
static void prologue(struct df *d, struct rest *r)
{
	char *where SCOPED(mem_freep) = mem_format("# %s:%u\n", d->at.src->name, d->i->line);

	put_text(r, where);
	for (size_t i = 0; i < d->vars.n; i++) {
		const char *v = strchr(d->vars.v[i], '=') + 1;
		char *name SCOPED(mem_freep) =
		    mem_strndup(d->vars.v[i], (size_t)(v - d->vars.v[i]) - 1);

		put_text(r, "export ");
		put_text(r, name);
		put_text(r, "='");
		for (; *v != '\0'; v++)
			put(r, *v == '\'' ? "'\\''" : v, *v == '\'' ? 4 : 1, r->i->line);
		put_text(r, "'\n");
	}
	if (d->workdir != NULL) {
		put_text(r, "cd '");
		for (const char *p = d->workdir; *p != '\0'; p++)
			put(r, *p == '\'' ? "'\\''" : p, *p == '\'' ? 4 : 1, r->i->line);
		put_text(r, "' || exit 1\n");
	}
}

/* Findings about where the script stands among the other instructions. */
static void look_around(struct df *d, const char *text)
{
	for (size_t i = 0; i < d->copied.n; i++) {
		const char *at = d->copied.v[i];
		bool here = d->workdir != NULL && strncmp(d->workdir, at, strlen(at)) == 0;

		if (strcmp(at, "/") != 0 && (here || strstr(text, at) != NULL)) {
			found(&d->at, RULE_COPY_ORDER, "it may use %s, which is copied above", at);
			break;
		}
	}
	for (size_t i = 0; i < d->volumes.n; i++) {
		const char *p = strstr(text, d->volumes.v[i]);

		if (p != NULL && (p == text || strchr(" \t\n\"'=>", p[-1]) != NULL))
			df_check_volume(d, p);
	}
	if (d->user != NULL && strcmp(d->user, "root") != 0 && strcmp(d->user, "0") != 0)
		found(&d->at, RULE_RUN_USER, "it ran as \"%s\"", d->user);
}

static void add_script(struct df *d, struct rest *r, const char *interpreter)
{
	char *name SCOPED(mem_freep) = mem_format("run-%u", ++d->runs);
	struct strv options = {0};
	struct script sc = {.at = d->at,
			    .data = r->text.data,
			    .n = r->text.len,
			    .lines = r->lines,
			    .lines_n = r->lines_n,
			    .name = name,
			    .interpreter = interpreter};

	map_put(&d->im->media, name, d->im);
	for (size_t i = 1; i < d->shell.n && strcmp(interpreter, d->shell.v[0]) == 0; i++)
		strv_add(&options, d->shell.v[i]);
	script_look(&sc);
	script_step(&sc, &options);
	strv_release(&options);
	strv_release(&sc.media);
	d->im->a.scripts++;
}

static const char *shell_of(const struct df *d)
{
	return d->shell.n > 0 && d->shell.v[0][0] == '/' ? d->shell.v[0] : "/bin/sh";
}

/* A script that has no room is only a finding. */
static enum outcome left_out(struct df *d, size_t bytes)
{
	found(&d->at, RULE_NOT_UNDERSTOOD, "the script is left out: it is larger than 16 MiB");
	d->im->a.script_in += bytes;
	d->im->a.script_found += bytes;
	return OUTCOME_FOUND;
}

/* RUN <<EOF: the body is the script, in the language of its first line. */
static enum outcome run_body(struct df *d)
{
	const struct dockerfile_heredoc *h = &d->i->heredocs[0];
	struct rest r SCOPED(rest_release) = {.i = d->i, .text = BUF_INIT(16 << 20)};
	char *interpreter SCOPED(mem_freep) =
	    strncmp(h->body, "#!/", 3) == 0
		? mem_strndup(h->body + 2, strcspn(h->body + 2, " \n\r"))
		: mem_strdup(shell_of(d));

	if (strncmp(h->body, "#!/", 3) != 0)
		prologue(d, &r);
	put(&r, h->body, strlen(h->body), h->line);
	if (buf_over(&r.text))
		return left_out(d, strlen(h->body));
	d->im->a.script_in += strlen(h->body);
	d->im->a.script_out += strlen(h->body);
	look_around(d, h->body);
	add_script(d, &r, interpreter);
	return OUTCOME_CARRIED;
}

/* A program that is given here-documents: they go along. */
static void run_with_bodies(struct df *d, struct rest *r)
{
	prologue(d, r);
	put(r, d->i->text, strlen(d->i->text), d->i->line);
	put_text(r, "\n");
	r->kept = strlen(d->i->text);
	for (size_t i = 0; i < d->i->heredocs_n; i++) {
		const struct dockerfile_heredoc *h = &d->i->heredocs[i];

		put(r, h->body, strlen(h->body), h->line);
		put(r, h->marker, strlen(h->marker), h->line);
		put_text(r, "\n");
		d->im->a.script_in += strlen(h->body);
		d->im->a.script_out += strlen(h->body);
	}
}

static enum outcome run_shell(struct df *d)
{
	struct shell sh SCOPED(shell_release) = {0};
	struct rest r SCOPED(rest_release) = {.i = d->i, .text = BUF_INIT(16 << 20)};
	size_t all = strlen(d->i->text), before;

	shell_read(d->i->text, all, &sh);
	if (d->i->heredocs_n > 0 && (sh.commands_n == 0 || sh.commands[0].words.n == 0))
		return run_body(d);
	if (d->i->heredocs_n > 0) {
		run_with_bodies(d, &r);
	} else {
		prologue(d, &r);
		before = r.text.len;
		split(d, &sh, &r);
		if (r.text.len == before)
			r.kept = 0;
		else
			put_text(&r, "\n");
	}
	if (buf_over(&r.text))
		return left_out(d, all);
	d->im->a.script_in += all;
	d->im->a.script_out += r.kept;
	d->im->a.script_lifted += all - r.kept;
	if (r.kept > 0) {
		look_around(d, d->i->text);
		add_script(d, &r, shell_of(d));
	}
	return r.kept == all ? OUTCOME_CARRIED : OUTCOME_REPLACED;
}

enum outcome df_run(struct df *d)
{
	char *run SCOPED(mem_freep) = NULL;

	for (size_t i = 0; i < d->i->flags.n; i++)
		found(&d->at, RULE_OPTION, "\"%s\" is not carried over", d->i->flags.v[i]);
	if (d->i->form == DOCKERFILE_SHELL)
		return run_shell(d);
	if (d->i->exec.n == 0)
		return OUTCOME_FOUND;
	if (d->i->form == DOCKERFILE_TYPOGRAPHIC)
		found(&d->at, RULE_TYPOGRAPHIC_QUOTES, "RUN has quotes that JSON does not know");
	check_words(&d->at, &d->i->exec);
	run = yaml_flow(&d->i->exec);
	look_around(d, d->i->rest);
	strv_addf(&d->im->d.steps, "name: run-%u\n# %s:%u\nrun: %s\nwrites: [/etc, /usr, /var]",
		  ++d->runs, d->at.src->name, d->at.line, run);
	found(&d->at, RULE_STEP_WRITES, "the step run-%u may write to [/etc, /usr, /var]", d->runs);
	return OUTCOME_CARRIED;
}
