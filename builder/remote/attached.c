#include "remote/attached.h"
#include "remote/referrers.h"
#include "remote/s3.h"
#include "remote/signatures.h"

#include "base/log.h"
#include "sys/clock.h"
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { ROUNDS_MAX = 8, SETTLE_MIN_MS = 150, SETTLE_MAX_MS = 3000 };

static const char *const suffixes[] = {"sig", "pgp", "att"};

/* Builds from the lookaside what the registry does not have. */
static int from_lookaside(const struct carry *c, const struct lookaside *a, const char *tag,
			  struct err *e)
{
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_desc d SCOPED(oci_desc_release) = {.media_type = mem_strdup(OCI_MANIFEST)};

	if (lookaside_get(a, c->l, &m, e) != 0)
		return -1;
	if (m.layers_n == 0)
		return 0;
	oci_manifest_write(&m, &b);
	if (buf_over(&b))
		return err_set(e, ERR_FAIL, "%s: too many signatures", tag);
	d.size = b.len;
	if (oci_layout_add(c->l, b.data, b.len, &d.digest, e) != 0)
		return -1;
	return signatures_add(c->l, tag, &d, e);
}

/* Most images have few of the places filled. */
static void look(const struct carry *c, const struct digest *image)
{
	struct strv tags SCOPED(strv_release) = {0}, urls SCOPED(strv_release) = {0};

	attached_tags(image, &tags);
	for (size_t i = 0; i < tags.n; i++)
		strv_take(&urls, registry_url(c->r, "manifests", tags.v[i]));
	strv_take(&urls, registry_url(c->r, "referrers", digest_text(image).s));
	registry_probe(c->r, &urls);
}

static int pull_all(const struct carry *c, const struct lookaside *a, struct err *e)
{
	char *sig SCOPED(mem_freep) = artifact_tag(a->image, "sig");
	char *pgp SCOPED(mem_freep) = artifact_tag(a->image, "pgp");
	char *att SCOPED(mem_freep) = artifact_tag(a->image, "att");
	int rc;

	if (signatures_pull(c, sig, e) < 0)
		return err_in(e, "signatures %s", sig);
	if (signatures_pull(c, att, e) < 0)
		return err_in(e, "attestations %s", att);
	rc = signatures_pull(c, pgp, e);
	if (rc == 1 && a->at != NULL)
		rc = from_lookaside(c, a, pgp, e);
	if (rc < 0)
		return err_in(e, "signatures %s", pgp);
	return referrers_pull(c, a->image, e) != 0 ? err_in(e, "referrers") : 0;
}

int attached_pull(const struct carry *c, const struct lookaside *a, struct err *e)
{
	int rc;

	look(c, a->image);
	rc = pull_all(c, a, e);
	strv_release(&c->r->absent);
	return rc;
}

static int push_signatures(const struct carry *c, const struct digest *image, bool *ret_wrote,
			   struct err *e)
{
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		char *tag SCOPED(mem_freep) = artifact_tag(image, suffixes[i]);

		if (signatures_push(c, tag, ret_wrote, e) != 0)
			return err_in(e, "signatures %s", tag);
	}
	return 0;
}

static int push_once(const struct carry *c, const struct digest *image, bool *ret_wrote,
		     struct err *e)
{
	if (push_signatures(c, image, ret_wrote, e) != 0)
		return -1;
	return referrers_enter(c, image, ret_wrote, e) != 0 ? err_in(e, "referrers") : 0;
}

/* Longer than another, who finds all as slow as we did, takes from reading to writing; differently
 * in each of two that met. */
static void settle(uint64_t took_ms)
{
	uint64_t ms = took_ms < SETTLE_MIN_MS ? SETTLE_MIN_MS : took_ms;
	uint32_t random = 0;

	(void)!getrandom(&random, sizeof(random), 0);
	ms = ms > SETTLE_MAX_MS ? SETTLE_MAX_MS : ms;
	(void)usleep((useconds_t)((ms + random % ms) * 1000));
}

/* The tags that several may write: each is read, added to and written. Whoever reads before we have
 * written and writes afterwards drops what is ours, and registries have no conditional write that
 * prevents it: so who has written waits, and looks again. A bucket has one. */
static int push_shared(const struct carry *c, const struct digest *image, struct err *e)
{
	for (unsigned round = 0; round < ROUNDS_MAX; round++) {
		uint64_t start = clock_mono_ms();
		struct err now = ERR_INIT;
		bool wrote = false;
		int rc = push_once(c, image, &wrote, &now);

		if (rc != 0 && now.kind != ERR_BUSY) {
			*e = now;
			return -1;
		}
		if (rc == 0 && (!wrote || c->r->s3 != NULL))
			return 0;
		settle(clock_mono_ms() - start);
	}
	(void)err_set(e, ERR_BUSY, "others write the same tags all the time");
	return err_hint(e, "try again");
}

/* Each OpenPGP signature of the layout goes to the lookaside, and of a bucket to the one in it. */
static int fill_lookaside(const struct carry *c, const struct lookaside *a, struct err *e)
{
	char *tag SCOPED(mem_freep) = artifact_tag(a->image, "pgp");
	const struct oci_desc *d = signatures_tagged(c->l, tag);
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct oci_manifest m SCOPED(oci_manifest_release) = {0};

	if (d == NULL && a->at != NULL)
		log_warn("no OpenPGP signature to put into the lookaside %s", a->at);
	if (d == NULL)
		return 0;
	if (oci_layout_read(c->l, &d->digest, &b, e) != 0 ||
	    oci_manifest_parse(b.data, b.len, &m, e) != 0)
		return -1;
	for (size_t i = 0; i < m.layers_n; i++) {
		struct buf sig SCOPED(buf_release) = BUF_INIT(LOOKASIDE_BYTES_MAX);

		if (oci_layout_read(c->l, &m.layers[i].digest, &sig, e) != 0 ||
		    (a->at != NULL && lookaside_put(a, &sig, e) != 0) ||
		    (c->r->s3 != NULL && s3_lookaside_put(c->r, a->image, &sig, e) != 0))
			return -1;
	}
	return 0;
}

int attached_push(const struct carry *c, const struct lookaside *a, struct err *e)
{
	if (referrers_push(c, a->image, e) != 0)
		return err_in(e, "referrers");
	if (push_shared(c, a->image, e) != 0)
		return -1;
	return a->at != NULL || c->r->s3 != NULL ? fill_lookaside(c, a, e) : 0;
}

bool attached_any(const struct oci_layout *l, const struct digest *image)
{
	struct strv tags SCOPED(strv_release) = {0};
	bool any = false;

	attached_tags(image, &tags);
	for (size_t i = 0; i < tags.n; i++)
		any = any || signatures_tagged(l, tags.v[i]) != NULL;
	return any;
}

void attached_tags(const struct digest *image, struct strv *ret)
{
	strv_addf(ret, "sha256-%s", digest_hex(image).s);
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		strv_take(ret, artifact_tag(image, suffixes[i]));
}
