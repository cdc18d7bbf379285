#include "snapshot/body.h"

#include "base/fault.h"
#include "form/hex.h"
#include "form/json.h"
#include "form/sigv4.h"
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 256 << 10, DER_MAX = 128 };

/* What is signed begins with what it is: nothing else that the key signs does. */
static const char signed_as[] = "posmedia-snapshot 1\n";

void info_release(struct snapshot_info *i)
{
	free(i->id);
	free(i->shop);
	free(i->env);
	free(i->host);
	free(i->source);
	free(i->previous);
	free(i->fault);
	*i = (struct snapshot_info){0};
}

void body_init(struct body *b)
{
	*b = (struct body){.manifest = BUF_INIT(IDS_RECORD_MAX),
			   .contents = BUF_INIT(IDS_RECORD_MAX),
			   .signature = BUF_INIT(DER_MAX)};
}

void body_release(struct body *b)
{
	info_release(&b->info);
	buf_release(&b->manifest);
	buf_release(&b->contents);
	buf_release(&b->signature);
}

char *body_id(const struct snapshot_info *i)
{
	char *time SCOPED(mem_freep) = sigv4_time(i->time);
	uint8_t random[4];
	char hex[9];

	key_random(random, sizeof(random));
	hex_encode(random, sizeof(random), hex);
	if (i->shop[0] == '\0')
		return mem_format("%s-%s", time, hex);
	return mem_format("%s-%s-%s-%s", time, i->shop, i->env, hex);
}

static void put_base64(struct jval *v, const char *name, const struct buf *b)
{
	char *text SCOPED(mem_freep) = base64_encode(b->data, b->len);

	jval_put_text(v, name, text);
}

/* All that it says; the caller owns it. */
static struct jval *inside_of(const struct body *b)
{
	const struct snapshot_info *i = &b->info;
	struct jval *in = jval_object();

	jval_put_int(in, "time", i->time);
	jval_put_text(in, "shop", i->shop);
	jval_put_text(in, "env", i->env);
	jval_put_text(in, "host", i->host);
	jval_put_text(in, "source", i->source);
	jval_put_text(in, "root", digest_text(&i->root).s);
	jval_put_int(in, "entries", (int64_t)i->entries);
	jval_put_int(in, "files", (int64_t)i->files);
	jval_put_int(in, "bytes", (int64_t)i->bytes);
	jval_put_int(in, "added", (int64_t)i->added);
	if (i->previous != NULL)
		jval_put_text(in, "previous", i->previous);
	put_base64(in, "manifest", &b->manifest);
	put_base64(in, "contents", &b->contents);
	return in;
}

static void write_signed(const struct body *b, struct buf *ret)
{
	struct jval *in SCOPED(jval_freep) = inside_of(b);

	jval_put_text(in, "id", b->info.id);
	buf_add(ret, signed_as, strlen(signed_as));
	jval_write(in, ret);
}

int body_sign(struct body *b, const struct sign_key *k, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(BODY_MAX);

	write_signed(b, &text);
	b->info.is_signed = true;
	return sign_bytes(k, text.data, text.len, &b->signature, e);
}

int body_check_signed(const struct body *b, const struct sign_wanted *by, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(BODY_MAX);
	const struct buf *sig = &b->signature;

	if (sig->len == 0)
		return err_set(e, ERR_VERIFY, "snapshot %s is not signed", b->info.id);
	write_signed(b, &text);
	for (size_t i = 0; i < by->keys_n; i++) {
		struct err other = ERR_INIT;

		if (sign_verify(by->keys[i], text.data, text.len, sig->data, sig->len, &other) == 0)
			return 0;
	}
	return err_set(e, ERR_VERIFY, "snapshot %s is signed by none of the keys", b->info.id);
}

void body_write(const struct seal_key *k, const struct body *b, struct buf *ret)
{
	struct jval *in SCOPED(jval_freep) = inside_of(b), *v SCOPED(jval_freep) = jval_object();
	struct buf plain SCOPED(buf_release) = BUF_INIT(BODY_MAX);
	struct buf sealed SCOPED(buf_release) = BUF_INIT(BODY_MAX);

	if (b->signature.len > 0)
		put_base64(in, "signature", &b->signature);
	jval_write(in, &plain);
	seal_whole(k, SEAL_SNAPSHOT, b->info.id, &plain, &sealed);
	jval_put_int(v, "posmedia-snapshot", 1);
	put_base64(v, "sealed", &sealed);
	jval_write_pretty(v, ret);
}

static int get_text(const struct jval *v, const char *name, char **ret)
{
	const char *text = jval_get_str(v, name);

	if (text == NULL || strlen(text) > 4096)
		return -1;
	*ret = mem_strdup(text);
	return 0;
}

static int get_count(const struct jval *v, const char *name, uint64_t *ret)
{
	int64_t n;

	if (jval_get_int(v, name, &n) != 0 || n < 0)
		return -1;
	*ret = (uint64_t)n;
	return 0;
}

static int get_record(const struct jval *v, const char *name, struct buf *ret)
{
	const char *text = jval_get_str(v, name);
	struct ids_record rec;

	if (text == NULL || base64_decode(text, ret) != 0 || buf_over(ret))
		return -1;
	return ids_take((const uint8_t *)ret->data, ret->len, &rec) == ret->len ? 0 : -1;
}

static int read_info(const struct jval *v, struct snapshot_info *i)
{
	const char *root = jval_get_str(v, "root");

	if (jval_get_int(v, "time", &i->time) != 0 || get_text(v, "shop", &i->shop) != 0 ||
	    get_text(v, "env", &i->env) != 0 || get_text(v, "host", &i->host) != 0 ||
	    get_text(v, "source", &i->source) != 0 || root == NULL ||
	    digest_parse(root, &i->root) != 0)
		return -1;
	if (get_count(v, "entries", &i->entries) != 0 || get_count(v, "files", &i->files) != 0 ||
	    get_count(v, "bytes", &i->bytes) != 0 || get_count(v, "added", &i->added) != 0)
		return -1;
	return jval_get(v, "previous") != NULL ? get_text(v, "previous", &i->previous) : 0;
}

static int read_inside(const struct jval *v, struct body *ret)
{
	const char *sig = jval_get_str(v, "signature");

	if (read_info(v, &ret->info) != 0)
		return -1;
	ret->info.is_signed = jval_get(v, "signature") != NULL;
	if (ret->info.is_signed &&
	    (sig == NULL || base64_decode(sig, &ret->signature) != 0 || buf_over(&ret->signature)))
		return -1;
	return get_record(v, "manifest", &ret->manifest) != 0 ||
		       get_record(v, "contents", &ret->contents) != 0
		   ? -1
		   : 0;
}

int body_read(const struct seal_key *k, const char *id, const struct buf *text, struct body *ret,
	      struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL, *in SCOPED(jval_freep) = NULL;
	char *object SCOPED(mem_freep) = mem_format("snapshots/%s.json", id);
	struct buf sealed SCOPED(buf_release) = BUF_INIT(BODY_MAX);
	struct buf plain SCOPED(buf_release) = BUF_INIT(BODY_MAX);
	const char *base64;
	int64_t version = 0;

	if (jval_parse(text->data, text->len, object, &v, e) != 0) {
		e->kind = ERR_VERIFY;
		return -1;
	}
	base64 = jval_get_str(v, "sealed");
	if (jval_get_int(v, "posmedia-snapshot", &version) != 0 || version != 1 || base64 == NULL ||
	    base64_decode(base64, &sealed) != 0 || buf_over(&sealed))
		return err_set(e, ERR_VERIFY, "%s: is no snapshot", object);
	if (seal_unwhole(k, SEAL_SNAPSHOT, id, &sealed, &plain, e) != 0)
		return err_in(e, "%s", object);
	if (jval_parse(plain.data, plain.len, id, &in, e) != 0 || read_inside(in, ret) != 0)
		return err_set(e, ERR_VERIFY, "%s: says what is not known", object);
	ret->info.id = mem_strdup(id);
	return 0;
}

int body_put(struct snapshot_repo *r, const struct body *b, struct err *e)
{
	char *object SCOPED(mem_freep) = mem_format("snapshots/%s.json", b->info.id);
	struct buf text SCOPED(buf_release) = BUF_INIT(BODY_MAX);

	body_write(&r->key, b, &text);
	fault_point("snapshot body");
	return objects_put_bytes(r->objects, object, text.data, text.len, e);
}

int body_get(struct snapshot_repo *r, const char *id, struct body *ret, struct err *e)
{
	char *object SCOPED(mem_freep) = mem_format("snapshots/%s.json", id);
	struct buf text SCOPED(buf_release) = BUF_INIT(BODY_MAX);
	int rc = objects_get(r->objects, object, &text, e);

	if (rc == 1)
		return err_set(e, ERR_VERIFY, "%s: is gone", object);
	return rc != 0 ? -1 : body_read(&r->key, id, &text, ret, e);
}
