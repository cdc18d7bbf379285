/* facts.c - what a tree and an image's configuration say, by name. */
#include "diff/side.h"

#include "harden/accounts.h"
#include "harden/dpkgdb.h"
#include "harden/root.h"
#include "package/rpmdb.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* dpkg's own architecture; packages of another are called NAME:ARCH, as dpkg does. NULL when there
 * is no dpkg. */
static const char *native_arch(const struct dpkgdb *db)
{
	for (size_t i = 0; i < db->n; i++)
		if (strcmp(db->v[i].name, "dpkg") == 0)
			return db->v[i].arch;
	return NULL;
}

static int take_debs(struct side *s, struct err *e)
{
	struct dpkgdb db SCOPED(dpkgdb_release) = {0};
	const char *native;

	if (dpkgdb_read(s->fd, &db, e) != 0)
		return -1;
	native = native_arch(&db);
	for (size_t i = 0; i < db.n; i++) {
		struct dpkgdb_package *p = &db.v[i];
		bool foreign = native != NULL && p->arch != NULL && strcmp(p->arch, native) != 0 &&
			       strcmp(p->arch, "all") != 0;
		char *full SCOPED(mem_freep) =
		    mem_format("%s%s%s", p->name, foreign ? ":" : "", foreign ? p->arch : "");

		if (p->version != NULL)
			(void)side_fact(s, DIFF_PACKAGES, full, STEAL(p->version));
	}
	return 0;
}

/* Names as rpm has them; NAME:ARCH too where a name is there twice. */
static int take_rpms(struct side *s, struct err *e)
{
	struct rpmdb db SCOPED(rpmdb_release) = {0};
	struct map names = {0};

	if (rpmdb_read(s->fd, RPMDB_NAMES, &db, e) != 0)
		return -1;
	s->unknown[DIFF_PACKAGES] = db.older;
	for (size_t i = 0; i < db.n; i++) {
		struct rpmdb_package *p = &db.v[i];
		bool again = map_put(&names, p->name, p) != NULL;
		char *full SCOPED(mem_freep) =
		    mem_format("%s%s%s", p->name, again ? ":" : "", again ? p->arch : "");

		(void)side_fact(s, DIFF_PACKAGES, full, STEAL(p->version));
	}
	map_release(&names, NULL);
	return 0;
}

int side_packages(struct side *s, struct err *e)
{
	return take_debs(s, e) != 0 ? -1 : take_rpms(s, e);
}

static const char *password_state(const struct account *u)
{
	if (strcmp(u->pw, "x") != 0)
		return u->pw[0] == '\0' ? "none" : "in passwd";
	if (u->hash == NULL)
		return "no shadow row";
	if (u->hash[0] == '\0')
		return "none";
	return account_hash_usable(u->hash) ? "set" : "locked";
}

static void take_user(struct side *s, const struct account *u)
{
	struct fact *f =
	    side_fact(s, DIFF_USERS, u->name,
		      mem_format("uid %u, gid %u, home %s, shell %s, password %s", u->uid, u->gid,
				 u->home, u->shell, password_state(u)));
	struct buf secret SCOPED(buf_release) = BUF_INIT(1 << 20);

	buf_addf(&secret, "%s\n%s", u->pw, u->hash != NULL ? u->hash : "");
	f->proof = digest_of(secret.data, secret.len);
}

static void take_group(struct side *s, struct account_group *g)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 20);

	buf_addf(&b, "gid %u", g->gid);
	strv_sort(&g->members);
	for (size_t i = 0; i < g->members.n; i++)
		buf_addf(&b, "%s%s", i == 0 ? ", members " : " ", g->members.v[i]);
	(void)side_fact(s, DIFF_GROUPS, g->name, mem_strdup(b.data));
}

int side_accounts(struct side *s, struct err *e)
{
	struct accounts a SCOPED(accounts_release) = {0};

	if (accounts_load(s->fd, &a, e) != 0)
		return -1;
	for (size_t i = 0; i < a.n; i++)
		take_user(s, &a.v[i]);
	for (size_t i = 0; i < a.groups_n; i++)
		take_group(s, &a.groups[i]);
	return 0;
}

int side_controls(struct side *s, const struct diff_opts *o, struct err *e)
{
	const struct audit_opts ao = {.profile = o->profile, .today = o->today};
	struct audit a SCOPED(audit_release) = {0};

	s->unknown[DIFF_CONTROLS] = o->profile == NULL;
	if (o->profile == NULL)
		return 0;
	if (audit_tree(s->root, s->in->object, &ao, &a, e) != 0)
		return -1;
	for (size_t i = 0; i < a.report.n; i++) {
		const struct harden_result *r = &a.report.v[i];
		struct fact *f =
		    side_fact(s, DIFF_CONTROLS, r->id, mem_strdup(harden_status_name(r->status)));

		if (f->note == NULL)
			f->note = mem_strdup(r->title);
	}
	return 0;
}

void side_privileges(struct side *s)
{
	for (size_t i = 0; i < s->tree.n; i++) {
		const struct tree_entry *en = &s->tree.v[i];
		char *name SCOPED(mem_freep) = NULL;

		if (!S_ISREG(en->mode))
			continue;
		name = mem_format("/%s", en->path);
		if ((en->mode & (S_ISUID | S_ISGID)) != 0)
			(void)side_fact(
			    s, DIFF_PRIVILEGED, name,
			    mem_format("%04o %u:%u", en->mode & 07777U, en->uid, en->gid));
		for (size_t k = 0; k < en->xattrs_n; k++)
			if (strcmp(en->xattrs[k].name, "security.capability") == 0)
				(void)side_fact(
				    s, DIFF_CAPABILITIES, name,
				    capability_text(en->xattrs[k].val, en->xattrs[k].len));
	}
}

/* What an entry of etc/systemd/system (systemd.unit(5)) does to the unit it is called after; NULL
 * when it does nothing to it. The caller owns it. */
static char *unit_state(const struct tree_entry *en, const char *rest)
{
	const char *slash = strrchr(rest, '/');
	bool masks = en->link != NULL ? strcmp(en->link, "/dev/null") == 0
				      : S_ISREG(en->mode) && en->size == 0;
	const char *target;
	size_t n;

	if (slash == NULL && masks)
		return mem_strdup("masked");
	if (slash == NULL) {
		if (en->link == NULL)
			return S_ISREG(en->mode) ? mem_strdup("defined here") : NULL;
		target = strrchr(en->link, '/');
		return mem_format("stands for %s", target != NULL ? target + 1 : en->link);
	}
	n = (size_t)(slash - rest);
	if (en->link == NULL)
		return NULL;
	if (n > 6 && memcmp(slash - 6, ".wants", 6) == 0)
		return mem_format("wanted by %.*s", (int)(n - 6), rest);
	if (n > 9 && memcmp(slash - 9, ".requires", 9) == 0)
		return mem_format("required by %.*s", (int)(n - 9), rest);
	return NULL;
}

void side_services(struct side *s)
{
	static const char dir[] = "etc/systemd/system/";

	for (size_t i = 0; i < s->tree.n; i++) {
		const struct tree_entry *en = &s->tree.v[i];
		const char *name = strrchr(en->path, '/');
		char *state;

		if (strncmp(en->path, dir, sizeof(dir) - 1) != 0)
			continue;
		state = unit_state(en, en->path + sizeof(dir) - 1);
		if (state != NULL)
			(void)side_fact(s, DIFF_SERVICES, name + 1, state);
	}
}
