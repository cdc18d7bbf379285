#include "build/verdict.h"

#include "base/log.h"
#include "build/looked.h"
#include "scan/scan.h"
#include "sys/clock.h"
#include <stdlib.h>
#include <string.h>

int verdict_load(struct job *j, struct err *e)
{
	const struct strv *files = &j->r->profiles;
	struct harden_profile **v;

	if (j->verdict.profiles != NULL)
		return 0;
	v = mem_zalloc((files->n + 1) * sizeof(struct harden_profile *));
	j->verdict.profiles = v;
	for (size_t i = 0; i < files->n; i++)
		if (harden_profile_load(files->v[i], &v[i], e) != 0) {
			verdict_release(j);
			return -1;
		}
	if (harden_contradictions((const struct harden_profile *const *)v, files->n, e) == 0)
		return 0;
	verdict_release(j);
	return -1;
}

void verdict_release(struct job *j)
{
	struct verdict *v = &j->verdict;

	for (size_t i = 0; v->profiles != NULL && v->profiles[i] != NULL; i++)
		harden_profile_free(v->profiles[i]);
	free(v->profiles);
	jval_free(v->found);
	*v = (struct verdict){0};
}

static void tell(const struct harden_report *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].status == HARDEN_FAIL)
			log_warn("control %s fails: %s", r->v[i].id, r->v[i].detail);
		else if (r->v[i].fixed != NULL)
			log_debug("control %s: %s", r->v[i].id, r->v[i].fixed);
}

/* What the recipe answers for; the caller frees the array. */
static struct scan_opts scan_opts_of(const struct job *j, struct scan_allow **ret)
{
	const struct recipe *r = j->r;
	struct scan_allow *v = mem_zalloc((r->allow_n + 1) * sizeof(*v));

	for (size_t i = 0; i < r->allow_n; i++)
		v[i] = (struct scan_allow){.sha256 = r->allow[i].sha256,
					   .cls = r->allow[i].cls,
					   .reason = r->allow[i].reason,
					   .until = r->allow[i].until};
	*ret = v;
	return (struct scan_opts){.allowed = v, .allowed_n = r->allow_n, .today = clock_epoch_s()};
}

/* Only what is new: neither looked into by an earlier build, nor as a package of the lock brought
 * it. What a later stage hides is in no layer, but for those of an image below. */
static int look(void *ctx, int rootfd, const struct facts_files *files, const struct jval **ret,
		struct err *e)
{
	struct job *j = ctx;
	const char **paths SCOPED(mem_freep) = mem_zalloc((files->n + 1) * sizeof(*paths));
	struct scan_allow *allow SCOPED(mem_freep) = NULL;
	const struct scan_opts o = scan_opts_of(j, &allow);
	size_t n = 0;

	for (size_t i = 0; i < files->n; i++) {
		const struct facts_file *f = &files->v[i];

		if (S_ISREG(f->st.st_mode) && f->st.st_size > 0 && !f->clean && !f->known)
			paths[n++] = f->path;
	}
	if (j->verdict.found == NULL && n == 0)
		j->verdict.found = jval_object();
	if (j->verdict.found == NULL && scan_files(rootfd, paths, n, &o, &j->verdict.found, e) != 0)
		return -1;
	*ret = j->verdict.found;
	return 0;
}

static int harden_with(struct job *j, const struct harden_profile *p, const char *root,
		       struct err *e)
{
	const struct harden_content content = {look, j};
	struct harden_context c = {.recipe = j->r,
				   .today = clock_epoch_s(),
				   .epoch = j->l->epoch,
				   .files = looked_source(j->looked),
				   .content = &content};
	struct harden_report rep SCOPED(harden_report_release) = {0};

	if (harden_apply(p, root, &c, &rep, e) != 0)
		return err_in(e, "hardening");
	tell(&rep);
	log_info("hardened by %s: %zu pass, %zu fail, %zu waived, %zu not applicable",
		 harden_profile_id(p), rep.count[HARDEN_PASS], rep.count[HARDEN_FAIL],
		 rep.count[HARDEN_WAIVED], rep.count[HARDEN_NOT_APPLICABLE]);
	return harden_gate(&rep, j->r->fail_on, e);
}

int verdict_tree(struct job *j, const char *root, struct err *e)
{
	if (verdict_load(j, e) != 0)
		return -1;
	for (size_t i = 0; i < j->r->profiles.n; i++)
		if (harden_with(j, j->verdict.profiles[i], root, e) != 0)
			return -1;
	return 0;
}

/* Card data in a file that nobody answers for; NULL when there is none. Secrets are the seal's. */
static const char *card_data(const struct jval *file)
{
	static const char *const classes[] = {"pan", "track1", "track2", "cvv", "pin-block"};
	int64_t n;

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (jval_get_int(jval_get(file, "counts"), classes[i], &n) == 0 &&
		    jval_get(jval_get(file, "allowed"), classes[i]) == NULL)
			return classes[i];
	return NULL;
}

/* Says what card data a report has, and refuses it. */
static int refuse_cards(const struct job *j, const struct jval *found, struct err *e)
{
	const struct jval *list = jval_get(found, "files");
	const char *first = NULL, *what = NULL;

	for (size_t i = 0; i < jval_len(list); i++) {
		const char *path = jval_get_str(jval_at(list, i), "file");
		const char *cls = card_data(jval_at(list, i));

		if (path == NULL || cls == NULL)
			continue;
		log_warn("card data: /%s: %s", path, cls);
		first = first != NULL ? first : path;
		what = what != NULL ? what : cls;
	}
	if (first == NULL || strcmp(j->r->fail_on, "never") == 0)
		return 0;
	(void)err_set(e, ERR_VERIFY, "card data in the image: /%s: %s", first, what);
	return err_hint(e, "Take it out, or answer for it in hardening: allow: of the recipe.");
}

int verdict_content(struct job *j, int rootfd, struct facts *f, struct err *e)
{
	const struct facts_files *files;
	const struct jval *found, *list;

	if (j->verdict.found != NULL)
		return 0;
	if (facts_files(f, &files, e) != 0 || look(j, rootfd, files, &found, e) != 0)
		return -1;
	list = jval_get(found, "files");
	for (size_t i = 0; i < jval_len(list); i++)
		if (jval_get_str(jval_at(list, i), "file") != NULL)
			looked_found(j->looked, jval_get_str(jval_at(list, i), "file"));
	return refuse_cards(j, found, e);
}

int verdict_below(struct job *j, struct err *e)
{
	struct scan_allow *allow SCOPED(mem_freep) = NULL;
	const struct scan_opts o = scan_opts_of(j, &allow);
	struct jval *found SCOPED(jval_freep) = NULL;

	if (scan_image(j->below, &j->below_image, "base.oci", &o, &found, e) != 0)
		return -1;
	return refuse_cards(j, found, e);
}

/* Packing sees to the times, and looks at every file for them. */
static int no_files(void *ctx, struct facts_files *ret, struct err *e)
{
	(void)ctx;
	(void)ret;
	(void)e;
	return 0;
}

int verdict_image(struct job *j, const char *root, const struct jval *config, struct err *e)
{
	const struct harden_image image = {.config = config, .lock = j->l, .signatures = -1};
	const struct facts_source none = {.list = no_files};
	const struct harden_context c = {.recipe = j->r,
					 .today = clock_epoch_s(),
					 .epoch = j->l->epoch,
					 .files = &none,
					 .image = &image};

	if (verdict_load(j, e) != 0)
		return -1;
	for (size_t i = 0; i < j->r->profiles.n; i++) {
		struct harden_report rep SCOPED(harden_report_release) = {0};

		if (harden_check_image(j->verdict.profiles[i], root, &c, &rep, e) != 0)
			return err_in(e, "controls of the image");
		tell(&rep);
		if (harden_gate(&rep, j->r->fail_on, e) != 0)
			return -1;
	}
	return 0;
}

int verdict_digest(struct job *j, struct digest *ret, struct err *e)
{
	struct hash *h SCOPED(hash_freep) = hash_new();

	if (verdict_load(j, e) != 0)
		return -1;
	for (size_t i = 0; i < j->r->profiles.n; i++) {
		const struct digest d = harden_profile_digest(j->verdict.profiles[i]);

		hash_add(h, d.b, DIGEST_BYTES);
	}
	*ret = hash_final(h);
	return 0;
}

int verdict_labels(struct job *j, struct jval *labels, struct err *e)
{
	if (verdict_load(j, e) != 0)
		return -1;
	for (size_t i = 0; i < j->r->profiles.n; i++) {
		const struct harden_profile *p = j->verdict.profiles[i];
		const struct digest d = harden_profile_digest(p);
		char *key SCOPED(mem_freep) =
		    mem_format("org.posmedia.profile.%s", harden_profile_id(p));

		jval_put_text(labels, key, digest_text(&d).s);
	}
	return 0;
}
