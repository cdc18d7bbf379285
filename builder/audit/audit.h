/* audit.h - checks an image or a root tree against a hardening profile and says what was found, of
 * which bytes, by which profile. Changes nothing. */
#ifndef AUDIT_AUDIT_H
#define AUDIT_AUDIT_H

#include "evidence/evidence.h"
#include "oci/oci.h"
#include "sign/image.h"
#include "store/store.h"

struct audit_opts {
	const char *profile;         /* path of the profile */
	const struct recipe *recipe; /* what was meant to be in it: ports, waivers; or NULL */
	const char *target;          /* "container" or "machine"; NULL = as the recipe says, or by
					what is in it */
	int64_t today;               /* seconds; waivers past their date do not hold */
	struct store *store;         /* of images, which are unpacked in a scratch of it, and for
					gates */
	int signatures;              /* good ones by the keys that were given, */
	bool keys;                   /* when some were */
	bool gates;                  /* run programs of it in the sandbox, on copies */
};

struct audit {
	char *object;                   /* as it was named: "oci:out/demo:0.1.0", "dir:/srv/tree" */
	bool is_image;                  /* then the next four are set */
	struct digest image, config;    /* of the manifest and of its configuration */
	char *name, *version;           /* what the image calls itself; "" when it does not */
	int64_t created;                /* seconds; 0 when the image does not say */
	struct harden_profile *profile; /* owned */
	struct harden_report report;
};

/* Checks the tree below the directory root. With gates the process becomes private
 * (sandbox_enter). */
int audit_tree(const char *root, const char *object, const struct audit_opts *o, struct audit *ret,
	       struct err *e) MUST_CHECK;

/* Checks what runs: the tree that the process with this id has for a root, and what the kernel lets
 * the processes of its namespace do. */
int audit_instance(uint64_t pid, const char *object, const struct audit_opts *o, struct audit *ret,
		   struct err *e) MUST_CHECK;

/* Checks the root tree in an archive, compressed or not, which is unpacked in a scratch of the
 * store. */
int audit_tar(const char *path, const char *object, const struct audit_opts *o, struct audit *ret,
	      struct err *e) MUST_CHECK;

/* Checks an image of a layout: every blob is hashed, the layers are unpacked in order with their
 * owners, what they make is checked and dropped again. Of a tree that cannot be unpacked with its
 * owners (no subordinate ids) nothing is said: that is an error. */
int audit_image(const struct oci_layout *l, const struct oci_desc *manifest, const char *object,
		const struct audit_opts *o, struct audit *ret, struct err *e) MUST_CHECK;

/* The report for people: one line a control, what failed first and with what was found, then the
 * counts. all: also what passed or does not apply. */
void audit_text(const struct audit *a, bool all, struct buf *out);

/* {"object":…,"image":…,"profile":{…},"results":[…],"summary":{…}}: sorted, without times or host
 * names, so that two audits of the same bytes are the same bytes. The caller owns it. */
struct jval *audit_json(const struct audit *a) MUST_CHECK;

/* What else the files of evidence say. */
struct audit_evidence {
	unsigned formats;                     /* bits 1 << enum evidence_format */
	int64_t today;                        /* seconds: of a tree, which has no time of its own */
	const struct sign_report *signatures; /* good ones by the keys given; NULL = no key */
};

/* The bytes of each format that is asked for, into initialised files. */
void audit_evidence_make(const struct audit *a, const struct audit_evidence *o,
			 struct evidence_files *ret);

/* Puts the files into dir, which is made, each by one rename (posmedia-evidence(7)). */
int audit_evidence_put(const struct audit *a, const struct audit_evidence *o, const char *dir,
		       struct err *e) MUST_CHECK;

/* Whether the files in dir are, byte for byte, what this audit says; a file that is missing or
 * another is ERR_VERIFY and named. */
int audit_evidence_check(const struct audit *a, const struct audit_evidence *o, const char *dir,
			 struct err *e) MUST_CHECK;

/* Accepts a zeroed struct. */
void audit_release(struct audit *a);

#endif
