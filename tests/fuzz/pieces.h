/* pieces.h - the data of an archive's entries, read and dropped. */
#ifndef TESTS_FUZZ_PIECES_H
#define TESTS_FUZZ_PIECES_H

#include "archive/reader.h"

enum { PIECES_MAX = 8 << 20 };

/* Reads the data of the entry and adds its bytes to *total. Whether there can be another entry. */
static bool pieces_read(struct reader *r, uint64_t *total)
{
	struct reader_piece piece = {0};
	struct err e = ERR_INIT;

	while (!piece.end && *total < PIECES_MAX) {
		if (reader_data(r, &piece, &e) != 0)
			return false;
		*total += piece.n;
	}
	return piece.end;
}

#endif
