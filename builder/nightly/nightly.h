/* nightly.h - many recipes brought up to date by one command, night after night: each locked anew,
 * built when something changed, judged, signed, pushed, and compared with the image before. See
 * posmedia-nightly(1) and posmedia-nightly(5).
 *
 * Every recipe is a process of its own, and every step of it one more, this program with the verb
 * that an operator would use: whatever happens to one of them, the others go on. */
#ifndef NIGHTLY_NIGHTLY_H
#define NIGHTLY_NIGHTLY_H

#include "base/buf.h"
#include "base/err.h"
#include "base/strv.h"
#include "form/json.h"
#include "recipe/recipe.h"
#include <stdbool.h>

enum { NIGHTLY_RECIPES_MAX = 1000, NIGHTLY_KEEP_MAX = 10000, NIGHTLY_PARALLEL_MAX = 64 };

/* When somebody is told. */
enum nightly_when {
	NIGHTLY_FAILURE, /* something failed */
	NIGHTLY_CHANGE,  /* or there is a new image */
	NIGHTLY_ALWAYS,
};

struct nightly_mail {
	struct strv to;
	char *from;
	char *program; /* with the interface of sendmail(8) */
	int when;      /* enum nightly_when */
};

struct nightly_webhook {
	char *url;
	char *secret; /* absolute path of a file: signs what is sent; or NULL */
	int when;
};

struct nightly_sign {
	char *key;        /* absolute; NULL = images are not signed */
	char *passphrase; /* the same of the file that opens it; or NULL */
	char *signer;     /* a program that signs; or NULL */
	struct strv signer_args;
};

/* Stages that machines share: see posmedia-cache(1). */
struct nightly_cache {
	char *at;         /* docker:// or s3://; NULL = none are */
	struct strv pub;  /* public keys of who is believed, relative to the project */
	char *key;        /* absolute: signs what is made here; NULL = nothing is put */
	char *passphrase; /* the same of the file that opens it; or NULL */
};

/* What workers of a cluster share in a bucket where they share no file system. */
struct nightly_share {
	char *at;     /* s3://; NULL = all have the same state directory */
	char *ledger; /* s3://, where each machine's own is mirrored; or NULL */
};

/* How jobs are given to Slurm. */
struct nightly_slurm {
	char *store;               /* absolute: each node's own; NULL = all have the same */
	char *partition, *account; /* or NULL */
	char *constraint;          /* features of a node, with "{arch}"; or NULL */
	char *program;             /* absolute: sbatch(1) */
};

/* And to Kubernetes. */
struct nightly_kubernetes {
	char *store;  /* absolute: each pod's own; NULL = it is on the volume */
	char *secret; /* the Secret whose words are in the environment of jobs; or NULL */
	char *image;  /* that has posmedia in it; NULL = the file says nothing of it */
	char *space;  /* the namespace; or NULL */
	char *account;
	char *volume; /* the claim of a volume with the project, at the project's own path; NULL =
			 the image has the project there */
	char *cpu, *memory;
	char *schedule; /* CronJobs at these times instead of Jobs now; or NULL */
	char *program;  /* absolute: kubectl(1) */
};

struct nightly_recipe {
	char *key;  /* the file's name without its end: unique, and a plain word */
	char *path; /* absolute */
};

struct nightly {
	char *file; /* as it was named */
	char *root; /* of the project, absolute */
	char *name; /* of the whole, in reports */
	struct strv patterns;
	struct recipe_pos pos;
	char *state; /* absolute: journals, images and reports are below it */
	char *lock;  /* "update" or "keep" */
	char *push;  /* docker:// or s3://, with "{name}" for the recipe's name; or NULL */
	struct nightly_sign sign;
	struct nightly_cache cache;
	struct nightly_share share;
	struct strv holds; /* files of posmedia-retain(1): images that stay */
	uint64_t keep;     /* how many images of each recipe stay; 0 = all */
	bool prune;        /* what nobody needs goes from the store */
	uint64_t parallel;
	uint64_t timeout_ms; /* of one step */
	struct nightly_mail mail;
	struct nightly_webhook webhook;
	struct nightly_slurm slurm;
	struct nightly_kubernetes kubernetes;
	struct nightly_recipe *recipes; /* sorted by key */
	size_t recipes_n;
};

/* Reads and checks the file, and looks which recipes there are. A fault is ERR_RECIPE with
 * FILE:LINE:COL and a hint. The caller frees *ret. */
int nightly_load(const char *path, struct nightly **ret, struct err *e) MUST_CHECK;
void nightly_free(struct nightly *n);
void nightly_freep(struct nightly **n);

/* What became of a recipe. */
enum nightly_status {
	NIGHTLY_UNCHANGED, /* the image is the one that was there */
	NIGHTLY_BUILT,     /* there is a new one, and it is where it shall be */
	NIGHTLY_FAILED,
};

struct nightly_outcome {
	char *key;
	enum nightly_status status;
	int kind;          /* of a failure: an enum err_kind */
	char *step;        /* that failed, "" = none */
	char *why;         /* what it said last, "" = nothing */
	char *tag;         /* of the image that stands now, "" = there is none */
	char *digest;      /* the same */
	char *diff;        /* path of what is different in it, "" = there was none before */
	bool told;         /* what became of it is in the ledger */
	struct strv notes; /* that nobody need be woken for: a report that could not be made */
	uint64_t ms;
};

struct nightly_result {
	struct nightly_outcome *v; /* in the order of the recipes */
	size_t n;
	int64_t begun_s;
};

struct nightly_how {
	const char *program;        /* this one */
	const char *store;          /* absolute */
	const char *ledger;         /* absolute; or NULL = where the verbs have it */
	const char *night;          /* of the jobs that were submitted together; or NULL */
	const struct strv *only;    /* keys; empty = all */
	const struct strv *options; /* for what is run: how much it says */
};

/* One recipe, in this process: what `nightly --worker` does. Never fails as a whole: the outcome
 * says. */
void nightly_one(const struct nightly *n, const struct nightly_recipe *r,
		 const struct nightly_how *how, struct nightly_outcome *ret);

/* All of them, in processes of their own, and what comes after: reports, mail. One at a time for
 * each state directory (ERR_BUSY). What failed is in the result and no error here. */
int nightly_run(const struct nightly *n, const struct nightly_how *how, struct nightly_result *ret,
		struct err *e) MUST_CHECK;

/* What the workers of a cluster have left of this night, reported as nightly_run does. */
int nightly_collect(const struct nightly *n, const struct nightly_how *how,
		    struct nightly_result *ret, struct err *e) MUST_CHECK;

/* One job of a cluster for each recipe. dry: what would be submitted goes to *out, else what the
 * cluster says of it. engine: "slurm" or "kubernetes". */
struct nightly_submit {
	const char *engine;
	bool dry;
	bool named; /* only some recipes were asked for: no job collects a report */
};
int nightly_submit(const struct nightly *n, const struct nightly_how *how,
		   const struct nightly_submit *s, struct buf *out, struct err *e) MUST_CHECK;

/* The key of that name, or NULL. */
const struct nightly_recipe *nightly_find(const struct nightly *n, const char *key);

/* The result for people, for programs, and for build servers. */
void nightly_text(const struct nightly *n, const struct nightly_result *r, struct buf *out);
struct jval *nightly_json(const struct nightly *n, const struct nightly_result *r) MUST_CHECK;
void nightly_junit(const struct nightly *n, const struct nightly_result *r, struct buf *out);

/* 0, or the error that the program ends with: the kind of the failures when they have one in
 * common, else ERR_FAIL. */
int nightly_gate(const struct nightly_result *r, struct err *e) MUST_CHECK;

/* Accept zeroed structs. */
void nightly_outcome_release(struct nightly_outcome *o);
void nightly_result_release(struct nightly_result *r);

#endif
