/* columns.h - card numbers with other digits right beside them, as fixed records have them: one
 * alone cannot be told from any number, but where the same columns of many records hold numbers
 * of issuers whose check digits all fit, they are card numbers. */
#ifndef SCAN_COLUMNS_H
#define SCAN_COLUMNS_H

#include "scan/match.h"

struct columns;

/* Takes a run of n digits, the first at offset `at`. Makes *c when it is NULL. */
void columns_add(struct columns **c, const char *digits, size_t n, uint64_t at);

/* Hands out one match for each column that holds card numbers, the first of them. */
void columns_report(const struct columns *c, const struct matcher *m);

void columns_freep(struct columns **c);

#endif
