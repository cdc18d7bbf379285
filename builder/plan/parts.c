#include "plan/parts_kind.h"

#include "archive/pack.h"
#include "recipe/answers.h"
#include "sandbox/sandbox.h"
#include "shim/image.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Raised when the engine itself changes what it makes from the same inputs. */
enum { ENGINE = 4 };

/* The same for what hardening looks at and refuses. */
enum { VERDICT = 3 };

/* The same for how an image's tree becomes layers. */
enum { LAYERING = 2 };

struct jval *parts_fresh(const char *kind)
{
	struct jval *v = jval_object();

	jval_put_text(v, "kind", kind);
	jval_put_int(v, "engine", ENGINE);
	jval_put_text(v, "sandbox", sandbox_policy_id());
	return v;
}

void parts_take(struct jval *to, const struct recipe *r, const char *key)
{
	struct jval *v = jval_get(r->resolved, key);

	if (v != NULL)
		jval_put(to, key, jval_ref(v));
}

static struct jval *names_of(const struct strv *l)
{
	struct jval *v = jval_array();

	for (size_t i = 0; i < l->n; i++)
		jval_push(v, jval_text(l->v[i]));
	return v;
}

static int input_file(const char *path, const char *name, struct jval *to, struct err *e)
{
	int fd SCOPED(fd_closep) = open(path, O_RDONLY | O_CLOEXEC);
	char *what SCOPED(mem_freep) = NULL;
	struct digest d;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "open %s", path);
	if (digest_fd(fd, &d, NULL, e) != 0)
		return -1;
	what = mem_format("%s %s", st.st_mode & 0100 ? "program" : "file", digest_text(&d).s);
	jval_put_text(to, name, what);
	return 0;
}

/* Packages of rpm are checked against these when they are installed: what other keys let in is
 * another tree. apt's are as the index that its keyring signed has them. */
static int put_keys(const struct recipe *r, struct jval *v, struct err *e)
{
	struct strv keys SCOPED(strv_release) = {0};
	struct jval *o;

	if (r->base != RECIPE_DNF)
		return 0;
	recipe_base_files(r, &keys);
	o = jval_object();
	jval_put(v, "key", o);
	for (size_t i = 0; i < keys.n; i++) {
		char *name SCOPED(mem_freep) = recipe_path(r, keys.v[i]);

		if (input_file(keys.v[i], name, o, e) != 0)
			return -1;
	}
	return 0;
}

int parts_base(const struct recipe *r, const struct lock *l, struct jval **ret, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = parts_fresh("base");
	struct jval *packages = jval_object(), *order = jval_array();

	jval_put(v, "package", packages);
	jval_put(v, "order", order);
	for (size_t i = 0; i < l->packages_n; i++) {
		const struct lock_package *p = &l->packages[i];
		char *name SCOPED(mem_freep) = mem_format("%s:%s", p->name, p->arch);
		char *what SCOPED(mem_freep) =
		    mem_format("%s %s", p->version, digest_text(&p->digest).s);

		jval_put_text(packages, name, what);
	}
	for (size_t i = 0; i < l->batches_n; i++)
		jval_push(order, names_of(&l->batches[i].names));
	if (r->base == RECIPE_OCI)
		jval_put_text(v, "image", digest_text(&r->plain->image).s);
	if (recipe_base_tar(r) != NULL)
		jval_put_text(v, "tar", digest_text(&recipe_base_tar(r)->digest).s);
	jval_put_int(v, "epoch", l->epoch);
	jval_put(v, "docs", jval_bool(r->docs));
	jval_put(v, "langs", names_of(&r->langs));
	jval_put(v, "remove", names_of(&r->remove));
	if (put_keys(r, v, e) != 0)
		return -1;
	*ret = STEAL(v);
	return 0;
}

struct jval *parts_users(const struct recipe *r)
{
	struct jval *v = parts_fresh("users");

	parts_take(v, r, "users");
	parts_take(v, r, "groups");
	return v;
}

/* What the step can fetch: it has no other network. */
static struct jval *recorded(const struct lock_recorded *v, size_t n)
{
	struct jval *o = jval_object();

	for (size_t i = 0; i < n; i++) {
		struct jval *one = lock_recorded_json(&v[i], 1);
		struct buf b SCOPED(buf_release) = BUF_INIT(64 << 10);
		struct digest d;

		jval_write(one, &b);
		jval_free(one);
		d = digest_of(b.data, b.len);
		jval_put_text(o, v[i].url, digest_text(&d).s);
	}
	return o;
}

char *parts_plain_name(const char *name)
{
	struct buf b = BUF_INIT(3 * 4096 + 1);

	for (; *name != '\0'; name++)
		if (*name > ' ' && *name < 0x7f && *name != '%')
			buf_add(&b, name, 1);
		else
			buf_addf(&b, "%%%02X", (unsigned char)*name);
	return buf_take(&b);
}

/* What of a medium the step can see: the bytes, which of them, and the name of a file. */
static struct jval *medium(const struct recipe_media *m)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(64 << 10);

	char *file SCOPED(mem_freep) = parts_plain_name(m->file);

	buf_addf(&b, "%s %s%s", digest_text(&m->digest).s, m->as_file ? "file " : "", file);
	for (size_t i = 0; i < m->inside.n; i++) {
		char *path SCOPED(mem_freep) = parts_plain_name(m->inside.v[i]);

		buf_addf(&b, " in %s", path);
	}
	return jval_text(b.data);
}

/* What starts a step's services and mounts its images decides with it what comes out. */
static void put_shim(struct jval *v)
{
	size_t n = 0;
	const void *p = shim_image(&n);
	struct digest d = digest_of(p, n);

	jval_put_text(v, "shim", digest_text(&d).s);
}

struct jval *parts_step(const struct recipe *r, const struct lock *l, const struct recipe_step *s)
{
	struct jval *v = parts_fresh("step"), *media = jval_object();
	size_t at = (size_t)(s - r->steps), n = 0;
	const struct lock_recorded *v_recorded = lock_recorded_of(l, s->name, &n);

	jval_put(v, "step", jval_ref(jval_at(jval_get(r->resolved, "steps"), at)));
	for (size_t i = 0; i < s->mounts_n; i++) {
		const struct recipe_media *m = recipe_media_find(r, s->mounts[i].media);

		if (m != NULL)
			jval_put(media, m->name, medium(m));
	}
	jval_put(v, "medium", media);
	if (n > 0)
		jval_put(v, "recorded", recorded(v_recorded, n));
	if (s->dialogue != NULL)
		jval_put_text(v, "answers", digest_text(&s->dialogue->digest).s);
	if (s->expects.shim || s->expects.loop)
		put_shim(v);
	return v;
}

static int hash_file(const struct fs_entry *en, struct digest *ret, struct err *e)
{
	int fd SCOPED(fd_closep) =
	    openat(en->parent_fd, en->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open %s", en->path);
	return digest_fd(fd, ret, NULL, e);
}

/* An overlay entry by type, executable bit and content: what the build takes over from it. */
static int overlay_entry(void *ctx, const struct fs_entry *en, struct err *e)
{
	struct jval *files = ctx;
	char *what SCOPED(mem_freep) = NULL, *link SCOPED(mem_freep) = NULL;
	char *name SCOPED(mem_freep) = parts_plain_name(en->path);
	char target[4097];
	struct digest d;
	ssize_t n;

	if (S_ISDIR(en->st.st_mode)) {
		what = mem_strdup("directory");
	} else if (S_ISLNK(en->st.st_mode)) {
		n = readlinkat(en->parent_fd, en->name, target, sizeof(target) - 1);
		if (n < 0)
			return err_sys(e, "read %s", en->path);
		target[n] = '\0';
		link = parts_plain_name(target);
		what = mem_format("link %s", link);
	} else if (S_ISREG(en->st.st_mode)) {
		if (hash_file(en, &d, e) != 0)
			return -1;
		what = mem_format("%s %s", en->st.st_mode & 0100 ? "program" : "file",
				  digest_text(&d).s);
	} else {
		return err_set(e, ERR_RECIPE, "%s: neither a file, a directory nor a link",
			       en->path);
	}
	jval_put_text(files, name, what);
	return 0;
}

static int overlay_parts(const struct recipe_overlay *o, struct jval **ret, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	char *owner SCOPED(mem_freep) = mem_format("%s %u:%u", o->to, o->uid, o->gid);
	int fd SCOPED(fd_closep) = -1;

	if (fs_open_dir(AT_FDCWD, o->from, &fd, e) != 0 || fs_walk(fd, overlay_entry, v, e) != 0)
		return err_in(e, "overlay %s", o->from);
	jval_put_text(v, "/", owner);
	*ret = STEAL(v);
	return 0;
}

/* Every profile in the directory counts: one may extend another. */
static int profile_parts(const char *path, struct jval *to, struct err *e)
{
	char *dir SCOPED(mem_freep) = fs_dirname(path);
	struct strv names SCOPED(strv_release) = {0};

	if (fs_list(AT_FDCWD, dir, &names, e) != 0)
		return err_in(e, "profiles");
	for (size_t i = 0; i < names.n; i++) {
		char *file SCOPED(mem_freep) = fs_join(dir, names.v[i]);
		size_t n = strlen(names.v[i]);

		if (n < 5 || strcmp(names.v[i] + n - 5, ".yaml") != 0)
			continue;
		if (input_file(file, names.v[i], to, e) != 0)
			return err_in(e, "profiles");
	}
	return 0;
}

/* A waiver that has run out changes what hardening does, on the day it runs out. */
static struct jval *expired_waivers(const struct recipe *r)
{
	char *now SCOPED(mem_freep) = clock_rfc3339(clock_epoch_s());
	struct jval *v = jval_array();

	for (size_t i = 0; i < r->waivers_n; i++)
		if (strncmp(r->waivers[i].until, now, 10) < 0)
			jval_push(v, jval_text(r->waivers[i].control));
	for (size_t i = 0; i < r->allow_n; i++)
		if (r->allow[i].until != NULL && strncmp(r->allow[i].until, now, 10) < 0)
			jval_push(v, jval_text(digest_hex(&r->allow[i].sha256).s));
	return v;
}

int parts_overlays(const struct recipe *r, struct jval **ret, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = parts_fresh("overlays");
	struct jval *overlays = jval_array();

	jval_put(v, "overlay", overlays);
	for (size_t i = 0; i < r->overlays_n; i++) {
		struct jval *one = NULL;

		if (overlay_parts(&r->overlays[i], &one, e) != 0)
			return -1;
		jval_push(overlays, one);
	}
	*ret = STEAL(v);
	return 0;
}

int parts_config(const struct recipe *r, struct jval **ret, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = parts_fresh("config");
	struct jval *profiles = jval_object();

	jval_put(v, "profile", profiles);
	for (size_t i = 0; i < r->profiles.n; i++)
		if (profile_parts(r->profiles.v[i], profiles, e) != 0)
			return -1;
	parts_take(v, r, "services");
	parts_take(v, r, "ports");
	parts_take(v, r, "hardening");
	jval_put_int(v, "verdict", VERDICT);
	/* its layers are judged, and two images may have one tree */
	if (r->base == RECIPE_OCI)
		jval_put_text(v, "image", digest_text(&r->plain->image).s);
	jval_put(v, "expired-waivers", expired_waivers(r));
	*ret = STEAL(v);
	return 0;
}

int parts_inputs(const struct recipe *r, const struct lock *l, const struct jval *overlays,
		 const struct jval *config, struct jval **ret, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = parts_fresh("inputs"), *files = jval_object();
	struct strv keyrings SCOPED(strv_release) = {0};
	struct digest lock = lock_digest(l);

	jval_put_text(v, "lock", digest_text(&lock).s);
	jval_put_text(v, "recipe", digest_text(&r->digest).s);
	jval_put(v, "overlay", jval_ref(jval_get(overlays, "overlay")));
	jval_put(v, "profile", jval_ref(jval_get(config, "profile")));
	jval_put(v, "input", files);
	recipe_base_files(r, &keyrings);
	for (size_t i = 0; i < keyrings.n; i++) {
		char *nth SCOPED(mem_freep) =
		    i == 0 ? mem_strdup("keyring") : mem_format("keyring %zu", i + 1);

		if (input_file(keyrings.v[i], nth, files, e) != 0)
			return -1;
	}
	for (size_t i = 0; i < r->steps_n; i++) {
		char *name SCOPED(mem_freep) = mem_format("answers %s", r->steps[i].name);

		if (r->steps[i].answers != NULL &&
		    input_file(r->steps[i].answers, name, files, e) != 0)
			return -1;
	}
	*ret = STEAL(v);
	return 0;
}

struct jval *parts_image(const struct recipe *r, const struct lock *l, const struct jval *config)
{
	bool zstd = strcmp(r->compression, "zstd") == 0;
	struct pack_opts o = {.compression = zstd ? PACK_ZSTD : PACK_GZIP};
	char *compressor SCOPED(mem_freep) = pack_compressor_id(&o);
	struct digest lock = lock_digest(l);
	struct jval *v = parts_fresh("image");

	jval_put_text(v, "compressor", compressor);
	if (strcmp(r->compression, "both") == 0) {
		struct pack_opts second = {.compression = PACK_ZSTD};
		char *id SCOPED(mem_freep) = pack_compressor_id(&second);

		jval_put_text(v, "second-compressor", id);
	}
	jval_put_int(v, "layering", LAYERING);
	jval_put_text(v, "lock", digest_text(&lock).s);
	jval_put_text(v, "recipe", digest_text(&r->digest).s);
	jval_put_text(v, "posmedia", POSMEDIA_VERSION);
	/* the same tree may be refused today */
	jval_put(v, "expired-waivers", jval_ref(jval_get(config, "expired-waivers")));
	jval_put(v, "verdict", jval_ref(jval_get(config, "verdict")));
	parts_take(v, r, "hardening");
	parts_take(v, r, "name");
	parts_take(v, r, "version");
	parts_take(v, r, "layers");
	parts_take(v, r, "run");
	parts_take(v, r, "tests");
	return v;
}
