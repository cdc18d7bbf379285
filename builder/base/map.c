#include "base/map.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static size_t hash(const char *s)
{
	uint64_t h = 14695981039346656037u; /* FNV-1a */

	for (; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * 1099511628211u;
	return (size_t)(h ^ (h >> 32));
}

static struct map_slot *find(const struct map *m, const char *key)
{
	size_t i = hash(key) & (m->cap - 1);

	while (m->slots[i].key != NULL && strcmp(m->slots[i].key, key) != 0)
		i = (i + 1) & (m->cap - 1);
	return &m->slots[i];
}

static void grow(struct map *m)
{
	struct map old = *m;

	m->cap = old.cap ? old.cap * 2 : 16;
	m->slots = mem_zalloc(m->cap * sizeof(*m->slots));
	for (size_t i = 0; i < old.cap; i++)
		if (old.slots[i].key != NULL)
			*find(m, old.slots[i].key) = old.slots[i];
	free(old.slots);
}

void *map_put(struct map *m, const char *key, void *val)
{
	struct map_slot *s;
	void *before;

	if (m->n * 4 >= m->cap * 3)
		grow(m);
	s = find(m, key);
	before = s->val;
	if (s->key == NULL) {
		s->key = mem_strdup(key);
		m->n++;
	}
	s->val = val;
	return before;
}

void *map_get(const struct map *m, const char *key)
{
	return m->cap == 0 ? NULL : find(m, key)->val;
}

bool map_has(const struct map *m, const char *key)
{
	return m->cap != 0 && find(m, key)->key != NULL;
}

static int by_bytes(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

const char **map_keys(const struct map *m)
{
	const char **keys = mem_zalloc((m->n + 1) * sizeof(*keys));
	size_t n = 0;

	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].key != NULL)
			keys[n++] = m->slots[i].key;
	qsort(keys, n, sizeof(*keys), by_bytes);
	return keys;
}

void map_release(struct map *m, void (*free_val)(void *))
{
	for (size_t i = 0; i < m->cap; i++) {
		if (m->slots[i].key != NULL && free_val != NULL)
			free_val(m->slots[i].val);
		free(m->slots[i].key);
	}
	free(m->slots);
	*m = (struct map){0};
}
