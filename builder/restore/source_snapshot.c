/* source_snapshot.c - a snapshot of a repository. */
#include "restore/source.h"

#include "site/secret.h"
#include "snapshot/snapshot.h"
#include <stdlib.h>
#include <string.h>

struct source_snapshot {
	struct snapshot_repo *repo;
	struct snapshot *one;
};

void source_snapshot_free(struct source_snapshot *s)
{
	if (s == NULL)
		return;
	snapshot_closep(&s->one);
	snapshot_repo_closep(&s->repo);
	free(s);
}

static int check_signed(const struct snapshot *s, const struct sign_wanted *by, struct err *e)
{
	if (by == NULL || snapshot_check_signed(s, by, e) == 0)
		return 0;
	return err_hint(e, "posmedia snapshot --key FILE signs it with the key that is wanted");
}

static int open_one(const struct source *s, const struct source_help *h,
		    struct source_snapshot *ret, struct err *e)
{
	struct buf secret SCOPED(site_secret_release) = BUF_INIT(SITE_SECRET_MAX);
	char *where SCOPED(mem_freep) = NULL, *id SCOPED(mem_freep) = NULL;
	struct snapshot_at at = {.use = SNAPSHOT_READ};

	if (snapshot_split(s->path, &where, &id, e) != 0 ||
	    source_secret(h, s->text, &secret, e) != 0)
		return -1;
	at.secret_n = site_secret_length(&secret);
	at.where = where;
	at.secret = secret.data;
	if (snapshot_repo_open(&at, &ret->repo, e) != 0 ||
	    snapshot_open(ret->repo, id, &ret->one, e) != 0)
		return -1;
	return check_signed(ret->one, h->signers, e) != 0 ||
		       check_signed(ret->one, h->site_signers, e) != 0
		   ? -1
		   : 0;
}

int source_open_snapshot(struct source *s, const struct source_help *h, struct err *e)
{
	struct source_snapshot *one;

	if (s->snapshot != NULL)
		return 0;
	one = mem_zalloc(sizeof(*one));
	if (open_one(s, h, one, e) != 0) {
		source_snapshot_free(one);
		return -1;
	}
	s->snapshot = one;
	s->by_name = snapshot_info(one->one)->shop[0] != '\0';
	return 0;
}

const struct manifest *source_snapshot_manifest(const struct source_snapshot *s)
{
	return snapshot_manifest(s->one);
}

const struct apply_content *source_snapshot_content(const struct source_snapshot *s)
{
	return snapshot_content(s->one);
}

int source_snapshot_drop_lost(struct source_snapshot *s, struct strv *ret, struct err *e)
{
	return snapshot_drop_lost(s->one, ret, e);
}
