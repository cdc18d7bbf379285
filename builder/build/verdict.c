#include "build/verdict.h"

#include "base/log.h"
#include "build/looked.h"
#include "scan/scan.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include <fcntl.h>
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

/* Whether it is to be read: an earlier build did not, and nobody vouches for it. The lists of
 * packages' files count for what the lock's packages themselves laid, and for nothing that others
 * could have listed there. What came with base.oci is looked into in its layers. */
static bool wants_look(const struct job *j, const struct facts_file *f)
{
	if (!S_ISREG(f->st.st_mode) || f->st.st_size == 0 || f->clean)
		return false;
	return !f->base || (j->below == NULL && (j->r->plain != NULL || !f->known));
}

/* All layers of the image below go into ours, whatever the stages take away or replace. */
static int look_below(struct job *j, const struct scan_opts *o, struct jval *list, struct err *e)
{
	struct jval *found SCOPED(jval_freep) = NULL;
	const struct jval *files;

	if (j->below == NULL || looked_below(j->looked))
		return 0;
	if (scan_image(j->below, &j->below_image, "base.oci", o, &found, e) != 0)
		return -1;
	files = jval_get(found, "files");
	for (size_t i = 0; i < jval_len(files); i++)
		jval_push(list, jval_ref(jval_at(files, i)));
	if (jval_len(files) == 0)
		looked_below_clean(j->looked);
	return 0;
}

static int look_into(struct job *j, int rootfd, const char *const *paths, size_t n, struct err *e)
{
	struct scan_allow *allow SCOPED(mem_freep) = NULL;
	const struct scan_opts o = scan_opts_of(j, &allow);
	struct jval *found SCOPED(jval_freep) = NULL, *list = NULL;

	if (n > 0 && scan_files(rootfd, paths, n, &o, &found, e) != 0)
		return -1;
	if (found == NULL)
		found = jval_object();
	list = jval_get(found, "files");
	if (list == NULL) {
		list = jval_array();
		jval_put(found, "files", list);
	}
	if (look_below(j, &o, list, e) != 0)
		return -1;
	j->verdict.found = STEAL(found);
	return 0;
}

/* Once a build. What a later stage hides is in no layer, but for those of an image below. */
static int look(void *ctx, int rootfd, const struct facts_files *files, const struct jval **ret,
		struct err *e)
{
	struct job *j = ctx;
	const char **paths SCOPED(mem_freep) = NULL;
	size_t n = 0;

	if (j->verdict.found == NULL) {
		paths = mem_zalloc((files->n + 1) * sizeof(*paths));
		for (size_t i = 0; i < files->n; i++)
			if (wants_look(j, &files->v[i]))
				paths[n++] = files->v[i].path;
		if (look_into(j, rootfd, paths, n, e) != 0)
			return -1;
	}
	*ret = j->verdict.found;
	return 0;
}

/* Card data, as the report names it. Secrets are the seal's. */
static const char *const card_classes[] = {"pan", "track1", "track2", "cvv", "pin-block"};

enum { CARD_CLASSES = sizeof(card_classes) / sizeof(card_classes[0]) };

static void judged(void *ctx, const char *cls)
{
	struct job *j = ctx;

	for (unsigned i = 0; i < CARD_CLASSES; i++)
		if (strcmp(card_classes[i], cls) == 0)
			j->verdict.judged |= 1u << i;
}

static struct harden_context context(struct job *j, const struct harden_content *content)
{
	return (struct harden_context){.recipe = j->r,
				       .today = clock_epoch_s(),
				       .epoch = j->l->epoch,
				       .files = looked_source(j->looked),
				       .content = content};
}

int verdict_fix(struct job *j, const char *root, struct err *e)
{
	struct strv done SCOPED(strv_release) = {0};

	if (verdict_load(j, e) != 0)
		return -1;
	for (size_t i = 0; i < j->r->profiles.n; i++) {
		const struct harden_context c = context(j, NULL);

		if (harden_fix(j->verdict.profiles[i], root, &c, &done, e) != 0)
			return err_in(e, "hardening");
	}
	for (size_t i = 0; i < done.n; i++)
		log_debug("control %s", done.v[i]);
	return 0;
}

static int check(struct job *j, const struct harden_profile *p, const char *root, struct err *e)
{
	const struct harden_content content = {.look = look, .judged = judged, .ctx = j};
	const struct harden_context c = context(j, &content);
	struct harden_report rep SCOPED(harden_report_release) = {0};

	if (harden_check(p, root, &c, &rep, e) != 0)
		return err_in(e, "hardening");
	tell(&rep);
	log_info("hardened by %s: %zu pass, %zu fail, %zu waived, %zu not applicable",
		 harden_profile_id(p), rep.count[HARDEN_PASS], rep.count[HARDEN_FAIL],
		 rep.count[HARDEN_WAIVED], rep.count[HARDEN_NOT_APPLICABLE]);
	return harden_gate(&rep, j->r->fail_on, e);
}

/* Where no control has asked for it. */
static int look_anyway(struct job *j, const char *root, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;
	struct facts *f SCOPED(facts_freep) = NULL;
	const struct facts_files *files;
	const struct jval *found;

	if (j->verdict.found != NULL)
		return 0;
	if (fs_open_dir(AT_FDCWD, root, &fd, e) != 0)
		return -1;
	f = facts_new(fd);
	facts_use_source(f, looked_source(j->looked));
	return facts_files(f, &files, e) == 0 ? look(j, fd, files, &found, e) : -1;
}

int verdict_tree(struct job *j, const char *root, struct err *e)
{
	if (verdict_load(j, e) != 0)
		return -1;
	for (size_t i = 0; i < j->r->profiles.n; i++)
		if (check(j, j->verdict.profiles[i], root, e) != 0)
			return -1;
	return look_anyway(j, root, e);
}

/* Card data in a file that nobody answers for and no control has judged; NULL when there is none.
 */
static const char *card_data(const struct job *j, const struct jval *file)
{
	int64_t n;

	for (unsigned i = 0; i < CARD_CLASSES; i++)
		if ((j->verdict.judged & 1u << i) == 0 &&
		    jval_get_int(jval_get(file, "counts"), card_classes[i], &n) == 0 &&
		    jval_get(jval_get(file, "allowed"), card_classes[i]) == NULL)
			return card_classes[i];
	return NULL;
}

/* Says what card data a report has, and refuses it. */
static int refuse_cards(const struct job *j, const struct jval *found, struct err *e)
{
	const struct jval *list = jval_get(found, "files");
	const char *first = NULL, *what = NULL;

	for (size_t i = 0; i < jval_len(list); i++) {
		const char *path = jval_get_str(jval_at(list, i), "file");
		const char *cls = card_data(j, jval_at(list, i));

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

int verdict_content(struct job *j, struct err *e)
{
	const struct jval *list = jval_get(j->verdict.found, "files");

	for (size_t i = 0; i < jval_len(list); i++)
		if (jval_get_str(jval_at(list, i), "file") != NULL)
			looked_found(j->looked, jval_get_str(jval_at(list, i), "file"));
	return refuse_cards(j, j->verdict.found, e);
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
