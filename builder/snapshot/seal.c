#include "snapshot/seal.h"

#include "form/hex.h"
#include "form/json.h"
#include "snapshot/snapshot.h"
#include <stdlib.h>
#include <string.h>

enum { FORMAT = 1, FORMAT_MAX = 16 << 10 };

/* What the wrapped key is vouched for along with. */
static const char wrapped_as[] = "posmedia snapshots 1";

static void also_of(const uint8_t head[SEAL_HEAD], const char *name, struct buf *ret)
{
	buf_add(ret, head, SEAL_HEAD);
	buf_add(ret, name, strlen(name));
}

static struct aead *aead_of(const uint8_t key[AEAD_KEY], uint8_t *wipe)
{
	struct aead *a = aead_new(key);

	explicit_bzero(wipe, AEAD_KEY);
	return a;
}

static void put_bytes(struct jval *v, const char *name, const void *p, size_t n)
{
	char *text SCOPED(mem_freep) = base64_encode(p, n);

	jval_put_text(v, name, text);
}

int seal_key_new(const struct key_from *secret, const struct key_cost *cost, struct buf *ret_text,
		 struct err *e)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct jval *kdf = jval_object();
	uint8_t salt[SEAL_SALT], stretched[AEAD_KEY], wrapped[AEAD_KEY + AEAD_TAG];
	const struct key_from from = {secret->key, salt, secret->key_n, sizeof(salt)};
	const struct aead_box box = aead_box(0, wrapped_as, sizeof(wrapped_as) - 1);
	struct aead *a SCOPED(aead_freep) = NULL;
	struct seal_key k;

	key_random(salt, sizeof(salt));
	if (key_stretch(&from, cost, stretched, AEAD_KEY, e) != 0)
		return -1;
	key_random(k.master, sizeof(k.master));
	a = aead_of(stretched, stretched);
	aead_seal(a, &box, k.master, AEAD_KEY, wrapped);
	explicit_bzero(&k, sizeof(k));
	jval_put_text(kdf, "name", "scrypt");
	jval_put_int(kdf, "n", (int64_t)cost->n);
	jval_put_int(kdf, "r", (int64_t)cost->r);
	jval_put_int(kdf, "p", (int64_t)cost->p);
	put_bytes(kdf, "salt", salt, sizeof(salt));
	jval_put_int(v, "posmedia-snapshots", FORMAT);
	jval_put_int(v, "grid", SNAPSHOT_GRID);
	jval_put(v, "kdf", kdf);
	put_bytes(v, "key", wrapped, sizeof(wrapped));
	jval_write_pretty(v, ret_text);
	return 0;
}

/* A member of exactly n bytes in base64. */
static int get_bytes(const struct jval *v, const char *name, uint8_t *ret, size_t n)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(256);
	const char *text = jval_get_str(v, name);

	if (text == NULL || base64_decode(text, &b) != 0 || buf_over(&b) || b.len != n)
		return -1;
	memcpy(ret, b.data, n);
	return 0;
}

static int get_u64(const struct jval *v, const char *name, uint64_t *ret)
{
	int64_t i;

	if (jval_get_int(v, name, &i) != 0 || i < 0)
		return -1;
	*ret = (uint64_t)i;
	return 0;
}

static int check_format(const struct jval *v, struct err *e)
{
	int64_t format = 0, grid = 0;

	if (jval_get_int(v, "posmedia-snapshots", &format) != 0)
		return err_set(e, ERR_VERIFY, "format.json: is not of a repository of snapshots");
	if (format != FORMAT) {
		(void)err_set(e, ERR_VERIFY, "format.json: format %lld, and only %d is known",
			      (long long)format, FORMAT);
		return err_hint(e, "use the program that made it, or a newer one");
	}
	if (jval_get_int(v, "grid", &grid) != 0 || grid != SNAPSHOT_GRID)
		return err_set(e, ERR_VERIFY, "format.json: a grid of %lld bytes, not of %d",
			       (long long)grid, SNAPSHOT_GRID);
	return 0;
}

int seal_key_parse(const char *text, size_t text_n, const struct key_from *secret,
		   struct seal_key *ret, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	const struct jval *kdf;
	const char *name;
	uint8_t salt[SEAL_SALT], stretched[AEAD_KEY], wrapped[AEAD_KEY + AEAD_TAG];
	struct aead_box box = aead_box(0, wrapped_as, sizeof(wrapped_as) - 1);
	struct key_from from = {secret->key, salt, secret->key_n, sizeof(salt)};
	struct aead *a SCOPED(aead_freep) = NULL;
	struct key_cost cost;

	if (jval_parse(text, text_n, "format.json", &v, e) != 0 || check_format(v, e) != 0)
		return -1;
	kdf = jval_get(v, "kdf");
	name = jval_get_str(kdf, "name");
	if (name == NULL || strcmp(name, "scrypt") != 0 || get_u64(kdf, "n", &cost.n) != 0 ||
	    get_u64(kdf, "r", &cost.r) != 0 || get_u64(kdf, "p", &cost.p) != 0 ||
	    get_bytes(kdf, "salt", salt, sizeof(salt)) != 0 ||
	    get_bytes(v, "key", wrapped, sizeof(wrapped)) != 0)
		return err_set(e, ERR_VERIFY, "format.json: what the key is wrapped in is damaged");
	if (key_stretch(&from, &cost, stretched, sizeof(stretched), e) != 0)
		return err_in(e, "format.json");
	a = aead_of(stretched, stretched);
	if (aead_open(a, &box, wrapped, sizeof(wrapped), ret->master) == 0)
		return 0;
	(void)err_set(e, ERR_VERIFY, "the secret does not open this repository");
	return err_hint(e, "use the secret that it was made with");
}

int seal_key_read(struct objects *o, const void *secret, size_t n, struct seal_key *ret,
		  struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(FORMAT_MAX);
	int rc = objects_get(o, "format.json", &text, e);

	if (rc != 0)
		return rc;
	return seal_key_parse(text.data, text.len, &(struct key_from){secret, NULL, n, 0}, ret, e);
}

struct mac *seal_mac(const struct seal_key *k)
{
	uint8_t key[AEAD_KEY];
	struct mac *m;

	key_derive(&(struct key_from){k->master, NULL, AEAD_KEY, 0}, "posmedia block names 1", key,
		   sizeof(key));
	m = mac_new(key, sizeof(key));
	explicit_bzero(key, sizeof(key));
	return m;
}

void seal_head(const char *magic, uint8_t ret[SEAL_HEAD])
{
	memcpy(ret, magic, SEAL_MAGIC);
	key_random(ret + SEAL_MAGIC, SEAL_SALT);
}

struct aead *seal_aead(const struct seal_key *k, const uint8_t head[SEAL_HEAD])
{
	char what[SEAL_MAGIC + 1] = "";
	uint8_t key[AEAD_KEY];

	memcpy(what, head, SEAL_MAGIC);
	key_derive(&(struct key_from){k->master, head + SEAL_MAGIC, AEAD_KEY, SEAL_SALT}, what, key,
		   sizeof(key));
	return aead_of(key, key);
}

void seal_whole(const struct seal_key *k, const char *magic, const char *name,
		const struct buf *plain, struct buf *ret)
{
	struct buf also SCOPED(buf_release) = BUF_INIT(4096);
	uint8_t head[SEAL_HEAD];
	uint8_t *out SCOPED(mem_freep) = mem_resize(NULL, plain->len + AEAD_TAG, 1);
	struct aead *a SCOPED(aead_freep) = NULL;
	struct aead_box box;

	seal_head(magic, head);
	a = seal_aead(k, head);
	also_of(head, name, &also);
	box = aead_box(0, also.data, also.len);
	aead_seal(a, &box, plain->data, plain->len, out);
	buf_add(ret, head, sizeof(head));
	buf_add(ret, out, plain->len + AEAD_TAG);
}

int seal_unwhole(const struct seal_key *k, const char *magic, const char *name,
		 const struct buf *sealed, struct buf *ret, struct err *e)
{
	struct buf also SCOPED(buf_release) = BUF_INIT(4096);
	const uint8_t *p = (const uint8_t *)sealed->data;
	uint8_t *out SCOPED(mem_freep) = NULL;
	struct aead *a SCOPED(aead_freep) = NULL;
	struct aead_box box;

	if (sealed->len < SEAL_HEAD + AEAD_TAG || memcmp(p, magic, SEAL_MAGIC) != 0)
		return err_set(e, ERR_VERIFY, "is not what it should be");
	a = seal_aead(k, p);
	also_of(p, name, &also);
	box = aead_box(0, also.data, also.len);
	out = mem_resize(NULL, sealed->len - SEAL_HEAD, 1);
	if (aead_open(a, &box, p + SEAL_HEAD, sealed->len - SEAL_HEAD, out) != 0)
		return err_set(e, ERR_VERIFY, "is damaged, or of another repository");
	buf_add(ret, out, sealed->len - SEAL_HEAD - AEAD_TAG);
	return buf_over(ret) ? err_set(e, ERR_VERIFY, "is too large") : 0;
}
