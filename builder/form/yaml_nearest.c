#include "form/yaml.h"

#include <string.h>

enum { WORD_MAX = 64 };

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Edit distance of two words of at most WORD_MAX bytes: one for an insertion, a deletion, a
 * replacement or two neighbours swapped. */
static unsigned distance(const char *a, const char *b)
{
	unsigned rows[3]
		     [WORD_MAX + 1]; /* the one being made, the one before, the one before that */
	size_t an = strlen(a), bn = strlen(b);

	for (size_t j = 0; j <= bn; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= an; i++) {
		memcpy(rows[2], rows[1], sizeof(rows[1]));
		memcpy(rows[1], rows[0], sizeof(rows[0]));
		rows[0][0] = (unsigned)i;
		for (size_t j = 1; j <= bn; j++) {
			unsigned d = rows[1][j - 1] + (a[i - 1] != b[j - 1]);

			d = least(d, least(rows[1][j], rows[0][j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d = least(d, rows[2][j - 2] + 1);
			rows[0][j] = d;
		}
	}
	return rows[0][bn];
}

const char *yaml_nearest(const char *word, const char *const *known)
{
	size_t n = strlen(word);
	/* as many edits as there are letters would turn any word into any other */
	unsigned best = n > 8 ? 4 : n > 2 ? 3 : (unsigned)n;
	const char *found = NULL;

	if (n > WORD_MAX)
		return NULL;
	for (; *known != NULL; known++) {
		unsigned d;

		if (strlen(*known) > WORD_MAX)
			continue;
		d = distance(word, *known);
		if (d < best) {
			best = d;
			found = *known;
		}
	}
	return found;
}
