#include "sign/file.h"

#include "form/hex.h"
#include "sign/dsse.h"
#include "sign/openpgp.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { SIGNATURE_MAX = 1 << 20 };

static const char *const suffix[SIGN_FORMS] = {".pgp", ".sig", ".sigstore.json"};

const char *sign_file_suffix(enum sign_form form)
{
	return suffix[form];
}

/* Of what is signed, in memory or in a file: its digest, and its bytes in a hash that goes on:
 * OpenPGP hashes something after them. */
struct sums {
	struct digest digest;
	struct hash *open;
};

static void sums_release(struct sums *s)
{
	hash_free(s->open);
}

static void sum_up_text(const struct buf *text, struct sums *ret)
{
	ret->digest = digest_of(text->data, text->len);
	ret->open = hash_new();
	hash_add(ret->open, text->data, text->len);
}

static int read_through(int fd, struct sums *ret, struct err *e)
{
	enum { CHUNK = 1 << 18 };
	struct hash *h SCOPED(hash_freep) = hash_new();
	char *chunk SCOPED(mem_freep) = mem_zalloc(CHUNK);
	ssize_t n;

	ret->open = hash_new();
	while ((n = read(fd, chunk, CHUNK)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "read");
		hash_add(h, chunk, (size_t)n);
		hash_add(ret->open, chunk, (size_t)n);
	}
	ret->digest = hash_final(h);
	return 0;
}

static int sum_up(const char *path, struct sums *ret, struct err *e)
{
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_USAGE, "%s: not a file", path);
	return read_through(fd, ret, e) != 0 ? err_in(e, "%s", path) : 0;
}

static int make(const struct sign_key *k, int64_t time, struct sums *s, struct buf *v,
		struct err *e)
{
	struct buf der SCOPED(buf_release) = BUF_INIT(128);
	char *text SCOPED(mem_freep) = NULL;

	if (openpgp_detached(k, time, s->open, &v[SIGN_OPENPGP], e) != 0 ||
	    bundle_of_file(&s->digest, k, &v[SIGN_BUNDLE], e) != 0 ||
	    sign_digest(k, &s->digest, &der, e) != 0)
		return -1;
	text = base64_encode(der.data, der.len);
	buf_addf(&v[SIGN_COSIGN], "%s\n", text);
	return 0;
}

static int put_all(const char *path, const struct sign_key *k, int64_t timestamp, struct sums *s,
		   struct err *e)
{
	struct buf v[SIGN_FORMS];
	int rc;

	for (int i = 0; i < SIGN_FORMS; i++)
		v[i] = (struct buf)BUF_INIT(SIGNATURE_MAX);
	rc = make(k, timestamp, s, v, e);
	for (int i = 0; i < SIGN_FORMS; i++) {
		char *to SCOPED(mem_freep) = mem_format("%s%s", path, suffix[i]);

		if (rc == 0)
			rc = fs_put_path(to, v[i].data, v[i].len, 0644, e);
		buf_release(&v[i]);
	}
	return rc == 0 ? 0 : err_in(e, "sign %s", path);
}

int sign_file(const char *path, const struct sign_key *k, int64_t timestamp, struct digest *ret,
	      struct err *e)
{
	struct sums s SCOPED(sums_release) = {0};

	if (sum_up(path, &s, e) != 0)
		return err_in(e, "sign %s", path);
	*ret = s.digest;
	return put_all(path, k, timestamp, &s, e);
}

int sign_file_text(const char *path, const struct buf *text, const struct sign_key *k,
		   int64_t timestamp, struct err *e)
{
	struct sums s SCOPED(sums_release) = {0};

	sum_up_text(text, &s);
	return put_all(path, k, timestamp, &s, e);
}

static int check_raw(const struct sign_public *k, const struct buf *sig, const struct digest *d,
		     struct err *e)
{
	char *text SCOPED(mem_freep) = mem_strndup(sig->data, strcspn(sig->data, "\r\n"));
	struct buf der SCOPED(buf_release) = BUF_INIT(128);

	if (base64_decode(text, &der) != 0 || buf_over(&der))
		return err_set(e, ERR_VERIFY, "is not base64");
	return sign_verify_digest(k, d, der.data, der.len, e);
}

/* A file that is looked at. */
struct looked {
	const char *path;
	struct digest digest;
	const struct sign_authority *tsa; /* or NULL */
};

/* A hash that has been ended cannot go on: OpenPGP's is made anew for each key, of the same bytes.
 */
static int check_pgp(const struct looked *f, const struct sign_public *k, const struct buf *sig,
		     int64_t *ret_time, struct err *e)
{
	struct sums s SCOPED(sums_release) = {0};

	if (sum_up(f->path, &s, e) != 0)
		return -1;
	if (!digest_equal(&s.digest, &f->digest))
		return err_set(e, ERR_VERIFY, "%s changed meanwhile", f->path);
	return openpgp_detached_check(k, sig, s.open, ret_time, e);
}

/* ret has the form, and gets what else the signature says. */
static int check_one(const struct looked *f, const struct sign_public *k, const struct buf *sig,
		     struct sign_found *ret, struct err *e)
{
	if (ret->form == SIGN_OPENPGP)
		return check_pgp(f, k, sig, &ret->time, e);
	return ret->form == SIGN_COSIGN
		   ? check_raw(k, sig, &f->digest, e)
		   : bundle_check_file(sig, k, f->tsa, &f->digest, &ret->stamped, e);
}

/* Returns 1 when there is none of the form. */
static int check_form(const struct looked *f, enum sign_form form, const struct sign_wanted *w,
		      struct sign_found *ret, struct err *e)
{
	char *from SCOPED(mem_freep) = mem_format("%s%s", f->path, suffix[form]);
	struct buf sig SCOPED(buf_release) = BUF_INIT(SIGNATURE_MAX);

	if (access(from, F_OK) != 0 && errno == ENOENT)
		return 1;
	if (fs_get_file(AT_FDCWD, from, &sig, e) != 0)
		return -1;
	(void)err_set(e, ERR_VERIFY, "no key was given");
	for (size_t i = 0; i < w->keys_n; i++) {
		struct sign_found found = {.form = form};

		if (check_one(f, w->keys[i], &sig, &found, e) != 0)
			continue;
		found.identity = fs_basename(f->path);
		found.key = sign_public_id(w->keys[i]);
		*ret = found;
		return 0;
	}
	e->kind = ERR_VERIFY;
	return err_in(e, "%s", from);
}

static int check_forms(const struct looked *file, const struct sign_wanted *w,
		       struct sign_report *r, struct err *e)
{
	for (int form = 0; form < SIGN_FORMS; form++) {
		struct sign_found f;
		int rc;

		if ((w->forms & 1U << form) == 0)
			continue;
		rc = check_form(file, (enum sign_form)form, w, &f, e);
		if (rc < 0)
			return -1;
		if (rc == 1) {
			(void)err_set(e, ERR_VERIFY, "%s%s is not there", file->path, suffix[form]);
			return err_hint(e, "posmedia sign %s makes it", file->path);
		}
		r->v = mem_resize(r->v, r->n + 1, sizeof(*r->v));
		r->v[r->n++] = f;
	}
	return 0;
}

int sign_file_verify(const char *path, const struct sign_wanted *want, struct digest *ret_digest,
		     struct sign_report *ret, struct err *e)
{
	struct sums s SCOPED(sums_release) = {0};
	struct sign_report r = {0};
	struct looked file;

	if (sum_up(path, &s, e) != 0)
		return -1;
	file = (struct looked){path, s.digest, want->tsa};
	if (check_forms(&file, want, &r, e) != 0) {
		sign_report_release(&r);
		return -1;
	}
	*ret_digest = s.digest;
	*ret = r;
	return 0;
}
