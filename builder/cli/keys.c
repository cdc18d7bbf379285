#include "cli/keys.h"

#include "base/fault.h"
#include "base/log.h"
#include "cli/noted.h"
#include "cli/object.h"
#include "cli/screen.h"
#include "sign/image.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DAY = 86400, EXPORT_MAX = 64 << 10, DAYS_MAX = 36500 };

char *key_base(const char *path)
{
	size_t n = strlen(path);

	return mem_strndup(path, n > 4 && strcmp(path + n - 4, ".pub") == 0 ? n - 4 : n);
}

int key_note(const struct args *a, const char *action, const char *path, struct err *e)
{
	struct sign_public *k SCOPED(sign_public_freep) = NULL;
	char *base SCOPED(mem_freep) = key_base(path), *uid SCOPED(mem_freep) = NULL;
	char *public SCOPED(mem_freep) = mem_format("%s.pub", base);
	struct err quiet = ERR_INIT;
	struct jval *v = jval_object();
	struct digest id;
	bool known = sign_public_load(public, &k, &quiet) == 0;
	int64_t created;

	jval_put_text(v, "action", action);
	jval_put_text(v, "file", base);
	if (known)
		id = sign_public_id(k);
	if (sign_key_about(base, &created, &uid, &quiet) == 0) {
		char *when SCOPED(mem_freep) = clock_rfc3339(created);

		jval_put_text(v, "created", when);
		jval_put_text(v, "uid", uid);
	}
	if (args_has(a, "key"))
		jval_put_text(v, "replaces", args_get(a, "key"));
	return noted_of(a, "key", known ? &id : NULL, v, e);
}

/* The passphrase of the copy. */
static int copy_passphrase(const struct args *a, char **ret, struct err *e)
{
	return input_passphrase_of(a, "export-passphrase-file", ret, e);
}

static int convert(const struct args *a, const struct sign_key *k, struct buf *ret, struct err *e)
{
	const char *as = args_get(a, "as"), *subject = args_get(a, "subject");
	char *secret SCOPED(passphrase_freep) = NULL, *uid SCOPED(mem_freep) = NULL;
	int64_t created;

	if (copy_passphrase(a, &secret, e) != 0)
		return -1;
	if (as != NULL && strcmp(as, "pkcs8") == 0)
		return sign_key_to_pkcs8(k, secret, ret, e);
	if (as != NULL && strcmp(as, "cosign") == 0) {
		if (secret == NULL)
			return err_set(e, ERR_USAGE, "cosign wants --export-passphrase-file");
		return sign_key_to_cosign(k, secret, ret, e);
	}
	if (as != NULL && strcmp(as, "openpgp") == 0) {
		if (sign_key_about(a->rest.v[1], &created, &uid, e) != 0)
			return -1;
		return sign_key_keyring(k, uid, ret, e);
	}
	if (as == NULL || strcmp(as, "request") != 0)
		return err_set(e, ERR_USAGE, "--as wants pkcs8, cosign, openpgp or request");
	if (subject == NULL)
		return err_set(e, ERR_USAGE, "a request wants --subject C=DE,O=Example,CN=release");
	return sign_key_request(k, subject, ret, e);
}

int key_export(const struct args *a, struct err *e)
{
	struct sign_key *k SCOPED(sign_key_freep) = NULL;
	char *secret SCOPED(passphrase_freep) = NULL;
	struct buf b SCOPED(buf_release) = BUF_INIT(EXPORT_MAX);
	const char *to = args_get(a, "output");
	int rc;

	if (to == NULL)
		return err_set(e, ERR_USAGE, "export wants --output FILE");
	if (access(to, F_OK) == 0 || errno != ENOENT)
		return err_set(e, ERR_BUSY, "%s: is there already", to);
	if (input_passphrase(a, &secret, e) != 0 || sign_key_load(a->rest.v[1], secret, &k, e) != 0)
		return -1;
	rc = convert(a, k, &b, e);
	if (rc == 0)
		rc = fs_put_path(to, b.data, b.len, 0600, e);
	explicit_bzero(b.data, b.len);
	return rc != 0 ? -1 : key_note(a, "export", a->rest.v[1], e);
}

/* Everything that the old key has called the image. */
static int identities(const struct image *i, struct sign_public *old, struct strv *ret,
		      struct err *e)
{
	struct sign_wanted w = {.keys = &old, .keys_n = 1};
	struct sign_report r SCOPED(sign_report_release) = {0};

	if (sign_image_verify(i->layout, &i->manifest, &w, &r, e) != 0)
		return -1;
	for (size_t n = 0; n < r.n; n++)
		if (!strv_has(ret, r.v[n].identity))
			strv_add(ret, r.v[n].identity);
	return 0;
}

static int note_signed(const struct args *a, const struct image *i, const struct strv *ids,
		       const struct sign_key *k, struct err *e)
{
	struct jval *v = jval_object(), *list = jval_array();
	struct digest id = sign_public_id(sign_key_public(k));

	for (size_t n = 0; n < ids->n; n++)
		jval_push(list, jval_text(ids->v[n]));
	jval_put(v, "identities", list);
	jval_put_text(v, "key", digest_text(&id).s);
	jval_put_text(v, "file", a->rest.v[1]);
	jval_put_text(v, "object", i->ref.path);
	return noted_of(a, "sign", &i->manifest.digest, v, e);
}

/* Each image is noted as it is signed: who dies between two has lost no line, and goes on. */
static int sign_again(const struct args *a, const char *name, struct sign_public *old,
		      const struct sign_key *k, struct err *e)
{
	struct image i SCOPED(image_release) = {0};
	struct strv ids SCOPED(strv_release) = {0};

	if (input_image(name, &i, e) != 0 ||
	    oci_layout_verify(i.layout, &i.manifest, NULL, NULL, e) != 0 ||
	    identities(&i, old, &ids, e) != 0)
		return -1;
	if (ids.n == 0)
		return err_set(e, ERR_VERIFY, "%s: the old key has not signed it", name);
	for (size_t n = 0; n < ids.n; n++) {
		if (sign_image(i.layout, &i.manifest, ids.v[n], k, clock_epoch_s(), e) != 0)
			return -1;
		printf("signed %s@%s\n", ids.v[n], digest_text(&i.manifest.digest).s);
	}
	return note_signed(a, &i, &ids, k, e);
}

/* What the policy should say meanwhile; it goes by the clock, whatever SOURCE_DATE_EPOCH says. */
static void advise(const char *old, const char *new, uint64_t overlap)
{
	char *until SCOPED(mem_freep) = clock_rfc3339(clock_wall_s() + (int64_t)overlap * DAY);
	char *was SCOPED(mem_freep) = key_base(old);

	printf("in the policy, until %.10s: keys: [{file: %s.pub, until: %.10s}, {file: %s.pub}]\n",
	       until, was, until, new);
}

int key_rotate(const struct args *a, struct err *e)
{
	const char *old = args_get(a, "key"), *new = a->rest.v[1], *uid = args_get(a, "uid");
	char *secret SCOPED(passphrase_freep) = NULL, *base SCOPED(mem_freep) = NULL;
	char *pub SCOPED(mem_freep) = NULL;
	struct sign_public *was SCOPED(sign_public_freep) = NULL;
	struct sign_key *k SCOPED(sign_key_freep) = NULL;
	uint64_t overlap = 30;

	if (old == NULL)
		return err_set(e, ERR_USAGE, "rotate wants the old --key FILE");
	base = key_base(old);
	pub = mem_format("%s.pub", base);
	if (args_num(a, "overlap", DAYS_MAX, &overlap, e) != 0 ||
	    sign_public_load(pub, &was, e) != 0 || input_passphrase(a, &secret, e) != 0)
		return -1;
	if (access(new, F_OK) != 0 &&
	    (sign_key_new(new, uid != NULL ? uid : "posmedia", secret, e) != 0 ||
	     key_note(a, "new", new, e) != 0))
		return -1;
	fault_point("rotate: made");
	if (sign_key_load(new, secret, &k, e) != 0)
		return -1;
	for (size_t i = 2; i < a->rest.n; i++)
		if (sign_again(a, a->rest.v[i], was, k, e) != 0)
			return -1;
	advise(old, new, overlap);
	return key_note(a, "rotate", new, e);
}

int key_age(const struct args *a, struct err *e)
{
	struct jval *list SCOPED(jval_freep) = jval_array();
	uint64_t max = 365, oldest = 0;

	if (args_num(a, "max-age", DAYS_MAX, &max, e) != 0)
		return -1;
	for (size_t i = 1; i < a->rest.n; i++) {
		char *base SCOPED(mem_freep) = key_base(a->rest.v[i]);
		int64_t created, age;
		struct jval *v;

		if (sign_key_about(base, &created, NULL, e) != 0)
			return -1;
		age = (clock_wall_s() - created) / DAY;
		v = jval_object();
		jval_put_text(v, "key", base);
		jval_put_int(v, "days", age);
		jval_push(list, v);
		if (!args_has(a, "json"))
			printf("%s: %lld days%s\n", base, (long long)age,
			       age > (int64_t)max ? ", too old" : "");
		oldest = age > (int64_t)oldest ? (uint64_t)age : oldest;
	}
	if (args_has(a, "json"))
		screen_json(list);
	if (oldest <= max)
		return 0;
	(void)err_set(e, ERR_VERIFY, "a key is older than %llu days", (unsigned long long)max);
	return err_hint(e, "posmedia key rotate NEW --key OLD IMAGE…");
}
