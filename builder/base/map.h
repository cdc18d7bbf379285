/* map.h - string keys to pointers. Iteration is in byte order of the keys, so that nothing made
 * from a map depends on insertion order or addresses. Zero-initialised is empty and valid. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/mem.h"
#include <stdbool.h>

struct map_slot {
	const char *key; /* in one of the blocks; NULL = free slot */
	void *val;       /* not owned */
	size_t hash;     /* of the key */
};

struct map_block; /* keys one after the other: they only go with the whole map */

struct map {
	struct map_slot *slots;
	size_t n;                 /* keys */
	size_t cap;               /* slots, a power of two, or 0 */
	struct map_block *blocks; /* the last first */
};

/* Sets key to val; a copy of key is kept. Returns the value that was there before, or NULL. */
void *map_put(struct map *m, const char *key, void *val);

/* The same of a key that is absent; else nothing changes. Returns whether it was absent. */
bool map_add(struct map *m, const char *key, void *val);

/* Returns the value, or NULL when the key is absent. */
void *map_get(const struct map *m, const char *key) MUST_CHECK;

/* Whether the key is there, whatever its value. */
bool map_has(const struct map *m, const char *key) MUST_CHECK;

/* Returns the keys sorted, m->n of them, borrowed from the map; the caller frees the array. */
const char **map_keys(const struct map *m) MUST_CHECK;

/* Frees the keys, and the values by free_val where it is not NULL. */
void map_release(struct map *m, void (*free_val)(void *));

#endif
