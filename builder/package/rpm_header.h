/* rpm_header.h - one header as an rpm database keeps it: tags with values. The bytes are foreign:
 * nothing outside of them is ever read, and what does not fit is not there. */
#ifndef PACKAGE_RPM_HEADER_H
#define PACKAGE_RPM_HEADER_H

#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

enum {
	RPM_TAG_NAME = 1000,
	RPM_TAG_VERSION = 1001,
	RPM_TAG_RELEASE = 1002,
	RPM_TAG_EPOCH = 1003,
	RPM_TAG_ARCH = 1022,
	RPM_TAG_FILE_DIGESTS = 1035,
	RPM_TAG_FILE_FLAGS = 1037,
	RPM_TAG_SOURCE = 1044,
	RPM_TAG_DIR_INDEXES = 1116,
	RPM_TAG_BASE_NAMES = 1117,
	RPM_TAG_DIR_NAMES = 1118,
};

struct rpm_header {
	const unsigned char *index, *data; /* borrowed */
	uint32_t entries, data_n;
};

/* Lays *ret over n bytes, which must stay. A header that does not add up is ERR_FAIL. */
int rpm_header_parse(const void *p, size_t n, struct rpm_header *ret, struct err *e) MUST_CHECK;

/* The text of a tag, or NULL; it lives as long as the bytes. */
const char *rpm_header_text(const struct rpm_header *h, uint32_t tag);

/* How many values the tag has; 0 when it is absent or of another type. */
uint32_t rpm_header_numbers(const struct rpm_header *h, uint32_t tag);
uint32_t rpm_header_texts(const struct rpm_header *h, uint32_t tag);

/* The i-th number of a tag, which must have so many. */
uint32_t rpm_header_number(const struct rpm_header *h, uint32_t tag, uint32_t i);

/* All texts of a tag, as many as rpm_header_texts says; the caller frees the array, not the
 * texts. NULL when there are none. */
const char **rpm_header_list(const struct rpm_header *h, uint32_t tag) MUST_CHECK;

#endif
