/* policy.h - signing/policy.yaml: which identities need which keys. See posmedia-policy(5).
 *
 *   posmedia: 1
 *   repositories:
 *     - match: "localhost/demo"       # glob on HOST/REPO
 *       keys: [demo.pub]              # relative to the policy file
 *       forms: [openpgp, cosign]      # default both
 *       require: 1                    # k of the keys
 *   default: reject                   # reject (the default) or accept
 */
#ifndef SIGN_POLICY_H
#define SIGN_POLICY_H

#include "sign/image.h"

struct sign_policy;
/* Reads a policy file (strict YAML): every fault is ERR_RECIPE with FILE:LINE:COL. */
int sign_policy_load(const char *path, struct sign_policy **ret, struct err *e) MUST_CHECK;
void sign_policy_free(struct sign_policy *p);
void sign_policy_freep(struct sign_policy **p);

/* From now on an image must also be promoted to this stage (1 = qa, 2 = prod, 0 = none), whatever
 * the rules say of it, and what no rule fits is rejected: for where images run. */
void sign_policy_demand(struct sign_policy *p, int stage);

/* Whether there is a rule for the image at all, or the default accepts it; else ERR_VERIFY. Nothing
 * of the image is looked at. */
int sign_policy_fits(const struct sign_policy *p, const char *identity, struct err *e) MUST_CHECK;

/* Decides for one image. identity is HOST/REPO:TAG. ERR_VERIFY says which rule refused and why. */
int sign_policy_verify(const struct sign_policy *p, const struct oci_layout *l,
		       const struct oci_desc *manifest, const char *identity,
		       struct sign_report *ret, struct err *e) MUST_CHECK;

/* Decides for a file that was made of an image, such as a medium, by the signatures beside it
 * (sign/file.h). identity is what the file says to be made of, HOST/REPO:TAG; who calls holds it
 * against the file. What a rule demands of the image itself, statements, a stage, notation, the
 * file has not got: image says that they were looked at there, and without it such a rule refuses.
 * A signature that says no time is of today. */
struct sign_policy_file {
	const char *path, *identity;
	bool image;
	bool named; /* the identity is what the operator says; else the file's, whose word chooses
		     * no rule that accepts without one */
};
int sign_policy_verify_file(const struct sign_policy *p, const struct sign_policy_file *f,
			    struct digest *ret_digest, struct sign_report *ret,
			    struct err *e) MUST_CHECK;

#endif
