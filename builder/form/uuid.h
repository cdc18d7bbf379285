/* uuid.h - names as UUIDs (RFC 9562): the same name is the same UUID everywhere. */
#ifndef FORM_UUID_H
#define FORM_UUID_H

#include <stddef.h>

/* "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" + NUL. */
struct uuid_text {
	char s[37];
};

/* Version 5 of the n bytes of a name, in a name space of our own. */
struct uuid_text uuid_of(const void *name, size_t n);

#endif
