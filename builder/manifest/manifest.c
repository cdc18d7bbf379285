#include "manifest/parts.h"

#include <stdlib.h>
#include <string.h>

struct manifest_entry *entries_add(struct manifest *m, size_t *cap)
{
	if (m->n == *cap) {
		*cap = *cap ? *cap + *cap / 2 : 256;
		m->v = mem_resize(m->v, *cap, sizeof(*m->v));
	}
	m->v[m->n] = (struct manifest_entry){0};
	return &m->v[m->n++];
}

void manifest_release(struct manifest *m)
{
	free(m->v);
	strings_free(m->strings);
	*m = (struct manifest){0};
}

const struct manifest_entry *manifest_find(const struct manifest *m, const char *path)
{
	size_t lo = 0, hi = m->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(path, m->v[mid].path);

		if (c == 0)
			return &m->v[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}
