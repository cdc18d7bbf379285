/* exported.h - which blobs of a layout this build's store wrote or hashed there before: what has
 * the same inode, size and times since need not be read again. ctime(2) cannot be set back. */
#ifndef BUILD_EXPORTED_H
#define BUILD_EXPORTED_H

#include "build/job.h"

struct exported;

/* What the last export of the recipe left; nothing with no_cache. The layout stays open as long. */
struct exported *exported_open(const struct job *j, const struct oci_layout *l) MUST_CHECK;
void exported_freep(struct exported **x);

/* Whether the layout's blob is as it was. */
bool exported_same(const struct exported *x, const struct oci_desc *d) MUST_CHECK;

/* The layout's blob was written or hashed just now. */
void exported_add(struct exported *x, const struct oci_desc *d);

/* Writes the record, if it is another. What goes wrong with it only costs time later. */
void exported_keep(const struct exported *x);

#endif
