#include "snapshot/body.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PRUNED_MAX = 16 << 20, IDS_MAX = 1 << 20 };

static const char suffix[] = ".json";

void snapshot_infos_release(struct snapshot_infos *l)
{
	for (size_t i = 0; i < l->n; i++)
		info_release(&l->v[i]);
	free(l->v);
	strv_release(&l->missing);
	*l = (struct snapshot_infos){0};
}

/* Ids a line each. */
static void split_lines(const struct buf *b, struct strv *ret)
{
	const char *at = b->data;

	while (*at != '\0' && ret->n < IDS_MAX) {
		size_t n = strcspn(at, "\n");

		strv_take(ret, mem_strndup(at, n));
		at += n + (at[n] == '\n');
	}
}

int pruned_list(struct snapshot_repo *r, struct strv *ret, struct err *e)
{
	struct object_list l SCOPED(object_list_release) = {0};

	if (objects_list(r->objects, "pruned", &l, e) != 0)
		return -1;
	for (size_t i = 0; i < l.n; i++) {
		char *object SCOPED(mem_freep) = mem_format("pruned/%s", l.v[i].name);
		struct buf sealed SCOPED(buf_release) = BUF_INIT(PRUNED_MAX);
		struct buf plain SCOPED(buf_release) = BUF_INIT(PRUNED_MAX);

		if (objects_get(r->objects, object, &sealed, e) != 0 ||
		    seal_unwhole(&r->key, SEAL_PRUNED, "", &sealed, &plain, e) != 0)
			return err_in(e, "%s", object);
		split_lines(&plain, ret);
	}
	strv_sort(ret);
	strv_uniq(ret);
	return 0;
}

int pruned_put(struct snapshot_repo *r, const struct strv *ids, struct err *e)
{
	struct buf plain SCOPED(buf_release) = BUF_INIT(PRUNED_MAX);
	struct buf sealed SCOPED(buf_release) = BUF_INIT(PRUNED_MAX);
	char *object SCOPED(mem_freep) = NULL;
	struct digest d;

	for (size_t i = 0; i < ids->n; i++)
		buf_addf(&plain, "%s\n", ids->v[i]);
	seal_whole(&r->key, SEAL_PRUNED, "", &plain, &sealed);
	d = digest_of(sealed.data, sealed.len);
	object = mem_format("pruned/%s", digest_hex(&d).s);
	return objects_put_bytes(r->objects, object, sealed.data, sealed.len, e);
}

static int older(const void *a, const void *b)
{
	const struct snapshot_info *x = a, *y = b;

	return x->time != y->time ? (x->time > y->time) - (x->time < y->time)
				  : strcmp(x->id, y->id);
}

static int take(struct snapshot_repo *r, const char *id, struct snapshot_infos *ret, struct err *e)
{
	struct body b SCOPED(body_release);
	struct err why = ERR_INIT;

	body_init(&b);
	ret->v = mem_resize(ret->v, ret->n + 1, sizeof(*ret->v));
	if (body_get(r, id, &b, &why) == 0) {
		ret->v[ret->n++] = b.info;
		b.info = (struct snapshot_info){0};
		return 0;
	}
	if (why.kind != ERR_VERIFY) {
		*e = why;
		return -1;
	}
	ret->v[ret->n++] =
	    (struct snapshot_info){.id = mem_strdup(id), .fault = mem_strdup(why.msg)};
	return 0;
}

static const struct snapshot_info *by_id(const struct snapshot_infos *l, const char *id)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i].id, id) == 0)
			return &l->v[i];
	return NULL;
}

static int find_missing(struct snapshot_repo *r, struct snapshot_infos *l, struct err *e)
{
	struct strv pruned SCOPED(strv_release) = {0};

	if (pruned_list(r, &pruned, e) != 0)
		return -1;
	for (size_t i = 0; i < l->n; i++) {
		const char *id = l->v[i].previous;

		if (id != NULL && by_id(l, id) == NULL && !strv_has(&pruned, id))
			strv_add(&l->missing, id);
	}
	strv_sort(&l->missing);
	strv_uniq(&l->missing);
	return 0;
}

int snapshot_list(struct snapshot_repo *r, struct snapshot_infos *ret, struct err *e)
{
	struct snapshot_infos l SCOPED(snapshot_infos_release) = {0};
	struct object_list names SCOPED(object_list_release) = {0};

	if (objects_list(r->objects, "snapshots", &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		size_t n = strlen(names.v[i].name), tail = sizeof(suffix) - 1;
		char *id SCOPED(mem_freep) = NULL;

		if (n <= tail || strcmp(names.v[i].name + n - tail, suffix) != 0)
			continue;
		id = mem_strndup(names.v[i].name, n - tail);
		if (take(r, id, &l, e) != 0)
			return -1;
	}
	if (l.n > 0)
		qsort(l.v, l.n, sizeof(*l.v), older);
	if (find_missing(r, &l, e) != 0)
		return -1;
	*ret = l;
	l = (struct snapshot_infos){0};
	return 0;
}

bool info_same_tree(const struct snapshot_info *a, const struct snapshot_info *b)
{
	if (strcmp(a->shop, b->shop) != 0 || strcmp(a->env, b->env) != 0)
		return false;
	return a->shop[0] != '\0' ||
	       (strcmp(a->source, b->source) == 0 && strcmp(a->host, b->host) == 0);
}

const struct snapshot_info *infos_newest(const struct snapshot_infos *l,
					 const struct snapshot_info *of)
{
	for (size_t i = l->n; i > 0; i--) {
		const struct snapshot_info *s = &l->v[i - 1];

		if (s->fault == NULL && info_same_tree(s, of))
			return s;
	}
	return NULL;
}

/* Whether the directory of that name has a repository in it. */
static bool is_repo(const char *text)
{
	const char *path = strncmp(text, "dir:", 4) == 0 ? text + 4 : text;
	char *format SCOPED(mem_freep) = mem_format("%s/format.json", path);

	return strncmp(text, "s3://", 5) != 0 && access(format, F_OK) == 0;
}

int snapshot_split(const char *text, char **ret_repo, char **ret_id, struct err *e)
{
	const char *at = strrchr(text, '@');

	if (at != NULL && (strchr(at, '/') != NULL || is_repo(text)))
		at = NULL; /* of a directory's name */
	if (at != NULL && at[1] == '\0')
		return err_set(e, ERR_USAGE, "%s: nothing behind the @", text);
	if (text[0] != '/' && strncmp(text, "dir:", 4) != 0 && strncmp(text, "s3://", 5) != 0)
		return err_set(e, ERR_USAGE, "%s: a repository is dir:PATH or s3://BUCKET/PREFIX",
			       text);
	*ret_repo = at != NULL ? mem_strndup(text, (size_t)(at - text)) : mem_strdup(text);
	*ret_id = at != NULL ? mem_strdup(at + 1) : NULL;
	return 0;
}
