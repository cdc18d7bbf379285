/* remote.h - images between a layout and a registry. OCI distribution-spec 1.1. */
#ifndef REMOTE_REMOTE_H
#define REMOTE_REMOTE_H

#include "base/strv.h"
#include "form/ref.h"
#include "oci/oci.h"

struct remote_opts {
	bool plain_http;            /* http instead of https; the default for loopback hosts only */
	const char *lookaside_from; /* copy reads them there, a directory or URL; or NULL */
	const char *lookaside; /* directory for OpenPGP signatures (push fills it, pull reads it),
				  or an http(s) URL (pull only); NULL = none */
	const char *platform;  /* pull of an index: "OS/ARCH[/VARIANT]", "all", or NULL */
	uint64_t part_size;    /* bucket: bytes of the parts of large blobs; 0 = 64 MiB */
	uint64_t lock_s;       /* bucket: what is written must stay for so long; 0 = not */
	unsigned parallel;     /* blobs at once; 0 = 4 */
	unsigned tries;        /* 0 = 4 */
	uint64_t until_ms;     /* http_until; 0 = never */
	const char *arch;      /* pull: of an index only the image for linux on this; NULL = an
				  index for several platforms is refused */
	const char *sessions;  /* push: a directory where uploads that were begun are remembered
				  from run to run; made when it can be; NULL = not */
	bool only_manifest;    /* pull: not the image's blobs */
	bool only_image;       /* pull: not its signatures */
};

struct remote_stats {
	size_t blobs, blobs_skipped; /* moved; already there */
	size_t mounted;              /* of the skipped, those taken from another repository there */
	uint64_t bytes;              /* moved */
	uint64_t bytes_skipped;      /* need not move */
	uint64_t resumed;            /* of the moved, those that an earlier run had got */
};

/* Copies the image (and its sha256-….sig and .pgp signatures) from the layout to the registry:
 * HEAD, POST + monolithic PUT, manifest by digest, then signatures, then the tag last. Skips what
 * is there; a lost reply is answered by HEAD. Signatures that are in the registry already are
 * added to the layout's first, so that none is ever lost. OpenPGP signatures go to
 * LOOKASIDE/REPO@sha256=HEX/signature-N as well. Credentials: containers-auth.json(5). */
int remote_push(struct oci_layout *l, const struct oci_desc *manifest, const struct ref *to,
		const struct remote_opts *o, struct remote_stats *ret, struct err *e) MUST_CHECK;

struct remote_pulled {
	struct oci_desc manifest; /* of what was named; the caller releases it */
	struct digest image;      /* itself, or the first that was taken of an index */
	struct remote_stats stats;
};

/* Copies the other way, signatures included, verifying every byte, then sets the tag in the layout
 * (last); tag "" sets none. `from` names a tag or a digest: "latest" is not assumed (ERR_USAGE). */
int remote_pull(const struct ref *from, struct oci_layout *l, const char *tag,
		const struct remote_opts *o, struct remote_pulled *ret, struct err *e) MUST_CHECK;

/* Copies from one registry to another (the same too: then it is asked to mount). What the
 * destination lacks passes through the scratch, a layout that the caller has made; an index comes
 * whole. Signatures, attestations and referrers come along and are added to those that are there.
 * Every byte is verified on the way. */
int remote_copy(const struct ref *src, const struct ref *dst, struct oci_layout *scratch,
		const struct remote_opts *o, struct remote_pulled *ret, struct err *e) MUST_CHECK;

/* The same between two layouts. */
int remote_copy_layout(const struct oci_layout *from, const struct oci_desc *manifest,
		       struct oci_layout *to, const char *tag, struct err *e) MUST_CHECK;

/* The tags of a repository, sorted. */
int remote_tags(const struct ref *at, const struct remote_opts *o, struct strv *ret,
		struct err *e) MUST_CHECK;

/* Removes the image that a tag or a digest names, with its signatures, attestations and referrers.
 * A tag that shares its image with another goes alone, where the registry can do that. The digests
 * of what is gone are appended to *ret. */
int remote_delete(const struct ref *at, const struct remote_opts *o, struct strv *ret,
		  struct err *e) MUST_CHECK;

struct remote_keep {
	uint64_t newest;   /* how many tags stay; images without a date stay too */
	const char *match; /* which tags are looked at: a pattern (base/glob.h); NULL = all */
	bool dry_run;
	/* Whether an image, or one that an index names, must stay whatever its age; NULL = none */
	bool (*held)(void *ctx, const struct digest *d);
	void *ctx;
};

/* Removes all but the newest, by the time of their making; what a tag that stays stands for stays.
 * *ret_tags: those that are gone. */
int remote_retain(const struct ref *at, const struct remote_opts *o, const struct remote_keep *keep,
		  struct strv *ret_tags, struct err *e) MUST_CHECK;

#endif
