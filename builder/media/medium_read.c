#include "media/medium.h"

#include "form/json.h"
#include "form/ref.h"
#include "sign/attest.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_MAX = 32 };

static int bad(struct err *e, const char *what)
{
	return err_set(e, ERR_VERIFY, "it says no medium: %s", what);
}

static bool get_size(const struct jval *v, const char *key, uint64_t *ret)
{
	int64_t n;

	if (jval_get_int(v, key, &n) != 0 || n < 0 || (uint64_t)n > MEDIUM_MAX)
		return false;
	*ret = (uint64_t)n;
	return true;
}

static bool get_hex(const struct jval *v, const char *key, struct digest *ret)
{
	const char *s = jval_get_str(v, key);

	return s != NULL && digest_parse_hex(s, ret) == 0;
}

/* What is printed as it is. */
static bool word_ok(const char *s)
{
	size_t n = s == NULL ? 0
			     : strspn(s, "abcdefghijklmnopqrstuvwxyz"
					 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_ ");

	return n > 0 && n <= WORD_MAX && s[n] == '\0';
}

/* They begin at whole blocks, and cover it from the first byte to the last. */
static int read_parts(const struct jval *list, struct medium *m, struct err *e)
{
	uint64_t at = 0;

	for (size_t i = 0; i < jval_len(list); i++) {
		const struct jval *v = jval_at(list, i);
		const char *name = jval_get_str(v, "name");
		uint64_t from, size;

		if (!word_ok(name) || !get_size(v, "at", &from) || !get_size(v, "size", &size) ||
		    from != at || from % MEDIUM_BLOCK != 0 || m->parts_n == MEDIUM_PARTS)
			return bad(e, "parts");
		medium_add(m, name, size, jval_get_bool(v, "data"));
		at += size;
	}
	return at == m->size ? 0 : bad(e, "parts");
}

static int read_blocks(const struct jval *list, struct medium *m, struct err *e)
{
	char *block SCOPED(mem_freep) = mem_zalloc(MEDIUM_BLOCK);
	const struct digest zeros = digest_of(block, MEDIUM_BLOCK);
	size_t n = 0;

	m->blocks_n = (size_t)((m->size + MEDIUM_BLOCK - 1) / MEDIUM_BLOCK);
	m->blocks = mem_zalloc((m->blocks_n + 1) * sizeof(*m->blocks));
	for (size_t i = 0; i < jval_len(list); i++) {
		const struct jval *v = jval_at(list, i);
		const char *hex = jval_str(v);
		int64_t run = hex != NULL ? 1 : jval_num(v, "zeros");

		if (run < 1 || (uint64_t)run > m->blocks_n - n)
			return bad(e, "blocks");
		if (hex != NULL && digest_parse_hex(hex, &m->blocks[n]) != 0)
			return bad(e, "blocks");
		for (int64_t k = 0; hex == NULL && k < run; k++)
			m->blocks[n + (size_t)k] = zeros;
		n += (size_t)run;
	}
	return n == m->blocks_n ? 0 : bad(e, "blocks");
}

static int read_verity(const struct jval *v, struct medium *m, struct err *e)
{
	const struct medium_part *root = medium_root(m);

	if (v == NULL)
		return 0;
	if (!get_hex(v, "root-hash", &m->verity.top) || !get_hex(v, "salt", &m->verity.salt) ||
	    !get_size(v, "blocks", &m->verity.blocks) ||
	    (root != NULL && m->verity.blocks > root->size / VERITY_BLOCK))
		return bad(e, "verity");
	m->verity.there = true;
	return 0;
}

static bool is(const struct jval *v, const char *key, const char *text)
{
	const char *s = jval_get_str(v, key);

	return s != NULL && strcmp(s, text) == 0;
}

/* What a policy's rules are about; of older media there is none. */
static int read_identity(const struct jval *v, struct medium *m, struct err *e)
{
	const char *s = jval_get_str(v, "identity");
	struct ref r SCOPED(ref_release) = {0};

	if (jval_get(v, "identity") == NULL)
		return 0;
	if (s == NULL || ref_parse_docker(s, &r, e) != 0 || r.tag[0] == '\0' || r.has_digest)
		return bad(e, "identity");
	m->identity = mem_strdup(s);
	return 0;
}

static int read_all(const struct jval *v, struct medium *m, struct err *e)
{
	const struct jval *p = jval_get(v, "predicate"), *subjects = jval_get(v, "subject");
	const char *image = jval_get_str(p, "image"), *format = jval_get_str(p, "format");

	if (!is(v, "_type", ATTEST_STATEMENT) || !is(v, "predicateType", MEDIUM_PREDICATE))
		return bad(e, "it is another statement");
	if (jval_len(subjects) != 1 ||
	    !get_hex(jval_get(jval_at(subjects, 0), "digest"), "sha256", &m->whole))
		return bad(e, "subject");
	if (!word_ok(format) || image == NULL || digest_parse(image, &m->image) != 0 ||
	    !get_size(p, "size", &m->size) || jval_num(p, "block-size") != MEDIUM_BLOCK)
		return bad(e, "predicate");
	m->format = mem_strdup(format);
	if (read_identity(p, m, e) != 0 || read_parts(jval_get(p, "parts"), m, e) != 0 ||
	    read_blocks(jval_get(p, "blocks"), m, e) != 0)
		return -1;
	return read_verity(jval_get(p, "verity"), m, e);
}

/* Of a text that anyone may have written, before the values in it take a hundred times its bytes.
 * A block is 67 of them; between two there is a run of zeros at most, which has 12. */
static bool is_dense(const char *text, size_t n)
{
	enum { SLACK = 512, LISTS = 16, BLOCK_TEXT = 67, RUN_TEXT = 12 };
	size_t commas = 0, objects = 0, lists = 0;

	for (size_t i = 0; i < n; i++) {
		commas += text[i] == ',';
		objects += text[i] == '{';
		lists += text[i] == '[';
	}
	return commas > SLACK + 2 * n / (BLOCK_TEXT + RUN_TEXT) ||
	       objects > SLACK + n / (BLOCK_TEXT + RUN_TEXT) || lists > LISTS;
}

int medium_parse(const char *text, size_t n, struct medium *ret, struct err *e)
{
	struct medium m SCOPED(medium_release) = {0};
	struct jval *v SCOPED(jval_freep) = NULL;

	if (is_dense(text, n))
		return bad(e, "more values than a medium has");
	if (jval_parse(text, n, "the medium's manifest", &v, e) != 0) {
		e->kind = ERR_VERIFY;
		return -1;
	}
	if (read_all(v, &m, e) != 0)
		return -1;
	*ret = m;
	m = (struct medium){0};
	return 0;
}

int medium_load_text(const char *path, struct buf *ret, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(MEDIUM_TEXT_MAX);

	if (fs_get_file(AT_FDCWD, path, &text, e) != 0)
		return -1;
	*ret = text;
	text = (struct buf)BUF_INIT(0);
	return 0;
}

int medium_load(const char *path, struct buf *ret_text, struct medium *ret, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(0);

	if (medium_load_text(path, &text, e) != 0)
		return -1;
	if (medium_parse(text.data, text.len, ret, e) != 0)
		return err_in(e, "%s", path);
	if (ret_text != NULL) {
		*ret_text = text;
		text = (struct buf)BUF_INIT(0);
	}
	return 0;
}
