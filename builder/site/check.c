/* check.c - what the values of a site say together. */
#include "site/parts.h"

#include <arpa/inet.h>
#include <string.h>

int site_refuse(const struct recipe_pos *at, struct err *e, const char *hint, const char *fmt, ...)
{
	char *what SCOPED(mem_freep) = NULL;
	va_list ap;

	va_start(ap, fmt);
	what = mem_vformat(fmt, ap);
	va_end(ap);
	(void)recipe_err(at, e, "%s", what);
	return err_hint(e, "%s", hint);
}

#define refuse site_refuse

static int check_source(const struct site_source *s, const struct recipe_pos *at, const char *what,
			struct err *e)
{
	int n = (s->file != NULL) + (s->credential != NULL) + (s->command.n > 0);

	if (n == 1)
		return 0;
	return refuse(at, e, "Write one of file, credential and command.", "%s has %s", what,
		      n == 0 ? "no place that it comes from" : "more than one place");
}

/* What the engine mounts there itself, and what must stay as the image has it. */
static bool data_place_ok(const char *at)
{
	static const char *const taken[] = {"/proc", "/sys", "/dev", "/run", "/tmp", "/boot"};

	if (strcmp(at, "/") == 0 || strcmp(at, "/etc") == 0 || strcmp(at, "/usr") == 0)
		return false;
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		size_t n = strlen(taken[i]);

		if (strncmp(at, taken[i], n) == 0 && (at[n] == '\0' || at[n] == '/'))
			return false;
	}
	return true;
}

static bool below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && path[n] == '/';
}

static int check_licence(const struct site *s, struct err *e)
{
	const char *at = s->licence.at;

	if (at == NULL)
		return 0;
	if (check_source(&s->licence.from, &s->licence.pos, "the licence", e) != 0)
		return -1;
	if (!data_place_ok(at))
		return refuse(&s->licence.pos, e, "Name a file of the application's own.",
			      "licence: %s cannot be a file of the host", at);
	for (size_t i = 0; i < s->data_n; i++)
		if (strcmp(at, s->data[i].at) == 0 || below(s->data[i].at, at))
			return refuse(&s->licence.pos, e, "Name a file of its own.",
				      "licence: %s is a directory of \"data\", of line %u", at,
				      s->data[i].pos.line);
	return 0;
}

static int check_data(const struct site *s, struct err *e)
{
	if (s->data_n == 0)
		return refuse(&s->image.pos, e, "Name what must survive, such as the POS's files.",
			      "\"data\" is empty");
	for (size_t i = 0; i < s->data_n; i++) {
		const struct site_data *d = &s->data[i];

		if (!data_place_ok(d->at))
			return refuse(&d->pos, e, "Name a directory of the application's own.",
				      "data: %s cannot be a directory of the host", d->at);
		for (size_t k = 0; k < s->data_n; k++)
			if (below(d->at, s->data[k].at))
				return refuse(&d->pos, e, "One of the two is enough.",
					      "data: %s lies in %s, of line %u", d->at,
					      s->data[k].at, s->data[k].pos.line);
	}
	return 0;
}

static int check_keep(const struct site *s, struct err *e)
{
	static const char *const made[] = {"/etc/passwd", "/etc/group", "/etc/shadow",
					   "/etc/gshadow"};

	if (s->keep.n > SITE_KEEP_MAX)
		return refuse(&s->image.pos, e, "Make a directory of data of them.",
			      "\"keep\" has more than %d items", (int)SITE_KEEP_MAX);
	for (size_t i = 0; i < s->keep.n; i++) {
		bool ok = data_place_ok(s->keep.v[i]);

		for (size_t k = 0; k < sizeof(made) / sizeof(made[0]); k++)
			ok = ok && strcmp(s->keep.v[i], made[k]) != 0;
		if (!ok)
			return refuse(&s->image.pos, e, "Name a file of the application's own.",
				      "keep: %s cannot be kept", s->keep.v[i]);
	}
	return 0;
}

static struct site_net host_net(const char *text)
{
	struct in_addr in = {0};

	(void)inet_pton(AF_INET, text, &in);
	return (struct site_net){NULL, ntohl(in.s_addr), 32};
}

static int check_near(const struct site_network *n, const char *what, const char *address,
		      const struct recipe_pos *at, struct err *e)
{
	struct site_net one = host_net(address);

	if (!site_net_meets(&one, &n->address))
		return refuse(at, e, "Only what is in the address's network can be reached.",
			      "network: %s %s is not in %s", what, address, n->address.text);
	if (one.addr == n->address.addr)
		return refuse(at, e, "It is the router's address.",
			      "network: %s is the instance's own address", what);
	return 0;
}

static int check_network(const struct site *s, struct err *e)
{
	const struct site_network *n = &s->network;

	if (n->interface == NULL)
		return 0;
	if (n->gateway != NULL && check_near(n, "gateway", n->gateway, &n->pos, e) != 0)
		return -1;
	if (n->mac != NULL && n->mode != SITE_MACVLAN)
		return refuse(&n->pos, e, "Only macvlan makes a card of its own.",
			      "network: \"mac\" goes with macvlan, not %s",
			      site_mode_word(n->mode));
	for (size_t i = 0; i < n->routes_n; i++) {
		const struct site_route *r = &n->routes[i];

		if (r->via == NULL && n->gateway == NULL)
			return refuse(&r->pos, e, "Write \"via\", or a gateway.",
				      "network: the route to %s leads nowhere", r->to.text);
		if (r->via != NULL && check_near(n, "via", r->via, &r->pos, e) != 0)
			return -1;
	}
	return 0;
}

static int check_secret(const struct site *s, const char *name, const struct recipe_pos *at,
			struct err *e)
{
	if (name == NULL || site_secret_find(s, name) != NULL)
		return 0;
	return refuse(at, e, "Add it to \"secrets\".", "there is no secret \"%s\"", name);
}

/* The first network of the one list that has an address in common with one of the other. */
static const struct site_net *first_meeting(const struct site_net *a, size_t n,
					    const struct site_net *b, size_t m)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < m; k++)
			if (site_net_meets(&a[i], &b[k]))
				return &a[i];
	return NULL;
}

static int check_peer(const struct site *s, size_t at, struct err *e)
{
	const struct site_vpn *v = &s->vpn;
	const struct site_peer *p = &v->peers[at];
	const struct site_net *net =
	    first_meeting(p->networks, p->networks_n, v->networks, v->networks_n);

	if (net != NULL)
		return refuse(&p->pos, e, "A packet could not know where it belongs.",
			      "vpn: %s of %s is also at this end", net->text, p->name);
	if (strcmp(p->id, v->id) == 0)
		return refuse(&p->pos, e, "Give each end a name of its own.",
			      "vpn: %s has the identity of this end", p->name);
	for (size_t i = 0; i < at; i++) {
		const struct site_peer *q = &v->peers[i];

		net = first_meeting(p->networks, p->networks_n, q->networks, q->networks_n);
		if (net != NULL)
			return refuse(&p->pos, e, "A packet could not know where it belongs.",
				      "vpn: %s of %s is also behind %s, of line %u", net->text,
				      p->name, q->name, q->pos.line);
		if (strcmp(p->id, q->id) == 0)
			return refuse(&p->pos, e, "Give each end a name of its own.",
				      "vpn: %s and %s have one identity", q->name, p->name);
	}
	if (p->address == NULL && p->ike == 1)
		return refuse(&p->pos, e, "Write its address, or use IKEv2.",
			      "vpn: %s is found by its address in IKEv1", p->name);
	return check_secret(s, p->secret, &p->pos, e);
}

static int check_vpn(const struct site *s, struct err *e)
{
	if (s->vpn.id != NULL && s->vpn.peers_n == 0)
		return refuse(&s->vpn.pos, e, "Add one, or remove \"vpn\".", "vpn: no peers");
	for (size_t i = 0; i < s->vpn.peers_n; i++)
		if (check_peer(s, i, e) != 0)
			return -1;
	return 0;
}

static int check_health(const struct site *s, struct err *e)
{
	for (size_t i = 0; i < s->health_n; i++) {
		const struct site_health *h = &s->health[i];

		if ((h->run.n > 0) == (h->tcp != 0))
			return refuse(&h->pos, e, "Write one of the two.",
				      "health: \"%s\" wants run or tcp", h->name);
	}
	return 0;
}

static int check_users(const struct site *s, struct err *e)
{
	for (size_t i = 0; i < s->users_n; i++)
		for (size_t k = 0; k < i; k++)
			if (s->users[i].uid != 0 && s->users[i].uid == s->users[k].uid)
				return refuse(&s->users[i].pos, e, "Give each a number of its own.",
					      "users: %s and %s are both %u", s->users[k].name,
					      s->users[i].name, s->users[i].uid);
	return 0;
}

/* What else than a snapshot would be signed? */
static int check_backup(const struct site *s, struct err *e)
{
	const struct site_backup *b = &s->backup;

	if (check_secret(s, b->secret, &b->pos, e) != 0)
		return -1;
	if (b->keys.n > SITE_SIGNERS_MAX)
		return refuse(&b->pos, e, "Shorten the list.", "backup has more than %d keys",
			      SITE_SIGNERS_MAX);
	if (b->keys.n > 0 && strncmp(b->from, "snapshot:", 9) != 0)
		return refuse(&b->pos, e, "Write from: snapshot:REPOSITORY, or no keys.",
			      "backup has keys, and is no snapshot");
	return 0;
}

int site_check(const struct site *s, struct err *e)
{
	for (size_t i = 0; i < s->secrets_n; i++)
		if (check_source(&s->secrets[i].from, &s->secrets[i].pos, "the secret", e) != 0)
			return -1;
	if (check_data(s, e) != 0 || check_keep(s, e) != 0 || check_licence(s, e) != 0 ||
	    check_network(s, e) != 0 || check_users(s, e) != 0 || check_vpn(s, e) != 0 ||
	    check_health(s, e) != 0 || site_cutover_check(s, e) != 0)
		return -1;
	return check_backup(s, e);
}

static void find(struct strv *ret, const struct recipe_pos *at, const char *what)
{
	strv_addf(ret, "%s:%u:%u: %s", at->file, at->line, at->col, what);
}

void site_vpn_findings(const struct site *s, struct strv *ret)
{
	const struct site_vpn *v = &s->vpn;

	for (size_t i = 0; i < v->peers_n; i++) {
		const struct site_peer *p = &v->peers[i];

		if (p->ike == 1)
			find(ret, &p->pos,
			     "IKEv1: it tells the identities' hash to who listens; only for a "
			     "router that cannot do better");
		for (size_t k = 0; k < i; k++)
			if (strcmp(v->peers[k].secret, p->secret) == 0)
				find(ret, &p->pos,
				     "two stores share a secret: each can pose as the other");
	}
}

void site_findings(const struct site *s, struct strv *ret)
{
	site_vpn_findings(s, ret);
	if (s->env != SITE_PROD)
		return;
	if (s->backup.from == NULL)
		find(ret, &s->image.pos, "production without a source of backups");
	if (s->health_n == 0)
		find(ret, &s->image.pos, "production without a check of its health");
	if (s->limits.memory == 0)
		find(ret, &s->image.pos, "production without a limit of memory");
}
