/* medium.h - a file or a device that an image was written to, and its manifest. */
#ifndef CLI_MEDIUM_H
#define CLI_MEDIUM_H

#include "cli/args.h"
#include "media/medium.h"
#include "sign/image.h"

/* --manifest, else FILE.medium.json when there is one, else NULL; the caller owns it. */
char *medium_manifest(const struct args *a, const char *file) MUST_CHECK;

/* Holds a file or device against its manifest: ERR_VERIFY when it is another. */
int medium_check(const char *file, const struct medium *m, struct err *e) MUST_CHECK;

/* Reads a manifest that is signed: by --key, or else as --policy wants it (default:
 * signing/policy.yaml), which may want the --image too. The caller releases both. */
int medium_signed(const struct args *a, const char *manifest, struct medium *ret,
		  struct sign_report *ret_signatures, struct err *e) MUST_CHECK;

/* Checks the signatures of the manifest and then the file or device against it, and prints what is
 * not as it should be. */
int medium_verify(const struct args *a, const char *file, const char *manifest,
		  struct err *e) MUST_CHECK;

/* Writes a medium that was made to the disk of --write, when --serial is that disk's, and reads it
 * back. */
int medium_put(const struct args *a, const char *file, struct err *e) MUST_CHECK;

/* Makes the second medium of an installation, of a site file and --disk. */
int medium_site(const struct args *a, const char *file, struct err *e) MUST_CHECK;

/* Prints what was found: the places, how much was looked at and, as JSON, who signed it (or NULL).
 */
struct check_report;
void medium_print(const struct args *a, const char *file, const struct medium *m,
		  const struct check_report *r, const struct sign_report *by);

#endif
