/* facts.c - what a tree and an image's configuration say, by name. */
#include "diff/side.h"

#include "form/deb822.h"
#include "harden/accounts.h"
#include "harden/root.h"
#include "package/rpmdb.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool installed(const struct deb822 *stanza)
{
	char *status SCOPED(mem_freep) = deb822_field(stanza, "Status");

	/* status.d files carry no Status field: being there is being installed */
	return status == NULL || strstr(status, " installed") != NULL;
}

/* dpkg's own architecture; packages of another are called NAME:ARCH, as dpkg does. NULL when there
 * is no dpkg. The caller owns it. */
static char *native_arch(struct deb822 rest)
{
	struct deb822 stanza;

	while (deb822_next(&rest, &stanza) == 1) {
		char *name SCOPED(mem_freep) = deb822_field(&stanza, "Package");

		if (name != NULL && strcmp(name, "dpkg") == 0)
			return deb822_field(&stanza, "Architecture");
	}
	return NULL;
}

static void take_package(struct side *s, const struct deb822 *stanza, const char *native)
{
	char *name SCOPED(mem_freep) = deb822_field(stanza, "Package");
	char *arch SCOPED(mem_freep) = deb822_field(stanza, "Architecture");
	char *version SCOPED(mem_freep) = deb822_field(stanza, "Version");
	bool foreign =
	    native != NULL && arch != NULL && strcmp(arch, native) != 0 && strcmp(arch, "all") != 0;
	char *full SCOPED(mem_freep) = NULL;

	if (name == NULL || version == NULL || !installed(stanza))
		return;
	full = mem_format("%s%s%s", name, foreign ? ":" : "", foreign ? arch : "");
	(void)side_fact(s, DIFF_PACKAGES, full, STEAL(version));
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
	struct strv paths SCOPED(strv_release) = {0};
	char *native SCOPED(mem_freep) = NULL;

	strv_add(&paths, "var/lib/dpkg/status");
	if (root_glob(s->fd, "var/lib/dpkg/status.d/*", &paths, e) != 0)
		return -1;
	for (size_t i = 0; i < paths.n; i++) {
		struct buf text SCOPED(buf_release) = BUF_INIT(ROOT_FILE_MAX);
		struct deb822 rest, stanza;

		if (root_read(s->fd, paths.v[i], &text, NULL, e) != 0)
			return -1;
		rest = (struct deb822){.p = text.data, .n = text.len};
		if (native == NULL)
			native = native_arch(rest);
		while (deb822_next(&rest, &stanza) == 1)
			take_package(s, &stanza, native);
	}
	return take_rpms(s, e);
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
