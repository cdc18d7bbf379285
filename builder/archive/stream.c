#include "archive/codec.h"
#include "archive/pack.h"
#include <libdeflate.h>
#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>

enum { GZIP_LEVEL = 6, GZIP_LEVEL_MAX = 12, ZSTD_LEVEL = 3, ZSTD_LEVEL_MAX = 19 };

struct pack_stream {
	struct sink out;     /* the caller's */
	struct hash *raw;    /* of what comes in */
	struct hash *packed; /* of what goes out; NULL when both are the same */
	struct codec codec;  /* free is NULL without compression */
	uint64_t raw_size, size;
};

static int level_of(const struct pack_opts *o)
{
	if (o->level != 0)
		return o->level;
	return o->compression == PACK_GZIP ? GZIP_LEVEL : ZSTD_LEVEL;
}

static unsigned threads_of(const struct pack_opts *o)
{
	long n = o->threads > 0 ? (long)o->threads : sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 ? (unsigned)n : 1;
}

static int emit(void *ctx, const void *p, size_t n, struct err *e)
{
	struct pack_stream *s = ctx;

	if (s->packed != NULL)
		hash_add(s->packed, p, n);
	s->size += n;
	return sink_write(&s->out, p, n, e);
}

static int take(void *ctx, const void *p, size_t n, struct err *e)
{
	struct pack_stream *s = ctx;

	hash_add(s->raw, p, n);
	s->raw_size += n;
	if (s->codec.free == NULL)
		return emit(s, p, n, e);
	return s->codec.write(s->codec.ctx, p, n, e);
}

static int start_codec(struct pack_stream *s, const struct pack_opts *o, struct err *e)
{
	const struct sink out = {emit, s};
	int level = level_of(o);
	int max = o->compression == PACK_GZIP ? GZIP_LEVEL_MAX : ZSTD_LEVEL_MAX;

	if (o->compression == PACK_NONE)
		return 0;
	if (level < 1 || level > max)
		return err_set(e, ERR_USAGE, "compression level %d: it goes from 1 to %d", level,
			       max);
	s->packed = hash_new();
	if (o->compression == PACK_GZIP)
		return codec_gzip(level, threads_of(o), &out, &s->codec, e);
	return codec_zstd(level, threads_of(o), &out, &s->codec, e);
}

int pack_stream_open(const struct pack_opts *o, const struct sink *out, struct pack_stream **ret,
		     struct err *e)
{
	struct pack_stream *s = mem_zalloc(sizeof(*s));

	s->out = *out;
	s->raw = hash_new();
	if (start_codec(s, o, e) != 0) {
		pack_stream_free(s);
		return -1;
	}
	*ret = s;
	return 0;
}

struct sink pack_stream_sink(struct pack_stream *s)
{
	return (struct sink){take, s};
}

int pack_stream_close(struct pack_stream *s, struct pack_result *ret, struct err *e)
{
	if (s->codec.free != NULL && s->codec.finish(s->codec.ctx, e) != 0)
		return -1;
	ret->diff_id = hash_final(s->raw);
	ret->digest = s->packed != NULL ? hash_final(s->packed) : ret->diff_id;
	ret->raw_size = s->raw_size;
	ret->size = s->size;
	return 0;
}

void pack_stream_free(struct pack_stream *s)
{
	if (s == NULL)
		return;
	if (s->codec.free != NULL)
		s->codec.free(s->codec.ctx);
	hash_free(s->packed);
	hash_free(s->raw);
	free(s);
}

char *pack_compressor_id(const struct pack_opts *o)
{
	switch (o->compression) {
	case PACK_GZIP:
		return mem_format("gzip-%d/libdeflate-" LIBDEFLATE_VERSION_STRING, level_of(o));
	case PACK_ZSTD:
		return mem_format("zstd-%d/libzstd-%s", level_of(o), ZSTD_versionString());
	case PACK_NONE:
	default:
		return mem_strdup("none");
	}
}
