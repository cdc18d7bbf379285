/* restore.h - a customer's data from where it is kept to where it is used: beside what is live,
 * verified file by file, and then exchanged with it. See posmedia-restore(1).
 *
 * What is live is never written to. What was live stays until somebody commits, and a record says
 * at every instant which of the two is which: a kill leaves something that the next call finishes
 * or undoes, and no instance starts from what is neither the one nor the other. */
#ifndef RESTORE_RESTORE_H
#define RESTORE_RESTORE_H

#include "form/json.h"
#include "manifest/manifest.h"
#include "sign/image.h"
#include "stage/stage.h"

/* A directory of the site, and where the machine that it comes from has it. */
struct restore_claim {
	const char *name; /* of site.data */
	const char *at;   /* absolute there */
};

/* What a directory of the site is when all of it has been read: before cards are left out and
 * fixers run. */
struct restore_proof {
	const char *name, *at; /* at: on the machine that it comes from */
	const struct manifest *is;
};

struct restore_opts {
	const char *from; /* SOURCE; NULL = the site's own (backup.from) */
	const char
	    *secret_file; /* what opens it: a key, a passphrase; NULL = the site's, or none */
	const char *known_hosts; /* of ssh://, absolute; NULL = the site's */
	/* By whom the source, a snapshot, must be signed (ERR_VERIFY); NULL = nobody asks. */
	const struct sign_wanted *signers;
	const struct strv *exclude; /* patterns (base/glob.h) of absolute paths that stay out */
	enum site_env env;          /* what a tree without a site is restored for */
	unsigned threads;           /* 0 = one a processor */
	bool dry_run;               /* count, and change nothing */
	bool content;               /* read every byte, also of files that look as before */
	bool verify;                /* of a tree without a site: read all of it again */
	bool warm;                  /* of a site: fill, and do not exchange */
	bool fenced; /* of a site: nothing changes there any more, so that one pass is enough */
	/* Of a site whose source is a live machine by ssh, all of it ("ssh://HOST/."): only these
	 * are fetched, and its tables of users. NULL = all that the source has. */
	const struct restore_claim *claims;
	size_t claims_n;
	/* Says of what the last pass has read whether it is what the source is; what ssh fetched is
	 * then not compared byte by byte by rsync. *ret_same false: all is read again, once, and
	 * compared byte by byte; false then is ERR_VERIFY. NULL = rsync's own word is enough. */
	int (*prove)(void *ctx, const struct restore_proof *v, size_t n, bool *ret_same,
		     struct err *e);
	/* Where that is asked: may make what ssh fetched before (restore_mirror) more like the
	 * source, just before rsync does in the last pass. What it does wrong is found by the
	 * proof. */
	void (*ahead)(void *ctx);
	void *ctx;
};

/* The directory of what ssh fetched of a source for a site; the caller owns the text. */
char *restore_mirror(const struct site *s, const struct stage_opts *so) MUST_CHECK;

/* The patterns (base/glob.h) of absolute paths that a restore for an environment leaves out, with
 * those of `more` (may be NULL), appended. */
void restore_excludes(enum site_env env, const struct strv *more, struct strv *ret);

/* Makes the directory `to` what the source is; it is made when it is not there. Beside it,
 * .NAME.restore has what is known of it, and a mark as long as it is not whole. *ret is the report,
 * an object, which the caller owns. Of a
 * damaged snapshot all that can be read is restored, and "lost" in the report has the rest. The two
 * may not be in each other (ERR_USAGE); a source that
 * changes is ERR_BUSY, one that is not what it says ERR_VERIFY. */
int restore_tree(const struct restore_opts *o, const char *to, struct jval **ret,
		 struct err *e) MUST_CHECK;

/* Fills the site's new data beside the live one, and, unless it is only to be warmed, verifies it,
 * leaves out what the environment may not have, runs the image's fixers, stops the instance,
 * exchanges the two and starts it again; when that does not get well they are exchanged back.
 * Nothing staged, and a restore that was neither committed nor undone, are ERR_BUSY. */
int restore_site(const struct site *s, const struct stage_opts *so, const struct restore_opts *o,
		 struct jval **ret, struct err *e) MUST_CHECK;

/* Removes what was live before; puts it back; removes what was filled and never exchanged. What was
 * interrupted goes on. Nothing to do is ERR_BUSY. */
int restore_commit(const struct site *s, const struct stage_opts *so, struct jval **ret,
		   struct err *e) MUST_CHECK;
int restore_rollback(const struct site *s, const struct stage_opts *so, struct jval **ret,
		     struct err *e) MUST_CHECK;
/* As rollback, by a program that will try again: what was filled is taken up by the next one. */
int restore_undo(const struct site *s, const struct stage_opts *so, struct jval **ret,
		 struct err *e) MUST_CHECK;
int restore_discard(const struct site *s, const struct stage_opts *so, struct jval **ret,
		    struct err *e) MUST_CHECK;

/* Names and numbers of the users and groups of a site's instance, whether it runs or not. */
int restore_names_of(const struct site *s, const struct stage_opts *so, struct manifest_names **ret,
		     struct err *e) MUST_CHECK;

/* Compares two trees (dir:PATH) or manifests (a file), calls fn for every difference and says how
 * many there are. */
struct restore_compare {
	const char *a, *b;
	unsigned threads;
	/* By whom the manifests must be signed; ERR_VERIFY for one that is not, and ERR_USAGE when
	 * neither is one. NULL = nobody asks. */
	const struct sign_wanted *signers;
	void (*fn)(void *ctx, const struct manifest_difference *d);
	void *ctx;
};
int restore_compare(const struct restore_compare *c, uint64_t *ret, struct err *e) MUST_CHECK;

/* Whether what was read of a manifest's file is what the signatures beside it are of: ERR_VERIFY
 * otherwise. */
int restore_check_signed(const char *path, const struct manifest *m, const struct sign_wanted *by,
			 struct err *e) MUST_CHECK;

#endif
