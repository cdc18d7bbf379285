/* outcome.c - what became of recipes: from process to process, and told to people, programs and
 * build servers. */
#include "nightly/parts.h"

#include "form/plain.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const words[] = {
    [NIGHTLY_UNCHANGED] = "unchanged", [NIGHTLY_BUILT] = "built", [NIGHTLY_FAILED] = "failed"};
enum { STATUSES = sizeof(words) / sizeof(words[0]), NOTES_MAX = 100, NIGHTS_KEPT = 14 };
enum { BRIEF_MAX = 96 << 10, BRIEF_LINE = 900, NAMED_MAX = 512 << 10 };

void nightly_outcome_release(struct nightly_outcome *o)
{
	free(o->key);
	free(o->step);
	free(o->why);
	free(o->tag);
	free(o->digest);
	free(o->diff);
	strv_release(&o->notes);
	*o = (struct nightly_outcome){0};
}

void nightly_result_release(struct nightly_result *r)
{
	for (size_t i = 0; i < r->n; i++)
		nightly_outcome_release(&r->v[i]);
	free(r->v);
	*r = (struct nightly_result){0};
}

void outcome_fail(struct nightly_outcome *o, int kind, const char *step, const char *why)
{
	o->status = NIGHTLY_FAILED;
	o->kind = kind >= ERR_FAIL && kind <= ERR_BUSY ? kind : ERR_FAIL;
	past_set(&o->step, step);
	past_set(&o->why, why != NULL ? why : "");
}

void outcome_error(struct nightly_outcome *o, const char *step, const struct err *why)
{
	char *both SCOPED(mem_freep) = why->hint[0] != '\0'
					   ? mem_format("%s (hint: %s)", why->msg, why->hint)
					   : mem_strdup(why->msg);

	outcome_fail(o, (int)why->kind, step, both);
}

struct jval *outcome_json(const struct nightly_outcome *o)
{
	struct jval *v = jval_object(), *notes = jval_array();

	jval_put_text(v, "recipe", o->key);
	jval_put_text(v, "status", words[o->status]);
	jval_put_int(v, "exit", o->status == NIGHTLY_FAILED ? o->kind : 0);
	jval_put_text(v, "step", o->step);
	jval_put_text(v, "why", o->why);
	jval_put_text(v, "tag", o->tag);
	jval_put_text(v, "digest", o->digest);
	jval_put_text(v, "diff", o->diff);
	for (size_t i = 0; i < o->notes.n; i++)
		jval_push(notes, jval_text(o->notes.v[i]));
	jval_put(v, "notes", notes);
	jval_put(v, "told", jval_bool(o->told));
	jval_put_int(v, "milliseconds", (int64_t)o->ms);
	return v;
}

static char *text_of(const struct jval *v, const char *key)
{
	const char *s = jval_get_str(v, key);

	return mem_strdup(s != NULL ? s : "");
}

int outcome_parse(const struct jval *v, struct nightly_outcome *ret)
{
	const char *word = jval_get_str(v, "status");
	const struct jval *notes = jval_get(v, "notes");
	int64_t kind = 0, ms = 0;
	size_t i = 0;

	while (i < STATUSES && (word == NULL || strcmp(words[i], word) != 0))
		i++;
	if (i == STATUSES || jval_get_str(v, "recipe") == NULL ||
	    jval_get_int(v, "exit", &kind) != 0 || jval_get_int(v, "milliseconds", &ms) != 0)
		return -1;
	*ret = (struct nightly_outcome){.key = text_of(v, "recipe"),
					.status = (enum nightly_status)i,
					.kind = (int)kind,
					.step = text_of(v, "step"),
					.why = text_of(v, "why"),
					.tag = text_of(v, "tag"),
					.digest = text_of(v, "digest"),
					.diff = text_of(v, "diff"),
					.told = jval_get_bool(v, "told"),
					.ms = ms > 0 ? (uint64_t)ms : 0};
	for (size_t n = 0; n < jval_len(notes) && n < NOTES_MAX; n++)
		if (jval_str(jval_at(notes, n)) != NULL)
			strv_add(&ret->notes, jval_str(jval_at(notes, n)));
	return 0;
}

void outcome_blank(struct nightly_outcome *o, const char *key)
{
	*o = (struct nightly_outcome){.key = mem_strdup(key),
				      .step = mem_strdup(""),
				      .why = mem_strdup(""),
				      .tag = mem_strdup(""),
				      .digest = mem_strdup(""),
				      .diff = mem_strdup("")};
}

static char *file_of(const struct nightly *n, const char *night, const char *key)
{
	return mem_format("%s/outcomes/%s%s%s.json", n->state, night != NULL ? night : "",
			  night != NULL ? "/" : "", key);
}

int outcome_forget(const struct nightly *n, const char *night, const char *key, struct err *e)
{
	char *path SCOPED(mem_freep) = file_of(n, night, key);

	return unlink(path) == 0 || errno == ENOENT ? 0 : err_sys(e, "remove %s", path);
}

int outcome_save(const struct nightly *n, const char *night, const struct nightly_outcome *o,
		 struct err *e)
{
	char *path SCOPED(mem_freep) = file_of(n, night, o->key);
	char *dir SCOPED(mem_freep) = fs_dirname(path);
	struct jval *v SCOPED(jval_freep) = outcome_json(o);
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);

	jval_write_pretty(v, &b);
	if (fs_mkdirs(AT_FDCWD, dir, 0755, e) != 0)
		return -1;
	/* lost in a power cut, it says that the worker was lost */
	return fs_put_unsynced(path, b.data, b.len, 0644, e);
}

int outcome_load(const struct nightly *n, const char *night, const char *key,
		 struct nightly_outcome *ret)
{
	char *path SCOPED(mem_freep) = file_of(n, night, key);
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct jval *v SCOPED(jval_freep) = NULL;
	struct nightly_outcome o = {0};
	struct err why = ERR_INIT;

	if (fs_get_file(AT_FDCWD, path, &b, &why) != 0 ||
	    jval_parse(b.data, b.len, path, &v, &why) != 0 || outcome_parse(v, &o) != 0)
		return -1;
	if (strcmp(o.key, key) != 0) {
		nightly_outcome_release(&o);
		return -1;
	}
	*ret = o;
	return 0;
}

static bool is_file(const char *name)
{
	size_t n = strlen(name);

	return n > 5 && strcmp(name + n - 5, ".json") == 0;
}

/* Removes the first of those that are files, or that are none, but for the last `keep`. */
static int prune(int state, bool files, size_t keep, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0}, of SCOPED(strv_release) = {0};
	int fd SCOPED(fd_closep) = -1;

	if (fs_mkdirs(state, "outcomes", 0755, e) != 0 ||
	    fs_open_dir(state, "outcomes", &fd, e) != 0 || fs_list(fd, ".", &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (is_file(names.v[i]) == files)
			strv_add(&of, names.v[i]);
	for (size_t i = 0; i + keep < of.n; i++)
		if (fs_rmtree(fd, of.v[i], e) != 0)
			return -1;
	return 0;
}

int outcomes_prune(int state, struct err *e)
{
	return prune(state, false, NIGHTS_KEPT, e);
}

int outcomes_forget(int state, struct err *e)
{
	return prune(state, true, 0, e);
}

static size_t count(const struct nightly_result *r, enum nightly_status s)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += r->v[i].status == s;
	return n;
}

void outcome_text(const struct nightly_outcome *o, struct buf *out)
{
	buf_addf(out, "%-9s %s", words[o->status], o->key);
	if (o->status == NIGHTLY_FAILED)
		buf_addf(out, ": %s: %s", o->step, o->why);
	else if (o->digest[0] != '\0')
		buf_addf(out, ":%s@%s", o->tag, o->digest);
	buf_addf(out, " (%llu.%llu s)\n", (unsigned long long)(o->ms / 1000),
		 (unsigned long long)(o->ms % 1000 / 100));
	if (o->diff[0] != '\0')
		buf_addf(out, "          what changed: %s\n", o->diff);
	for (size_t i = 0; i < o->notes.n; i++)
		buf_addf(out, "          note: %s\n", o->notes.v[i]);
}

static void sum(const struct nightly *n, const struct nightly_result *r, struct buf *out)
{
	buf_addf(out, "%s: %zu recipes, %zu built, %zu unchanged, %zu failed\n", n->name, r->n,
		 count(r, NIGHTLY_BUILT), count(r, NIGHTLY_UNCHANGED), count(r, NIGHTLY_FAILED));
}

void nightly_text(const struct nightly *n, const struct nightly_result *r, struct buf *out)
{
	for (size_t i = 0; i < r->n; i++)
		outcome_text(&r->v[i], out);
	sum(n, r, out);
}

/* Whole characters of each line, at most so many bytes. */
static void add_short(char *text, struct buf *out)
{
	plain_text(text);
	for (char *line = text; *line != '\0';) {
		size_t n = strcspn(line, "\n"), end = n;

		if (n > BRIEF_LINE) {
			end = BRIEF_LINE;
			while (end > 0 && ((unsigned char)line[end] & 0xc0) == 0x80)
				end--;
		}
		buf_add(out, line, end);
		buf_addf(out, "%s\n", end < n ? " [...]" : "");
		line += n + (line[n] == '\n');
	}
}

/* The outcome when there is room for it, else its name goes to those that are only named. */
static void add_brief(const struct nightly_outcome *o, struct buf *out, struct buf *named)
{
	struct buf whole SCOPED(buf_release) = BUF_INIT(BRIEF_MAX);
	struct buf lines SCOPED(buf_release) = BUF_INIT(BRIEF_MAX);

	outcome_text(o, &whole);
	add_short(whole.data, &lines);
	if (!buf_over(&whole) && !buf_over(&lines) && out->len + lines.len <= BRIEF_MAX)
		buf_add(out, lines.data, lines.len);
	else
		buf_addf(named, "%-9s %s\n", words[o->status], o->key);
}

void nightly_brief(const struct nightly *n, const struct nightly_result *r, struct buf *out)
{
	static const enum nightly_status order[STATUSES] = {NIGHTLY_FAILED, NIGHTLY_BUILT,
							    NIGHTLY_UNCHANGED};
	struct buf text SCOPED(buf_release) = BUF_INIT(BRIEF_MAX);
	struct buf named SCOPED(buf_release) = BUF_INIT(NAMED_MAX);

	for (size_t s = 0; s < STATUSES; s++)
		for (size_t i = 0; i < r->n; i++)
			if (r->v[i].status == order[s])
				add_brief(&r->v[i], &text, &named);
	sum(n, r, out);
	buf_addf(out, "\n%s", text.data);
	if (named.len > 0)
		buf_addf(out, "\nOf these more is in %s/report.txt:\n%s", n->state, named.data);
}

struct jval *nightly_json(const struct nightly *n, const struct nightly_result *r)
{
	struct jval *v = jval_object(), *list = jval_array();
	char *begun SCOPED(mem_freep) = clock_rfc3339(r->begun_s);

	for (size_t i = 0; i < r->n; i++)
		jval_push(list, outcome_json(&r->v[i]));
	jval_put_text(v, "nightly", n->name);
	jval_put_text(v, "begun", begun);
	jval_put_int(v, "built", (int64_t)count(r, NIGHTLY_BUILT));
	jval_put_int(v, "unchanged", (int64_t)count(r, NIGHTLY_UNCHANGED));
	jval_put_int(v, "failed", (int64_t)count(r, NIGHTLY_FAILED));
	jval_put(v, "recipes", list);
	return v;
}

void nightly_xml(const char *s, struct buf *out)
{
	char *plain SCOPED(mem_freep) = mem_strdup(s);

	plain_text(plain);
	for (const char *p = plain; *p != '\0'; p++) {
		const char *as = *p == '&'    ? "&amp;"
				 : *p == '<'  ? "&lt;"
				 : *p == '>'  ? "&gt;"
				 : *p == '"'  ? "&quot;"
				 : *p == '\n' ? "&#10;"
					      : NULL;

		if (as != NULL)
			buf_addf(out, "%s", as);
		else
			buf_add(out, p, 1);
	}
}

static void attribute(const char *name, const char *text, struct buf *out)
{
	buf_addf(out, " %s=\"", name);
	nightly_xml(text, out);
	buf_addf(out, "\"");
}

static void case_xml(const struct nightly_outcome *o, struct buf *out)
{
	buf_addf(out, "  <testcase classname=\"posmedia.nightly\"");
	attribute("name", o->key, out);
	buf_addf(out, " time=\"%llu.%03llu\">", (unsigned long long)(o->ms / 1000),
		 (unsigned long long)(o->ms % 1000));
	if (o->status == NIGHTLY_FAILED) {
		buf_addf(out, "<failure");
		attribute("type", o->step, out);
		attribute("message", o->why, out);
		buf_addf(out, "/>");
	} else {
		buf_addf(out, "<system-out>%s ", words[o->status]);
		nightly_xml(o->tag, out);
		buf_addf(out, " ");
		nightly_xml(o->digest, out);
		buf_addf(out, "</system-out>");
	}
	buf_addf(out, "</testcase>\n");
}

void nightly_junit(const struct nightly *n, const struct nightly_result *r, struct buf *out)
{
	char *begun SCOPED(mem_freep) = clock_rfc3339(r->begun_s);
	uint64_t ms = 0;

	for (size_t i = 0; i < r->n; i++)
		ms += r->v[i].ms;
	begun[strlen(begun) - 1] = '\0'; /* the format has no zone: it is UTC */
	buf_addf(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n <testsuite");
	attribute("name", n->name, out);
	buf_addf(out,
		 " tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"0\" time=\"%llu.%03llu\" "
		 "timestamp=\"%s\">\n",
		 r->n, count(r, NIGHTLY_FAILED), (unsigned long long)(ms / 1000),
		 (unsigned long long)(ms % 1000), begun);
	for (size_t i = 0; i < r->n; i++)
		case_xml(&r->v[i], out);
	buf_addf(out, " </testsuite>\n</testsuites>\n");
}

int nightly_gate(const struct nightly_result *r, struct err *e)
{
	int kind = 0;

	for (size_t i = 0; i < r->n; i++) {
		if (r->v[i].status != NIGHTLY_FAILED)
			continue;
		kind = kind == 0 || kind == r->v[i].kind ? r->v[i].kind : ERR_FAIL;
	}
	if (kind == 0)
		return 0;
	return err_set(e, (enum err_kind)kind, "%zu of %zu recipes failed",
		       count(r, NIGHTLY_FAILED), r->n);
}
