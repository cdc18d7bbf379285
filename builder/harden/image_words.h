/* image_words.h - the texts of an image's configuration: what may not stand there, and what must.
 */
#ifndef HARDEN_IMAGE_WORDS_H
#define HARDEN_IMAGE_WORDS_H

#include "base/strv.h"
#include "form/json.h"

/* Appends a line to *found for each variable, label, argument and line of history of the
 * configuration that holds a secret: by its name or by its form. The secret is not said. */
void image_words(const struct jval *config, struct strv *found);

/* Wants the label (or, "PREFIX*", at least one of that prefix) to have a digest as its text: what
 * is not so goes to *found, what is to *held (may be NULL). config: its member "config". */
void image_label(const struct jval *config, const char *label, struct strv *found,
		 struct strv *held);

#endif
