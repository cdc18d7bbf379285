#include "archive/libarchive.h"

#include "sys/late.h"
#include <archive.h>
#include <archive_entry.h>
#include <stdarg.h>
#include <stdio.h>

/* Those that take nothing but what they are about: result, name. */
#define OF_ARCHIVE(X)                                                                              \
	X(const char *, error_string)                                                              \
	X(int, format)                                                                             \
	X(int, read_free)                                                                          \
	X(int, read_open1)                                                                         \
	X(la_int64_t, read_header_position)                                                        \
	X(int, read_support_filter_bzip2)                                                          \
	X(int, read_support_filter_xz)                                                             \
	X(int, read_support_format_ar)                                                             \
	X(int, read_support_format_cpio)                                                           \
	X(int, read_support_format_iso9660)                                                        \
	X(int, read_support_format_raw)                                                            \
	X(int, read_support_format_tar)                                                            \
	X(int, read_support_format_zip)
#define OF_ENTRY(X)                                                                                \
	X(__LA_MODE_T, filetype)                                                                   \
	X(la_int64_t, gid)                                                                         \
	X(const char *, hardlink)                                                                  \
	X(time_t, mtime)                                                                           \
	X(int, mtime_is_set)                                                                       \
	X(long, mtime_nsec)                                                                        \
	X(const char *, pathname)                                                                  \
	X(const char *, pathname_utf8)                                                             \
	X(__LA_MODE_T, perm)                                                                       \
	X(la_int64_t, size)                                                                        \
	X(int, size_is_set)                                                                        \
	X(const char *, symlink)                                                                   \
	X(la_int64_t, uid)                                                                         \
	X(int, xattr_reset)
#define OTHERS(X)                                                                                  \
	X(archive_entry_xattr_next)                                                                \
	X(archive_read_data_block)                                                                 \
	X(archive_read_new)                                                                        \
	X(archive_read_next_header)                                                                \
	X(archive_read_set_callback_data)                                                          \
	X(archive_read_set_read_callback)                                                          \
	X(archive_read_set_seek_callback)                                                          \
	X(archive_set_error)

#define POINTER(name)         __typeof__(&(name)) name##_;
#define ARCHIVE_POINTER(t, n) POINTER(archive_##n)
#define ENTRY_POINTER(t, n)   POINTER(archive_entry_##n)
#define CALL(name)            {#name, &f.name##_},
#define ARCHIVE_CALL(t, n)    CALL(archive_##n)
#define ENTRY_CALL(t, n)      CALL(archive_entry_##n)

/* What is in the library. */
static struct {
	OF_ARCHIVE(ARCHIVE_POINTER) OF_ENTRY(ENTRY_POINTER) OTHERS(POINTER)
} f;

static const struct late_call calls[] = {OF_ARCHIVE(ARCHIVE_CALL) OF_ENTRY(ENTRY_CALL)
					     OTHERS(CALL)};
static struct late lib = {
    .file = "libarchive.so.13", .calls = calls, .n = sizeof(calls) / sizeof(calls[0])};

int libarchive_need(struct err *e)
{
	return late_need(&lib, e);
}

#define ARCHIVE_FUNCTION(t, n)                                                                     \
	t archive_##n(struct archive *a)                                                           \
	{                                                                                          \
		return f.archive_##n##_(a);                                                        \
	}
#define ENTRY_FUNCTION(t, n)                                                                       \
	t archive_entry_##n(struct archive_entry *en)                                              \
	{                                                                                          \
		return f.archive_entry_##n##_(en);                                                 \
	}

OF_ARCHIVE(ARCHIVE_FUNCTION)
OF_ENTRY(ENTRY_FUNCTION)

/* The first of them that anybody calls. */
struct archive *archive_read_new(void)
{
	return late_load(&lib) ? f.archive_read_new_() : NULL;
}

int archive_entry_xattr_next(struct archive_entry *en, const char **name, const void **value,
			     size_t *n)
{
	return f.archive_entry_xattr_next_(en, name, value, n);
}

int archive_read_data_block(struct archive *a, const void **p, size_t *n, la_int64_t *at)
{
	return f.archive_read_data_block_(a, p, n, at);
}

int archive_read_next_header(struct archive *a, struct archive_entry **ret)
{
	return f.archive_read_next_header_(a, ret);
}

int archive_read_set_callback_data(struct archive *a, void *ctx)
{
	return f.archive_read_set_callback_data_(a, ctx);
}

int archive_read_set_read_callback(struct archive *a, archive_read_callback *fn)
{
	return f.archive_read_set_read_callback_(a, fn);
}

int archive_read_set_seek_callback(struct archive *a, archive_seek_callback *fn)
{
	return f.archive_read_set_seek_callback_(a, fn);
}

void archive_set_error(struct archive *a, int code, const char *form, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, form);
	(void)vsnprintf(text, sizeof(text), form, ap);
	va_end(ap);
	f.archive_set_error_(a, code, "%s", text);
}
