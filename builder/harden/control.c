/* control.c - one control of a profile, from YAML. */
#include "harden/system.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { OPS_MAX = 64, WANTS_MAX = 1 << 20 };

/* How a control is written, before its words are understood. */
struct control_text {
	char *id, *title, *reason, *only_image;
	struct yaml *severity, *sources, *applies, *target, *held_by, *when, *want;
	struct yaml *distribution, *fix;
};

static const struct field text_fields[] = {
    {"id", FIELD_TEXT, offsetof(struct control_text, id), true},
    {"title", FIELD_TEXT, offsetof(struct control_text, title), true},
    {"severity", FIELD_NODE, offsetof(struct control_text, severity), true},
    {"sources", FIELD_NODE, offsetof(struct control_text, sources), true},
    {"applies", FIELD_NODE, offsetof(struct control_text, applies), false},
    {"target", FIELD_NODE, offsetof(struct control_text, target), false},
    {"held-by", FIELD_NODE, offsetof(struct control_text, held_by), false},
    {"distribution", FIELD_NODE, offsetof(struct control_text, distribution), false},
    {"reason", FIELD_TEXT, offsetof(struct control_text, reason), false},
    {"image-only", FIELD_TEXT, offsetof(struct control_text, only_image), false},
    {"when", FIELD_NODE, offsetof(struct control_text, when), false},
    {"want", FIELD_NODE, offsetof(struct control_text, want), false},
    {"fix", FIELD_NODE, offsetof(struct control_text, fix), false},
    {0},
};

static const struct field when_fields[] = {
    {"package", FIELD_LIST, offsetof(struct control, packages), false},
    {"path", FIELD_PATHS, offsetof(struct control, paths), false},
    {0},
};

static const char *const severities[] = {"low", "medium", "high", NULL};
static const char *const standards[] = {"pa-dss", "pci-dss", "cis",      "stig",
					"ssg",    "legacy",  "posmedia", NULL};
static const char *const places[] = {"image", "instance", "host", "engine", "site", NULL};
static const char *const targets[] = {"container", "machine", NULL};
static const char *const fix_words[] = {"true", "false", NULL};

static void text_release(struct control_text *t)
{
	spec_free(text_fields, t);
}

static int check_id(const struct yaml *y, const char *id, struct err *e)
{
	for (const char *p = id; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && *p != '-' && *p != '.')
			return yaml_err(y, e, "a control's id is letters, digits, '-' and '.'");
	return 0;
}

static int check_sources(const struct yaml *y, struct err *e)
{
	if (y->kind != YAML_MAP || y->n == 0)
		return yaml_err(y, e, "sources wants a map: standard to its requirements");
	for (size_t i = 0; i < y->n; i++) {
		struct yaml key = {.kind = YAML_SCALAR, .file = y->file};
		struct strv list SCOPED(strv_release) = {0};

		key.text = y->pairs[i].key;
		key.line = y->pairs[i].line;
		key.col = y->pairs[i].col;
		if (spec_word(&key, standards, e) < 0 || spec_texts(y->pairs[i].val, &list, e) != 0)
			return -1;
	}
	return 0;
}

static const struct op_kind *find_kind(const struct yaml *at, const struct yaml_pair *p,
				       struct err *e)
{
	const char *names[OPS_MAX + 1] = {NULL};
	struct yaml key = {.kind = YAML_SCALAR, .file = at->file, .text = p->key};
	int i;

	key.line = p->line;
	key.col = p->col;
	for (i = 0; i < OPS_MAX && op_kinds[i] != NULL; i++)
		names[i] = op_kinds[i]->name;
	i = spec_word(&key, names, e);
	return i < 0 ? NULL : op_kinds[i];
}

static int read_op(const struct yaml *y, struct op *ret, struct err *e)
{
	const struct yaml *val;

	if (y->kind != YAML_MAP || y->n != 1)
		return yaml_err(y, e, "wants one operation: \"- NAME: {...}\"");
	val = y->pairs[0].val;
	ret->kind = find_kind(y, &y->pairs[0], e);
	if (ret->kind == NULL)
		return -1;
	ret->want = mem_zalloc(ret->kind->size);
	if (spec_read(val, ret->kind->fields, ret->want, e) != 0)
		return -1;
	return ret->kind->finish == NULL ? 0 : ret->kind->finish(ret->want, val, e);
}

static int read_ops(const struct yaml *y, struct control *c, struct err *e)
{
	if (y->kind != YAML_LIST || y->n == 0 || y->n > OPS_MAX)
		return yaml_err(y, e, "want is a list of 1 to %d operations", OPS_MAX);
	c->ops = mem_zalloc(y->n * sizeof(*c->ops));
	for (size_t i = 0; i < y->n; i++)
		if (read_op(y->items[i], &c->ops[c->ops_n++], e) != 0)
			return -1;
	return 0;
}

/* Line ends are written "\n": a line of its own is an operation. */
static void scalar_text(const char *s, struct buf *out)
{
	if (*s == '\0')
		buf_addf(out, "\"\"");
	for (; *s != '\0'; s++)
		if (*s == '\n')
			buf_addf(out, "\\n");
		else
			buf_add(out, s, 1);
}

/* A value as a person writes it down: "owner root; max 0640", a list with commas, and of a map in a
 * map "PermitRootLogin = no". */
static void value_text(const struct yaml *y, int depth, struct buf *out)
{
	if (y->kind == YAML_SCALAR)
		scalar_text(y->text, out);
	for (size_t i = 0; i < y->n; i++) {
		const struct yaml *val = y->kind == YAML_LIST ? y->items[i] : y->pairs[i].val;

		if (i > 0)
			buf_addf(out, "%s", y->kind == YAML_MAP && depth == 0 ? "; " : ", ");
		if (y->kind == YAML_MAP)
			buf_addf(out, "%s%s", y->pairs[i].key,
				 depth == 1 && val->kind == YAML_SCALAR ? " = " : " ");
		value_text(val, depth + 1, out);
	}
}

/* One line an operation; the caller owns it. */
static char *wants_text(const struct yaml *want)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(WANTS_MAX);

	for (size_t i = 0; want != NULL && i < want->n; i++) {
		buf_addf(&b, "%s%s: ", i == 0 ? "" : "\n", want->items[i]->pairs[0].key);
		value_text(want->items[i]->pairs[0].val, 0, &b);
	}
	return buf_take(&b);
}

/* One that is for one kind of system only says who holds it for the other, and why. */
static int read_target(const struct yaml *y, const struct control_text *t, struct control *ret,
		       struct err *e)
{
	int target, holder;

	if ((t->target == NULL) != (t->held_by == NULL))
		return yaml_err(y, e, "control %s: target and held-by go together", t->id);
	if (t->target == NULL)
		return 0;
	target = spec_word(t->target, targets, e);
	holder = target < 0 ? -1 : spec_word(t->held_by, places, e);
	if (holder < 0)
		return -1;
	if (ret->place != places[0])
		return yaml_err(t->target, e, "control %s does not apply to an image of any kind",
				t->id);
	if (t->reason == NULL)
		return yaml_err(y, e, "control %s is for a %s only: say the reason", t->id,
				targets[target]);
	ret->target = targets[target];
	ret->held_by = places[holder];
	return 0;
}

/* A control is either wanted of the image, or says why it is not. */
static int read_applies(const struct yaml *y, const struct control_text *t, struct control *ret,
			struct err *e)
{
	int place = t->applies == NULL ? 0 : spec_word(t->applies, places, e);

	if (place < 0)
		return -1;
	ret->place = places[place];
	if (read_target(y, t, ret, e) != 0)
		return -1;
	if (place == 0 && t->want == NULL)
		return yaml_err(y, e, "control %s wants nothing: add \"want\"", t->id);
	if (place == 0 && ret->target == NULL && t->reason != NULL)
		return yaml_err(y, e, "control %s applies to the image: no reason wanted", t->id);
	if (place != 0 && t->reason == NULL)
		return yaml_err(y, e, "control %s does not apply to the image: say the reason",
				t->id);
	return 0;
}

static int read_distributions(const struct yaml *y, struct strv *ret, struct err *e)
{
	if (y == NULL)
		return 0;
	if (spec_texts(y, ret, e) != 0)
		return -1;
	for (size_t i = 0; i < ret->n; i++) {
		if (system_word_check(ret->v[i]) == 0)
			continue;
		(void)yaml_err(y, e, "\"%s\" is no distribution", ret->v[i]);
		return err_hint(e, "Write its ID of os-release, \"debian\", or with a release, "
				   "\"debian 12\" or \"el 9+\".");
	}
	return 0;
}

int control_read(const struct yaml *y, struct control *ret, struct err *e)
{
	struct control_text t SCOPED(text_release) = {0};
	int severity, fix;

	if (spec_read(y, text_fields, &t, e) != 0 || check_id(y, t.id, e) != 0 ||
	    check_sources(t.sources, e) != 0 || read_applies(y, &t, ret, e) != 0 ||
	    read_distributions(t.distribution, &ret->distributions, e) != 0)
		return -1;
	severity = spec_word(t.severity, severities, e);
	fix = t.fix == NULL ? 0 : spec_word(t.fix, fix_words, e);
	if (severity < 0 || fix < 0)
		return -1;
	ret->severity = (enum harden_severity)severity;
	ret->check_only = fix == 1;
	if (t.when != NULL && spec_read(t.when, when_fields, ret, e) != 0)
		return -1;
	if (t.want != NULL && read_ops(t.want, ret, e) != 0)
		return -1;
	ret->id = STEAL(t.id);
	ret->title = STEAL(t.title);
	ret->sources = STEAL(t.sources);
	ret->wants = wants_text(t.want);
	ret->reason = STEAL(t.reason);
	ret->only_image = STEAL(t.only_image);
	return 0;
}

void control_release(struct control *c)
{
	for (size_t i = 0; i < c->ops_n; i++) {
		const struct op *o = &c->ops[i];

		if (o->want == NULL)
			continue;
		if (o->kind->release != NULL)
			o->kind->release(o->want);
		spec_free(o->kind->fields, o->want);
		free(o->want);
	}
	free(c->ops);
	free(c->id);
	free(c->title);
	free(c->reason);
	free(c->only_image);
	free(c->wants);
	yaml_node_free(c->sources);
	strv_release(&c->distributions);
	strv_release(&c->packages);
	strv_release(&c->paths);
}
