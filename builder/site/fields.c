/* fields.c - the tables that say which key of a site fills which member. */
#include "site/parts.h"

#include "base/num.h"
#include "sys/fs.h"
#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(struct site, member)
#define MANUAL                                                                                     \
	{                                                                                          \
		NULL, NULL, 0, "posmedia-site(5)", false                                           \
	}

int read_few(const char *root, const struct yaml *y, const struct field *f, void *to, struct err *e)
{
	const struct few *few = f->how;
	const struct field all = {f->key, read_array, f->at, &few->array, f->required};

	if (y->kind == YAML_LIST && y->n > few->max)
		return schema_refuse(y, e, "Shorten it.", "\"%s\" has more than %zu items", f->key,
				     few->max);
	return read_array(root, y, &all, to, e);
}

/* What stands here may be the secret itself: it must not reach the message. */
static int read_place(const char *root, const struct yaml *y, const struct field *f, void *to,
		      struct err *e)
{
	const struct grammar *g = f->how;

	if (y->kind != YAML_SCALAR || !grammar_ok(g, y->text))
		return schema_refuse(y, e, g->hint, "\"%s\" wants %s", f->key, g->what);
	return read_word(root, y, f, to, e);
}

/* A project path into an absolute char *. Whether it is there, site_load looks. */
static int read_policy(const char *root, const struct yaml *y, const struct field *f, void *to,
		       struct err *e)
{
	char **slot = (char **)((char *)to + f->at);

	if (schema_word(y, f->key, &grammar_project_path, e) != 0)
		return -1;
	*slot = fs_join(root, y->text);
	return 0;
}

int read_program(const char *root, const struct yaml *y, const struct field *f, void *to,
		 struct err *e)
{
	if (y->kind != YAML_LIST || y->n == 0 || y->items[0]->kind != YAML_SCALAR ||
	    !grammar_ok(&grammar_image_path, y->items[0]->text))
		return schema_refuse(y, e, "Write [/path/of/program, argument].",
				     "\"%s\" wants a list that begins with an absolute path",
				     f->key);
	if (y->n > 64)
		return schema_refuse(y, e, "Shorten it.", "\"%s\" has more than 64 items", f->key);
	return read_argv(root, y, f, to, e);
}

static int read_inline(const char *root, const struct yaml *y, const struct field *f, void *to,
		       struct err *e)
{
	(void)root;
	(void)to;
	return schema_refuse(y, e, "Say where it is: file, credential or command.",
			     "\"%s\": a site file must not hold a secret", f->key);
}

#define FROM(type, member)                                                                         \
	{"file", read_place, offsetof(type, member.file), &grammar_image_path, false},             \
	    {"credential", read_place, offsetof(type, member.credential), &grammar_name, false},   \
	    {"command", read_program, offsetof(type, member.command), NULL, false},                \
	    {"value", read_inline, 0, NULL, false}, {"text", read_inline, 0, NULL, false},         \
	{                                                                                          \
		"password", read_inline, 0, NULL, false                                            \
	}

static const char *const env_words[] = {"dev", "qa", "prod", NULL};
static const char *const mode_words[] = {"macvlan", "ipvlan", "move", NULL};
static const char *const unique_name[] = {"name", NULL};
static const char *const unique_place[] = {"name", "at", NULL};
static const char *const unique_uri[] = {"name", "uri", NULL};
static const char *const unique_to[] = {"to", NULL};

const char *site_env_word(enum site_env env)
{
	return env_words[env];
}

const char *site_mode_word(enum site_mode mode)
{
	return mode_words[mode];
}

/* A word of the list (how) into its number, an int. */
int read_number_of(const char *root, const struct yaml *y, const struct field *f, void *to,
		   struct err *e)
{
	char *word SCOPED(mem_freep) = NULL;
	const struct field one = {f->key, read_choice, 0, f->how, false};
	const char *const *words = f->how;
	int i = 0;

	if (read_choice(root, y, &one, &word, e) != 0)
		return -1;
	while (strcmp(words[i], word) != 0)
		i++;
	memcpy((char *)to + f->at, &i, sizeof(i));
	return 0;
}

static int read_count(const char *root, const struct yaml *y, const struct field *f, void *to,
		      struct err *e)
{
	uint64_t v;

	(void)root;
	if (schema_want_text(y, f->key, e) != 0)
		return -1;
	if (num_u64(y->text, 1 << 20, &v) != 0 || v < 16)
		return schema_refuse(y, e, "Write a number from 16 to 1048576.",
				     "\"%s\" wants a number, not \"%s\"", f->key,
				     schema_show(y->text).s);
	memcpy((char *)to + f->at, &v, sizeof(v));
	return 0;
}

/* "2" or "0.5" into thousandths. */
static int read_cpus(const char *root, const struct yaml *y, const struct field *f, void *to,
		     struct err *e)
{
	const char *dot;
	char *whole SCOPED(mem_freep) = NULL;
	uint64_t v = 0, tenths = 0;

	(void)root;
	if (schema_want_text(y, f->key, e) != 0)
		return -1;
	dot = strchr(y->text, '.');
	whole = mem_strndup(y->text, dot == NULL ? strlen(y->text) : (size_t)(dot - y->text));
	if (num_u64(whole, 256, &v) != 0 || (dot != NULL && num_u64(dot + 1, 9, &tenths) != 0) ||
	    v + tenths == 0)
		return schema_refuse(y, e, "Write a number such as 2 or 0.5; at most 256.",
				     "\"%s\" wants a number of processors, not \"%s\"", f->key,
				     schema_show(y->text).s);
	v = v * 1000 + tenths * 100;
	memcpy((char *)to + f->at, &v, sizeof(v));
	return 0;
}

int read_port(const char *root, const struct yaml *y, const struct field *f, void *to,
	      struct err *e)
{
	uint64_t v;
	uint16_t port;

	(void)root;
	if (schema_want_text(y, f->key, e) != 0)
		return -1;
	if (num_u64(y->text, UINT16_MAX, &v) != 0 || v == 0)
		return schema_refuse(y, e, "Write a number from 1 to 65535.",
				     "\"%s\" wants a port, not \"%s\"", f->key,
				     schema_show(y->text).s);
	port = (uint16_t)v;
	memcpy((char *)to + f->at, &port, sizeof(port));
	return 0;
}

static const char *const ike_words[] = {"1", "2", NULL};

static int read_ike(const char *root, const struct yaml *y, const struct field *f, void *to,
		    struct err *e)
{
	unsigned *ike = (unsigned *)((char *)to + f->at);
	const struct field one = {f->key, read_choice, 0, ike_words, false};
	char *word SCOPED(mem_freep) = NULL;

	if (read_choice(root, y, &one, &word, e) != 0)
		return -1;
	*ike = word[0] == '1' ? 1 : 2;
	return 0;
}

int read_here(const char *root, const struct yaml *y, const struct field *f, void *to,
	      struct err *e)
{
	struct recipe_pos pos = schema_pos(y);
	const struct field *own = f->how;

	memcpy((char *)to + f->at, &pos, sizeof(pos));
	if (schema_want_map(y, f->key, e) != 0)
		return -1;
	return schema_map(root, y, own, to, e);
}

static void health_defaults(void *item)
{
	struct site_health *h = item;

	if (h->within_ms == 0)
		h->within_ms = 120000;
}

static void peer_defaults(void *item)
{
	struct site_peer *p = item;

	if (p->ike == 0)
		p->ike = 2;
	if (p->address == NULL)
		p->wait = true;
}

static const struct field image_fields[] = {
    {"reference", read_word, AT(image.reference), &grammar_reference, true},
    {"policy", read_policy, AT(image.policy), NULL, true},
    MANUAL,
};

static const struct field route_fields[] = {
    {"to", read_net, offsetof(struct site_route, to), NULL, true},
    {"via", read_word, offsetof(struct site_route, via), &grammar_ipv4, false},
    MANUAL,
};

#define ITEMS(fields, unique, type, count, defaults)                                               \
	{                                                                                          \
		fields, unique, sizeof(type), AT(count), offsetof(type, pos), defaults             \
	}

static const struct few routes = {
    ITEMS(route_fields, unique_to, struct site_route, network.routes_n, NULL), SITE_ROUTES_MAX};

static const struct field network_fields[] = {
    {"interface", read_word, AT(network.interface), &grammar_interface, true},
    {"mode", read_number_of, AT(network.mode), mode_words, false},
    {"address", read_address, AT(network.address), NULL, true},
    {"gateway", read_word, AT(network.gateway), &grammar_ipv4, false},
    {"mac", read_word, AT(network.mac), &grammar_mac, false},
    {"routes", read_few, AT(network.routes), &routes, false},
    {"dns", read_set, AT(network.dns), &grammar_ipv4, false},
    MANUAL,
};

static const struct field data_fields[] = {
    {"name", read_word, offsetof(struct site_data, name), &grammar_printer, true},
    {"at", read_word, offsetof(struct site_data, at), &grammar_image_path, true},
    MANUAL,
};
static const struct few data = {ITEMS(data_fields, unique_place, struct site_data, data_n, NULL),
				SITE_DATA_MAX};

static const struct field printer_fields[] = {
    {"name", read_word, offsetof(struct site_printer, name), &grammar_printer, true},
    {"uri", read_word, offsetof(struct site_printer, uri), &grammar_printer_uri, true},
    {"model", read_word, offsetof(struct site_printer, model), &grammar_name, false},
    MANUAL,
};
static const struct few printers = {
    ITEMS(printer_fields, unique_uri, struct site_printer, printers_n, NULL), SITE_PRINTERS_MAX};

static const struct field user_fields[] = {
    {"name", read_word, offsetof(struct site_user, name), &grammar_user, true},
    {"uid", read_id, offsetof(struct site_user, uid), NULL, false},
    {"groups", read_set, offsetof(struct site_user, groups), &grammar_user, false},
    {"keys", read_keys, offsetof(struct site_user, keys), NULL, false},
    {"password", read_inline, 0, NULL, false},
    MANUAL,
};
static const struct few users = {ITEMS(user_fields, unique_name, struct site_user, users_n, NULL),
				 SITE_USERS_MAX};

static const struct field licence_fields[] = {
    {"at", read_word, AT(licence.at), &grammar_image_path, true},
    FROM(struct site, licence.from),
    MANUAL,
};

static const struct field secret_fields[] = {
    {"name", read_word, offsetof(struct site_secret, name), &grammar_printer, true},
    FROM(struct site_secret, from),
    MANUAL,
};
static const struct few secrets = {
    ITEMS(secret_fields, unique_name, struct site_secret, secrets_n, NULL), SITE_SECRETS_MAX};

static const struct field peer_fields[] = {
    {"name", read_word, offsetof(struct site_peer, name), &grammar_printer, true},
    {"address", read_word, offsetof(struct site_peer, address), &grammar_endpoint, false},
    {"id", read_word, offsetof(struct site_peer, id), &grammar_ike_id, true},
    {"networks", read_nets, offsetof(struct site_peer, networks), NULL, true},
    {"secret", read_word, offsetof(struct site_peer, secret), &grammar_printer, true},
    {"ike", read_ike, offsetof(struct site_peer, ike), NULL, false},
    {"wait", read_bool, offsetof(struct site_peer, wait), NULL, false},
    MANUAL,
};
static const struct few peers = {
    ITEMS(peer_fields, unique_name, struct site_peer, vpn.peers_n, peer_defaults), SITE_PEERS_MAX};

static const struct field vpn_fields[] = {
    {"address", read_word, AT(vpn.address), &grammar_endpoint, false},
    {"id", read_word, AT(vpn.id), &grammar_ike_id, true},
    {"networks", read_nets, AT(vpn.networks), NULL, true},
    {"peers", read_few, AT(vpn.peers), &peers, true},
    MANUAL,
};

static const struct field backup_fields[] = {
    {"from", read_word, AT(backup.from), &grammar_backup, true},
    {"secret", read_word, AT(backup.secret), &grammar_printer, false},
    {"known_hosts", read_word, AT(backup.known_hosts), &grammar_image_path, false},
    {"keys", read_set, AT(backup.keys), &grammar_image_path, false},
    MANUAL,
};

static const struct field health_fields[] = {
    {"name", read_word, offsetof(struct site_health, name), &grammar_printer, true},
    {"run", read_program, offsetof(struct site_health, run), NULL, false},
    {"tcp", read_port, offsetof(struct site_health, tcp), NULL, false},
    {"within", read_duration, offsetof(struct site_health, within_ms), NULL, false},
    MANUAL,
};
static const struct few health = {
    ITEMS(health_fields, unique_name, struct site_health, health_n, health_defaults),
    SITE_HEALTH_MAX};

static const struct field limit_fields[] = {
    {"memory", read_size, AT(limits.memory), NULL, false},
    {"cpus", read_cpus, AT(limits.cpu_milli), NULL, false},
    {"processes", read_count, AT(limits.processes), NULL, false},
    {"files", read_count, AT(limits.files), NULL, false},
    MANUAL,
};

const struct field site_fields[] = {
    {"shop", read_word, AT(shop), &grammar_shop, true},
    {"environment", read_number_of, AT(env), env_words, true},
    {"image", read_here, AT(image.pos), image_fields, true},
    {"hostname", read_word, AT(hostname), &grammar_hostname, true},
    {"network", read_here, AT(network.pos), network_fields, false},
    {"data", read_few, AT(data), &data, true},
    {"printers", read_few, AT(printers), &printers, false},
    {"users", read_few, AT(users), &users, false},
    {"keep", read_set, AT(keep), &grammar_image_path, false},
    {"licence", read_here, AT(licence.pos), licence_fields, false},
    {"secrets", read_few, AT(secrets), &secrets, false},
    {"vpn", read_here, AT(vpn.pos), vpn_fields, false},
    {"backup", read_here, AT(backup.pos), backup_fields, false},
    {"health", read_few, AT(health), &health, false},
    {"limits", read_here, AT(limits.pos), limit_fields, false},
    {"cutover", read_here, AT(cutover.pos), site_cutover_fields, false},
    {"shared", read_bool, AT(shared), NULL, false},
    MANUAL,
};
