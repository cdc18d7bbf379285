#include "form/json.h"

#include "base/strv.h"
#include <jansson.h>
#include <string.h>

enum { JSON_TEXT_MAX = 64 << 20 };

/* A jval is a json_t behind another name, so that no other floor sees jansson. */
static json_t *in(const struct jval *v)
{
	union {
		const struct jval *v;
		json_t *j;
	} u = {.v = v};

	return u.j;
}

static struct jval *out(json_t *j)
{
	return (struct jval *)(void *)j;
}

static int depth_ok(json_t *j, int left)
{
	void *it;

	if (!json_is_object(j) && !json_is_array(j))
		return 0;
	if (left == 0)
		return -1;
	for (it = json_object_iter(j); it != NULL; it = json_object_iter_next(j, it))
		if (depth_ok(json_object_iter_value(it), left - 1) != 0)
			return -1;
	for (size_t i = 0; i < json_array_size(j); i++)
		if (depth_ok(json_array_get(j, i), left - 1) != 0)
			return -1;
	return 0;
}

int jval_parse(const char *p, size_t n, const char *what, struct jval **ret, struct err *e)
{
	json_error_t je;
	json_t *j;

	if (n > JSON_TEXT_MAX)
		return err_set(e, ERR_RECIPE, "%s: larger than %d bytes", what, (int)JSON_TEXT_MAX);
	j = json_loadb(p, n, JSON_REJECT_DUPLICATES, &je);

	if (j == NULL)
		return err_set(e, ERR_RECIPE, "%s:%d:%d: %s", what, je.line, je.column, je.text);
	if (depth_ok(j, 64) != 0) {
		json_decref(j);
		return err_set(e, ERR_RECIPE, "%s:1:1: nested deeper than 64", what);
	}
	*ret = out(j);
	return 0;
}

static int append(const char *p, size_t n, void *ctx)
{
	buf_add(ctx, p, n);
	return 0;
}

void jval_write(const struct jval *v, struct buf *b)
{
	(void)json_dump_callback(in(v), append, b, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
}

void jval_write_pretty(const struct jval *v, struct buf *b)
{
	(void)json_dump_callback(in(v), append, b,
				 JSON_INDENT(1) | JSON_SORT_KEYS | JSON_ENCODE_ANY);
	buf_add(b, "\n", 1);
}

void jval_free(struct jval *v)
{
	json_decref(in(v));
}

void jval_freep(struct jval **v)
{
	jval_free(*v);
	*v = NULL;
}

struct jval *jval_ref(struct jval *v)
{
	return out(json_incref(in(v)));
}

struct jval *jval_object(void)
{
	return out(json_object());
}

struct jval *jval_array(void)
{
	return out(json_array());
}

/* Bytes that are not UTF-8 made harmless; the caller owns the text. */
static char *repaired(const char *p, size_t n)
{
	char *s = mem_strndup(p, n);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] >= 0x80)
			s[i] = '?';
	return s;
}

struct jval *jval_textn(const char *p, size_t n)
{
	json_t *j = json_stringn(p, n);
	char *s SCOPED(mem_freep) = NULL;

	if (j == NULL) {
		s = repaired(p, n);
		j = json_stringn(s, n);
	}
	return out(j);
}

struct jval *jval_text(const char *s)
{
	return jval_textn(s, strlen(s));
}

struct jval *jval_int(int64_t v)
{
	return out(json_integer(v));
}

struct jval *jval_bool(bool v)
{
	return out(json_boolean(v));
}

struct jval *jval_null(void)
{
	return out(json_null());
}

void jval_put(struct jval *object, const char *key, struct jval *val)
{
	char *plain SCOPED(mem_freep) = NULL;

	if (json_object_set(in(object), key, in(val)) == 0) {
		json_decref(in(val));
		return;
	}
	plain = repaired(key, strlen(key));
	(void)json_object_set_new(in(object), plain, in(val));
}

void jval_push(struct jval *array, struct jval *val)
{
	(void)json_array_append_new(in(array), in(val));
}

void jval_put_text(struct jval *object, const char *key, const char *s)
{
	jval_put(object, key, jval_text(s));
}

void jval_put_int(struct jval *object, const char *key, int64_t v)
{
	jval_put(object, key, jval_int(v));
}

void jval_del(struct jval *object, const char *key)
{
	(void)json_object_del(in(object), key);
}

struct jval *jval_get(const struct jval *object, const char *key)
{
	return out(json_object_get(in(object), key));
}

struct jval *jval_at(const struct jval *array, size_t i)
{
	return out(json_array_get(in(array), i));
}

const char *jval_str(const struct jval *v)
{
	const char *s = json_string_value(in(v));

	/* an embedded NUL would make the C string differ from the JSON one */
	return s != NULL && strlen(s) == json_string_length(in(v)) ? s : NULL;
}

const char *jval_get_str(const struct jval *object, const char *key)
{
	return jval_str(jval_get(object, key));
}

int jval_get_int(const struct jval *object, const char *key, int64_t *ret)
{
	json_t *j = json_object_get(in(object), key);

	if (!json_is_integer(j))
		return -1;
	*ret = json_integer_value(j);
	return 0;
}

int64_t jval_num(const struct jval *object, const char *key)
{
	int64_t n = 0;

	return jval_get_int(object, key, &n) == 0 ? n : 0;
}

bool jval_get_bool(const struct jval *object, const char *key)
{
	return json_is_true(json_object_get(in(object), key));
}

bool jval_is_object(const struct jval *v)
{
	return json_is_object(in(v));
}

bool jval_is_array(const struct jval *v)
{
	return json_is_array(in(v));
}

size_t jval_len(const struct jval *v)
{
	return json_is_object(in(v)) ? json_object_size(in(v)) : json_array_size(in(v));
}

bool jval_equal(const struct jval *a, const struct jval *b)
{
	return json_equal(in(a), in(b)) != 0;
}

int jval_each(const struct jval *object, int (*fn)(void *, const char *, struct jval *), void *ctx)
{
	struct strv keys SCOPED(strv_release) = {0};
	int rc = 0;

	for (void *it = json_object_iter(in(object)); it != NULL;
	     it = json_object_iter_next(in(object), it))
		strv_add(&keys, json_object_iter_key(it));
	strv_sort(&keys);
	for (size_t i = 0; i < keys.n && rc == 0; i++)
		rc = fn(ctx, keys.v[i], jval_get(object, keys.v[i]));
	return rc;
}
