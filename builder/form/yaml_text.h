/* yaml_text.h - what a YAML text must be before it is parsed: clean UTF-8, no tab indentation. */
#ifndef FORM_YAML_TEXT_H
#define FORM_YAML_TEXT_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes the UTF-8 sequence (RFC 3629) at p, at most n bytes: returns its length, or 0 when it is
 * not one. */
size_t utf8_decode(const char *p, size_t n, uint32_t *ret) MUST_CHECK;

/* Whether the code point is a control character, a line separator or a byte order mark; '\n' and
 * '\t' are not. */
bool utf8_is_control(uint32_t c) MUST_CHECK;

/* Refuses bytes that are not UTF-8, control characters and tabs before the first word of a line,
 * with position and hint (ERR_RECIPE). Columns count characters. */
int yaml_text_check(const char *p, size_t n, const char *file, struct err *e) MUST_CHECK;

#endif
