/* tree.h - a shop's data as one of mid size has it, and what a day does to it: the same for the
 * same seed, day by day. All paths are relative: whoever calls stands in the tree. */
#ifndef BENCH_TREE_H
#define BENCH_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum { KEYED_IN_DIR = 100, LOGS_IN_DIR = 20, RECORD_FILES = 4, SPARSE_FILES = 4, PATH_BYTES = 300 };

/* What a file is like: how well it compresses is the difference. */
enum kind { RECORD, KEYED, PROGRAM, XML, LOG, NOISE, FRESH, KINDS };

/* How many there are of each, at this scale. */
struct sizes {
	unsigned keyed, programs, small, in_dir, jars, logs, archives, links, symlinks;
	uint64_t record[RECORD_FILES], sparse, rotated;
	double scale;
};
struct sizes sizes_of(double scale);
/* So many of a thing at a scale, and one at least. */
unsigned scaled(double scale, unsigned n);

/* Numbers that look random, of a seed, a path and a day: splitmix64. */
struct rng {
	uint64_t at;
};
extern uint64_t tree_seed;
struct rng rng_of(const char *path, unsigned day);
uint64_t rng_next(struct rng *r);

extern const char *const record_names[RECORD_FILES];
/* Paths of the i-th, in a buffer of PATH_BYTES. */
void keyed_path(char *p, unsigned i);
void program_path(char *p, unsigned i);
void small_path(char *p, const struct sizes *s, unsigned i);
void log_path(char *p, unsigned i);

/* Bytes of a kind. */
void content(enum kind k, struct rng *r, void *p, size_t n);
/* Makes a file anew, with the owner, mode and time that its path and the day decide. */
void put(const char *path, enum kind k, uint64_t n, unsigned day);
/* The time of a path on a day, to the nanosecond. */
void stamp(const char *path, unsigned day);
void make_dir(const char *path);
/* An ACL that lets one more user read. */
void set_acl(const char *path, const char *name);
_Noreturn void die(const char *what);

/* Makes the tree; then one day's change to it, 1 the first. */
void make_tree(const struct sizes *s);
void change_tree(const struct sizes *s, unsigned day);

#endif
