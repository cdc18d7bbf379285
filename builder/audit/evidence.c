/* evidence.c - an audit as files for others: written, and compared with what an audit says now. */
#include "audit/audit.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <string.h>

enum { DAY = 86400, FILE_MAX = 16 << 20 };

static struct evidence_subject subject_of(const struct audit *a, const struct audit_evidence *o)
{
	return (struct evidence_subject){
	    .name = a->name == NULL ? "" : a->name,
	    .version = a->version == NULL ? "" : a->version,
	    .object = a->object,
	    .is_image = a->is_image,
	    .image = a->image,
	    .config = a->config,
	    /* the day alone: a second run of the same day says the same */
	    .time = a->is_image ? a->created : o->today / DAY * DAY,
	    .signatures_checked = o->signatures != NULL,
	};
}

void audit_evidence_make(const struct audit *a, const struct audit_evidence *o,
			 struct evidence_files *ret)
{
	static const char *const forms[] = {"OpenPGP", "cosign", "bundle"};
	struct evidence_subject s = subject_of(a, o);
	struct evidence *v SCOPED(evidence_freep) = NULL;

	for (size_t i = 0; o->signatures != NULL && i < o->signatures->n; i++) {
		const struct sign_found *f = &o->signatures->v[i];

		strv_addf(&s.signatures, "%s signature of %s by key %s: good", forms[f->form],
			  f->identity, digest_text(&f->key).s);
	}
	strv_sort(&s.signatures);
	v = evidence_new(&s, &a->report, a->profile);
	strv_release(&s.signatures);
	evidence_make(v, o->formats, ret);
}

int audit_evidence_put(const struct audit *a, const struct audit_evidence *o, const char *dir,
		       struct err *e)
{
	struct evidence_files f SCOPED(evidence_files_release);
	int fd SCOPED(fd_closep) = -1;

	evidence_files_init(&f);
	audit_evidence_make(a, o, &f);
	if (fs_mkdirs(AT_FDCWD, dir, 0755, e) != 0 || fs_open_dir(AT_FDCWD, dir, &fd, e) != 0)
		return err_in(e, "evidence");
	for (unsigned i = 0; i < EVIDENCE_FORMATS; i++) {
		const char *name = evidence_file_name((enum evidence_format)i);

		if ((o->formats & 1u << i) == 0)
			continue;
		if (buf_over(&f.files[i]))
			return err_set(e, ERR_FAIL, "%s/%s: would be too large", dir, name);
		if (fs_put(fd, name, f.files[i].data, f.files[i].len, 0644, e) != 0)
			return err_in(e, "evidence in %s", dir);
	}
	return 0;
}

/* Why a file is not the one that this audit makes. */
static int refuse(const struct audit *a, const char *path, const struct buf *have, struct err *e)
{
	struct digest_hex image = digest_hex(&a->image);

	if (a->is_image && memmem(have->data, have->len, image.s, DIGEST_HEX) == NULL) {
		(void)err_set(e, ERR_VERIFY, "%s: is not about image sha256:%s", path, image.s);
		return err_hint(e, "Find the image that it names, or audit this one.");
	}
	(void)err_set(e, ERR_VERIFY, "%s: is not what this audit says of %s", path, a->object);
	return err_hint(
	    e, "Give the --profile, --recipe, --target, --format, --key and --date "
	       "it was made with; a file changed by hand and a waiver that ended differ too.");
}

static int check_file(const struct audit *a, int dirfd, const char *path, const struct buf *want,
		      struct err *e)
{
	struct buf have SCOPED(buf_release) = BUF_INIT(FILE_MAX);

	if (fs_get_file(dirfd, strrchr(path, '/') + 1, &have, e) != 0) {
		e->kind = ERR_VERIFY;
		return err_in(e, "%s", path);
	}
	if (have.len == want->len && memcmp(have.data, want->data, want->len) == 0)
		return 0;
	return refuse(a, path, &have, e);
}

int audit_evidence_check(const struct audit *a, const struct audit_evidence *o, const char *dir,
			 struct err *e)
{
	struct evidence_files f SCOPED(evidence_files_release);
	int fd SCOPED(fd_closep) = -1;

	evidence_files_init(&f);
	audit_evidence_make(a, o, &f);
	if (fs_open_dir(AT_FDCWD, dir, &fd, e) != 0)
		return -1;
	for (unsigned i = 0; i < EVIDENCE_FORMATS; i++) {
		char *path SCOPED(mem_freep) =
		    mem_format("%s/%s", dir, evidence_file_name((enum evidence_format)i));

		if ((o->formats & 1u << i) != 0 && check_file(a, fd, path, &f.files[i], e) != 0)
			return -1;
	}
	return 0;
}
