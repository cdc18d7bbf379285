#include "stash/parts.h"

#include "base/log.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORD_MEDIA "application/vnd.posmedia.stage.record.v1+json"
#define BLOB_MEDIA   "application/vnd.posmedia.stage.v1.tar+zstd"

enum { KEY_ID = 16, TRIES = 2 };

void stash_free(struct stash *c)
{
	if (c == NULL)
		return;
	stash_unclaim(c);
	if (c->opened)
		registry_close(&c->r);
	oci_layout_free(c->l);
	strv_release(&c->rejected);
	free(c->scratch);
	free(c->name);
	free(c->got);
	free(c);
}

void stash_freep(struct stash **c)
{
	stash_free(*c);
	*c = NULL;
}

int stash_open(const struct stash_opts *o, const char *scratch, struct stash **ret, struct err *e)
{
	struct stash *c SCOPED(stash_freep) = mem_zalloc(sizeof(*c));
	struct sign_key *k SCOPED(sign_key_freep) = NULL;

	c->o = *o;
	c->o.lease_s = o->lease_s != 0 ? o->lease_s : STASH_LEASE_S;
	c->o.wait_s = o->wait_s != 0 ? o->wait_s : STASH_WAIT_S;
	c->name = ref_text(o->at);
	c->scratch = mem_strdup(scratch);
	if (o->key != NULL) {
		if (o->key(o->ctx, &k, e) != 0)
			return -1;
		c->own = sign_public_id(sign_key_public(k));
	}
	*ret = STEAL(c);
	return 0;
}

bool stash_reads(const struct stash *c)
{
	return c->o.keys_n > 0;
}

bool stash_writes(const struct stash *c)
{
	return c->o.key != NULL;
}

const char *stash_dir(const struct stash *c)
{
	return c->scratch;
}

void stash_trouble(struct stash *c, const char *what, const struct err *why)
{
	if (intr_pending())
		return;
	log_warn("cache %s: %s%s%s", c->name, what != NULL ? what : "", what != NULL ? ": " : "",
		 why->msg);
	if (why->kind == ERR_REMOTE && !c->down) {
		log_warn("cache %s: it is not used any more in this build", c->name);
		c->down = true;
	}
}

bool stash_ready(struct stash *c)
{
	const struct remote_opts o = {.tries = TRIES};
	const struct registry_want want = {.actions = stash_writes(c) ? "pull,push" : "pull"};
	struct err why = ERR_INIT;

	if (c->down || intr_pending())
		return false;
	if (c->opened)
		return true;
	if (c->l == NULL && oci_layout_scratch(c->scratch, &c->l, &why) != 0) {
		c->down = true;
		stash_trouble(c, NULL, &why);
		return false;
	}
	if (registry_open(c->o.at, &o, &want, &c->r, &why) != 0) {
		why.kind = ERR_REMOTE;
		stash_trouble(c, NULL, &why);
		return false;
	}
	c->opened = true;
	return true;
}

/* Entries by different keys do not take each other's place. The caller owns it. */
static char *name_of(const struct digest *key, const struct digest *by)
{
	return mem_format("stage-%s-%.*s", digest_hex(key).s, KEY_ID, digest_hex(by).s);
}

/* Brings blobs into the scratch, each as its descriptor says. */
static int pull(struct stash *c, const struct oci_desc *d, struct err *e)
{
	struct remote_stats stats = {0};
	const struct carry carry = {.r = &c->r, .l = c->l, .stats = &stats};
	const struct blob_list list = {.v = &d, .n = 1, .bytes = d->size};

	return blobs_pull(&carry, &list, e);
}

/* Removes a blob from the scratch. */
static void drop(struct stash *c, const struct digest *d)
{
	char *path SCOPED(mem_freep) = mem_format("blobs/sha256/%s", digest_hex(d).s);

	(void)unlinkat(oci_layout_fd(c->l), path, 0);
}

/* Of a registry: the record is the first layer of a manifest. */
static int read_manifest(struct stash *c, const char *name, struct buf *ret, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_desc d SCOPED(oci_desc_release) = {0};
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	int rc = artifact_get(&c->r, name, &b, &d, e);

	if (rc != 0)
		return rc;
	if (oci_manifest_parse(b.data, b.len, &m, e) != 0) {
		e->kind = ERR_VERIFY;
		return -1;
	}
	if (m.layers_n != 2 || strcmp(m.layers[0].media_type, RECORD_MEDIA) != 0)
		return err_set(e, ERR_VERIFY, "its manifest is not that of a stage");
	if (m.layers[0].size > ret->max)
		return err_set(e, ERR_VERIFY, "its record is too large");
	if (pull(c, &m.layers[0], e) != 0 ||
	    oci_layout_read(c->l, &m.layers[0].digest, ret, e) != 0)
		return -1;
	drop(c, &m.layers[0].digest);
	return 0;
}

/* Of a bucket: it is an object of its own. */
static int read_object(struct stash *c, const char *name, struct buf *ret, struct err *e)
{
	char *url SCOPED(mem_freep) = registry_url(&c->r, "stages", name);
	struct http_request q = {.method = "GET", .url = url, .body_fd = -1};
	struct http_reply r = {0};
	int rc = 0;

	if (registry_send(&c->r, &q, &r, e) != 0)
		return -1;
	if (r.status == 404)
		rc = 1;
	else if (r.status != 200)
		rc = s3_refused(&q, &r, e);
	else
		buf_add(ret, r.body.data, r.body.len);
	http_reply_release(&r);
	if (buf_over(ret))
		return err_set(e, ERR_VERIFY, "its record is too large");
	return rc;
}

static int read_record(struct stash *c, const char *name, struct buf *ret, struct err *e)
{
	return c->r.s3 != NULL ? read_object(c, name, ret, e) : read_manifest(c, name, ret, e);
}

/* An entry as it is now: another record under its name is another entry. The caller owns it. */
static char *mark_of(const char *name, const struct buf *envelope)
{
	struct digest d = digest_of(envelope->data, envelope->len);

	return mem_format("%s %s", name, digest_hex(&d).s);
}

static void reject(struct stash *c, const char *mark)
{
	if (!strv_has(&c->rejected, mark))
		strv_add(&c->rejected, mark);
}

void stash_reject(struct stash *c)
{
	if (c->got != NULL)
		reject(c, c->got);
}

/* The entry by one key. */
static int get_by(struct stash *c, const struct digest *key, const struct sign_public *k,
		  struct stash_record *ret, int *ret_fd, struct err *e)
{
	struct digest by = sign_public_id(k);
	char *name SCOPED(mem_freep) = name_of(key, &by), *mark SCOPED(mem_freep) = NULL;
	struct buf envelope SCOPED(buf_release) = BUF_INIT(STASH_RECORD_MAX);
	struct stash_record r SCOPED(stash_record_release) = {.marks = NULL};
	char media[] = BLOB_MEDIA;
	uint64_t size = 0;
	int rc;

	rc = read_record(c, name, &envelope, e);
	if (rc > 0 || (rc < 0 && e->kind != ERR_VERIFY))
		return rc;
	mark = mark_of(name, &envelope);
	if (strv_has(&c->rejected, mark))
		return 1;
	if (rc == 0 && stash_record_open(&envelope, k, key, &r, e) == 0) {
		const struct oci_desc d = {.media_type = media, .digest = r.blob, .size = r.size};

		rc = pull(c, &d, e) != 0 ? -1 : oci_layout_blob(c->l, &r.blob, ret_fd, &size, e);
		drop(c, &r.blob);
	} else {
		rc = -1;
	}
	if (rc != 0) {
		/* a fault of this machine, a full disk say, is none of the entry's */
		if (e->kind == ERR_VERIFY || e->kind == ERR_REMOTE)
			reject(c, mark);
		/* a blob that is gone says nothing of the other entries */
		if (e->kind == ERR_REMOTE)
			e->kind = ERR_FAIL;
		return -1;
	}
	free(c->got);
	c->got = STEAL(mark);
	*ret = r;
	r = (struct stash_record){.marks = NULL};
	return 0;
}

int stash_get(struct stash *c, const struct digest *key, const char *what, struct stash_record *ret,
	      int *ret_fd, struct err *e)
{
	for (size_t i = 0; i < c->o.keys_n && stash_ready(c); i++) {
		struct err why = ERR_INIT;
		int rc = get_by(c, key, c->o.keys[i], ret, ret_fd, &why);

		if (rc == 0)
			return 0;
		if (rc < 0)
			stash_trouble(c, what, &why);
	}
	return intr_pending() ? intr_err(e) : 1;
}

/* The record by one key; nothing but that is fetched. */
static bool output_by(struct stash *c, const struct digest *key, const struct sign_public *k,
		      struct digest *ret)
{
	struct digest by = sign_public_id(k);
	char *name SCOPED(mem_freep) = name_of(key, &by), *mark SCOPED(mem_freep) = NULL;
	struct buf envelope SCOPED(buf_release) = BUF_INIT(STASH_RECORD_MAX);
	struct stash_record r SCOPED(stash_record_release) = {.marks = NULL};
	struct err quiet = ERR_INIT;

	if (read_record(c, name, &envelope, &quiet) != 0)
		return false;
	mark = mark_of(name, &envelope);
	if (strv_has(&c->rejected, mark) || stash_record_open(&envelope, k, key, &r, &quiet) != 0)
		return false;
	*ret = r.output;
	return true;
}

bool stash_output(struct stash *c, const struct digest *key, struct digest *ret)
{
	for (size_t i = 0; i < c->o.keys_n && stash_ready(c); i++)
		if (output_by(c, key, c->o.keys[i], ret))
			return true;
	return false;
}

/* What stands under the name of our own entry. */
enum own { OWN_NONE, OWN_GOOD, OWN_BAD };

static enum own own_entry(struct stash *c, const struct digest *key)
{
	char *name SCOPED(mem_freep) = name_of(key, &c->own), *mark SCOPED(mem_freep) = NULL;
	struct buf b SCOPED(buf_release) = BUF_INIT(STASH_RECORD_MAX);
	struct stash_record r SCOPED(stash_record_release) = {.marks = NULL};
	struct sign_key *k SCOPED(sign_key_freep) = NULL;
	struct err quiet = ERR_INIT;
	int rc = read_record(c, name, &b, &quiet);

	if (rc != 0)
		return rc < 0 && quiet.kind == ERR_VERIFY ? OWN_BAD : OWN_NONE;
	mark = mark_of(name, &b);
	if (strv_has(&c->rejected, mark) || c->o.key(c->o.ctx, &k, &quiet) != 0 ||
	    stash_record_open(&b, sign_key_public(k), key, &r, &quiet) != 0)
		return OWN_BAD;
	return OWN_GOOD;
}

void stash_supersede(struct stash *c, const struct digest *key)
{
	char *name SCOPED(mem_freep) = name_of(key, &c->own), *mark SCOPED(mem_freep) = NULL;
	struct buf b SCOPED(buf_release) = BUF_INIT(STASH_RECORD_MAX);
	struct err quiet = ERR_INIT;

	if (!stash_writes(c) || !stash_ready(c) || read_record(c, name, &b, &quiet) != 0)
		return;
	mark = mark_of(name, &b);
	reject(c, mark);
}

bool stash_wants(struct stash *c, const struct digest *key)
{
	if (!stash_writes(c) || !stash_ready(c))
		return false;
	return own_entry(c, key) != OWN_GOOD;
}

/* What a bucket has under that digest may be what is no good: it is sent again. */
static void forget_blob(struct stash *c, const struct digest *d)
{
	char *url SCOPED(mem_freep) = registry_url(&c->r, "blobs", digest_text(d).s);
	struct http_request q = {.method = "DELETE", .url = url, .body_fd = -1, .via = c->r.http};
	struct http_reply r = {0};
	struct err quiet = ERR_INIT;

	if (s3_send(c->r.s3, &q, NULL, &r, &quiet) == 0)
		http_reply_release(&r);
}

static int put_object(struct stash *c, const struct digest *key, const struct oci_desc *blob,
		      const struct buf *envelope, struct err *e)
{
	char *name SCOPED(mem_freep) = name_of(key, &c->own);
	char *url SCOPED(mem_freep) = registry_url(&c->r, "stages", name);
	struct remote_stats stats = {0};
	const struct carry carry = {.r = &c->r, .l = c->l, .stats = &stats};
	const struct blob_list list = {.v = &blob, .n = 1, .bytes = blob->size};
	bool again = own_entry(c, key) == OWN_BAD;
	const struct s3_put p = {.url = url,
				 .type = RECORD_MEDIA,
				 .p = envelope->data,
				 .n = envelope->len,
				 .once = !again};

	if (again)
		forget_blob(c, &blob->digest);
	if (blobs_push(&carry, &list, e) != 0)
		return -1;
	return s3_put(c->r.s3, c->r.http, &p, e);
}

static int put_manifest(struct stash *c, const char *name, const struct oci_desc *blob,
			const struct buf *envelope, struct err *e)
{
	char empty[] = OCI_EMPTY, record[] = RECORD_MEDIA, type[] = RECORD_MEDIA,
	     manifest[] = OCI_MANIFEST;
	struct oci_desc layers[2] = {{.media_type = record, .size = envelope->len}, *blob};
	struct oci_manifest m = {.config = {.media_type = empty, .size = 2},
				 .layers = layers,
				 .layers_n = 2,
				 .artifact_type = type};
	struct oci_desc d = {.media_type = manifest};
	struct buf text SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct remote_stats stats = {0};
	const struct carry carry = {.r = &c->r, .l = c->l, .stats = &stats};

	if (oci_layout_add(c->l, envelope->data, envelope->len, &layers[0].digest, e) != 0 ||
	    oci_layout_add(c->l, "{}", 2, &m.config.digest, e) != 0)
		return -1;
	oci_manifest_write(&m, &text);
	if (oci_layout_add(c->l, text.data, text.len, &d.digest, e) != 0)
		return -1;
	d.size = text.len;
	return artifact_push(&carry, &d, name, e);
}

static int seal(struct stash *c, const struct stash_record *r, struct buf *ret, struct err *e)
{
	struct sign_key *k SCOPED(sign_key_freep) = NULL;

	return c->o.key(c->o.ctx, &k, e) != 0 ? -1 : stash_record_seal(r, k, ret, e);
}

int stash_put(struct stash *c, const struct stash_record *r, const struct stash_file *f,
	      const char *what, struct err *e)
{
	char *name SCOPED(mem_freep) = name_of(&r->key, &c->own);
	struct buf envelope SCOPED(buf_release) = BUF_INIT(STASH_RECORD_MAX);
	char media[] = BLOB_MEDIA;
	const struct oci_desc blob = {.media_type = media, .digest = r->blob, .size = r->size};
	struct err why = ERR_INIT;
	int rc;

	if (!stash_writes(c) || !stash_ready(c))
		return intr_pending() ? intr_err(e) : 0;
	rc = seal(c, r, &envelope, &why);
	if (rc == 0)
		rc = oci_layout_adopt(c->l, f->name, f->fd, &r->blob, &why);
	if (rc == 0)
		rc = c->r.s3 != NULL ? put_object(c, &r->key, &blob, &envelope, &why)
				     : put_manifest(c, name, &blob, &envelope, &why);
	drop(c, &r->blob);
	if (rc != 0)
		stash_trouble(c, what, &why);
	return intr_pending() ? intr_err(e) : 0;
}
