/* leak.h - traces of the machine that builds, in what its programs wrote into the image. */
#ifndef BUILD_LEAK_H
#define BUILD_LEAK_H

#include "build/blame.h"
#include "harden/facts.h"

/* What gives this machine away: strings, each with what it is. */
struct leak_words {
	struct strv v;    /* the strings */
	struct strv what; /* "the host's name" */
	size_t hard_n;    /* the first ones are certain; addresses after them may be chance */
};

/* This machine's: the host's name when it is more than a plain word, the kernel's release, the
 * folder of this build; then the addresses of its interfaces. */
void leak_collect(const struct job *j, struct leak_words *ret);
void leak_release(struct leak_words *w);

/* The first of the strings that stands in the n bytes as a word of its own: its index, or -1. The
 * addresses only in text: what a program compiled has some for other reasons. */
int leak_in(const struct leak_words *w, const char *p, size_t n);

/* Whether a host's name says anything: "till-7" does, "vm" and "localhost" do not. */
bool leak_telling_name(const char *name);

/* What decides what is found, as far as it stays the same from one build to the next: not the
 * folder of the build. */
struct digest leak_words_digest(const struct leak_words *w);

/* Looks through every file of the tree that neither a package nor an overlay brought, but for what
 * is clean. Each finding as "/path: what (who wrote it)"; hard: the certain ones. */
struct leaks {
	struct strv hard, soft;
	struct strv paths; /* of all of them */
};
int leak_find(const struct blame *b, int rootfd, const struct facts_files *files, struct leaks *ret,
	      struct err *e) MUST_CHECK;

#endif
