/* found.h - what was found in one file: a few places of each class, and how many there are. */
#ifndef SCAN_FOUND_H
#define SCAN_FOUND_H

#include "form/digest.h"
#include "form/json.h"
#include "scan/match.h"
#include <stdbool.h>

enum { FOUND_PLACES = 8 };

struct place {
	struct match m;
	char *inside; /* the member of the archive; NULL = the file itself */
};

struct found {
	struct place *v;
	size_t n;
	uint64_t count[SCAN_CLASSES];
	char *incomplete; /* why not all of it was looked at; NULL = it was */
};

/* Counts a match, and keeps it when there are few of its class. */
void found_add(struct found *f, const struct match *m, const char *inside);

/* Notes why something was not looked at; the first reason stays. */
void found_note(struct found *f, const char *inside, const char *why);

/* Whether there is anything to say. */
bool found_any(const struct found *f);

void found_release(struct found *f);

/* {"file", "layer", "sha256", "counts", "places", "incomplete"}; layer may be NULL. Names have
 * their card numbers masked. At most `places` of them. The caller owns it. */
struct found_of {
	const char *path, *layer;
	const struct digest *sha256; /* NULL = not known */
	size_t places;
};
struct jval *found_json(const struct found *f, const struct found_of *of);

/* A copy of the name with card numbers masked; they count in *f, which may be NULL. Masked, not
 * counted: what may be one though what stands around it speaks against that. */
char *found_name(const char *name, struct found *f);

/* The word for a class, and the class of a word or -1. */
const char *found_word(enum scan_class cls);
int found_class(const char *word);

#endif
