#include "base/map.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_MIN = 128, BLOCK_MAX = 1 << 16 };

struct map_block {
	struct map_block *before;
	size_t used, size;
	char keys[];
};

static size_t hash(const char *s)
{
	uint64_t h = 14695981039346656037u; /* FNV-1a */

	for (; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * 1099511628211u;
	return (size_t)(h ^ (h >> 32));
}

static struct map_slot *find_hashed(const struct map *m, const char *key, size_t h)
{
	size_t i = h & (m->cap - 1);

	while (m->slots[i].key != NULL &&
	       (m->slots[i].hash != h || strcmp(m->slots[i].key, key) != 0))
		i = (i + 1) & (m->cap - 1);
	return &m->slots[i];
}

static struct map_slot *find(const struct map *m, const char *key)
{
	return find_hashed(m, key, hash(key));
}

static struct map_slot *find_free(const struct map *m, size_t h)
{
	size_t i = h & (m->cap - 1);

	while (m->slots[i].key != NULL)
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
			*find_free(m, old.slots[i].hash) = old.slots[i];
	free(old.slots);
}

static const char *copy_key(struct map *m, const char *key)
{
	size_t n = strlen(key) + 1;
	struct map_block *b = m->blocks;
	char *at;

	if (b == NULL || b->size - b->used < n) {
		size_t size = b == NULL ? BLOCK_MIN : b->size * 2;

		size = size > BLOCK_MAX ? BLOCK_MAX : size;
		size = size < n ? n : size;
		b = mem_zalloc(sizeof(*b) + size);
		b->size = size;
		b->before = m->blocks;
		m->blocks = b;
	}
	at = b->keys + b->used;
	memcpy(at, key, n);
	b->used += n;
	return at;
}

/* The key's slot, made if need be: *ret_new. */
static struct map_slot *reach(struct map *m, const char *key, bool *ret_new)
{
	size_t h = hash(key);
	struct map_slot *s;

	if (m->n * 4 >= m->cap * 3)
		grow(m);
	s = find_hashed(m, key, h);
	*ret_new = s->key == NULL;
	if (s->key == NULL) {
		s->key = copy_key(m, key);
		s->hash = h;
		m->n++;
	}
	return s;
}

void *map_put(struct map *m, const char *key, void *val)
{
	bool is_new;
	struct map_slot *s = reach(m, key, &is_new);
	void *before = s->val;

	s->val = val;
	return before;
}

bool map_add(struct map *m, const char *key, void *val)
{
	bool is_new;
	struct map_slot *s = reach(m, key, &is_new);

	if (is_new)
		s->val = val;
	return is_new;
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
	for (size_t i = 0; i < m->cap && free_val != NULL; i++)
		if (m->slots[i].key != NULL)
			free_val(m->slots[i].val);
	while (m->blocks != NULL) {
		struct map_block *b = m->blocks;

		m->blocks = b->before;
		free(b);
	}
	free(m->slots);
	*m = (struct map){0};
}
