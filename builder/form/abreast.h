/* abreast.h - SHA-256 of several streams at a time. Each step of it waits for the one before, and a
 * processor that has the steps as instructions could do another in that time: of streams that have
 * nothing to do with each other it does twice as many bytes. Where it has no such instructions, and
 * for other uses, there is form/digest.h, which does the streams one after the other. */
#ifndef FORM_ABREAST_H
#define FORM_ABREAST_H

#include "form/digest.h"
#include "form/rounds.h"

enum { ABREAST = ROUNDS_STREAMS, ABREAST_BLOCK = ROUNDS_BLOCK };

/* Streams 0 to ABREAST - 1, all of them empty. With `plain` they are hashed as on a processor
 * without the instructions. The caller frees it. */
struct abreast;
struct abreast *abreast_new(bool plain) MUST_CHECK;
void abreast_free(struct abreast *a);

/* Adds n[i] bytes to each stream i; 0 are none. It is quickest when n is the same multiple of
 * ABREAST_BLOCK everywhere. */
void abreast_add(struct abreast *a, const uint8_t *const p[ABREAST], const size_t n[ABREAST]);

/* The digest of a stream, which is empty after it. */
struct digest abreast_final(struct abreast *a, unsigned stream);

#endif
