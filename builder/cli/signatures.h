/* signatures.h - what was found of signatures, and what a policy's rule demanded and found. */
#ifndef CLI_SIGNATURES_H
#define CLI_SIGNATURES_H

#include "form/json.h"
#include "sign/image.h"

/* Both as lists, which the caller owns; and both printed, a line each. */
struct jval *signatures_json(const struct sign_report *r) MUST_CHECK;
struct jval *signatures_checked_json(const struct sign_report *r) MUST_CHECK;
void signatures_print(const struct sign_report *r);

#endif
