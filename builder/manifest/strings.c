#include "manifest/parts.h"

#include "base/map.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64 << 10, LARGE = 8 << 10, ALIGN = sizeof(void *) };

struct block {
	struct block *before;
	char bytes[];
};

struct manifest_strings {
	pthread_mutex_t lock;
	struct block *blocks; /* the one that is filled first, but for large ones */
	char *at;
	size_t left;
	struct map same; /* text -> its copy here */
};

struct manifest_strings *strings_new(void)
{
	struct manifest_strings *s = mem_zalloc(sizeof(*s));

	(void)pthread_mutex_init(&s->lock, NULL);
	return s;
}

void strings_free(struct manifest_strings *s)
{
	if (s == NULL)
		return;
	while (s->blocks != NULL) {
		struct block *b = s->blocks;

		s->blocks = b->before;
		free(b);
	}
	map_release(&s->same, NULL);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

static char *add_block(struct manifest_strings *s, size_t n)
{
	struct block *b = mem_zalloc(sizeof(*b) + n);

	b->before = s->blocks;
	s->blocks = b;
	return b->bytes;
}

static void *room(struct manifest_strings *s, size_t n, size_t align)
{
	size_t skip = (align - (uintptr_t)s->at % align) % align;
	char *p;

	if (n > LARGE)
		return add_block(s, n);
	if (s->left < n + skip) {
		s->at = add_block(s, BLOCK);
		s->left = BLOCK;
		skip = 0;
	}
	p = s->at + skip;
	s->at = p + n;
	s->left -= n + skip;
	return p;
}

static char *copy(struct manifest_strings *s, const void *p, size_t n)
{
	char *to = room(s, n + 1, 1);

	memcpy(to, p, n);
	to[n] = '\0';
	return to;
}

void *strings_room(struct manifest_strings *s, size_t n)
{
	void *p;

	(void)pthread_mutex_lock(&s->lock);
	p = room(s, n, ALIGN);
	(void)pthread_mutex_unlock(&s->lock);
	return p;
}

char *strings_copy(struct manifest_strings *s, const void *p, size_t n)
{
	char *to;

	(void)pthread_mutex_lock(&s->lock);
	to = copy(s, p, n);
	(void)pthread_mutex_unlock(&s->lock);
	return to;
}

char *strings_same(struct manifest_strings *s, const char *text)
{
	char *have;

	(void)pthread_mutex_lock(&s->lock);
	have = map_get(&s->same, text);
	if (have == NULL) {
		have = copy(s, text, strlen(text));
		(void)map_put(&s->same, text, have);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return have;
}
