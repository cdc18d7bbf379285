#include "recipe/sections.h"

#include "base/num.h"
#include <stdlib.h>
#include <string.h>

static int read_url(const char *root, const struct yaml *y, const struct field *f, void *to,
		    struct err *e)
{
	struct recipe_media *m = to;

	if (schema_want_text(y, f->key, e) != 0)
		return -1;
	m->is_file = strstr(y->text, "://") == NULL;
	if (m->is_file)
		return read_file(root, y, f, to, e);
	if (strncmp(y->text, "s3://", 5) == 0)
		return schema_unsupported(y, "url: s3://", e);
	return read_word(root, y, f, to, e);
}

static int read_inside(const char *root, const struct yaml *y, const struct field *f, void *to,
		       struct err *e)
{
	struct recipe_media *m = to;

	if (read_words(root, y, f, to, e) != 0)
		return -1;
	if (m->inside.n <= RECIPE_INSIDE_MAX)
		return 0;
	return schema_refuse(y, e, "Repack it.", "\"inside\": more than %d archives in each other",
			     (int)RECIPE_INSIDE_MAX);
}

static const char *const shapes[] = {"file", NULL};

static int read_as(const char *root, const struct yaml *y, const struct field *f, void *to,
		   struct err *e)
{
	char *shape SCOPED(mem_freep) = NULL;
	const struct field text = {.key = f->key, .how = shapes};
	struct recipe_media *m = to;

	if (read_choice(root, y, &text, &shape, e) != 0)
		return -1;
	m->as_file = true;
	return 0;
}

static int read_files(const char *root, const struct yaml *y, const struct field *f, void *to,
		      struct err *e)
{
	struct recipe_media *m = to;

	(void)root;
	if (schema_want_text(y, f->key, e) != 0)
		return -1;
	if (num_u64(y->text, UINT32_MAX, &m->files_max) == 0 && m->files_max > 0)
		return 0;
	return schema_refuse(y, e, "Write how many files and directories there may be.",
			     "\"files\" wants a number, not \"%s\"", schema_show(y->text).s);
}

static const struct field limit_fields[] = {
    {"size", read_size, offsetof(struct recipe_media, bytes_max), NULL, false},
    {"files", read_files, 0, NULL, false},
    {0},
};

static const struct field media_fields[] = {
    {"url", read_url, offsetof(struct recipe_media, url), &grammar_url, true},
    {"sha256", read_digest, offsetof(struct recipe_media, digest), NULL, true},
    {"size", read_size, offsetof(struct recipe_media, size), NULL, false},
    {"as", read_as, 0, NULL, false},
    {"file", read_word, offsetof(struct recipe_media, file), &grammar_file_name, false},
    {"inside", read_inside, offsetof(struct recipe_media, inside), &grammar_inside, false},
    {"limits", read_map, 0, limit_fields, false},
    {0},
};

/* The last component of what it is called, where that has one. */
static void name_file(struct recipe_media *m)
{
	const char *path = m->inside.n > 0 ? m->inside.v[m->inside.n - 1] : m->url;
	const char *slash = strrchr(path, '/');
	const char *last = slash != NULL ? slash + 1 : path;

	if (m->file == NULL)
		m->file = mem_strdup(grammar_ok(&grammar_file_name, last) ? last : m->name);
}

static const struct field tar_fields[] = {
    {"url", read_url, offsetof(struct recipe_plain, tar.url), &grammar_url, true},
    {"sha256", read_digest, offsetof(struct recipe_plain, tar.digest), NULL, true},
    {"size", read_size, offsetof(struct recipe_plain, tar.size), NULL, false},
    {"arch", read_word, offsetof(struct recipe_plain, arch), &grammar_arch, false},
    {0},
};

/* The fields of scratch are the last of those of tar. */
static int read_plain(const char *root, const struct yaml *y, const struct field *f,
		      const struct field *fields, struct recipe *r, struct err *e)
{
	if (schema_want_map(y, f->key, e) != 0)
		return -1;
	r->plain = mem_zalloc(sizeof(*r->plain));
	if (schema_map(root, y, fields, r->plain, e) != 0)
		return -1;
	if (r->plain->arch == NULL)
		r->plain->arch = mem_strdup("amd64");
	return 0;
}

int read_base_tar(const char *root, const struct yaml *y, const struct field *f, void *to,
		  struct err *e)
{
	return read_plain(root, y, f, tar_fields, to, e);
}

int read_base_scratch(const char *root, const struct yaml *y, const struct field *f, void *to,
		      struct err *e)
{
	return read_plain(root, y, f, tar_fields + 3, to, e);
}

static int by_name(const void *a, const void *b)
{
	const struct recipe_media *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int read_media(const char *root, const struct yaml *y, const struct field *f, void *to,
	       struct err *e)
{
	struct recipe *r = to;

	if (schema_want_map(y, f->key, e) != 0)
		return -1;
	r->media = mem_zalloc((y->n + 1) * sizeof(*r->media));
	for (size_t i = 0; i < y->n; i++) {
		const struct yaml_pair *pair = &y->pairs[i];
		struct recipe_media *m = &r->media[r->media_n++];
		const struct yaml key = schema_key(pair);

		m->name = mem_strdup(pair->key);
		m->pos = schema_pos(&key);
		if (schema_word(&key, f->key, &grammar_name, e) != 0 ||
		    schema_want_map(pair->val, pair->key, e) != 0 ||
		    schema_map(root, pair->val, media_fields, m, e) != 0)
			return -1;
		name_file(m);
	}
	qsort(r->media, r->media_n, sizeof(*r->media), by_name);
	return 0;
}

static struct recipe_media *add_medium(struct recipe *r, const struct recipe_media *from)
{
	r->media = mem_resize(r->media, r->media_n + 1, sizeof(*r->media));
	r->media[r->media_n] = *from;
	r->media[r->media_n].is_base = true;
	r->media[r->media_n].pos = r->base_pos;
	return &r->media[r->media_n++];
}

void recipe_base_medium(struct recipe *r)
{
	struct recipe_media *m;

	for (size_t i = 0; r->plain != NULL && i < r->plain->blobs_n; i++)
		(void)add_medium(r, &r->plain->blobs[i]);
	if (r->plain != NULL)
		r->plain->blobs_n = 0;
	if (r->base == RECIPE_TAR) {
		m = add_medium(r, &r->plain->tar);
		r->plain->tar = (struct recipe_media){0};
		m->name = mem_strdup("base.tar");
		m->file = mem_strdup("base.tar");
	}
	if (r->media_n > 1)
		qsort(r->media, r->media_n, sizeof(*r->media), by_name);
}

const struct recipe_media *recipe_base_tar(const struct recipe *r)
{
	return r->base == RECIPE_TAR ? recipe_media_find(r, "base.tar") : NULL;
}

static int port_number(const char *s, uint16_t *ret)
{
	uint64_t v;

	if (s[0] == '0' || num_u64(s, UINT16_MAX, &v) != 0)
		return -1;
	*ret = (uint16_t)v;
	return 0;
}

/* N/tcp, N/udp or N-M/tcp, N-M/udp. */
static int parse_port(const char *text, struct recipe_port *ret)
{
	char *numbers SCOPED(mem_freep) = mem_strdup(text);
	char *slash = strchr(numbers, '/'), *dash = strchr(numbers, '-');

	if (slash == NULL || (strcmp(slash, "/tcp") != 0 && strcmp(slash, "/udp") != 0))
		return -1;
	ret->udp = strcmp(slash, "/udp") == 0;
	*slash = '\0';
	if (dash != NULL)
		*dash = '\0';
	if (port_number(numbers, &ret->first) != 0 ||
	    port_number(dash == NULL ? numbers : dash + 1, &ret->last) != 0)
		return -1;
	return ret->first <= ret->last ? 0 : -1;
}

static bool same_port(const struct recipe_port *a, const struct recipe_port *b)
{
	return a->first == b->first && a->last == b->last && a->udp == b->udp;
}

int read_ports(const char *root, const struct yaml *y, const struct field *f, void *to,
	       struct err *e)
{
	struct recipe *r = to;

	(void)root;
	if (schema_want_list(y, f->key, e) != 0)
		return -1;
	r->ports = mem_zalloc((y->n + 1) * sizeof(*r->ports));
	for (size_t i = 0; i < y->n; i++) {
		struct recipe_port p;
		bool known = false;

		if (schema_want_text(y->items[i], f->key, e) != 0)
			return -1;
		if (parse_port(y->items[i]->text, &p) != 0)
			return schema_refuse(y->items[i], e,
					     "Write 22/tcp, 2000-2001/tcp or 137-138/udp.",
					     "\"ports\" wants a port or range, not \"%s\"",
					     schema_show(y->items[i]->text).s);
		for (size_t k = 0; k < r->ports_n && !known; k++)
			known = same_port(&r->ports[k], &p);
		if (!known)
			r->ports[r->ports_n++] = p;
	}
	return 0;
}

/* NAME: VALUE pairs, as NAME=VALUE sorted by name. */
int read_env(const char *root, const struct yaml *y, const struct field *f, void *to, struct err *e)
{
	struct recipe *r = to;

	(void)root;
	if (schema_want_map(y, f->key, e) != 0)
		return -1;
	for (size_t i = 0; i < y->n; i++) {
		const struct yaml *val = y->pairs[i].val;
		const struct yaml key = schema_key(&y->pairs[i]);

		if (schema_word(&key, f->key, &grammar_env_name, e) != 0)
			return -1;
		if (!(val->kind == YAML_SCALAR && val->text[0] == '\0') &&
		    schema_word(val, y->pairs[i].key, &grammar_env_value, e) != 0)
			return -1;
		strv_addf(&r->env, "%s=%s", y->pairs[i].key, val->text);
	}
	strv_sort(&r->env);
	return 0;
}
