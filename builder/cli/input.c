#include "cli/input.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *input_store_path(const struct args *a)
{
	const char *path = args_get(a, "store");

	if (path == NULL)
		path = getenv("POSMEDIA_STORE");
	return path != NULL && path[0] != '\0' ? path : "out/store";
}

int input_store(const struct args *a, struct store **ret, struct err *e)
{
	return store_open(input_store_path(a), ret, e);
}

char *input_lock_path(const struct args *a)
{
	const char *path = args_get(a, "lock");

	return path != NULL ? mem_strdup(path) : lock_path(a->rest.v[0]);
}

int input_locked(const struct args *a, struct recipe **ret_recipe, struct lock **ret_lock,
		 struct err *e)
{
	struct recipe *r SCOPED(recipe_freep) = NULL;
	struct lock *l SCOPED(lock_freep) = NULL;
	char *path SCOPED(mem_freep) = input_lock_path(a);

	if (recipe_load(a->rest.v[0], &r, e) != 0)
		return -1;
	if (access(path, F_OK) != 0) {
		(void)err_set(e, ERR_RECIPE, "%s: the recipe has no lock yet", path);
		return err_hint(e, "run posmedia lock %s", a->rest.v[0]);
	}
	if (lock_load(path, &l, e) != 0 || lock_check(l, r, path, e) != 0 ||
	    lock_lend_base(l, r, path, e) != 0)
		return -1;
	*ret_recipe = STEAL(r);
	*ret_lock = STEAL(l);
	return 0;
}

void image_release(struct image *i)
{
	ref_release(&i->ref);
	oci_layout_free(i->layout);
	oci_desc_release(&i->manifest);
	*i = (struct image){0};
}

int input_image(const char *text, struct image *ret, struct err *e)
{
	struct image i = {0};
	int rc = ref_parse(text, &i.ref, e);

	if (rc == 0 && i.ref.kind != REF_OCI) {
		rc = err_set(e, ERR_USAGE, "%s: wants oci:DIR[:TAG]", text);
		if (i.ref.kind == REF_DOCKER)
			(void)err_hint(e, "posmedia pull %s oci:DIR:TAG brings it here", text);
	}
	if (rc == 0)
		rc = oci_layout_open(i.ref.path, false, &i.layout, e);
	if (rc == 0)
		rc = oci_layout_find(i.layout, i.ref.tag, i.ref.has_digest ? &i.ref.digest : NULL,
				     &i.manifest, e);
	if (rc != 0) {
		image_release(&i);
		return -1;
	}
	*ret = i;
	return 0;
}

char *image_name(const char *layout, const char *tag, const struct digest *d)
{
	char *name SCOPED(mem_freep) = fs_basename(layout);

	return mem_format("%s%s%s@%s", name, tag[0] != '\0' ? ":" : "", tag, digest_text(d).s);
}

/* A registry's image is called what the registry calls it. */
static char *own_identity(const struct image *i)
{
	char *name SCOPED(mem_freep) = fs_basename(i->ref.path);

	if (i->ref.kind == REF_DOCKER)
		return mem_format("%s/%s:%s", i->ref.host, i->ref.path, i->ref.tag);
	return mem_format("localhost/%s:%s", name,
			  i->ref.kind == REF_S3 ? i->ref.tag : oci_desc_tag(&i->manifest));
}

int input_identity(const struct args *a, const struct image *i, char **ret, struct err *e)
{
	const char *given = args_get(a, "identity");
	char *text SCOPED(mem_freep) = given != NULL ? mem_strdup(given) : own_identity(i);
	struct ref r SCOPED(ref_release) = {0};

	if (ref_parse_docker(text, &r, e) != 0 || r.tag[0] == '\0' || r.has_digest) {
		(void)err_set(e, ERR_USAGE, "identity %s: wants HOST/REPOSITORY:TAG", text);
		return err_hint(e, "give --identity as the image will be called in its registry");
	}
	*ret = STEAL(text);
	return 0;
}

int input_identity_if(const struct args *a, const struct image *i, char **ret, struct err *e)
{
	struct err none = ERR_INIT;

	if (args_has(a, "identity"))
		return input_identity(a, i, ret, e);
	if (input_identity(a, i, ret, &none) != 0)
		*ret = NULL;
	return 0;
}

int input_identities(const struct args *a, const struct image *i, struct strv *ret, struct err *e)
{
	char *one = NULL;

	if (input_identity(a, i, &one, e) != 0)
		return -1;
	strv_take(ret, one);
	for (size_t n = 0; args_nth(a, "identity", n) != NULL; n++)
		if (!strv_has(ret, args_nth(a, "identity", n)))
			strv_add(ret, args_nth(a, "identity", n));
	return 0;
}

void passphrase_freep(char **p)
{
	if (*p != NULL)
		explicit_bzero(*p, strlen(*p));
	free(*p);
	*p = NULL;
}

int input_passphrase(const struct args *a, char **ret, struct err *e)
{
	return input_passphrase_of(a, "passphrase-file", ret, e);
}

int input_passphrase_of(const struct args *a, const char *option, char **ret, struct err *e)
{
	const char *path = args_get(a, option);
	struct buf b SCOPED(buf_release) = BUF_INIT(4096);

	if (path == NULL)
		return 0;
	if (fs_get(AT_FDCWD, path, &b, e) != 0)
		return -1;
	*ret = mem_strndup(b.data, strcspn(b.data, "\r\n"));
	explicit_bzero(b.data, b.len);
	if ((*ret)[0] != '\0')
		return 0;
	passphrase_freep(ret);
	return err_set(e, ERR_USAGE, "%s: the passphrase is empty", path);
}

int input_keys_of(const struct args *a, const char *option, struct keys *ret, struct err *e)
{
	for (const char *path; (path = args_nth(a, option, ret->n)) != NULL; ret->n++) {
		if (ret->n == KEYS_MAX)
			return err_set(e, ERR_USAGE, "more than %d keys", KEYS_MAX);
		if (sign_public_load(path, &ret->v[ret->n], e) != 0)
			return -1;
	}
	return 0;
}

int input_keys(const struct args *a, struct keys *ret, struct err *e)
{
	return input_keys_of(a, "key", ret, e);
}

void keys_release(struct keys *k)
{
	for (size_t i = 0; i < k->n; i++)
		sign_public_free(k->v[i]);
	*k = (struct keys){0};
}

int input_signers(const struct args *a, const char *option, struct signers *ret, struct err *e)
{
	if (input_keys_of(a, option, &ret->keys, e) != 0)
		return -1;
	ret->by = (struct sign_wanted){
	    .keys = ret->keys.v, .keys_n = ret->keys.n, .forms = SIGN_ALL_FORMS};
	ret->wanted = ret->keys.n > 0 ? &ret->by : NULL;
	return 0;
}

void signers_release(struct signers *s)
{
	keys_release(&s->keys);
}

int input_statement(const char *path, struct buf *ret, struct err *e)
{
	return fs_get_file(AT_FDCWD, path, ret, e);
}
