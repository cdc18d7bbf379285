/* file.h - signatures of files, such as media and archives, beside them: FILE.pgp (a detached
 * OpenPGP signature, for gpg), FILE.sigstore.json (a bundle) and FILE.sig (base64 of the DER
 * alone), both for cosign verify-blob. */
#ifndef SIGN_FILE_H
#define SIGN_FILE_H

#include "sign/image.h"

/* ".pgp": what follows the name of the file; SIGN_COSIGN is ".sig". */
const char *sign_file_suffix(enum sign_form form);

/* Writes all three, each whole or not at all. The file is read once, whatever its size. */
int sign_file(const char *path, const struct sign_key *k, int64_t timestamp, struct digest *ret,
	      struct err *e) MUST_CHECK;

/* The same of a text that has been read from that file and judged. */
int sign_file_text(const char *path, const struct buf *text, const struct sign_key *k,
		   int64_t timestamp, struct err *e) MUST_CHECK;

/* Of each form in want->forms there must be a good one by one of the keys (FILE.sig counts as
 * SIGN_COSIGN); others are not looked at. ERR_VERIFY otherwise. */
int sign_file_verify(const char *path, const struct sign_wanted *want, struct digest *ret_digest,
		     struct sign_report *ret, struct err *e) MUST_CHECK;

#endif
