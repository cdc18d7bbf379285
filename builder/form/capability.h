/* capability.h - the capabilities of capabilities(7), by number. */
#ifndef FORM_CAPABILITY_H
#define FORM_CAPABILITY_H

enum { CAPABILITIES = 41 };

/* In lower case and without "cap_"; NULL after the last one. */
extern const char *const capability_names[CAPABILITIES + 1];

#endif
