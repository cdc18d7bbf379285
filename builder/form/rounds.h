/* rounds.h - the blocks of SHA-256 (FIPS 180-4) by the instructions that x86 has for it. */
#ifndef FORM_ROUNDS_H
#define FORM_ROUNDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ROUNDS_BLOCK = 64, ROUNDS_STREAMS = 3 };

/* What has been hashed of a stream: a to h. */
struct rounds {
	uint32_t w[8];
};

/* A stream and its next blocks. */
struct rounds_of {
	struct rounds *state;
	const uint8_t *p;
};

/* Whether the processor has them; else the call below is none. */
bool rounds_here(void);

/* Takes n blocks of each of 1 to ROUNDS_STREAMS streams. */
void rounds_take(const struct rounds_of *v, size_t streams, size_t n);

#endif
