#include "archive/reader.h"

#include "sys/intr.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* the two zero blocks */
enum { TAR_END = 1024 };

struct reader {
	struct source *src;
	struct archive *a;
	bool refuse_empty;
	bool any_name;  /* in whatever character set */
	bool any;       /* there was an entry */
	struct err err; /* why the source failed */
	bool failed;
};

static la_ssize_t on_read(struct archive *a, void *ctx, const void **ret_p)
{
	struct reader *r = ctx;
	size_t n;

	if ((intr_pending() && intr_err(&r->err) != 0) ||
	    source_read(r->src, ret_p, &n, &r->err) != 0) {
		r->failed = true;
		archive_set_error(a, EIO, "the source failed");
		return -1;
	}
	return (la_ssize_t)n;
}

static la_int64_t on_seek(struct archive *a, void *ctx, la_int64_t offset, int whence)
{
	struct reader *r = ctx;
	int64_t to = source_seek(r->src, offset, whence);

	(void)a;
	return to < 0 ? ARCHIVE_FATAL : to;
}

static bool enable(struct archive *a, enum reader_formats formats)
{
	bool any = formats == READER_ANY || formats == READER_BYTES;
	int rc = ARCHIVE_OK;

	if (any || formats == READER_TAR)
		rc |= archive_read_support_format_tar(a);
	if (any || formats == READER_ISO)
		rc |= archive_read_support_format_iso9660(a);
	if (any || formats == READER_ZIP)
		rc |= archive_read_support_format_zip(a);
	if (any || formats == READER_CPIO)
		rc |= archive_read_support_format_cpio(a);
	if (formats == READER_BYTES)
		rc |= archive_read_support_format_ar(a);
	return rc == ARCHIVE_OK;
}

static int fail(const struct reader *r, struct err *e)
{
	const char *why = archive_error_string(r->a);

	if (r->failed) {
		*e = r->err;
		return -1;
	}
	return err_set(e, ERR_RECIPE, "the archive is damaged: %s",
		       why != NULL ? why : "no reason");
}

int reader_open(struct source *src, enum reader_formats formats, struct reader **ret, struct err *e)
{
	struct reader *r SCOPED(reader_freep) = mem_zalloc(sizeof(*r));

	r->src = src;
	r->refuse_empty = formats != READER_TAR;
	r->any_name = formats == READER_BYTES;
	r->a = archive_read_new();
	if (r->a == NULL || !enable(r->a, formats))
		return err_set(e, ERR_FAIL, "libarchive lacks a format");
	(void)archive_read_set_callback_data(r->a, r);
	(void)archive_read_set_read_callback(r->a, on_read);
	if (source_can_seek(src))
		(void)archive_read_set_seek_callback(r->a, on_seek);
	if (archive_read_open1(r->a) != ARCHIVE_OK)
		return fail(r, e);
	*ret = STEAL(r);
	return 0;
}

void reader_freep(struct reader **r)
{
	if (*r == NULL)
		return;
	(void)archive_read_free((*r)->a);
	source_free((*r)->src);
	free(*r);
	*r = NULL;
}

int reader_format(const struct reader *r)
{
	return archive_format(r->a) & ARCHIVE_FORMAT_BASE_MASK;
}

bool reader_rock_ridge(const struct reader *r)
{
	return archive_format(r->a) == ARCHIVE_FORMAT_ISO9660_ROCKRIDGE;
}

/* tar and cpio keep the bytes of a name that is not in the character set of the C locale; the
 * others would give us another name. */
static bool only_a_name(const struct reader *r)
{
	const char *why = archive_error_string(r->a);
	int format = reader_format(r);

	return why != NULL && strstr(why, "be converted from") != NULL &&
	       (r->any_name || format == ARCHIVE_FORMAT_TAR || format == ARCHIVE_FORMAT_CPIO);
}

/* libarchive takes the end of the file for an end of a tar, and stops reading at two zero blocks:
 * there must be such blocks, and nothing but zeros after them. Reading on also makes the
 * decompressor check its checksum. */
static int check_end(struct reader *r, struct err *e)
{
	bool is_tar = reader_format(r) == ARCHIVE_FORMAT_TAR;
	uint64_t end = (uint64_t)archive_read_header_position(r->a), tail;
	const void *p;
	size_t n = 1;

	/* zeros are an empty tar, and what a truncated disc begins with */
	if (r->refuse_empty && !r->any)
		return err_set(e, ERR_RECIPE, "there is nothing in it");
	if (!is_tar && source_can_seek(r->src))
		return 0;
	while (n > 0) {
		if (intr_pending())
			return intr_err(e);
		if (source_read(r->src, &p, &n, e) != 0)
			return -1;
	}
	tail = source_given(r->src) - end;
	if (is_tar && (tail < TAR_END || source_zeros(r->src) < tail))
		return err_set(e, ERR_RECIPE,
			       "the archive is damaged: it does not end as a tar archive must");
	return 0;
}

int reader_next(struct reader *r, struct archive_entry **ret, struct err *e)
{
	struct archive_entry *en;
	int rc = archive_read_next_header(r->a, &en);

	if (rc == ARCHIVE_EOF) {
		if (check_end(r, e) != 0)
			return -1;
		*ret = NULL;
		return 0;
	}
	if (rc != ARCHIVE_OK && !(rc == ARCHIVE_WARN && only_a_name(r)))
		return fail(r, e);
	r->any = true;
	*ret = en;
	return 0;
}

int reader_data(struct reader *r, struct reader_piece *ret, struct err *e)
{
	la_int64_t at;
	int rc = archive_read_data_block(r->a, &ret->p, &ret->n, &at);

	if (rc == ARCHIVE_EOF) {
		*ret = (struct reader_piece){.end = true};
		return 0;
	}
	if (rc != ARCHIVE_OK)
		return fail(r, e);
	if (at < 0)
		return err_set(e, ERR_RECIPE, "the archive is damaged: data before a file's start");
	ret->at = (uint64_t)at;
	ret->end = false;
	return 0;
}
