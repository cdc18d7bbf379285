#include "statement/statement.h"

#include "audit/audit.h"
#include "base/log.h"
#include "scan/scan.h"
#include "sys/fs.h"
#include "sys/self.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { DOCUMENT_MAX = 256 << 20, DAY = 86400 };

/* What is made, of what. */
struct making {
	const struct oci_layout *l;
	const struct oci_desc *manifest;
	const struct statement_opts *o;
	struct digest *subjects; /* the images of an index, besides itself */
	size_t subjects_n;
	struct sbom b;
	struct statements out;
};

static void making_release(struct making *m)
{
	free(m->subjects);
	sbom_release(&m->b);
	statements_release(&m->out);
}

void statements_release(struct statements *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].name);
		buf_release(&s->v[i].text);
	}
	free(s->v);
	*s = (struct statements){0};
}

static struct statement_file *add(struct making *m, const char *name, bool is_statement)
{
	struct statements *s = &m->out;
	struct statement_file *f;

	s->v = mem_resize(s->v, s->n + 1, sizeof(*s->v));
	f = &s->v[s->n++];
	*f = (struct statement_file){
	    .name = mem_strdup(name), .text = BUF_INIT(DOCUMENT_MAX), .is_statement = is_statement};
	return f;
}

static void add_subject(struct jval *list, const char *name, const struct digest *of)
{
	struct jval *subject = jval_object(), *d = jval_object();

	jval_put_text(d, "sha256", digest_hex(of).s);
	jval_put_text(subject, "name", name);
	jval_put(subject, "digest", d);
	jval_push(list, subject);
}

/* An index is also said to be each of its images: engines ask about the one that they take. What a
 * medium holds is the image's. */
static void add_subjects(const struct making *m, struct jval *statement)
{
	struct jval *list = jval_get(statement, "subject");

	for (size_t i = 0; i < m->subjects_n; i++)
		add_subject(list, "image", &m->subjects[i]);
	if (m->o->medium != NULL)
		add_subject(list, "medium", m->o->medium);
}

/* A statement with the predicate, which is taken over. */
static void say(struct making *m, const char *name, const char *type, struct jval *predicate)
{
	char *file SCOPED(mem_freep) = mem_format("%s.statement.json", name);
	struct jval *v SCOPED(jval_freep) = sbom_statement(&m->b.image, m->b.name, type, predicate);

	add_subjects(m, v);
	jval_write_pretty(v, &add(m, file, true)->text);
}

/* The document alone, too. */
static void say_both(struct making *m, const char *name, const char *type, struct jval *doc)
{
	char *file SCOPED(mem_freep) = mem_format("%s.json", name);

	jval_write_pretty(doc, &add(m, file, false)->text);
	say(m, name, type, doc);
}

/* What was found, and whether it may stay so. */
static int look(struct making *m, struct err *e)
{
	const struct recipe *r = m->o->recipe;
	size_t n = r != NULL ? r->allow_n : 0;
	struct scan_allow *allow SCOPED(mem_freep) = mem_zalloc((n + 1) * sizeof(*allow));
	const struct scan_opts so = {
	    .allow = m->o->allow, .allowed = allow, .allowed_n = n, .today = m->o->today};
	struct digest_text name = digest_text(&m->manifest->digest);
	struct jval *found = NULL;
	struct err quiet = ERR_INIT;

	for (size_t i = 0; i < n; i++)
		allow[i] = (struct scan_allow){.sha256 = r->allow[i].sha256,
					       .cls = r->allow[i].cls,
					       .reason = r->allow[i].reason,
					       .until = r->allow[i].until};
	if (m->o->no_scan)
		return 0;
	if (scan_image(m->l, m->manifest, name.s, &so, &found, e) != 0)
		return -1;
	jval_put_text(found, "result", scan_gate(found, "high", &quiet) == 0 ? "PASSED" : "FAILED");
	say_both(m, "scan", "urn:posmedia:scan:v1", found);
	return 0;
}

/* The files of evidence as they are; their statement gets the other subjects too. */
static int take_evidence(struct making *m, struct evidence_files *f, struct err *e)
{
	for (unsigned i = 0; i < EVIDENCE_FORMATS; i++) {
		const char *name = evidence_file_name((enum evidence_format)i);
		struct jval *v SCOPED(jval_freep) = NULL;
		struct buf *to;

		if (buf_over(&f->files[i]))
			return err_set(e, ERR_FAIL, "%s: would be too large", name);
		to = &add(m, name, i == EVIDENCE_INTOTO)->text;
		if (i != EVIDENCE_INTOTO || (m->subjects_n == 0 && m->o->medium == NULL)) {
			buf_add(to, f->files[i].data, f->files[i].len);
			continue;
		}
		if (jval_parse(f->files[i].data, f->files[i].len, name, &v, e) != 0)
			return -1;
		add_subjects(m, v);
		jval_write_pretty(v, to);
	}
	return 0;
}

static int judge(struct making *m, struct err *e)
{
	const struct recipe *r = m->o->recipe;
	struct audit found SCOPED(audit_release) = {0};
	struct evidence_files f SCOPED(evidence_files_release);
	struct audit_opts o = {.recipe = r, .today = m->o->today, .store = m->o->store};
	const struct audit_evidence ev = {.formats = (1u << EVIDENCE_FORMATS) - 1,
					  .today = m->o->today};

	evidence_files_init(&f);
	if (r == NULL)
		return 0;
	if (r->profiles.n == 0) {
		log_warn("%s has no profile of hardening: there is no evidence of it", r->file);
		return 0;
	}
	if (r->profiles.n > 1)
		log_warn("the evidence is of %s alone; posmedia audit --evidence makes that of "
			 "others",
			 r->profiles.v[0]);
	o.profile = r->profiles.v[0];
	if (audit_image(m->l, m->manifest, "image", &o, &found, e) != 0)
		return -1;
	audit_evidence_make(&found, &ev, &f);
	return take_evidence(m, &f, e);
}

static int find_subjects(struct making *m, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_index x SCOPED(oci_index_release) = {0};

	if (strcmp(m->manifest->media_type, OCI_INDEX) != 0)
		return 0;
	if (oci_layout_read(m->l, &m->manifest->digest, &b, e) != 0 ||
	    oci_index_parse(b.data, b.len, &x, e) != 0)
		return -1;
	m->subjects = mem_zalloc((x.n + 1) * sizeof(*m->subjects));
	for (size_t i = 0; i < x.n; i++)
		m->subjects[m->subjects_n++] = x.v[i].digest;
	return 0;
}

static int check_sizes(const struct statements *s, struct err *e)
{
	for (size_t i = 0; i < s->n; i++)
		if (buf_over(&s->v[i].text))
			return err_set(e, ERR_FAIL, "%s: too large", s->v[i].name);
	return 0;
}

int statements_make(const struct oci_layout *l, const struct oci_desc *manifest,
		    const struct statement_opts *o, struct statements *ret, struct err *e)
{
	struct making m SCOPED(making_release) = {.l = l, .manifest = manifest, .o = o};
	const char *who = o->builder != NULL ? o->builder : "urn:posmedia:builder:local";

	if (find_subjects(&m, e) != 0 || sbom_read(l, manifest, o->store, &m.b, e) != 0)
		return -1;
	say(&m, "provenance", "https://slsa.dev/provenance/v1", sbom_provenance(&m.b, who));
	say_both(&m, "spdx", "https://spdx.dev/Document", sbom_spdx(&m.b));
	say_both(&m, "cyclonedx", "https://cyclonedx.org/bom", sbom_cyclonedx(&m.b));
	if (look(&m, e) != 0 || judge(&m, e) != 0 || check_sizes(&m.out, e) != 0)
		return -1;
	m.out.packages = m.b.packages_n;
	m.out.files_owned = m.b.owned;
	m.out.files_unowned = m.b.files_n;
	*ret = m.out;
	m.out = (struct statements){0};
	return 0;
}

int statements_put(const struct statements *s, const char *dir, struct err *e)
{
	int fd SCOPED(fd_closep) = -1;

	if (fs_mkdirs(AT_FDCWD, dir, 0755, e) != 0 || fs_open_dir(AT_FDCWD, dir, &fd, e) != 0)
		return -1;
	for (size_t i = 0; i < s->n; i++)
		if (fs_put(fd, s->v[i].name, s->v[i].text.data, s->v[i].text.len, 0644, e) != 0)
			return -1;
	return 0;
}

static void key_add(struct hash *h, const struct digest *d)
{
	hash_add(h, d->b, DIGEST_BYTES);
}

/* Waivers and exceptions end with a day. */
static void key_of_recipe(struct hash *h, const struct statement_opts *o)
{
	int64_t day = o->today / DAY;

	if (o->recipe == NULL)
		return;
	key_add(h, &o->recipe->digest);
	if (o->recipe->waivers_n + o->recipe->allow_n > 0)
		hash_add(h, &day, sizeof(day));
}

static int key_of_profile(struct hash *h, const struct statement_opts *o, struct err *e)
{
	struct harden_profile *p SCOPED(harden_profile_freep) = NULL;
	struct digest d;

	if (o->recipe == NULL || o->recipe->profiles.n == 0)
		return 0;
	if (harden_profile_load(o->recipe->profiles.v[0], &p, e) != 0)
		return -1;
	d = harden_profile_digest(p);
	key_add(h, &d);
	return 0;
}

int statements_key(const struct digest *image, const struct statement_opts *o, struct digest *ret,
		   struct err *e)
{
	struct hash *h SCOPED(hash_freep) = hash_new();
	struct digest program;

	if (self_digest(&program, e) != 0)
		return -1;
	key_add(h, image);
	key_add(h, &program);
	if (o->builder != NULL)
		hash_add(h, o->builder, strlen(o->builder) + 1);
	key_of_recipe(h, o);
	if (key_of_profile(h, o, e) != 0)
		return -1;
	*ret = hash_final(h);
	return 0;
}
