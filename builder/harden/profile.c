#include "harden/profile.h"

#include "sys/fs.h"
#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { PROFILE_MAX = 1 << 20, EXTENDS_MAX = 8, CONTROLS_MAX = 2000, DOCUMENTS_MAX = 64 };

/* Files that are being read; the values stay borrowed from the documents. */
struct load {
	struct yaml *docs[DOCUMENTS_MAX];
	size_t docs_n;
	struct yaml **controls;
	size_t n;
};

struct head {
	char *schema, *id, *version, *title;
	struct strv extends;
	struct yaml *controls, *requirements;
};

static const struct field head_fields[] = {
    {"posmedia-profile", FIELD_TEXT, offsetof(struct head, schema), true},
    {"id", FIELD_TEXT, offsetof(struct head, id), true},
    {"version", FIELD_TEXT, offsetof(struct head, version), true},
    {"title", FIELD_TEXT, offsetof(struct head, title), true},
    {"extends", FIELD_LIST, offsetof(struct head, extends), false},
    {"requirements", FIELD_NODE, offsetof(struct head, requirements), false},
    {"controls", FIELD_NODE, offsetof(struct head, controls), true},
    {0},
};

static void head_release(struct head *h)
{
	spec_free(head_fields, h);
}

static void load_release(struct load *l)
{
	for (size_t i = 0; i < l->docs_n; i++)
		yaml_node_free(l->docs[i]);
	free(l->controls);
	*l = (struct load){0};
}

static int parse_file(struct load *l, const char *path, struct yaml **ret, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(PROFILE_MAX);
	struct yaml *doc;

	if (l->docs_n == DOCUMENTS_MAX)
		return err_set(e, ERR_RECIPE, "%s: more than %d profiles", path, DOCUMENTS_MAX);
	if (fs_get(AT_FDCWD, path, &text, e) != 0) {
		e->kind = ERR_RECIPE;
		return err_hint(e, "Profiles are recipes/profiles/NAME.yaml.");
	}
	if (yaml_parse(text.data, text.len, path, &doc, e) != 0)
		return -1;
	l->docs[l->docs_n++] = doc;
	*ret = doc;
	return 0;
}

/* Reports in many formats carry it, file names and references among them. */
static int check_id(const struct yaml *y, struct err *e)
{
	const char *s = y->text;

	for (; y->kind == YAML_SCALAR && *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && strchr("-._", *s) == NULL)
			return yaml_err(y, e, "an id has letters, digits, '-', '_' and '.' only");
	return 0;
}

/* Adds a control, or puts it in the place of the one with its id from an extended profile. */
static int add_control(struct load *l, struct yaml *y, size_t own, struct err *e)
{
	const struct yaml *id = y->kind == YAML_MAP ? yaml_get(y, "id") : NULL;

	if (id == NULL || id->kind != YAML_SCALAR || *id->text == '\0')
		return yaml_err(y, e, "a control wants an id");
	if (check_id(id, e) != 0)
		return -1;
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(yaml_get(l->controls[i], "id")->text, id->text) != 0)
			continue;
		if (i >= own || l->controls[i]->file == y->file)
			return yaml_err(id, e, "control %s is there twice (line %u)", id->text,
					l->controls[i]->line);
		l->controls[i] = y;
		return 0;
	}
	if (l->n == CONTROLS_MAX)
		return yaml_err(y, e, "more than %d controls", CONTROLS_MAX);
	l->controls = mem_resize(l->controls, l->n + 1, sizeof(struct yaml *));
	l->controls[l->n++] = y;
	return 0;
}

/* A map of standards to maps of numbers to titles. */
static int check_requirements(const struct yaml *y, struct err *e)
{
	if (y == NULL)
		return 0;
	for (size_t i = 0; y->kind == YAML_MAP && i < y->n; i++) {
		const struct yaml *one = y->pairs[i].val;

		if (one->kind != YAML_MAP)
			return yaml_err(one, e, "wants a map: requirement to its title");
		for (size_t k = 0; k < one->n; k++)
			if (one->pairs[k].val->kind != YAML_SCALAR)
				return yaml_err(one->pairs[k].val, e, "wants a title");
	}
	return y->kind == YAML_MAP
		   ? 0
		   : yaml_err(y, e, "requirements wants a map: standard to its requirements");
}

static int load_file(struct load *l, const char *path, unsigned depth, struct head *ret,
		     struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_dirname(path);
	struct yaml *doc = NULL, *controls;
	size_t own;

	if (depth > EXTENDS_MAX)
		return err_set(e, ERR_RECIPE, "%s: extends itself, or deeper than %d", path,
			       EXTENDS_MAX);
	if (parse_file(l, path, &doc, e) != 0 || spec_read(doc, head_fields, ret, e) != 0)
		return -1;
	if (check_id(yaml_get(doc, "id"), e) != 0 || check_requirements(ret->requirements, e) != 0)
		return -1;
	if (strcmp(ret->schema, "1") != 0)
		return yaml_err(yaml_get(doc, "posmedia-profile"), e,
				"profile schema %s is not known, only 1", ret->schema);
	for (size_t i = 0; i < ret->extends.n; i++) {
		char *base SCOPED(mem_freep) = fs_join(dir, ret->extends.v[i]);
		struct head h SCOPED(head_release) = {0};

		if (load_file(l, base, depth + 1, &h, e) != 0)
			return -1;
		if (ret->requirements == NULL)
			ret->requirements = STEAL(h.requirements);
	}
	controls = yaml_get(doc, "controls");
	if (controls->kind != YAML_LIST)
		return yaml_err(controls, e, "controls wants a list");
	own = l->n;
	for (size_t i = 0; i < controls->n; i++)
		if (add_control(l, controls->items[i], own, e) != 0)
			return -1;
	return 0;
}

struct jval *profile_json(const struct yaml *y)
{
	struct jval *j;

	if (y->kind == YAML_SCALAR)
		return jval_text(y->text);
	j = y->kind == YAML_LIST ? jval_array() : jval_object();
	for (size_t i = 0; i < y->n; i++) {
		if (y->kind == YAML_LIST)
			jval_push(j, profile_json(y->items[i]));
		else
			jval_put(j, y->pairs[i].key, profile_json(y->pairs[i].val));
	}
	return j;
}

static struct digest load_digest(const struct load *l, const struct head *h)
{
	struct jval *j SCOPED(jval_freep) = jval_object();
	struct jval *controls = jval_array();
	struct buf text SCOPED(buf_release) = BUF_INIT((size_t)DOCUMENTS_MAX * PROFILE_MAX);

	jval_put_text(j, "id", h->id);
	jval_put_text(j, "version", h->version);
	jval_put_text(j, "title", h->title);
	for (size_t i = 0; i < l->n; i++)
		jval_push(controls, profile_json(l->controls[i]));
	jval_put(j, "controls", controls);
	if (h->requirements != NULL)
		jval_put(j, "requirements", profile_json(h->requirements));
	jval_write(j, &text);
	return digest_of(text.data, text.len);
}

int harden_profile_load(const char *path, struct harden_profile **ret, struct err *e)
{
	struct load l SCOPED(load_release) = {0};
	struct head h SCOPED(head_release) = {0};
	struct harden_profile *p SCOPED(harden_profile_freep) = NULL;

	if (load_file(&l, path, 1, &h, e) != 0)
		return -1;
	p = mem_zalloc(sizeof(*p));
	p->controls = mem_zalloc((l.n + 1) * sizeof(*p->controls));
	for (size_t i = 0; i < l.n; i++)
		if (control_read(l.controls[i], &p->controls[p->n++], e) != 0)
			return -1;
	p->digest = load_digest(&l, &h);
	p->id = STEAL(h.id);
	p->version = STEAL(h.version);
	p->title = STEAL(h.title);
	p->requirements = STEAL(h.requirements);
	*ret = STEAL(p);
	return 0;
}

void harden_profile_free(struct harden_profile *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n; i++)
		control_release(&p->controls[i]);
	free(p->controls);
	free(p->id);
	free(p->version);
	free(p->title);
	yaml_node_free(p->requirements);
	free(p);
}

void harden_profile_freep(struct harden_profile **p)
{
	harden_profile_free(*p);
	*p = NULL;
}

const char *harden_profile_id(const struct harden_profile *p)
{
	return p->id;
}

const char *harden_profile_title(const struct harden_profile *p)
{
	return p->title;
}

const char *harden_profile_version(const struct harden_profile *p)
{
	return p->version;
}

const char *harden_profile_standard(const struct harden_profile *p)
{
	return p->requirements == NULL || p->requirements->n == 0 ? NULL
								  : p->requirements->pairs[0].key;
}

const char *harden_requirement_title(const struct harden_profile *p, const char *standard,
				     const char *number)
{
	const struct yaml *y = yaml_get(yaml_get(p->requirements, standard), number);

	return y == NULL ? NULL : y->text;
}

struct digest harden_profile_digest(const struct harden_profile *p)
{
	return p->digest;
}

const struct control *profile_control(const struct harden_profile *p, const char *id)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->controls[i].id, id) == 0)
			return &p->controls[i];
	return NULL;
}
