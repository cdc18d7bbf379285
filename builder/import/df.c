#include "import/df.h"
#include "form/ref.h"
#include "sys/fs.h"
#include <stdlib.h>
#include <string.h>

enum { RUNS_MAX = 500 };

/* ---- the base */

/* Where an image of a registry is to be pulled to, as a recipe names it: the last word of its name
 * without tag, and its digest. The caller owns it. */
static char *pulled(const char *image)
{
	const char *digest = strstr(image, "@sha256:");
	char *name SCOPED(mem_freep) = mem_strndup(image, strcspn(image, "@"));
	const char *slash = strrchr(name, '/');
	const char *last = slash != NULL ? slash + 1 : name;
	char *shown SCOPED(mem_freep) = harmless(last, strcspn(last, ":"));
	char *hex SCOPED(mem_freep) =
	    digest == NULL ? mem_strdup("WANTED") : harmless(digest + 8, strlen(digest + 8));

	return mem_format("oci:out/bases/%s@sha256:%s", shown, hex);
}

/* The reference of an image that says its registry and which of its images, or NULL: a name alone
 * is of whatever registry an engine was set up with. Beside a digest a tag says nothing. The caller
 * owns it. */
static char *reference(const char *image)
{
	const char *at = strchr(image, '@'), *slash = strrchr(image, '/');
	size_t n = at != NULL && slash != NULL ? strcspn(slash, ":@") : 0;
	char *text SCOPED(mem_freep) =
	    n > 0 ? mem_format("%.*s%s", (int)(slash - image + (ptrdiff_t)n), image, at)
		  : mem_strdup(image);
	struct ref r SCOPED(ref_release) = {0};
	struct err quiet = ERR_INIT;

	if (ref_parse_docker(text, &r, &quiet) != 0 || (r.tag[0] == '\0' && !r.has_digest) ||
	    (strpbrk(r.host, ".:") == NULL && strcmp(r.host, "localhost") != 0))
		return NULL;
	return ref_text(&r);
}

static void base_of(struct df *d, const char *image)
{
	char *at SCOPED(mem_freep) = reference(image);
	char *layout SCOPED(mem_freep) = at != NULL ? mem_strdup(at) : pulled(image);
	char *shown SCOPED(mem_freep) = NULL;
	char *scalar SCOPED(mem_freep) = yaml_scalar(layout);
	bool pinned = strstr(image, "@sha256:") != NULL;

	d->scratch = strcmp(image, "scratch") == 0;
	if (d->scratch)
		found(&d->at, RULE_FROM_SCRATCH, "nothing says what the system is made of");
	else if (!pinned)
		found(&d->at, RULE_UNPINNED_BASE, "the base \"%s\" has no digest", image);
	if (d->im->o.base != NULL) {
		found(&d->at, RULE_BASE_REPLACED, "the base \"%s\"", image);
		return;
	}
	if (d->scratch)
		return;
	if (at != NULL) {
		strv_addf(&d->im->d.base, "oci: {image: %s}", scalar);
		return;
	}
	found(&d->at, RULE_PULL_BASE, "\"%s\" does not say its registry or its tag", image);
	shown = harmless(image, strlen(image));
	strv_addf(&d->im->d.base, "# docker://%s\noci: {image: %s}", shown, scalar);
}

static enum outcome from(struct df *d)
{
	struct strv words = {0};

	df_words(d, d->i->rest, true, &words);
	for (size_t i = 0; i < d->i->flags.n; i++)
		found(&d->at, RULE_OPTION, "\"%s\" is not carried over", d->i->flags.v[i]);
	if (words.n == 0) {
		found(&d->at, RULE_NOT_UNDERSTOOD, "FROM wants an image");
		strv_release(&words);
		return OUTCOME_FOUND;
	}
	base_of(d, words.v[0]);
	strv_release(&words);
	return OUTCOME_CARRIED;
}

/* ---- one instruction each */

static const char *given(const struct df *d, const char *name)
{
	const struct strv *l = d->im->o.args;
	size_t n = strlen(name);

	for (size_t i = 0; l != NULL && i < l->n; i++)
		if (strncmp(l->v[i], name, n) == 0 && l->v[i][n] == '=')
			return l->v[i] + n + 1;
	return NULL;
}

static enum outcome arg(struct df *d)
{
	struct strv words = {0};

	df_words(d, d->i->rest, true, &words);
	for (size_t i = 0; i < words.n; i++) {
		size_t n = strcspn(words.v[i], "=");
		char *name SCOPED(mem_freep) = mem_strndup(words.v[i], n);
		const char *is = given(d, name);

		if (is == NULL && words.v[i][n] == '=')
			is = words.v[i] + n + 1;
		if (is != NULL)
			(void)df_set(d, name, is);
	}
	strv_release(&words);
	return OUTCOME_CARRIED;
}

static enum outcome maintainer(struct df *d)
{
	found(&d->at, RULE_LABEL, "MAINTAINER %s", d->i->rest);
	return OUTCOME_FOUND;
}

static enum outcome healthcheck(struct df *d)
{
	found(&d->at, RULE_HEALTHCHECK, "HEALTHCHECK %s", d->i->rest);
	return OUTCOME_FOUND;
}

static enum outcome onbuild(struct df *d)
{
	found(&d->at, RULE_ONBUILD, "ONBUILD %s", d->i->rest);
	return OUTCOME_FOUND;
}

static const struct known {
	const char *name;
	enum outcome (*run)(struct df *d);
} known[] = {
    {"ADD", df_copy},
    {"ARG", arg},
    {"CMD", df_start},
    {"COPY", df_copy},
    {"ENTRYPOINT", df_start},
    {"ENV", df_env},
    {"EXPOSE", df_expose},
    {"FROM", from},
    {"HEALTHCHECK", healthcheck},
    {"LABEL", df_label},
    {"MAINTAINER", maintainer},
    {"ONBUILD", onbuild},
    {"RUN", df_run},
    {"SHELL", df_shell},
    {"STOPSIGNAL", df_stopsignal},
    {"USER", df_user},
    {"VOLUME", df_volume},
    {"WORKDIR", df_workdir},
};

static enum outcome dispatch(struct df *d)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].name, d->i->name) == 0)
			return known[i].run(d);
	found(&d->at, RULE_UNKNOWN_COMMAND, "\"%s\" is no instruction of a Dockerfile", d->i->name);
	return OUTCOME_FOUND;
}

/* A marker that is missing takes the rest of the file into the instruction. */
static void check_heredocs(struct df *d)
{
	for (size_t i = 0; i < d->i->heredocs_n; i++)
		if (!d->i->heredocs[i].closed)
			found(&d->at, RULE_HEREDOC_OPEN,
			      "\"%s\" is never closed: all lines below are taken as its text",
			      d->i->heredocs[i].marker);
}

static void instruction(struct df *d)
{
	struct tally *t = &d->im->a.commands;
	size_t before = d->im->findings_n;
	enum outcome o = dispatch(d);

	t->in++;
	if (o == OUTCOME_FOUND && d->im->findings_n == before)
		found(&d->at, RULE_NOT_UNDERSTOOD, "%s %s", d->i->name, d->i->rest);
	mark_lines(&d->at, d->i->last, o == OUTCOME_FOUND ? MARK_FOUND : MARK_CARRIED);
	t->carried += o == OUTCOME_CARRIED;
	t->replaced += o == OUTCOME_REPLACED;
	t->found += o == OUTCOME_FOUND;
}

/* ---- the file */

/* Calls fn with each line that the sorted list has. */
static void each_line(struct df *d, const unsigned *lines, size_t n,
		      void (*fn)(const struct spot *at, const char *p, size_t len))
{
	const struct source *src = d->at.src;
	struct spot at = d->at;
	size_t k = 0;

	at.line = 1;
	for (size_t i = 0; i < src->n && k < n; at.line++) {
		const char *end = memchr(src->data + i, '\n', src->n - i);
		size_t len = end != NULL ? (size_t)(end - (src->data + i)) : src->n - i;

		if (lines[k] == at.line) {
			fn(&at, src->data + i, len);
			k++;
		}
		i += len + 1;
	}
}

static void blank_line(const struct spot *at, const char *p, size_t len)
{
	(void)p;
	(void)len;
	mark(at, MARK_BLANK);
}

static void comment_line(const struct spot *at, const char *p, size_t len)
{
	size_t skip = 0;
	char *text;

	while (skip < len && p[skip] != '#')
		skip++;
	text = kept_comment(at, p + skip, len - skip);
	if (text != NULL)
		strv_take(&at->im->d.notes, text);
}

static void note_marks(struct df *d, const struct dockerfile *f)
{
	struct spot at = d->at;

	each_line(d, f->blanks, f->blanks_n, blank_line);
	each_line(d, f->comments, f->comments_n, comment_line);
	for (size_t i = 0; i < f->directives.n; i++) {
		at.line = i < f->comments_n ? f->comments[i] : 1;
		if (strncmp(f->directives.v[i], "escape=", 7) != 0)
			found(&at, RULE_NOT_NEEDED, "the directive %s", f->directives.v[i]);
	}
}

/* Instructions of all stages but the last are named, and nothing comes of them. */
static void skip_stage(struct df *d)
{
	struct tally *t = &d->im->a.commands;

	if (strcmp(d->i->name, "FROM") == 0)
		found(&d->at, RULE_STAGE, "the stage %s", d->i->rest);
	mark_lines(&d->at, d->i->last, MARK_FOUND);
	t->in++;
	t->found++;
	if (strcmp(d->i->name, "RUN") == 0) {
		d->im->a.script_in += strlen(d->i->text);
		d->im->a.script_found += strlen(d->i->text);
	}
}

static int instructions(struct df *d, const struct dockerfile *f, struct err *e)
{
	size_t last = f->n, froms = 0;

	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->v[i].name, "FROM") == 0)
			last = i;
	for (size_t i = 0; i < f->n; i++) {
		bool is_arg = strcmp(f->v[i].name, "ARG") == 0;

		d->i = &f->v[i];
		d->at.line = f->v[i].line;
		froms += strcmp(f->v[i].name, "FROM") == 0;
		if (d->runs > RUNS_MAX)
			return err_set(e, ERR_RECIPE, "%s:%u:1: more than %d steps",
				       d->at.src->name, d->at.line, RUNS_MAX);
		check_heredocs(d);
		if (i < last && last < f->n && !(is_arg && froms == 0))
			skip_stage(d);
		else
			instruction(d);
	}
	if (f->n > 0 && froms == 0)
		found(&d->at, RULE_NOT_UNDERSTOOD, "there is no FROM");
	return 0;
}

static void df_release(struct df *d)
{
	strv_release(&d->vars);
	strv_release(&d->env);
	strv_release(&d->shell);
	strv_release(&d->volumes);
	strv_release(&d->copied);
	free(d->context);
	free(d->workdir);
	free(d->user);
}

static void finish(struct df *d)
{
	struct spot top = {d->im, d->im->sources[0], 1};

	if (d->im->o.base != NULL || d->im->d.base.n > 0)
		return;
	strv_add(&d->im->d.base, "scratch: {}");
	if (!d->scratch)
		found(&top, RULE_NOT_UNDERSTOOD, "there is no base");
}

int import_dockerfile(const char *path, const struct import_opts *o, struct import **ret,
		      struct err *e)
{
	struct import *im SCOPED(import_freep) = NULL;
	struct dockerfile f SCOPED(dockerfile_release) = {0};
	struct df d SCOPED(df_release) = {.escape = '\\'};
	struct source *src;

	if (import_begin(path, "Dockerfile", o, &im, e) != 0 ||
	    source_load(im, path, &src, e) != 0 ||
	    dockerfile_read(src->data, src->n, src->name, &f, e) != 0)
		return -1;
	d.im = im;
	d.at = (struct spot){im, src, 1};
	d.context = o->context != NULL ? mem_strdup(o->context) : fs_dirname(path);
	for (size_t i = 0; i < f.directives.n; i++)
		if (strcmp(f.directives.v[i], "escape=`") == 0)
			d.escape = '`';
	note_marks(&d, &f);
	if (instructions(&d, &f, e) != 0)
		return -1;
	finish(&d);
	import_end(im);
	*ret = STEAL(im);
	return 0;
}
