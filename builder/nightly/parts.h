/* parts.h - what the files of nightly/ share. */
#ifndef NIGHTLY_PARTS_H
#define NIGHTLY_PARTS_H

#include "base/map.h"
#include "nightly/nightly.h"
#include "package/heads.h"

/* What is known of a recipe from earlier nights: STATE/recipes/KEY.json, replaced as a whole. */
struct past {
	char *tag, *digest;             /* of the image that was finished last; "" = none */
	char *pending, *pending_digest; /* of one that is under way: its tag stays the same when it
					   is taken up again; "" = none */
	char *lock;       /* SHA-256 hex of the lock's file, and of the recipe, that */
	char *recipe;     /* the solver's answer stood in; "" = it was not asked */
	struct map seen;  /* id of a repository -> SHA-256 hex (owned) of its head */
	struct strv tags; /* of all that were finished, the oldest first */
	uint64_t took_ms; /* to make the last; 0 = it is not known */
};

/* A file that is absent, or damaged (a warning), says nothing. */
void past_load(int dirfd, const char *key, struct past *ret);
int past_save(int dirfd, const char *key, const struct past *p, struct err *e) MUST_CHECK;
void past_release(struct past *p);

/* Takes what a lock says of the repositories that its solver saw, an object, for what was seen. */
void past_saw(struct past *p, const struct jval *repositories);

/* In which turn recipes begin: those that took longest the last time that they were built first, so
 * that the night does not end with one of them alone; those that never were before all. */
void past_order(const struct nightly *n, const struct nightly_recipe *const *of, size_t count,
		size_t *ret);

/* A tag that none of its images has: VERSION-YYYYMMDD, and on the same day again with a number:
 * what was finished under a tag keeps it. The caller owns it. */
char *past_new_tag(const struct past *p, const char *version) MUST_CHECK;

/* Replaces a text of it. */
void past_set(char **slot, const char *text);

/* Fills in what the heads are now; others have looked a few minutes ago at most, and left it in
 * the directory. */
void heads_look(int dirfd, struct package_heads *h);

/* What the verb did. */
struct stepped {
	int status;       /* exit status; -1 = it was killed, or not started */
	char *why;        /* the last that it said on standard error, one line; "" = nothing */
	struct jval *out; /* its standard output, when that is JSON; or NULL */
};

/* Runs this program with a verb; what it says goes to the log as well. out_file: where standard
 * output goes, a path; NULL = into the result. -1 with *e set only on an interrupt. */
struct step_spec {
	const struct nightly_how *how;
	const struct strv *argv; /* from the verb on */
	int log_fd;
	const char *out_file;
	uint64_t timeout_ms;
};
int step_run(const struct step_spec *s, struct stepped *ret, struct err *e) MUST_CHECK;
void stepped_release(struct stepped *s);

/* Leaves only these tags, with all that is attached to their images, in a layout: at any moment it
 * is the old one or the new. step: how copies are made. */
int layout_trim(const struct step_spec *step, const char *layout, const struct strv *tags,
		struct err *e) MUST_CHECK;

/* An outcome as JSON and back; -1 for what is none. */
struct jval *outcome_json(const struct nightly_outcome *o) MUST_CHECK;
int outcome_parse(const struct jval *v, struct nightly_outcome *ret) MUST_CHECK;

/* What became of a recipe as a file, STATE/outcomes/[NIGHT/]KEY.json: for who collects what workers
 * of a cluster have left. Absent is -1. */
int outcome_save(const struct nightly *n, const char *night, const struct nightly_outcome *o,
		 struct err *e) MUST_CHECK;
int outcome_load(const struct nightly *n, const char *night, const char *key,
		 struct nightly_outcome *ret) MUST_CHECK;

/* Removes it: what a worker that is killed leaves is then nothing, and not what the night before
 * left. Absent is success. */
int outcome_forget(const struct nightly *n, const char *night, const char *key,
		   struct err *e) MUST_CHECK;

/* What workers share in a bucket, where the file says so: share.c. *ret is NULL when they do not,
 * and with that all of these do nothing, and succeed. */
struct share;
int share_open(const struct nightly *n, struct share **ret, struct err *e) MUST_CHECK;
void share_freep(struct share **s);

/* Brings what is known of a recipe into its file in the directory `recipes`, and its lock, unless
 * locks are kept, beside the recipe. */
int share_fetch(struct share *s, const struct nightly *n, const struct nightly_recipe *at,
		int recipes, struct err *e) MUST_CHECK;

/* Puts what was saved of p, with its lock. ERR_BUSY: another has since it was fetched. */
int share_keep(struct share *s, const struct nightly_recipe *at, int recipes, const struct past *p,
	       struct err *e) MUST_CHECK;

/* The same of what is finished, p->tag: when it is the same image that another was at work on, or
 * has finished meanwhile, p is what both know. */
int share_finish(struct share *s, const struct nightly *n, const struct nightly_recipe *at,
		 int recipes, struct past *p, struct err *e) MUST_CHECK;

/* As names_claim. */
int share_name(struct share *s, const struct nightly *n, const struct nightly_recipe *r,
	       const char *name, struct err *e) MUST_CHECK;

/* Puts what outcome_save has saved, with the log and what is different; where nothing is there yet;
 * removes it; and brings it here, or forgets it here too. *ret: nothing was there. */
int share_outcome(struct share *s, const struct nightly *n, const char *night,
		  const struct nightly_outcome *o, struct err *e) MUST_CHECK;
int share_lost(struct share *s, const struct nightly *n, const char *night,
	       const struct nightly_outcome *o, bool *ret, struct err *e) MUST_CHECK;
int share_outcome_forget(struct share *s, const char *night, const char *key,
			 struct err *e) MUST_CHECK;
int share_collect(struct share *s, const struct nightly *n, const char *night,
		  const struct nightly_recipe *at, struct err *e) MUST_CHECK;

/* Removes those of nights before, but for the newest; and of the night without a name. */
int outcomes_prune(int state, struct err *e) MUST_CHECK;
int outcomes_forget(int state, struct err *e) MUST_CHECK;

/* Notes in the ledger what became of a recipe: that it failed, or that there is a new image, which
 * is o->tag and o->digest. A failure is a note of its own. */
void outcome_tell(const struct nightly *n, const struct nightly_how *how,
		  struct nightly_outcome *o);

/* Of a recipe whose worker has said nothing: what it left all the same, else that it failed, as did
 * says; that is noted, and left in its place, so that it is noted once. One that is at work still
 * is ERR_BUSY, and nothing is noted. */
void outcome_lost(const struct nightly *n, const struct nightly_how *how, const char *key,
		  const struct stepped *did, struct nightly_outcome *o);

/* The same where workers share a bucket, which has nothing of it. 1: now it has. */
int outcome_lost_shared(struct share *s, const struct nightly *n, const struct nightly_how *how,
			const char *key, struct nightly_outcome *o, struct err *e) MUST_CHECK;

/* Of the recipes of one night each has a name of its own: files of the same name would be one
 * repository. ERR_RECIPE names the other file. */
int names_claim(const struct nightly *n, const struct nightly_recipe *r, const char *name,
		struct err *e) MUST_CHECK;

/* Before and after all that a worker tells: its ledger's mirror, where the file says so. What
 * cannot be sent yet is a note. */
int told_begin(const struct nightly *n, const struct nightly_how *how, struct err *e) MUST_CHECK;
void told_end(const struct nightly *n, const struct nightly_how *how, struct nightly_outcome *o);

/* Whether the name is that of the recipe `key` still, which is then in the error. */
int name_is_others(const struct nightly *n, const struct nightly_recipe *r, const char *name,
		   const char *key, struct err *e) MUST_CHECK;

/* One of which nothing is known yet. */
void outcome_blank(struct nightly_outcome *o, const char *key);

/* A failure of the recipe: what is there already is replaced. */
void outcome_fail(struct nightly_outcome *o, int kind, const char *step, const char *why);

/* The same of an error, with its hint. */
void outcome_error(struct nightly_outcome *o, const char *step, const struct err *why);

/* The summary for a mail: of a size that every mail system takes, in lines that all may have
 * (RFC 5322). What failed comes first; what has no room is named. */
void nightly_brief(const struct nightly *n, const struct nightly_result *r, struct buf *out);

/* What became of one, for people. */
void outcome_text(const struct nightly_outcome *o, struct buf *out);

/* Tells who wants to be told; what cannot be sent is a warning. */
void nightly_tell(const struct nightly *n, const struct nightly_result *r);

/* The text with the word for the first "{arch}" or "{name}" in it; NULL of NULL. The caller owns
 * it. */
char *put_word(const char *text, const char *place, const char *word) MUST_CHECK;

/* What runs as a job: the arguments of this program, from its name on. */
void job_argv(const struct nightly *n, const struct nightly_how *how, const char *key,
	      struct strv *argv);

/* Jobs for Slurm and for Kubernetes. */
int submit_slurm(const struct nightly *n, const struct nightly_how *how,
		 const struct nightly_submit *s, struct buf *out, struct err *e) MUST_CHECK;
int submit_kubernetes(const struct nightly *n, const struct nightly_how *how,
		      const struct nightly_submit *s, struct buf *out, struct err *e) MUST_CHECK;

/* Text for XML. */
void nightly_xml(const char *s, struct buf *out);

#endif
