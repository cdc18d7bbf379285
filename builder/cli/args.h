/* args.h - one table per verb yields parsing, --help and the check of the manual. */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include "base/err.h"
#include "base/strv.h"
#include <stdbool.h>
#include <stdint.h>

struct opt {
	char letter;      /* 0 = none */
	const char *name; /* long name without dashes; NULL ends a table */
	const char *arg;  /* what the value is called: "FILE"; NULL = a flag */
	const char *help; /* one sentence */
};

struct args {
	struct strv names, values; /* options as they came, in order; flags have the value "" */
	struct strv rest;          /* positional arguments */
};

/* Options that every verb takes. */
extern const struct opt args_common[];

/* Parses argv[1..]; options may stand anywhere before "--". Unknown options, missing values and
 * values for flags are ERR_USAGE with the nearest known name. */
int args_parse(int argc, char **argv, const struct opt *table, struct args *ret,
	       struct err *e) MUST_CHECK;
void args_release(struct args *a);

/* The last value given for an option, or NULL; whether it was given; the i-th value or NULL. */
const char *args_get(const struct args *a, const char *name);
bool args_has(const struct args *a, const char *name);
const char *args_nth(const struct args *a, const char *name, size_t i);

/* A number option: *ret keeps its value when the option is absent. */
int args_num(const struct args *a, const char *name, uint64_t max, uint64_t *ret,
	     struct err *e) MUST_CHECK;

#endif
