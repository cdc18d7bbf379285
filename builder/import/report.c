#include "import/parts.h"
#include <stdio.h>
#include <string.h>

static const char *const severities[] = {"info", "warning", "error", "never"};

const char *import_severity_name(enum import_severity s)
{
	return severities[s];
}

int import_severity_parse(const char *word, enum import_severity *ret)
{
	for (unsigned i = 0; i < 4; i++)
		if (strcmp(word, severities[i]) == 0) {
			*ret = (enum import_severity)i;
			return 0;
		}
	return -1;
}

struct lines {
	size_t all, blank, comment, carried, script, found, lost;
};

static void count_lines(const struct import *im, struct lines *n)
{
	for (size_t i = 0; i < im->sources_n; i++) {
		const struct source *s = im->sources[i];

		for (unsigned k = 1; k <= s->lines; k++) {
			uint8_t m = s->marks[k];

			n->all++;
			n->blank += m == MARK_BLANK;
			n->comment += (m & MARK_COMMENT) != 0;
			n->carried += (m & MARK_CARRIED) != 0;
			n->script += (m & MARK_SCRIPT) != 0;
			n->found += (m & MARK_FOUND) != 0;
			n->lost += m == 0;
		}
	}
}

static bool balanced(const struct tally *t)
{
	return t->in == t->carried + t->replaced + t->found;
}

bool import_account_ok(const struct import *im)
{
	const struct account *a = &im->a;
	struct lines n = {0};

	count_lines(im, &n);
	return balanced(&a->packages) && balanced(&a->commands) &&
	       a->script_in == a->script_out + a->script_lifted + a->script_found && n.lost == 0;
}

static void tally_text(struct buf *out, const char *what, const struct tally *t)
{
	buf_addf(out, "%s: %zu in, %zu carried over, %zu replaced, %zu only in findings\n", what,
		 t->in, t->carried, t->replaced, t->found);
}

static void account_text(const struct import *im, struct buf *out)
{
	const struct account *a = &im->a;
	struct lines n = {0};

	count_lines(im, &n);
	buf_addf(out,
		 "lines: %zu in; %zu carried over, %zu in scripts, %zu in findings, "
		 "%zu comments, %zu blank\n",
		 n.all, n.carried, n.script, n.found, n.comment, n.blank);
	tally_text(out, "commands", &a->commands);
	tally_text(out, "packages", &a->packages);
	buf_addf(out,
		 "scripts: %zu; %zu bytes in, %zu out, %zu now data or line ends, "
		 "%zu only in findings\n",
		 a->scripts, a->script_in, a->script_out, a->script_lifted, a->script_found);
}

void import_report(const struct import *im, struct buf *out)
{
	size_t by[3] = {0, 0, 0};

	for (size_t i = 0; i < im->findings_n; i++) {
		const struct finding *f = &im->findings[i];
		const struct rule_text *r = rule_text(f->rule);

		by[r->severity]++;
		buf_addf(out, "%s:%u: %s: %s: %s\n  %s\n", f->file, f->line,
			 severities[r->severity], r->id, f->message, r->hint);
	}
	if (im->too_many)
		buf_addf(out, "more than %d findings: the rest is not listed\n", FINDINGS_MAX);
	account_text(im, out);
	buf_addf(out, "findings: %zu errors, %zu warnings, %zu infos\n", by[IMPORT_ERROR],
		 by[IMPORT_WARNING], by[IMPORT_INFO]);
}

static struct jval *tally_json(const struct tally *t)
{
	struct jval *v = jval_object();

	jval_put_int(v, "in", (int64_t)t->in);
	jval_put_int(v, "carried", (int64_t)t->carried);
	jval_put_int(v, "replaced", (int64_t)t->replaced);
	jval_put_int(v, "found", (int64_t)t->found);
	return v;
}

static struct jval *account_json(const struct import *im)
{
	const struct account *a = &im->a;
	struct jval *v = jval_object(), *l = jval_object(), *s = jval_object();
	struct lines n = {0};

	count_lines(im, &n);
	jval_put_int(l, "in", (int64_t)n.all);
	jval_put_int(l, "carried", (int64_t)n.carried);
	jval_put_int(l, "script", (int64_t)n.script);
	jval_put_int(l, "found", (int64_t)n.found);
	jval_put_int(l, "comments", (int64_t)n.comment);
	jval_put_int(l, "blank", (int64_t)n.blank);
	jval_put_int(l, "lost", (int64_t)n.lost);
	jval_put_int(s, "scripts", (int64_t)a->scripts);
	jval_put_int(s, "in", (int64_t)a->script_in);
	jval_put_int(s, "out", (int64_t)a->script_out);
	jval_put_int(s, "data", (int64_t)a->script_lifted);
	jval_put_int(s, "found", (int64_t)a->script_found);
	jval_put(v, "lines", l);
	jval_put(v, "script-bytes", s);
	jval_put(v, "packages", tally_json(&a->packages));
	jval_put(v, "commands", tally_json(&a->commands));
	jval_put_int(v, "includes", (int64_t)a->includes);
	jval_put(v, "balanced", jval_bool(import_account_ok(im)));
	return v;
}

struct jval *import_json(const struct import *im)
{
	struct jval *v = jval_object(), *list = jval_array();

	for (size_t i = 0; i < im->findings_n; i++) {
		const struct finding *f = &im->findings[i];
		const struct rule_text *r = rule_text(f->rule);
		struct jval *one = jval_object();

		jval_put_text(one, "file", f->file);
		jval_put_int(one, "line", f->line);
		jval_put_text(one, "severity", severities[r->severity]);
		jval_put_text(one, "rule", r->id);
		jval_put_text(one, "message", f->message);
		jval_put_text(one, "hint", r->hint);
		jval_push(list, one);
	}
	jval_put_text(v, "name", im->name);
	jval_put(v, "findings", list);
	jval_put(v, "more", jval_bool(im->too_many));
	jval_put(v, "account", account_json(im));
	return v;
}
