/* plan.h - what a build of this recipe and lock would do: the stages, their cache keys, what is
 * there already, and why not. Changes nothing.
 *
 * A stage's key is the digest of the canonical JSON of everything that can change its output: the
 * schema, what the stages below made, the canonical recipe node, digests of media, files and
 * packages, and the sandbox policy. Same key, nothing runs; same output, nothing above it runs.
 * Services stand on less: of the overlays they see what units are made from, and a file that tells
 * them nothing makes nothing of theirs run.
 * What a stage makes is remembered for its key; as long as it is not known, the stages above have
 * no key yet. */
#ifndef PLAN_PLAN_H
#define PLAN_PLAN_H

#include "recipe/lock.h"
#include "store/store.h"

enum plan_kind {
	PLAN_BASE,     /* the packages */
	PLAN_USERS,    /* groups and users */
	PLAN_STEP,     /* one imperative step */
	PLAN_OVERLAYS, /* the project's files */
	PLAN_SERVICES, /* units enabled, disabled and masked */
	PLAN_CONFIG,   /* hardening, seal */
	PLAN_INPUTS,   /* recipe, lock and project files, for those who build it again */
	PLAN_IMAGE,    /* tests, layers, manifest */
};

struct plan_stage {
	enum plan_kind kind;
	char *name;         /* "base", "users", "step install-tulip", "config" ... */
	size_t step;        /* PLAN_STEP: index into recipe.steps */
	struct jval *parts; /* what the key is made of */
	struct digest key;
	bool keyed;           /* the key is known */
	struct digest output; /* what it makes; not of the image */
	bool known;           /* the output is known, from this build or an earlier one */
	bool cached;          /* what it made is at hand */
	bool captured;        /* a step whose output was captured: it is unpacked, if not cached */
	bool needed; /* false: the image is there, so it will not run even if it is not cached */
	bool maybe;  /* only a stage below changes: it runs unless that comes out as before */
	char
	    *why; /* not cached: "nothing like it was built here yet", or what differs; else NULL */
};

struct plan {
	struct plan_stage *v;
	size_t n;               /* in the order in which they are built */
	size_t fetch_n;         /* packages and media that are not in the store */
	uint64_t fetch_bytes;   /* and their size as far as it is known */
	struct digest manifest; /* the image, when the last stage is cached */
	uint64_t manifest_size;
};

/* The recipe's profiles load, and no two of their controls contradict each other: else ERR_RECIPE.
 * A build asks that only before it makes something: what was made from the same profiles has been
 * asked. */
int plan_check_profiles(const struct recipe *r, struct err *e) MUST_CHECK;

/* Makes the plan. Overlay files and profiles are read and hashed. */
int plan_make(const struct recipe *r, const struct lock *l, struct store *s, struct plan *ret,
	      struct err *e) MUST_CHECK;
void plan_release(struct plan *p);

/* Says which lock the image will name and carry, once it is known: the keys of the stages that have
 * it in them follow. */
void plan_relock(struct plan *p, const struct recipe *r, const struct lock *l, struct store *s);

/* Says what stage i made, when it was run; the keys of those above follow. */
void plan_made(struct plan *p, size_t i, const struct digest *output, const struct recipe *r,
	       struct store *s);

/* Refuses (ERR_BUSY) a stage whose files of the project are not what the plan read: someone changed
 * them while the image was built. */
int plan_unchanged(const struct plan_stage *st, const struct recipe *r, const struct lock *l,
		   struct err *e) MUST_CHECK;

/* "cached", "run", "maybe" or "not-needed". */
const char *plan_state(const struct plan_stage *st);

/* {"stages":[{"name","key","state","cached","captured","needed","why"}],"fetch":{…}}, key null
 * where it is not known yet; the caller owns it. */
struct jval *plan_json(const struct plan *p);

/* The record of a stage's output, relative to the store; the caller owns it. */
char *plan_output_path(const struct digest *key) MUST_CHECK;

/* The directory of a stage in the store, whether or not it is there; the caller owns it. */
char *plan_stage_path(const struct store *s, const struct digest *key) MUST_CHECK;

/* Whether a stage is there and was written since this machine started: a power cut may have lost
 * file contents, which a rename cannot promise for a whole tree. Its output, if ret is not NULL. */
bool plan_stage_usable(const struct store *s, const struct digest *key, struct digest *ret);

/* Remembers what a built stage's key was made of, for the next plan's `why`, and its output; and
 * what the image stage made: {"manifest": digest, "blobs": [digest, …], "stages": [digest, …],
 * "records": [digest, …], "recorded": [as posmedia-lock(5) has them]}. */
int plan_remember(struct store *s, const struct recipe *r, const struct plan_stage *st,
		  struct err *e) MUST_CHECK;
int plan_remember_image(struct store *s, const struct plan_stage *st, const struct jval *image,
			struct err *e) MUST_CHECK;

/* Says that the remembered image of a stage was of use just now. */
void plan_use_image(struct store *s, const struct plan_stage *st);

/* An image that was built here and is remembered. */
struct plan_image {
	struct digest key;      /* of its image stage */
	int64_t used_ns;        /* when it was last built or found up to date */
	struct digest manifest; /* and what it is made of: blobs in the store, */
	struct digest *blobs;
	size_t blobs_n;
	struct digest *stages; /* and the keys of the stages below it */
	size_t stages_n;
	struct lock_recorded *recorded; /* what its steps fetched, */
	size_t recorded_n;
	struct digest *records; /* and the keys of their records (proxy/record.h) */
	size_t records_n;
};

/* One of them: false when it is not remembered or its record is no good. All: last used first;
 * records that are no good are left out. */
bool plan_image_load(const struct store *s, const struct digest *key, struct plan_image *ret);
void plan_image_release(struct plan_image *i);
int plan_images(const struct store *s, struct plan_image **ret, size_t *ret_n,
		struct err *e) MUST_CHECK;

/* The record of an image, relative to the store; the caller owns it. */
char *plan_image_path(const struct digest *key) MUST_CHECK;

/* What was captured of a step, by its key. */
struct plan_capture {
	struct digest blob; /* a tar of what it changed */
	struct jval *marks; /* and what it removed: {"gone": [path, …], "opaque": [path, …]} */
	int64_t made_ns;
};

/* Finds it: false when there is none, its record is no good, or the store lacks the tar. */
bool plan_capture_load(const struct store *s, const struct digest *key, struct plan_capture *ret);
void plan_capture_release(struct plan_capture *c);

/* Records a capture, durably; the tar is in the store. */
int plan_capture_save(struct store *s, const struct digest *key, const struct digest *blob,
		      struct jval *marks, struct err *e) MUST_CHECK;

/* The record, relative to the store; the caller owns it. And the directory of all. */
char *plan_capture_path(const struct digest *key) MUST_CHECK;
#define PLAN_CAPTURES "cache/captures"

#endif
