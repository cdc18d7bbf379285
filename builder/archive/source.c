#include "archive/source.h"

#include "archive/unfilter.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { CHUNK = 1 << 18, GZIP_WRAPPER = 15 + 16 };

enum kind { PLAIN, GZIP, ZSTD, FOREIGN };

struct source {
	int fd;
	source_input *input; /* or NULL: fd is read */
	void *input_ctx;
	bool seekable;
	off_t start;  /* of a seekable source in its file */
	uint64_t len; /* of the stretch; shorter when the file is */
	uint64_t pos; /* how much of it has been read from the file */
	enum kind kind;
	uint8_t *in, *out;
	size_t in_pos, in_len;
	bool open;      /* within a gzip member or zstd frame */
	bool pending;   /* the decompressor may hold more output */
	uint64_t given; /* bytes handed out, decompressed */
	uint64_t zeros;
	z_stream z;
	bool z_ready;
	ZSTD_DCtx *zstd;
	struct unfilter *foreign;
};

static int read_file(struct source *s, void *p, size_t room, size_t *ret_n, struct err *e)
{
	ssize_t r;

	do
		r = read(s->fd, p, room);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_sys(e, "read");
	*ret_n = (size_t)r;
	return 0;
}

/* Fills the empty input buffer; leaves it empty at the end of the stretch. */
static int fill(struct source *s, struct err *e)
{
	s->in_pos = s->in_len = 0;
	while (s->in_len < CHUNK && s->pos < s->len) {
		uint64_t left = s->len - s->pos;
		size_t room = CHUNK - s->in_len, r = 0;

		room = left < room ? (size_t)left : room;
		if ((s->input != NULL ? s->input(s->input_ctx, s->in + s->in_len, room, &r, e)
				      : read_file(s, s->in + s->in_len, room, &r, e)) != 0)
			return -1;
		if (r == 0)
			break;
		s->in_len += r;
		s->pos += r;
	}
	return 0;
}

static enum kind kind_of(const uint8_t *p, size_t n)
{
	if (n >= 2 && p[0] == 0x1f && p[1] == 0x8b)
		return GZIP;
	if (n >= 4 && memcmp(p, "\x28\xb5\x2f\xfd", 4) == 0)
		return ZSTD;
	/* a skippable frame first: RFC 8878, 3.1.2 */
	if (n >= 4 && (p[0] & 0xf0) == 0x50 && memcmp(p + 1, "\x2a\x4d\x18", 3) == 0)
		return ZSTD;
	return unfilter_knows(p, n) ? FOREIGN : PLAIN;
}

/* Gives what is in the input buffer, or else in the file. */
static int take_input(void *ctx, const void **ret_p, size_t *ret_n, struct err *e)
{
	struct source *s = ctx;

	if (s->in_pos == s->in_len && fill(s, e) != 0)
		return -1;
	*ret_p = s->in + s->in_pos;
	*ret_n = s->in_len - s->in_pos;
	s->in_pos = s->in_len;
	return 0;
}

static int start_decoder(struct source *s, struct err *e)
{
	s->kind = kind_of(s->in, s->in_len);
	if (s->kind == PLAIN)
		return 0;
	if (s->kind == FOREIGN)
		return unfilter_open(take_input, s, &s->foreign, e);
	s->out = mem_resize(NULL, CHUNK, 1);
	if (s->kind == GZIP) {
		s->z_ready = inflateInit2(&s->z, GZIP_WRAPPER) == Z_OK;
		return s->z_ready ? 0 : err_set(e, ERR_FAIL, "zlib cannot be started");
	}
	s->zstd = ZSTD_createDCtx();
	return s->zstd != NULL ? 0 : err_set(e, ERR_FAIL, "zstd cannot be started");
}

/* Takes s over. */
static int start(struct source *s, struct source **ret, struct err *e)
{
	s->in = mem_resize(NULL, CHUNK, 1);
	if (fill(s, e) != 0 || start_decoder(s, e) != 0) {
		source_free(s);
		return -1;
	}
	*ret = s;
	return 0;
}

int source_open(int fd, uint64_t len, struct source **ret, struct err *e)
{
	struct source *s = mem_zalloc(sizeof(*s));

	s->fd = fd;
	s->len = len;
	s->start = lseek(fd, 0, SEEK_CUR);
	s->seekable = s->start >= 0;
	return start(s, ret, e);
}

int source_open_input(source_input *input, void *ctx, struct source **ret, struct err *e)
{
	struct source *s = mem_zalloc(sizeof(*s));

	s->fd = -1;
	s->len = SOURCE_TO_THE_END;
	s->input = input;
	s->input_ctx = ctx;
	return start(s, ret, e);
}

void source_free(struct source *s)
{
	if (s == NULL)
		return;
	if (s->z_ready)
		(void)inflateEnd(&s->z);
	(void)ZSTD_freeDCtx(s->zstd);
	unfilter_free(s->foreign);
	free(s->in);
	free(s->out);
	free(s);
}

void source_freep(struct source **s)
{
	source_free(*s);
}

static int damaged(const char *why, struct err *e)
{
	return err_set(e, ERR_RECIPE, "the compressed data is damaged: %s", why);
}

/* One step of inflate; *ret_n is how many bytes came out. */
static int step_gzip(struct source *s, size_t *ret_n, struct err *e)
{
	int rc;

	if (!s->open && inflateReset(&s->z) != Z_OK)
		return damaged("zlib cannot start anew", e);
	s->open = true;
	s->z.next_in = s->in + s->in_pos;
	s->z.avail_in = (uInt)(s->in_len - s->in_pos);
	s->z.next_out = s->out;
	s->z.avail_out = CHUNK;
	rc = inflate(&s->z, Z_NO_FLUSH);
	s->in_pos = s->in_len - s->z.avail_in;
	s->pending = s->z.avail_out == 0;
	*ret_n = CHUNK - s->z.avail_out;
	if (rc == Z_STREAM_END)
		s->open = s->pending = false;
	else if (rc != Z_OK && rc != Z_BUF_ERROR)
		return damaged(s->z.msg != NULL ? s->z.msg : "gzip", e);
	return 0;
}

static int step_zstd(struct source *s, size_t *ret_n, struct err *e)
{
	ZSTD_inBuffer in = {s->in, s->in_len, s->in_pos};
	ZSTD_outBuffer out = {s->out, CHUNK, 0};
	size_t rc = ZSTD_decompressStream(s->zstd, &out, &in);

	if (ZSTD_isError(rc))
		return damaged(ZSTD_getErrorName(rc), e);
	s->in_pos = in.pos;
	s->open = rc != 0;
	s->pending = s->open && out.pos == out.size;
	*ret_n = out.pos;
	return 0;
}

static int read_packed(struct source *s, size_t *ret_n, struct err *e)
{
	size_t n = 0;

	while (n == 0) {
		if (s->in_pos == s->in_len && !s->pending) {
			if (fill(s, e) != 0)
				return -1;
			if (s->in_len == 0 && s->open)
				return damaged("it ends early", e);
			if (s->in_len == 0)
				break;
		}
		if ((s->kind == GZIP ? step_gzip(s, &n, e) : step_zstd(s, &n, e)) != 0)
			return -1;
	}
	*ret_n = n;
	return 0;
}

static void count_zeros(struct source *s, const uint8_t *p, size_t n)
{
	size_t zeros = 0;

	while (zeros < n && p[n - 1 - zeros] == 0)
		zeros++;
	s->zeros = zeros == n ? s->zeros + n : zeros;
}

static int read_any(struct source *s, const void **ret_p, size_t *ret_n, struct err *e)
{
	if (s->kind == PLAIN)
		return take_input(s, ret_p, ret_n, e);
	if (s->kind == FOREIGN)
		return unfilter_read(s->foreign, ret_p, ret_n, e);
	*ret_p = s->out;
	return read_packed(s, ret_n, e);
}

int source_read(struct source *s, const void **ret_p, size_t *ret_n, struct err *e)
{
	const void *p = NULL;
	size_t n = 0;

	if (read_any(s, &p, &n, e) != 0)
		return -1;
	count_zeros(s, p, n);
	s->given += n;
	*ret_p = p;
	*ret_n = n;
	return 0;
}

bool source_can_seek(const struct source *s)
{
	return s->seekable && s->kind == PLAIN;
}

/* How long the stretch really is. */
static int64_t length(struct source *s)
{
	off_t end = lseek(s->fd, 0, SEEK_END);

	if (end < s->start)
		return -1;
	return (uint64_t)(end - s->start) < s->len ? end - s->start : (int64_t)s->len;
}

int64_t source_seek(struct source *s, int64_t offset, int whence)
{
	int64_t len, base = 0, to;

	if (!source_can_seek(s) || (len = length(s)) < 0)
		return -1;
	if (whence == SEEK_CUR)
		base = (int64_t)s->given;
	else if (whence == SEEK_END)
		base = len;
	if (__builtin_add_overflow(base, offset, &to) || to < 0)
		return -1;
	to = to > len ? len : to;
	if (lseek(s->fd, s->start + to, SEEK_SET) < 0)
		return -1;
	s->pos = (uint64_t)to;
	s->in_pos = s->in_len = 0;
	s->zeros = 0;
	s->given = (uint64_t)to;
	return to;
}

uint64_t source_given(const struct source *s)
{
	return s->given;
}

uint64_t source_zeros(const struct source *s)
{
	return s->zeros;
}
