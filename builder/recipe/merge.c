#include "recipe/merge.h"

#include "base/map.h"
#include "recipe/schema.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { LEVELS_MAX = 16, FILES_MAX = 64, FILE_MAX = 1 << 20 };

/* A file being read, and the one that extends it. */
struct link {
	const char *name; /* as it was named */
	const char *real; /* the same file has one */
	const struct link *up;
	unsigned level;
};

struct merge {
	struct yaml *all;
	struct map done; /* real names */
};

static void map_freep(struct map *m)
{
	map_release(m, NULL);
}

static void take_position(struct yaml *to, const struct yaml *from)
{
	to->file = from->file;
	to->line = from->line;
	to->col = from->col;
}

static void append_list(struct yaml *to, struct yaml *from)
{
	if (from->n > 0)
		to->items = mem_resize(to->items, to->n + from->n, sizeof(struct yaml *));
	for (size_t i = 0; i < from->n; i++)
		to->items[to->n++] = STEAL(from->items[i]);
	from->n = 0;
	take_position(to, from);
}

static int merge_pair(struct yaml_pair *to, struct yaml_pair *from, struct err *e)
{
	static const char *const names[] = {"a value", "a list", "a map"};

	if (to->val->kind != from->val->kind)
		return schema_refuse(from->val, e, "Write the same kind in both files.",
				     "\"%s\" is %s here and %s at %s:%u:%u",
				     schema_show(from->key).s, names[from->val->kind],
				     names[to->val->kind], to->val->file, to->val->line,
				     to->val->col);
	to->line = from->line;
	to->col = from->col;
	if (to->val->kind == YAML_MAP)
		return merge_into(to->val, from->val, e);
	if (to->val->kind == YAML_LIST) {
		append_list(to->val, from->val);
		return 0;
	}
	yaml_node_free(to->val);
	to->val = STEAL(from->val);
	return 0;
}

int merge_into(struct yaml *to, struct yaml *from, struct err *e)
{
	struct map index SCOPED(map_freep) = {0};
	size_t before = to->n;

	for (size_t i = 0; i < before; i++)
		map_put(&index, to->pairs[i].key, (void *)(i + 1));
	if (from->n > 0)
		to->pairs = mem_resize(to->pairs, before + from->n, sizeof(struct yaml_pair));
	for (size_t i = 0; i < from->n; i++) {
		struct yaml_pair *pair = &from->pairs[i];
		size_t at = (size_t)map_get(&index, pair->key);

		if (at != 0 && merge_pair(&to->pairs[at - 1], pair, e) != 0)
			return -1;
		if (at != 0)
			continue;
		to->pairs[to->n++] = *pair;
		*pair = (struct yaml_pair){0};
	}
	take_position(to, from);
	return 0;
}

/* Takes the value of a key out of the map; NULL when it is not there. */
static struct yaml *take_key(struct yaml *map, const char *key)
{
	for (size_t i = 0; i < map->n; i++) {
		struct yaml *val = map->pairs[i].val;

		if (strcmp(map->pairs[i].key, key) != 0)
			continue;
		free(map->pairs[i].key);
		map->n--;
		memmove(&map->pairs[i], &map->pairs[i + 1],
			(map->n - i) * sizeof(struct yaml_pair));
		return val;
	}
	return NULL;
}

static int check_schema(struct yaml *y, struct err *e)
{
	struct yaml *version SCOPED(yaml_freep) = take_key(y, "posmedia");

	if (version == NULL)
		return schema_refuse(y, e, "Write \"posmedia: 1\" as the first line.",
				     "missing key \"posmedia\"");
	if (version->kind == YAML_SCALAR && strcmp(version->text, "1") == 0)
		return 0;
	return schema_refuse(version, e, "This program reads \"posmedia: 1\".",
			     "\"posmedia\" wants the schema version 1");
}

static int read_yaml(const char *path, struct yaml **ret, struct err *e)
{
	struct buf text = BUF_INIT(FILE_MAX);
	struct yaml *y SCOPED(yaml_freep) = NULL;
	int rc = fs_get(AT_FDCWD, path, &text, e);

	if (rc == 0)
		rc = yaml_parse(text.data, text.len, path, &y, e);
	buf_release(&text);
	if (rc != 0)
		return -1;
	if (y->kind != YAML_MAP)
		return schema_refuse(y, e, "Begin with \"posmedia: 1\".",
				     "the file is not a map of keys");
	if (check_schema(y, e) != 0)
		return -1;
	*ret = STEAL(y);
	return 0;
}

/* Sets *e for a file that cannot be used; at: where it is named, or NULL for the first. */
static int unusable(const char *path, const struct yaml *at, const char *why, struct err *e)
{
	if (at != NULL)
		return schema_refuse(at, e, "\"extends\" is relative to the file that names it.",
				     "\"extends\": %s: %s", path, why);
	err_set(e, ERR_RECIPE, "%s: %s", path, why);
	return err_hint(e, "Name a file.");
}

static int refuse_cycle(const struct link *l, const char *path, const char *real,
			const struct yaml *at, struct err *e)
{
	char *text SCOPED(mem_freep) = mem_strdup(path);

	for (bool back = false; l != NULL && !back; l = l->up) {
		char *longer = mem_format("%s -> %s", l->name, text);

		mem_freep(&text);
		text = longer;
		back = strcmp(l->real, real) == 0;
	}
	return schema_refuse(at, e, "Take one of the files out of the circle.",
			     "\"extends\" goes in a circle: %s", text);
}

static int load_file(struct merge *m, const struct link *l, struct err *e);

static int load_base(struct merge *m, const struct yaml *at, const struct link *up, struct err *e)
{
	char *dir SCOPED(mem_freep) = NULL, *path SCOPED(mem_freep) = NULL;
	char *real SCOPED(mem_freep) = NULL;
	struct link l = {.up = up, .level = up->level + 1};
	struct stat st;

	if (schema_word(at, "extends", &grammar_line, e) != 0)
		return -1;
	dir = fs_dirname(up->name);
	path = strcmp(dir, ".") == 0 ? mem_strdup(at->text) : fs_join(dir, at->text);
	real = realpath(path, NULL);
	if (real == NULL || stat(real, &st) != 0)
		return unusable(path, at, strerror(errno), e);
	if (!S_ISREG(st.st_mode))
		return unusable(path, at, "not a file", e);
	for (const struct link *over = up; over != NULL; over = over->up)
		if (strcmp(over->real, real) == 0)
			return refuse_cycle(up, path, real, at, e);
	if (l.level > LEVELS_MAX)
		return schema_refuse(at, e, "Flatten the recipes.",
				     "\"extends\" goes deeper than %d levels", LEVELS_MAX);
	if (m->done.n >= FILES_MAX)
		return schema_refuse(at, e, "Merge some of the files.",
				     "\"extends\" leads to more than %d files", FILES_MAX);
	l.name = path;
	l.real = real;
	return map_has(&m->done, real) ? 0 : load_file(m, &l, e);
}

static int load_file(struct merge *m, const struct link *l, struct err *e)
{
	struct yaml *y SCOPED(yaml_freep) = NULL, *bases SCOPED(yaml_freep) = NULL;

	if (read_yaml(l->name, &y, e) != 0)
		return -1;
	bases = take_key(y, "extends");
	if (bases != NULL && schema_want_list(bases, "extends", e) != 0)
		return -1;
	for (size_t i = 0; bases != NULL && i < bases->n; i++)
		if (load_base(m, bases->items[i], l, e) != 0)
			return -1;
	map_put(&m->done, l->real, m);
	if (m->all != NULL)
		return merge_into(m->all, y, e);
	m->all = STEAL(y);
	return 0;
}

int merge_load(const char *path, struct yaml **ret, struct err *e)
{
	struct merge m = {0};
	char *real SCOPED(mem_freep) = realpath(path, NULL);
	struct link first = {.name = path, .real = real};
	struct stat st;
	int rc;

	if (real == NULL || stat(real, &st) != 0)
		return unusable(path, NULL, strerror(errno), e);
	if (!S_ISREG(st.st_mode))
		return unusable(path, NULL, "not a file", e);
	rc = load_file(&m, &first, e);
	map_release(&m.done, NULL);
	if (rc == 0)
		*ret = m.all;
	else
		yaml_node_free(m.all);
	return rc;
}
