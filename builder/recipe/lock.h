/* lock.h - the exact inputs of an image: RECIPE.lock, sorted JSON that people review. See
 * posmedia-lock(5). No mirror's host stands in it when the recipe says mirrors: [system]. */
#ifndef RECIPE_LOCK_H
#define RECIPE_LOCK_H

#include "recipe/recipe.h"

struct lock_repository {
	char *id;      /* the suite: "bookworm-security"; unique in the lock */
	char *mirror;  /* "system" or the URL of the recipe */
	char *release; /* SHA-256 hex of the InRelease file */
	int64_t date;  /* of the InRelease file, seconds */
};

struct lock_package {
	char *name, *version, *arch, *source; /* source: "openssl 3.0.15-1" as name and version */
	char *repository;                     /* lock_repository.id */
	char *path;                           /* below the mirror: pool/main/o/openssl/…deb */
	uint64_t size;
	struct digest digest;
	bool essential; /* part of the set that dpkg itself needs */
};

/* One dpkg run: unpack these (in this order) or configure these. Computed from apt's own plan. */
struct lock_batch {
	bool configure;
	struct strv names;
};

struct lock_media {
	char *name, *url; /* url as the recipe writes it */
	uint64_t size;    /* 0 = not known */
	struct digest digest;
};

/* What a step got through the recording proxy for a GET of this URL; HEAD is answered from it. */
struct lock_recorded {
	char *step, *url;                 /* url: as url_text gives it */
	int status;                       /* 2xx with a body; a redirect, 404 or 410 without */
	char *type, *encoding, *location; /* of the answer's headers, or NULL */
	uint64_t size;                    /* of the body */
	struct digest digest;
};

/* Packages that share a layer of the image, by their sources: "openssl". */
struct lock_layer {
	struct strv sources; /* sorted */
};

struct lock {
	char *recipe_name;
	struct digest recipe; /* recipe.digest it was made from */
	struct digest solved; /* lock_question that the solver answered */
	char *solver;         /* "apt 2.6.1" */
	int64_t epoch;        /* SOURCE_DATE_EPOCH of the image: the newest repository date */
	int64_t steps_date;   /* of the files that steps make; 0 = epoch */
	struct digest steps;  /* lock_steps of the recipe, with steps_date */
	struct lock_repository *repositories;
	struct lock_package *packages; /* sorted by name, then arch */
	struct lock_batch *batches;    /* after the essential set is in */
	struct lock_media *media;
	struct lock_recorded *recorded; /* sorted by step, then url */
	struct lock_layer *layers; /* the one least likely to change first; none = by the prior */
	size_t repositories_n, packages_n, batches_n, media_n, recorded_n, layers_n;
	struct digest known; /* lock_digest, once lock_know was asked */
	bool is_known;
};

/* RECIPE.lock beside the recipe: "recipes/rti.yaml" -> "recipes/rti.lock"; the caller owns it. */
char *lock_path(const char *recipe_path) MUST_CHECK;

/* Reads and checks a lock: every name, path, digest and number is parsed, limits apply. */
int lock_load(const char *path, struct lock **ret, struct err *e) MUST_CHECK;

/* Same from text; what: its name in errors. */
int lock_parse(const char *what, const struct buf *text, struct lock **ret,
	       struct err *e) MUST_CHECK;

/* Writes it atomically, mode 0644. */
int lock_save(const struct lock *l, const char *path, struct err *e) MUST_CHECK;

/* The canonical text that lock_save writes, and its digest. */
void lock_write(const struct lock *l, struct buf *out);
struct digest lock_digest(const struct lock *l);

/* Finds the digest and keeps it for all later questions: it is a thousand lines to write each time.
 * From now on neither the lock nor a copy of it may change, but by lock_with. */
void lock_know(struct lock *l);

/* The lock with these records, borrowed, in the place of its own; all else is borrowed from it. */
struct lock lock_with(const struct lock *l, struct lock_recorded *recorded, size_t n);

/* What the solver is asked: the digest of the recipe's base and of its package lists. As long as
 * it stays the same, the versions of a lock may stay as well. */
struct digest lock_question(const struct recipe *r);

/* What the steps of a recipe do, as far as it says: the digest of steps and media. */
struct digest lock_steps(const struct recipe *r);

/* Refuses (ERR_RECIPE, hint "run posmedia lock") when the lock was made from another recipe. */
int lock_check(const struct lock *l, const struct recipe *r, const char *path,
	       struct err *e) MUST_CHECK;

/* Whether it is a part of the image of base.oci. */
bool lock_is_base(const struct lock_media *m) MUST_CHECK;

/* What an image in a registry, as base, consists of goes from its lock, that was checked, to the
 * media of the recipe. */
int lock_lend_base(const struct lock *l, struct recipe *r, const char *path,
		   struct err *e) MUST_CHECK;

/* What changed from a to b, one line each: "openssl 3.0.15-1 -> 3.0.16-1", "+ zlib1g 1:1.2",
 * "- foo 1". a may be NULL (everything is new: no lines). */
void lock_diff(const struct lock *a, const struct lock *b, struct strv *ret);

/* The name of a package's source and its version there, or the package's own; the caller owns
 * them. */
char *lock_source_name(const struct lock_package *p) MUST_CHECK;
char *lock_source_version(const struct lock_package *p) MUST_CHECK;

/* Forgets the layers, or takes over those of another list. */
void lock_set_layers(struct lock *l, struct lock_layer *v, size_t n);

/* The package of that name, or NULL. */
const struct lock_package *lock_find(const struct lock *l, const char *name);

/* The entries of one step: a part of l->recorded, *ret_n of them. */
const struct lock_recorded *lock_recorded_of(const struct lock *l, const char *step, size_t *ret_n);

/* {"headers", "sha256", "size", "status", "step", "url"}: one entry as the lock has it, and all of
 * a list; the caller owns it. */
struct jval *lock_recorded_json(const struct lock_recorded *v, size_t n) MUST_CHECK;

/* Reads such a list, sorted as the lock has it; `file` names it in errors (ERR_RECIPE).
 * The caller releases what it gets. */
int lock_recorded_parse(const struct jval *list, const char *file, struct lock_recorded **ret,
			size_t *ret_n, struct err *e) MUST_CHECK;
void lock_recorded_release(struct lock_recorded *r);
void lock_recorded_free(struct lock_recorded *v, size_t n);

/* Whether an answer of this status is recorded: what will be the same another time, as far as
 * anybody can say. And whether it sends the asker elsewhere. */
bool lock_recorded_status(int64_t status);
bool lock_recorded_redirects(int64_t status);

/* The order of two entries; a copy of one. */
int lock_recorded_compare(const struct lock_recorded *a, const struct lock_recorded *b);
struct lock_recorded lock_recorded_copy(const struct lock_recorded *r);

/* Frees what a lock holds and leaves it zeroed; lock_free also frees the lock, NULL is fine. */
void lock_release(struct lock *l);
void lock_free(struct lock *l);
void lock_freep(struct lock **l);

#endif
