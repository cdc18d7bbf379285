#include "base/map.h"
#include "base/num.h"
#include "recipe/schema.h"
#include "sys/fs.h"
#include <string.h>

static const uint64_t day_ms = UINT64_C(24) * 3600 * 1000;
static const uint64_t size_max = UINT64_C(16) << 30;

static void *member(void *to, const struct field *f)
{
	return (char *)to + f->at;
}

int read_word(const char *root, const struct yaml *y, const struct field *f, void *to,
	      struct err *e)
{
	char **word = member(to, f);

	(void)root;
	if (schema_word(y, f->key, f->how, e) != 0)
		return -1;
	*word = mem_strdup(y->text);
	return 0;
}

int read_words(const char *root, const struct yaml *y, const struct field *f, void *to,
	       struct err *e)
{
	struct strv *words = member(to, f);

	(void)root;
	if (schema_want_list(y, f->key, e) != 0)
		return -1;
	for (size_t i = 0; i < y->n; i++) {
		if (schema_word(y->items[i], f->key, f->how, e) != 0)
			return -1;
		strv_add(words, y->items[i]->text);
	}
	return 0;
}

static void map_freep(struct map *m)
{
	map_release(m, NULL);
}

int read_set(const char *root, const struct yaml *y, const struct field *f, void *to, struct err *e)
{
	struct map seen SCOPED(map_freep) = {0};
	struct strv *words = member(to, f);

	(void)root;
	if (schema_want_list(y, f->key, e) != 0)
		return -1;
	for (size_t i = 0; i < y->n; i++) {
		if (schema_word(y->items[i], f->key, f->how, e) != 0)
			return -1;
		if (map_put(&seen, y->items[i]->text, words) == NULL)
			strv_add(words, y->items[i]->text);
	}
	return 0;
}

int read_argv(const char *root, const struct yaml *y, const struct field *f, void *to,
	      struct err *e)
{
	struct strv *argv = member(to, f);

	(void)root;
	if (y->kind == YAML_SCALAR)
		return schema_refuse(y, e, "Write [program, argument]; no shell takes it apart.",
				     "\"%s\" wants a list, not text", f->key);
	if (schema_want_list(y, f->key, e) != 0)
		return -1;
	if (y->n == 0)
		return schema_refuse(y, e, "Name a program.", "\"%s\" is empty", f->key);
	if (schema_want_text(y->items[0], f->key, e) != 0)
		return -1;
	for (size_t i = 0; i < y->n; i++) {
		if (y->items[i]->kind != YAML_SCALAR)
			return schema_refuse(y->items[i], e, "Put the argument in quotes.",
					     "\"%s\" wants a list of texts", f->key);
		strv_add(argv, y->items[i]->text);
	}
	return 0;
}

int read_choice(const char *root, const struct yaml *y, const struct field *f, void *to,
		struct err *e)
{
	struct buf all = BUF_INIT(200);
	char **word = member(to, f);

	(void)root;
	if (schema_want_text(y, f->key, e) != 0)
		return -1;
	for (const char *const *w = f->how; *w != NULL; w++) {
		if (strcmp(*w, y->text) == 0) {
			buf_release(&all);
			*word = mem_strdup(y->text);
			return 0;
		}
		buf_addf(&all, "%s%s", all.len == 0 ? "" : ", ", *w);
	}
	yaml_err(y, e, "\"%s\" cannot be \"%s\"", f->key, schema_show(y->text).s);
	err_hint(e, "One of: %s.", all.data);
	buf_release(&all);
	return -1;
}

int read_bool(const char *root, const struct yaml *y, const struct field *f, void *to,
	      struct err *e)
{
	bool *b = member(to, f);

	(void)root;
	if (schema_want_text(y, f->key, e) != 0)
		return -1;
	*b = strcmp(y->text, "true") == 0;
	if (*b || strcmp(y->text, "false") == 0)
		return 0;
	return schema_refuse(y, e, "Write true or false.", "\"%s\" wants true or false, not \"%s\"",
			     f->key, schema_show(y->text).s);
}

int read_id(const char *root, const struct yaml *y, const struct field *f, void *to, struct err *e)
{
	uint32_t *id = member(to, f);
	uint64_t v;

	(void)root;
	if (schema_want_text(y, f->key, e) != 0)
		return -1;
	/* 65535 and 4294967295 mean "none" to chown(2) on one kernel or another */
	if ((y->text[0] == '0' && y->text[1] != '\0') ||
	    num_u64(y->text, UINT32_MAX - 1, &v) != 0 || v == UINT16_MAX)
		return schema_refuse(y, e, "Write a decimal number without leading zeros.",
				     "\"%s\" wants a user or group id, not \"%s\"", f->key,
				     schema_show(y->text).s);
	*id = (uint32_t)v;
	return 0;
}

int read_size(const char *root, const struct yaml *y, const struct field *f, void *to,
	      struct err *e)
{
	uint64_t *size = member(to, f);
	uint64_t v;

	(void)root;
	if (schema_want_text(y, f->key, e) != 0)
		return -1;
	if (num_bytes(y->text, &v) != 0 || v == 0 || v > size_max)
		return schema_refuse(y, e, "Write bytes, or a number with K, M or G; at most 16G.",
				     "\"%s\" wants a size, not \"%s\"", f->key,
				     schema_show(y->text).s);
	*size = v;
	return 0;
}

int read_duration(const char *root, const struct yaml *y, const struct field *f, void *to,
		  struct err *e)
{
	uint64_t *ms = member(to, f);
	uint64_t v;

	(void)root;
	if (schema_want_text(y, f->key, e) != 0)
		return -1;
	if (num_duration_ms(y->text, &v) != 0 || v == 0 || v > day_ms)
		return schema_refuse(
		    y, e, "Write a number with ms, s, m or h, such as 20m; at most 24h.",
		    "\"%s\" wants a duration, not \"%s\"", f->key, schema_show(y->text).s);
	*ms = v;
	return 0;
}

int read_digest(const char *root, const struct yaml *y, const struct field *f, void *to,
		struct err *e)
{
	struct digest *d = member(to, f);

	(void)root;
	if (schema_want_text(y, f->key, e) != 0)
		return -1;
	if (digest_parse_hex(y->text, d) == 0 || digest_parse(y->text, d) == 0)
		return 0;
	return schema_refuse(y, e, "Write the 64 lower-case hex digits that sha256sum prints.",
			     "\"%s\" wants a SHA-256, not \"%s\"", f->key, schema_show(y->text).s);
}

static int read_path(const char *root, const struct yaml *y, const struct field *f, void *to,
		     mode_t type, struct err *e)
{
	char *path SCOPED(mem_freep) = NULL;
	char **slot = member(to, f);
	const char *what = type == S_IFDIR ? "directory" : "file";
	struct stat st;

	if (schema_word(y, f->key, &grammar_project_path, e) != 0)
		return -1;
	path = fs_join(root, y->text);
	if (stat(path, &st) != 0 || (st.st_mode & S_IFMT) != type) {
		yaml_err(y, e, "\"%s\": no %s \"%s\"", f->key, what, schema_show(y->text).s);
		return err_hint(e, "Looked for %.200s.", path);
	}
	*slot = STEAL(path);
	return 0;
}

int read_file(const char *root, const struct yaml *y, const struct field *f, void *to,
	      struct err *e)
{
	return read_path(root, y, f, to, S_IFREG, e);
}

int read_dir(const char *root, const struct yaml *y, const struct field *f, void *to, struct err *e)
{
	return read_path(root, y, f, to, S_IFDIR, e);
}
