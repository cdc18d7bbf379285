#include "archive/unfilter.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct unfilter {
	struct archive *a;
	unfilter_more *more;
	void *ctx;
	struct err err; /* why `more` failed */
	bool failed;
};

bool unfilter_knows(const uint8_t *p, size_t n)
{
	return (n >= 6 && memcmp(p,
				 "\xfd"
				 "7zXZ\0",
				 6) == 0) ||
	       (n >= 4 && memcmp(p, "BZh", 3) == 0 && p[3] >= '1' && p[3] <= '9');
}

static la_ssize_t on_read(struct archive *a, void *ctx, const void **ret_p)
{
	struct unfilter *u = ctx;
	size_t n;

	if (u->more(u->ctx, ret_p, &n, &u->err) == 0)
		return (la_ssize_t)n;
	u->failed = true;
	archive_set_error(a, EIO, "the source failed");
	return -1;
}

static int fail(const struct unfilter *u, struct err *e)
{
	const char *why = archive_error_string(u->a);

	if (u->failed) {
		*e = u->err;
		return -1;
	}
	return err_set(e, ERR_RECIPE, "the compressed data is damaged: %s",
		       why != NULL ? why : "it ends early");
}

int unfilter_open(unfilter_more *more, void *ctx, struct unfilter **ret, struct err *e)
{
	struct unfilter *u = mem_zalloc(sizeof(*u));
	struct archive_entry *en;
	int rc = -1;

	u->more = more;
	u->ctx = ctx;
	u->a = archive_read_new();
	/* anything but ARCHIVE_OK would mean that libarchive wants to run a program for it */
	if (u->a == NULL || archive_read_support_filter_xz(u->a) != ARCHIVE_OK ||
	    archive_read_support_filter_bzip2(u->a) != ARCHIVE_OK ||
	    archive_read_support_format_raw(u->a) != ARCHIVE_OK) {
		rc = err_set(e, ERR_FAIL, "libarchive lacks a filter");
	} else {
		(void)archive_read_set_callback_data(u->a, u);
		(void)archive_read_set_read_callback(u->a, on_read);
		rc = archive_read_open1(u->a) == ARCHIVE_OK &&
			     archive_read_next_header(u->a, &en) == ARCHIVE_OK
			 ? 0
			 : fail(u, e);
	}
	if (rc != 0) {
		unfilter_free(u);
		return -1;
	}
	*ret = u;
	return 0;
}

void unfilter_free(struct unfilter *u)
{
	if (u == NULL)
		return;
	(void)archive_read_free(u->a);
	free(u);
}

int unfilter_read(struct unfilter *u, const void **ret_p, size_t *ret_n, struct err *e)
{
	la_int64_t at;
	size_t n = 0;

	while (n == 0) {
		int rc = archive_read_data_block(u->a, ret_p, &n, &at);

		if (rc == ARCHIVE_EOF)
			break;
		if (rc != ARCHIVE_OK)
			return fail(u, e);
	}
	*ret_n = n;
	return 0;
}
