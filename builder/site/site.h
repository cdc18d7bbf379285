/* site.h - who a customer is and what differs from place to place: the resolved, typed site file.
 * See posmedia-site(5).
 *
 * A site never holds a secret, only where one is. `extends` is that of recipes; the policy is
 * relative to the project root (recipe/recipe.h), and all other paths are absolute, on the host or
 * in the instance. Addresses are of IPv4. */
#ifndef SITE_SITE_H
#define SITE_SITE_H

#include "form/ref.h"
#include "recipe/recipe.h"
#include "site/cutover.h"

enum {
	SITE_USERS_MAX = 200,
	SITE_KEYS_MAX = 50, /* of one user */
	SITE_PRINTERS_MAX = 200,
	SITE_PEERS_MAX = 200,
	SITE_DATA_MAX = 60,
	SITE_SECRETS_MAX = 200,
	SITE_HEALTH_MAX = 50,
	SITE_ROUTES_MAX = 100,
	SITE_KEEP_MAX = 50,
	SITE_SHOP_MAX = 32,
	SITE_SIGNERS_MAX = 16,
};

enum site_env {
	SITE_DEV,
	SITE_QA,
	SITE_PROD,
};

/* Where a secret is. Exactly one of the three is set. */
struct site_source {
	char *file;          /* absolute */
	char *credential;    /* a file of $CREDENTIALS_DIRECTORY, as systemd(1) gives them */
	struct strv command; /* its standard output */
};

struct site_secret {
	char *name;
	struct site_source from;
	struct recipe_pos pos;
};

struct site_image {
	char *reference; /* as ref_parse reads it: where it is, when nothing else is said */
	char *policy;    /* absolute */
	struct recipe_pos pos;
};

enum site_mode {
	SITE_MACVLAN, /* a second address on the interface, of a card of its own */
	SITE_IPVLAN,  /* the same with the card of the interface */
	SITE_MOVE,    /* the interface itself */
};

struct site_route {
	struct site_net to;
	char *via;
	struct recipe_pos pos;
};

struct site_network {
	char *interface; /* of the host; NULL = the instance has the engine's network only */
	enum site_mode mode;
	struct site_net address;
	char *gateway; /* or NULL */
	char *mac;     /* or NULL */
	struct site_route *routes;
	size_t routes_n;
	struct strv dns;
	struct recipe_pos pos;
};

struct site_printer {
	char *name;
	char *uri;   /* socket://, ipp://, ipps:// or lpd:// */
	char *model; /* or NULL: it takes what it is sent */
	struct recipe_pos pos;
};

struct site_user {
	char *name;
	uint32_t uid; /* 0 = the image has the user */
	struct strv groups;
	struct strv keys; /* lines as authorized_keys has them: TYPE BASE64 [COMMENT] */
	struct recipe_pos pos;
};

/* What a licence is bound to is the host name; the file is put at `at`. */
struct site_licence {
	struct site_source from;
	char *at; /* NULL = there is none */
	struct recipe_pos pos;
};

struct site_peer {
	char *name;
	char *address; /* an address or a host name; NULL = any, of a router that calls us */
	char *id;
	struct site_net *networks;
	size_t networks_n;
	char *secret; /* a name of site.secrets */
	unsigned ike; /* 2, or 1 */
	bool wait;    /* the router calls, we only answer */
	struct recipe_pos pos;
};

struct site_vpn {
	char *address; /* of this end; NULL = any of the host's */
	char *id;      /* NULL = there is no VPN */
	struct site_net *networks;
	size_t networks_n;
	struct site_peer *peers;
	size_t peers_n;
	struct recipe_pos pos;
};

struct site_backup {
	char *from;        /* an absolute path, s3:// or ssh://; NULL = none */
	char *secret;      /* a name of site.secrets, or NULL */
	char *known_hosts; /* of ssh://: which key its host has; absolute, or NULL */
	struct strv keys;  /* public ones, absolute: a snapshot must be signed by one; or none */
	struct recipe_pos pos;
};

/* A program that ends with 0, or a port that answers. */
struct site_health {
	char *name;
	struct strv run;
	uint16_t tcp; /* 0 = run it is */
	uint64_t within_ms;
	struct recipe_pos pos;
};

/* 0 = not said. */
struct site_limits {
	uint64_t memory;    /* bytes */
	uint64_t cpu_milli; /* thousandths of a processor */
	uint64_t processes;
	uint64_t files; /* open ones, of one process */
	struct recipe_pos pos;
};

struct site {
	char *file; /* as it was named */
	char *root; /* the project root, absolute */
	char *shop;
	enum site_env env;
	struct site_image image;
	char *hostname;
	bool shared; /* its host may have instances of others */
	struct site_network network;
	struct site_data *data;
	struct site_printer *printers;
	struct site_user *users;
	struct strv keep; /* files of the instance that go from image to image, absolute */
	struct site_licence licence;
	struct site_secret *secrets;
	struct site_vpn vpn;
	struct site_backup backup;
	struct site_health *health;
	struct site_limits limits;
	struct site_cutover cutover; /* old.host NULL = none */
	size_t data_n, printers_n, users_n, secrets_n, health_n;
	struct jval *resolved; /* a site again, with all defaults, without positions */
	struct digest digest;  /* of `resolved` as jval_write gives it */
};

/* Reads, merges, types and checks a site file; nothing that it names on the host is looked at but
 * the policy. Every fault is ERR_RECIPE with FILE:LINE:COL and a hint. */
int site_load(const char *path, struct site **ret, struct err *e) MUST_CHECK;

/* The same of what `resolved` says, written out: it has the same digest. The project root is given
 * (NULL = as site_load), and the policy need not be there. */
int site_load_in(const char *path, const char *root, struct site **ret, struct err *e) MUST_CHECK;
void site_free(struct site *s);
void site_freep(struct site **s);

/* "dev", "qa" or "prod"; "macvlan", "ipvlan" or "move". */
const char *site_env_word(enum site_env env);
const char *site_mode_word(enum site_mode mode);

/* Whether text is the code of a shop: what names of directories, containers and connections are
 * made from. An empty one never is. */
bool site_shop_ok(const char *text) MUST_CHECK;

/* The secret of that name, or NULL. */
const struct site_secret *site_secret_find(const struct site *s, const char *name);

/* Reads the address of a host in its network, "192.0.2.7/24"; -1 when it is none. The caller owns
 * ret->text. */
int site_net_parse_host(const char *text, struct site_net *ret) MUST_CHECK;

/* Whether two networks have an address in common. */
bool site_net_meets(const struct site_net *a, const struct site_net *b) MUST_CHECK;

/* What is allowed and should not stay: one line each, with its position; none is no fault. */
void site_findings(const struct site *s, struct strv *ret);

/* Those of them that are about tunnels. */
void site_vpn_findings(const struct site *s, struct strv *ret);

#endif
