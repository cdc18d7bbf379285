/* op_keyvalue.c - settings of programs, by their effective values. */
#include "harden/kv.h"
#include "harden/lines.h"
#include "harden/op.h"
#include "harden/want.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { COMMENT_OUT_MAX = 200 };

struct keyvalue {
	char *format;
	char *file; /* for formats that are not bound to one file */
	struct yaml *keys;
	bool once; /* what several lines say adds up: a fix writes one */
	const struct kv_format *f;
	struct want *wants;
	size_t n;
};

static const struct field keyvalue_fields[] = {
    {"format", FIELD_TEXT, offsetof(struct keyvalue, format), true},
    {"file", FIELD_PATH, offsetof(struct keyvalue, file), false},
    {"keys", FIELD_NODE, offsetof(struct keyvalue, keys), true},
    {"once", FIELD_BOOL, offsetof(struct keyvalue, once), false},
    {0},
};

static int keyvalue_finish(void *want, const struct yaml *at, struct err *e)
{
	struct keyvalue *w = want;

	if (spec_word(yaml_get(at, "format"), kv_format_names(), e) < 0)
		return -1;
	w->f = kv_format_find(w->format);
	if ((w->f->main == NULL) != (w->file != NULL))
		return yaml_err(at, e,
				w->file == NULL ? "format %s wants a file"
						: "format %s has its own file",
				w->format);
	if (w->keys->kind != YAML_MAP || w->keys->n == 0)
		return yaml_err(w->keys, e, "keys wants a map");
	w->wants = mem_zalloc(w->keys->n * sizeof(*w->wants));
	for (size_t i = 0; i < w->keys->n; i++)
		if (want_read(w->keys->pairs[i].key, w->keys->pairs[i].val, &w->wants[w->n++], e) !=
		    0)
			return -1;
	return 0;
}

static void keyvalue_release(void *want)
{
	struct keyvalue *w = want;

	for (size_t i = 0; i < w->n; i++)
		want_release(&w->wants[i]);
	free(w->wants);
}

static const char *main_file(const struct keyvalue *w)
{
	return w->f->main != NULL ? w->f->main : w->file;
}

/* The first entry for this key that is not as wanted, or NULL; *ret_set: it is set for all. */
static const struct kv_entry *wrong_entry(const struct keyvalue *w, const struct want *one,
					  const struct kv_set *s, bool *ret_set)
{
	const struct kv_entry *wrong = NULL;

	*ret_set = false;
	for (size_t i = 0; i < s->n; i++) {
		if (!kv_same_key(w->f, s->v[i].key, one->key))
			continue;
		if (!s->v[i].scoped)
			*ret_set = true;
		if (wrong == NULL && !want_holds(one, s->v[i].val, w->f->nocase))
			wrong = &s->v[i];
	}
	return wrong;
}

/* The values in effect of a key that is as wanted. */
static void note_held(const struct op_run *r, const struct keyvalue *w, const struct want *one,
		      const struct kv_set *s)
{
	size_t n = 0;

	for (size_t i = 0; r->held != NULL && i < s->n; i++) {
		const struct kv_entry *en = &s->v[i];

		if (!kv_same_key(w->f, en->key, one->key))
			continue;
		strv_addf(r->held, "/%s:%zu: %s is \"%s\"%s", en->file, en->line, one->key, en->val,
			  en->scoped ? " for some" : "");
		n++;
	}
	if (r->held != NULL && n == 0)
		strv_addf(r->held, "/%s: %s is not set", main_file(w), one->key);
}

static int keyvalue_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct keyvalue *w = want;
	struct kv_set s SCOPED(kv_release) = {0};

	if (kv_read(r->rootfd, w->f, main_file(w), &s, e) != 0)
		return -1;
	for (size_t i = 0; i < w->n; i++) {
		const struct want *one = &w->wants[i];
		bool set;
		const struct kv_entry *wrong = wrong_entry(w, one, &s, &set);
		char *text SCOPED(mem_freep) = want_text(one);

		if (wrong != NULL)
			strv_addf(r->found, "/%s:%zu: %s is \"%s\"%s, wants %s", wrong->file,
				  wrong->line, one->key, wrong->val,
				  wrong->scoped ? " for some" : "", text);
		else if (!set && !one->absent && !one->unset_ok)
			strv_addf(r->found, "/%s: %s is not set, wants %s", main_file(w), one->key,
				  text);
		else
			note_held(r, w, one, &s);
	}
	return 0;
}

/* Whether the drop-ins are read at the right place: before all settings where the first wins, else
 * anywhere. */
static bool has_include(const struct keyvalue *w, const struct strv *lines)
{
	struct strv wanted SCOPED(strv_release) = {0};

	line_words(w->f->include, &wanted);
	for (size_t i = 0; i < lines->n; i++) {
		struct strv words SCOPED(strv_release) = {0};

		line_words(lines->v[i], &words);
		/* sudoers(5): "#includedir" is the old way to write it */
		if (words.n == 2 && strcmp(words.v[1], wanted.v[1]) == 0 &&
		    strcasecmp(words.v[0] + (words.v[0][0] == '#' ? 1 : 0),
			       wanted.v[0] + (wanted.v[0][0] == '@' ? 1 : 0)) == 0)
			return true;
		if (words.n == 2 && strcmp(words.v[1], wanted.v[1]) == 0 &&
		    strcasecmp(words.v[0], wanted.v[0]) == 0)
			return true;
		if (w->f->wins == KV_FIRST && words.n > 0 && words.v[0][0] != '#')
			return false;
	}
	return false;
}

static int need_include(const struct op_run *r, const struct keyvalue *w, struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};

	if (w->f->include == NULL)
		return 0;
	if (lines_read(r->rootfd, w->f->main, &lines, NULL, e) != 0)
		return -1;
	if (has_include(w, &lines))
		return 0;
	lines_insert(&lines, w->f->wins == KV_FIRST ? 0 : lines.n, w->f->include);
	strv_addf(r->done, "/%s: \"%s\" put in", w->f->main, w->f->include);
	return lines_write(r->rootfd, w->f->main, &lines, 0600, e);
}

static int comment_out(const struct op_run *r, const struct kv_entry *en, struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};

	if (lines_read(r->rootfd, en->file, &lines, NULL, e) != 0)
		return -1;
	if (en->line > lines.n)
		return err_set(e, ERR_FAIL, "/%s: changed while it was mended", en->file);
	/* with the lines that continue it */
	for (size_t i = en->line - 1; i < lines.n; i++) {
		char *text SCOPED(mem_freep) = mem_format("# posmedia: %s", lines.v[i]);
		size_t n = strlen(lines.v[i]);
		bool more = n > 0 && lines.v[i][n - 1] == '\\';

		lines_replace(&lines, i, text);
		if (!more)
			break;
	}
	strv_addf(r->done, "/%s:%zu: commented out", en->file, en->line);
	return lines_write(r->rootfd, en->file, &lines, 0644, e);
}

/* Writes the value where this format keeps it, and into the main file where that is read alone by
 * scanners. */
static int write_value(const struct op_run *r, const struct keyvalue *w, const char *key,
		       const char *val, struct err *e)
{
	char *target SCOPED(mem_freep) = kv_target(w->f, main_file(w));
	const char *const pair[2] = {key, val};

	if (kv_write(r->rootfd, w->f, target, pair, e) != 0)
		return -1;
	if (w->f->echo && !w->once && root_has(r->rootfd, main_file(w)) &&
	    kv_write(r->rootfd, w->f, main_file(w), pair, e) != 0)
		return -1;
	strv_addf(r->done, "/%s: %s set to \"%s\"", target, key, val);
	return 0;
}

/* Writes the wanted value, then takes out of the way, one by one, what still wins over it. */
static int mend(const struct op_run *r, const struct keyvalue *w, const struct want *one,
		struct err *e)
{
	char *val SCOPED(mem_freep) = want_value(one);

	for (int i = 0; i < COMMENT_OUT_MAX; i++) {
		struct kv_set s SCOPED(kv_release) = {0};
		const struct kv_entry *wrong;
		bool set;

		if (kv_read(r->rootfd, w->f, main_file(w), &s, e) != 0)
			return -1;
		wrong = wrong_entry(w, one, &s, &set);
		if (wrong == NULL && (set || one->absent || one->unset_ok))
			return 0;
		if (i == 0 && val != NULL && !one->absent) {
			if (write_value(r, w, one->key, val, e) != 0)
				return -1;
			continue;
		}
		if (wrong == NULL)
			return err_set(e, ERR_FAIL, "%s: nothing to set it to", one->key);
		if (comment_out(r, wrong, e) != 0)
			return -1;
	}
	return err_set(e, ERR_FAIL, "%s: set again and again", one->key);
}

static int keyvalue_fix(const struct op_run *r, const void *want, struct err *e)
{
	const struct keyvalue *w = want;

	if (need_include(r, w, e) != 0)
		return -1;
	for (size_t i = 0; i < w->n; i++)
		if (mend(r, w, &w->wants[i], e) != 0)
			return -1;
	return 0;
}

static char *keyvalue_contradicts(const void *a, const void *b)
{
	const struct keyvalue *one = a, *other = b;

	if (one->f != other->f || strcmp(main_file(one), main_file(other)) != 0)
		return NULL;
	for (size_t i = 0; i < one->n; i++)
		for (size_t k = 0; k < other->n; k++) {
			const struct want *x = &one->wants[i], *y = &other->wants[k];
			char *x_text SCOPED(mem_freep) = NULL, *y_text SCOPED(mem_freep) = NULL;

			if (!kv_same_key(one->f, x->key, y->key) ||
			    want_agree(x, y, one->f->nocase))
				continue;
			x_text = want_text(x);
			y_text = want_text(y);
			return mem_format("%s of /%s cannot be %s and %s", x->key, main_file(one),
					  x_text, y_text);
		}
	return NULL;
}

const struct op_kind op_keyvalue = {
    .name = "keyvalue",
    .size = sizeof(struct keyvalue),
    .fields = keyvalue_fields,
    .finish = keyvalue_finish,
    .check = keyvalue_check,
    .contradicts = keyvalue_contradicts,
    .fix = keyvalue_fix,
    .release = keyvalue_release,
};
