/* op_gate.c - programs of the tree judge what they will be given: sshd its configuration, chpasswd
 * a password. They run in the sandbox, on a copy of the tree that is thrown away; the gates of one
 * control share it, in their order. */
#include "harden/gate.h"
#include "harden/profile.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { ARGUMENTS_MAX = 64, FILES_MAX = 4096, COMMAND_MAX = 160, LINES = 6, SHOWN_MAX = 600 };

static const struct field gate_fields[] = {
    {"program", FIELD_PATH, offsetof(struct gate, program), true},
    {"arguments", FIELD_NODE, offsetof(struct gate, arguments), false},
    {"input", FIELD_TEXT, offsetof(struct gate, input), false},
    {"directories", FIELD_PATHS, offsetof(struct gate, directories), false},
    {"files", FIELD_PATHS, offsetof(struct gate, files), false},
    {"when", FIELD_PATHS, offsetof(struct gate, when), false},
    {"reads", FIELD_PATHS, offsetof(struct gate, reads), false},
    {"refuses", FIELD_BOOL, offsetof(struct gate, refuses), false},
    {"says", FIELD_TEXT, offsetof(struct gate, says), false},
    {"never-says", FIELD_TEXT, offsetof(struct gate, never), false},
    {"network-admin", FIELD_BOOL, offsetof(struct gate, network), false},
    {0},
};

static int check_arguments(const struct yaml *y, struct err *e)
{
	if (y->kind != YAML_LIST || y->n > ARGUMENTS_MAX)
		return yaml_err(y, e, "arguments is a list of at most %d texts", ARGUMENTS_MAX);
	for (size_t i = 0; i < y->n; i++)
		if (y->items[i]->kind != YAML_SCALAR)
			return yaml_err(y->items[i], e, "wants a text");
	return 0;
}

static int compile(const char *text, regex_t *ret, bool *ret_set, const struct yaml *at,
		   struct err *e)
{
	if (text == NULL)
		return 0;
	if (regcomp(ret, text, REG_EXTENDED | REG_NEWLINE) != 0)
		return yaml_err(at, e, "\"%s\" is not an extended regular expression", text);
	*ret_set = true;
	return 0;
}

static int gate_finish(void *want, const struct yaml *at, struct err *e)
{
	struct gate *g = want;

	if (g->arguments != NULL && check_arguments(g->arguments, e) != 0)
		return -1;
	if (compile(g->says, &g->says_re, &g->says_set, at, e) != 0)
		return -1;
	return compile(g->never, &g->never_re, &g->never_set, at, e);
}

static void gate_release(void *want)
{
	struct gate *g = want;

	if (g->says_set)
		regfree(&g->says_re);
	if (g->never_set)
		regfree(&g->never_re);
}

static void make_argv(const struct gate *g, const struct strv *files, struct strv *ret)
{
	strv_addf(ret, "/%s", g->program);
	for (size_t i = 0; g->arguments != NULL && i < g->arguments->n; i++)
		strv_add(ret, g->arguments->items[i]->text);
	for (size_t i = 0; i < files->n; i++)
		strv_addf(ret, "/%s", files->v[i]);
}

/* The command as a person would type it, cut where it gets long; the caller owns it. */
static char *command_text(const struct strv *argv)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(COMMAND_MAX);
	const char *slash = strrchr(argv->v[0], '/');

	buf_addf(&b, "%s", slash + 1);
	for (size_t i = 1; i < argv->n; i++)
		buf_addf(&b, " %s", *argv->v[i] == '\0' ? "''" : argv->v[i]);
	if (buf_over(&b))
		return mem_format("%s ...", b.data);
	return buf_take(&b);
}

/* The last lines, joined. */
static void last_lines(const char *said, struct buf *out)
{
	size_t end = strlen(said), from, lines = 0;

	while (end > 0 && (said[end - 1] == '\n' || said[end - 1] == ' '))
		end--;
	for (from = end; from > 0 && end - from < SHOWN_MAX; from--)
		if (said[from - 1] == '\n' && ++lines == LINES)
			break;
	for (; from < end; from++)
		if (said[from] != '\n')
			buf_add(out, said + from, 1);
		else
			buf_addf(out, "; ");
}

static void add_finding(const struct op_run *r, const char *command, const char *what,
			const char *said)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(4 * SHOWN_MAX);

	last_lines(said, &b);
	strv_addf(r->found, "%s: %s%s%s", command, what, b.len > 0 ? ": " : "", b.data);
}

/* The line that holds the match. */
static void add_line(const struct op_run *r, const char *command, const char *said,
		     const regmatch_t *m)
{
	const char *from = said + m->rm_so;
	size_t n;

	while (from > said && from[-1] != '\n')
		from--;
	n = strcspn(from, "\n");
	strv_addf(r->found, "%s: %.*s", command, (int)(n < SHOWN_MAX ? n : SHOWN_MAX), from);
}

/* How it ended without an answer; NULL when it gave one. The caller owns it. */
static char *no_answer(const struct sandbox_result *end)
{
	if (end->timed_out)
		return mem_strdup("took too long and was ended");
	return end->signal != 0 ? mem_format("killed by signal %d", end->signal) : NULL;
}

static void judge(const struct op_run *r, const struct gate *g, const char *command,
		  const struct gate_outcome *o)
{
	const struct sandbox_result *end = &o->end;
	char *what SCOPED(mem_freep) = no_answer(end), *said SCOPED(mem_freep) = NULL;
	regmatch_t m;

	if (what != NULL)
		add_finding(r, command, what, o->said.data);
	else if (g->never_set && regexec(&g->never_re, o->said.data, 1, &m, 0) == 0)
		add_line(r, command, o->said.data, &m);
	else if (g->never_set && o->cut)
		said = mem_strdup("says more than is read, and what it never says may be there");
	else if (g->refuses && end->status == 0)
		said = mem_strdup("accepts what it must refuse");
	else if (!g->refuses && end->status != 0)
		said = mem_format("exit status %d", end->status);
	else if (g->says_set && regexec(&g->says_re, o->said.data, 0, NULL, 0) != 0)
		said = mem_format("does not say \"%s\"", g->says);
	else if (r->held != NULL)
		strv_addf(r->held, "%s: %s", command, g->refuses ? "refuses" : "accepts");
	if (said != NULL)
		add_finding(r, command, said, o->said.data);
}

static bool all_there(const struct op_run *r, const struct strv *paths)
{
	for (size_t i = 0; i < paths->n; i++)
		if (!root_has(r->rootfd, paths->v[i]))
			return false;
	return true;
}

/* A link is another name, or says that there is nothing, as that of a masked unit does. */
static void keep_regular(int rootfd, struct strv *files)
{
	size_t n = 0;

	for (size_t i = 0; i < files->n; i++) {
		struct stat st;

		if (root_stat(rootfd, files->v[i], false, &st) == 1 && S_ISREG(st.st_mode))
			files->v[n++] = files->v[i];
		else
			free(files->v[i]);
	}
	files->n = n;
	if (files->v != NULL)
		files->v[n] = NULL;
}

static int run(const struct op_run *r, const struct gate *g, const struct strv *argv,
	       const char *command, struct err *e)
{
	struct gate_outcome o SCOPED(gate_outcome_release) = {.said = BUF_INIT(0)};

	if (gate_run(g, (const char *const *)argv->v, r->copy, &o, e) != 0)
		return err_in(e, "%s", command);
	judge(r, g, command, &o);
	return 0;
}

/* After the first finding of a control the rest of its gates say nothing that counts. */
static int gate_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct gate *g = want;
	struct strv files SCOPED(strv_release) = {0}, argv SCOPED(strv_release) = {0};
	char *command SCOPED(mem_freep) = NULL;

	if (r->found->n > 0 || !all_there(r, &g->when))
		return 0;
	if (root_globs(r->rootfd, &g->files, &files, e) != 0)
		return -1;
	keep_regular(r->rootfd, &files);
	if (g->files.n > 0 && files.n == 0)
		return 0;
	if (files.n > FILES_MAX)
		return err_set(e, ERR_FAIL, "%s: %zu files to look at", g->program, files.n);
	make_argv(g, &files, &argv);
	command = command_text(&argv);
	if (r->copy == NULL) {
		if (r->unrun != NULL)
			strv_add(r->unrun, command);
		return 0;
	}
	if (!root_has(r->rootfd, g->program)) {
		strv_addf(r->found, "%s: /%s is not there", command, g->program);
		return 0;
	}
	return run(r, g, &argv, command, e);
}

const struct op_kind op_gate = {
    .name = "gate",
    .size = sizeof(struct gate),
    .fields = gate_fields,
    .finish = gate_finish,
    .check = gate_check,
    .release = gate_release,
};
