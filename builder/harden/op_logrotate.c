/* op_logrotate.c - how long logrotate(8) keeps logs: rotations times their period. */
#include "harden/lines.h"
#include "harden/op.h"

#include "base/num.h"
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { INCLUDE_DEPTH = 4 };

struct logrotate {
	char *path;         /* the main file */
	struct opt days;    /* each log is kept at least so long */
	struct strv except; /* logs (first words of stanzas) that are spared */
};

static const struct field logrotate_fields[] = {
    {"path", FIELD_PATH, offsetof(struct logrotate, path), true},
    {"days", FIELD_INT, offsetof(struct logrotate, days), true},
    {"except", FIELD_LIST, offsetof(struct logrotate, except), false},
    {0},
};

/* What directives say, of a stanza or of all that follow. */
struct terms {
	uint64_t rotate, period; /* period in days */
	size_t cut;              /* line of a directive that drops logs early, from 1; 0 = none */
	const char *cut_file;    /* where that is */
};

struct stanza {
	const char *file;
	char *log;          /* the first log it names */
	size_t rotate_line; /* from 1; 0 = inherited */
	size_t end;         /* the line of the closing brace, from 1 */
	struct terms t;
};

struct reader {
	int rootfd;
	struct terms global;
	struct stanza now; /* .log NULL while outside */
	bool in_script;
	unsigned depth;
	struct strv paths; /* of the files read so far; they live as long as the reader */
	/* what is done with each stanza */
	int (*fn)(void *ctx, const struct stanza *s, struct err *e);
	void *ctx;
};

static int read_file(struct reader *r, const char *path, struct err *e);

static uint64_t period_of(const char *word)
{
	static const struct {
		const char *word;
		uint64_t days;
	} periods[] = {{"daily", 1}, {"weekly", 7}, {"monthly", 30}, {"yearly", 365}};

	for (size_t i = 0; i < sizeof(periods) / sizeof(periods[0]); i++)
		if (strcmp(periods[i].word, word) == 0)
			return periods[i].days;
	return 0;
}

/* A line of a file, as words. */
struct words {
	const struct strv *w;
	size_t line;
	const char *path;
};

static void directive(struct terms *t, const struct words *at, size_t *rotate_line)
{
	const struct strv *w = at->w;
	const char *word = w->v[0];
	uint64_t n;

	if (period_of(word) != 0)
		t->period = period_of(word);
	if (strcmp(word, "rotate") == 0 && w->n > 1 && num_u64(w->v[1], 1000000, &n) == 0) {
		t->rotate = n;
		*rotate_line = at->line;
	}
	if (strcmp(word, "size") == 0 || strcmp(word, "maxsize") == 0 ||
	    strcmp(word, "maxage") == 0 || strcmp(word, "hourly") == 0) {
		t->cut = at->line;
		t->cut_file = at->path;
	}
}

static int include(struct reader *r, const char *path, struct err *e)
{
	struct strv files SCOPED(strv_release) = {0};
	char *pattern SCOPED(mem_freep) = mem_format("%s/*", path + (*path == '/' ? 1 : 0));

	if (root_glob(r->rootfd, pattern, &files, e) != 0)
		return -1;
	for (size_t i = 0; i < files.n; i++)
		if (read_file(r, files.v[i], e) != 0)
			return -1;
	return 0;
}

static void close_stanza(struct reader *r)
{
	mem_freep(&r->now.log);
	r->now.log = NULL;
}

/* Shell text between "postrotate" (and the like) and "endscript" is no directive. */
static bool skip_script(struct reader *r, const char *word)
{
	static const char *const starts[] = {"postrotate", "prerotate", "firstaction", "lastaction",
					     "preremove"};

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (strcmp(starts[i], word) == 0)
			r->in_script = true;
	if (strcmp(word, "endscript") != 0)
		return r->in_script;
	r->in_script = false;
	return true;
}

static int take_line(struct reader *r, const struct words *at, struct err *e)
{
	const struct strv *w = at->w;
	size_t ignored = 0;

	if (skip_script(r, w->v[0]))
		return 0;
	if (r->now.log != NULL && w->v[0][0] == '}') {
		r->now.end = at->line;
		r->now.file = at->path;
		if (r->fn(r->ctx, &r->now, e) != 0)
			return -1;
		close_stanza(r);
		return 0;
	}
	if (r->now.log != NULL) {
		directive(&r->now.t, at, &r->now.rotate_line);
		return 0;
	}
	if (strcmp(w->v[0], "include") == 0 && w->n > 1)
		return include(r, w->v[1], e);
	directive(&r->global, at, &ignored);
	return 0;
}

/* Whether the line opens a stanza; logs may stand on lines of their own before the brace. */
static bool opens(const struct strv *lines, size_t i)
{
	for (; i < lines->n; i++) {
		const char *s = lines->v[i] + strspn(lines->v[i], " \t\"");

		if (strchr(s, '{') != NULL)
			return true;
		if (*s != '/' && *s != '\0' && *s != '#')
			return false;
	}
	return false;
}

static void open_stanza(struct reader *r, const char *log, const struct strv *lines, size_t *i)
{
	r->now = (struct stanza){.log = mem_strdup(log), .t = r->global};
	r->now.log[strcspn(r->now.log, "{")] = '\0';
	while (*i + 1 < lines->n && strchr(lines->v[*i], '{') == NULL)
		(*i)++;
}

static int read_file(struct reader *r, const char *path, struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};

	if (++r->depth > INCLUDE_DEPTH)
		return err_set(e, ERR_FAIL, "/%s: included too deep", path);
	if (lines_read(r->rootfd, path, &lines, NULL, e) != 0)
		return -1;
	strv_add(&r->paths, path);
	path = r->paths.v[r->paths.n - 1];
	for (size_t i = 0; i < lines.n; i++) {
		struct strv w SCOPED(strv_release) = {0};
		struct words at = {.w = &w, .line = i + 1, .path = path};

		line_words(lines.v[i], &w);
		if (w.n == 0 || w.v[0][0] == '#')
			continue;
		if (r->now.log == NULL && w.v[0][0] == '/' && opens(&lines, i))
			open_stanza(r, w.v[0], &lines, &i);
		else if (take_line(r, &at, e) != 0)
			return -1;
	}
	close_stanza(r);
	r->depth--;
	return 0;
}

/* A stanza that outlives the walk: its strings are owned. */
struct wrong {
	struct stanza s;
	char *file, *cut_file;
};

static void wrong_release(struct wrong *w)
{
	mem_freep(&w->s.log);
	mem_freep(&w->file);
	mem_freep(&w->cut_file);
}

struct visit {
	const struct op_run *r;
	const struct logrotate *w;
	struct wrong *wrong; /* fix: the next one to mend */
};

static bool kept_long_enough(const struct logrotate *w, const struct stanza *s)
{
	return s->t.cut == 0 && s->t.rotate * s->t.period >= (uint64_t)w->days.v;
}

static int note(void *ctx, const struct stanza *s, struct err *e)
{
	const struct visit *v = ctx;

	(void)e;
	if (strv_has(&v->w->except, s->log) || kept_long_enough(v->w, s))
		return 0;
	if (s->t.cut != 0)
		strv_addf(v->r->found, "/%s: %s is dropped by size or age", s->file, s->log);
	else
		strv_addf(v->r->found, "/%s: %s is kept %llu days, wants %lld", s->file, s->log,
			  (unsigned long long)(s->t.rotate * s->t.period), (long long)v->w->days.v);
	return 0;
}

static void reader_release(struct reader *r)
{
	strv_release(&r->paths);
	mem_freep(&r->now.log);
}

static int logrotate_run(struct visit *v, int (*fn)(void *, const struct stanza *, struct err *),
			 struct err *e)
{
	struct reader rd SCOPED(reader_release) = {.fn = fn, .ctx = v};

	rd.rootfd = v->r->rootfd;
	rd.global.period = period_of("weekly");
	return read_file(&rd, v->w->path, e);
}

static int logrotate_check(const struct op_run *r, const void *want, struct err *e)
{
	struct visit v = {.r = r, .w = want};

	return logrotate_run(&v, note, e);
}

/* Stops the walk at the first stanza that is wrong. */
static int stop_at_wrong(void *ctx, const struct stanza *s, struct err *e)
{
	struct visit *v = ctx;

	(void)e;
	if (v->wrong->file != NULL || strv_has(&v->w->except, s->log) || kept_long_enough(v->w, s))
		return 0;
	v->wrong->s = *s;
	v->wrong->s.log = mem_strdup(s->log);
	v->wrong->file = mem_strdup(s->file);
	v->wrong->cut_file = s->t.cut == 0 ? NULL : mem_strdup(s->t.cut_file);
	return 0;
}

static int mend(const struct op_run *r, const struct logrotate *w, const struct wrong *wrong,
		struct err *e)
{
	const struct stanza *s = &wrong->s;
	const char *path = s->t.cut != 0 ? wrong->cut_file : wrong->file;
	uint64_t n = ((uint64_t)w->days.v + s->t.period - 1) / s->t.period;
	char *text SCOPED(mem_freep) = mem_format("\trotate %llu", (unsigned long long)n);
	struct strv lines SCOPED(strv_release) = {0};

	if (lines_read(r->rootfd, path, &lines, NULL, e) != 0)
		return -1;
	if (s->t.cut != 0) {
		char *off SCOPED(mem_freep) = mem_format("# posmedia: %s", lines.v[s->t.cut - 1]);

		lines_replace(&lines, s->t.cut - 1, off);
	} else if (s->rotate_line != 0) {
		lines_replace(&lines, s->rotate_line - 1, text);
	} else {
		lines_insert(&lines, s->end - 1, text);
	}
	strv_addf(r->done, "/%s: %s kept for %llu periods", path, s->log, (unsigned long long)n);
	return lines_write(r->rootfd, path, &lines, 0644, e);
}

static int logrotate_fix(const struct op_run *r, const void *want, struct err *e)
{
	enum { ROUNDS_MAX = 500 };

	for (int i = 0; i < ROUNDS_MAX; i++) {
		struct wrong wrong SCOPED(wrong_release) = {0};
		struct visit v = {.r = r, .w = want, .wrong = &wrong};

		if (logrotate_run(&v, stop_at_wrong, e) != 0)
			return -1;
		if (wrong.file == NULL)
			return 0;
		if (mend(r, want, &wrong, e) != 0)
			return -1;
	}
	return err_set(e, ERR_FAIL, "logrotate: more than %d stanzas to mend", ROUNDS_MAX);
}

const struct op_kind op_logrotate = {
    .name = "logrotate",
    .size = sizeof(struct logrotate),
    .fields = logrotate_fields,
    .check = logrotate_check,
    .fix = logrotate_fix,
};
