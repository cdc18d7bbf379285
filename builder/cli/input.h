/* input.h - what most verbs begin with: the store, the recipe and its lock, an image. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include "cli/args.h"
#include "form/ref.h"
#include "oci/oci.h"
#include "recipe/lock.h"
#include "sign/image.h"
#include "store/store.h"

/* --store, else $POSMEDIA_STORE, else out/store. */
const char *input_store_path(const struct args *a);
int input_store(const struct args *a, struct store **ret, struct err *e) MUST_CHECK;

/* The recipe named by the first argument and its lock (--lock, else the file beside the recipe),
 * which must be there and fit the recipe. */
int input_locked(const struct args *a, struct recipe **ret_recipe, struct lock **ret_lock,
		 struct err *e) MUST_CHECK;

/* The lock's path; the caller owns it. */
char *input_lock_path(const struct args *a) MUST_CHECK;

/* An image on disk: oci:DIR[:TAG|@DIGEST]; one of a registry comes from object_image. */
struct image {
	struct ref ref;
	struct oci_layout *layout;
	struct oci_desc manifest;
};
int input_image(const char *text, struct image *ret, struct err *e) MUST_CHECK;
void image_release(struct image *i);

/* "NAME:TAG@sha256:…" for the last line of standard output; the caller owns it. */
char *image_name(const char *layout, const char *tag, const struct digest *d) MUST_CHECK;

/* What signatures call the image: --identity, else what its registry calls it, else
 * "localhost/NAME:TAG"; the caller owns it. */
int input_identity(const struct args *a, const struct image *i, char **ret,
		   struct err *e) MUST_CHECK;

/* The same where a name is not needed: NULL when it has none that a registry would take. */
int input_identity_if(const struct args *a, const struct image *i, char **ret,
		      struct err *e) MUST_CHECK;

/* The same of all of --identity, which may be repeated. */
int input_identities(const struct args *a, const struct image *i, struct strv *ret,
		     struct err *e) MUST_CHECK;

/* The public keys of --key, which may be repeated. keys_release accepts a zeroed struct. */
enum { KEYS_MAX = 64 };
struct keys {
	struct sign_public *v[KEYS_MAX];
	size_t n;
};
int input_keys(const struct args *a, struct keys *ret, struct err *e) MUST_CHECK;
/* The same of another option. */
int input_keys_of(const struct args *a, const char *option, struct keys *ret,
		  struct err *e) MUST_CHECK;
void keys_release(struct keys *k);

/* Those of an option as who must have signed: what `wanted` points at is lent as long as the struct
 * lies where it is, and NULL when the option is not there. Release s->keys. */
struct signers {
	struct keys keys;
	struct sign_wanted by;
	const struct sign_wanted *wanted;
};
int input_signers(const struct args *a, const char *option, struct signers *ret,
		  struct err *e) MUST_CHECK;
void signers_release(struct signers *s);

/* The statement in a file, into an initialised buffer. */
int input_statement(const char *path, struct buf *ret, struct err *e) MUST_CHECK;

/* The contents of --passphrase-file, or of another option's, without the trailing newline, NULL
 * when not given; the caller wipes and frees it. */
int input_passphrase(const struct args *a, char **ret, struct err *e) MUST_CHECK;
int input_passphrase_of(const struct args *a, const char *option, char **ret,
			struct err *e) MUST_CHECK;
void passphrase_freep(char **p);

#endif
