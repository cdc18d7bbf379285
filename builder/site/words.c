/* words.c - what the words of a site file may look like. */
#include "site/parts.h"

#include "base/num.h"
#include "form/hex.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"
#define ALNUM LOWER UPPER DIGIT

static bool ipv4(const char *s)
{
	struct in_addr in;

	return inet_pton(AF_INET, s, &in) == 1;
}

/* A name, or an address: what looks like one must be one. */
static bool endpoint(const char *s)
{
	return s[strspn(s, DIGIT ".")] == '\0' ? ipv4(s) : grammar_ok(&grammar_hostname, s);
}

/* Of one card: the lowest bit of the first byte would be a group's. */
static bool mac(const char *s)
{
	for (size_t i = 0; i < 17; i++)
		if (i % 3 == 2 ? s[i] != ':' : s[i] == '\0' || !isxdigit((unsigned char)s[i]))
			return false;
	return s[17] == '\0' && strchr("02468aceACE", s[1]) != NULL;
}

/* "scheme://HOST[:PORT][/PATH]", where HOST is a name or an address. */
static bool host_uri(const char *s, const char *const *schemes)
{
	for (; *schemes != NULL; schemes++) {
		size_t n = strlen(*schemes);
		const char *host = s + n, *end;
		char *name SCOPED(mem_freep) = NULL, *digits SCOPED(mem_freep) = NULL;
		uint64_t port = 1;

		if (strncmp(s, *schemes, n) != 0)
			continue;
		end = host + strcspn(host, ":/");
		name = mem_strndup(host, (size_t)(end - host));
		digits =
		    mem_strndup(end + 1 - (*end != ':'), *end == ':' ? strcspn(end + 1, "/") : 0);
		if (*end == ':' && num_u64(digits, UINT16_MAX, &port) != 0)
			return false;
		return port > 0 && name[0] != '\0' && endpoint(name) && strstr(s, "..") == NULL;
	}
	return false;
}

static bool printer_uri(const char *s)
{
	static const char *const schemes[] = {"socket://", "ipp://", "ipps://", "lpd://", NULL};

	return host_uri(s, schemes);
}

static bool absolute(const char *s)
{
	return s[0] == '/' && s[1] != '\0' && grammar_ok(&grammar_image_path, s);
}

/* "[USER@]HOST[:PORT]/PATH" behind "ssh://". */
static bool backup_ssh(const char *rest)
{
	static const char *const schemes[] = {"ssh://", NULL};
	size_t user = strcspn(rest, "@/");
	char *uri SCOPED(mem_freep) = NULL;

	if (rest[user] == '@' && (user == 0 || rest[0] == '-'))
		return false;
	uri = mem_format("ssh://%s", rest[user] == '@' ? rest + user + 1 : rest);
	return host_uri(uri, schemes);
}

/* The same without a path. */
static bool old_host(const char *s)
{
	return strncmp(s, "ssh://", 6) == 0 && strchr(s + 6, '/') == NULL && backup_ssh(s + 6);
}

static bool bucket(const char *s)
{
	struct ref r SCOPED(ref_release) = {0};
	struct err quiet = ERR_INIT;

	return strncmp(s, "s3://", 5) == 0 && ref_parse(s, &r, &quiet) == 0 && r.tag[0] == '\0' &&
	       !r.has_digest;
}

/* What a snapshot is called, behind the "@", is the repository's to know. */
static bool repository(const char *s)
{
	char *where SCOPED(mem_freep) = mem_strndup(s, strcspn(s, "@"));

	return strncmp(where, "dir:", 4) == 0 ? absolute(where + 4) : bucket(where);
}

static bool backup(const char *s)
{
	static const char *const here[] = {"dir:", "account:", "tar:"};

	for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++)
		if (strncmp(s, here[i], strlen(here[i])) == 0)
			return absolute(s + strlen(here[i]));
	if (strncmp(s, "snapshot:", 9) == 0)
		return repository(s + 9);
	if (strncmp(s, "ssh://", 6) == 0)
		return backup_ssh(s + 6);
	return s[0] == '/' ? absolute(s) : bucket(s);
}

static bool reference(const char *s)
{
	struct ref r SCOPED(ref_release) = {0};
	struct err quiet = ERR_INIT;

	return ref_parse(s, &r, &quiet) == 0 && r.kind != REF_DIR;
}

const struct grammar grammar_shop = {
    "the code of a shop",
    "Letters, digits and '-', beginning with a letter or digit; at most 32.",
    ALNUM,
    ALNUM "-",
    SITE_SHOP_MAX,
    NULL};
const struct grammar grammar_interface = {
    "the name of an interface", "As ip(8) shows it; at most 15.", ALNUM, ALNUM "._-", 15, NULL};
const struct grammar grammar_ipv4 = {"an address", "Such as 192.0.2.1.", DIGIT, DIGIT ".", 15,
				     ipv4};
const struct grammar grammar_endpoint = {"an address or a host name",
					 "Such as 192.0.2.1 or vpn.example.",
					 ALNUM,
					 ALNUM ".-",
					 64,
					 endpoint};
const struct grammar grammar_mac = {
    "the address of a network card",
    "Six pairs of hex digits, such as 02:00:c0:00:02:01; not a group's.",
    DIGIT "abcdefABCDEF",
    DIGIT "abcdefABCDEF:",
    17,
    mac};
/* It stands in a text of settings, and nothing in it may end the value. */
const struct grammar grammar_ike_id = {
    "an identity", "A name, user@name or an address; at most 128.", ALNUM, ALNUM "._@-", 128, NULL};
/* Of printers and of the ends of tunnels: a dot would be a section of its own. */
const struct grammar grammar_printer = {
    "a name", "Letters, digits, '_' and '-'; at most 64.", ALNUM, ALNUM "_-", 64, NULL};
const struct grammar grammar_printer_uri = {
    "where a printer is",
    "socket://, ipp://, ipps:// or lpd:// with a host, such as socket://192.0.2.31:9100.",
    LOWER,
    ALNUM "./:_-",
    256,
    printer_uri};
const struct grammar grammar_backup = {
    "where backups are",
    "An absolute path, ssh://[USER@]HOST/PATH or snapshot:REPOSITORY, as posmedia-site(5) has it.",
    LOWER "/",
    ALNUM "./:@_-",
    1024,
    backup};
const struct grammar grammar_old_host = {"an old server",
					 "Such as ssh://root@pos.example.org or with :PORT.",
					 LOWER,
					 ALNUM "./:@_-",
					 512,
					 old_host};
const struct grammar grammar_reference = {
    "an image",
    "oci:DIR[:TAG], docker://HOST/REPO[:TAG] or s3://BUCKET/PREFIX, or with @sha256:....",
    LOWER,
    NULL,
    1024,
    reference};

bool site_shop_ok(const char *text)
{
	return grammar_ok(&grammar_shop, text);
}

static int parse_net(const char *s, unsigned least, struct site_net *ret)
{
	const char *slash = strchr(s, '/');
	char *host SCOPED(mem_freep) = mem_strndup(s, slash == NULL ? 0 : (size_t)(slash - s));
	struct in_addr in;
	uint64_t bits;

	/* ip(8), which gets the text, would take "024" for a number to the base of eight */
	if (slash == NULL || (slash[1] == '0' && slash[2] != '\0') ||
	    num_u64(slash + 1, 32, &bits) != 0 || bits < least ||
	    inet_pton(AF_INET, host, &in) != 1)
		return -1;
	ret->addr = ntohl(in.s_addr);
	ret->bits = (unsigned)bits;
	return 0;
}

static uint32_t mask(unsigned bits)
{
	return bits == 0 ? 0 : UINT32_MAX << (32 - bits);
}

bool site_net_meets(const struct site_net *a, const struct site_net *b)
{
	uint32_t both = mask(a->bits < b->bits ? a->bits : b->bits);

	return (a->addr & both) == (b->addr & both);
}

/* Neither the network itself nor all of it. */
static bool is_host(const struct site_net *net)
{
	uint32_t host = net->addr & ~mask(net->bits);

	return host != 0 && host != ~mask(net->bits);
}

int site_net_parse_host(const char *text, struct site_net *ret)
{
	struct site_net net = {0};

	if (parse_net(text, 8, &net) != 0 || !is_host(&net))
		return -1;
	net.text = mem_strdup(text);
	*ret = net;
	return 0;
}

int read_address(const char *root, const struct yaml *y, const struct field *f, void *to,
		 struct err *e)
{
	struct site_net *net = (struct site_net *)((char *)to + f->at);

	(void)root;
	if (schema_word(y, f->key, &grammar_address, e) != 0)
		return -1;
	if (parse_net(y->text, 8, net) != 0)
		return schema_refuse(y, e, grammar_address.hint, "\"%s\" wants %s", f->key,
				     grammar_address.what);
	if (!is_host(net))
		return schema_refuse(y, e, "Write the address of one host in it.",
				     "\"%s\": %s is the network itself", f->key,
				     schema_show(y->text).s);
	net->text = mem_strdup(y->text);
	return 0;
}

static int net_of(const struct yaml *y, const char *key, struct site_net *net, struct err *e)
{
	if (schema_want_text(y, key, e) != 0)
		return -1;
	if (parse_net(y->text, 1, net) != 0 || (net->addr & ~mask(net->bits)) != 0)
		return schema_refuse(
		    y, e, "Such as 192.0.2.0/24, with no bits behind the network's.",
		    "\"%s\" wants a network, not \"%s\"", key, schema_show(y->text).s);
	net->text = mem_strdup(y->text);
	return 0;
}

int read_net(const char *root, const struct yaml *y, const struct field *f, void *to, struct err *e)
{
	(void)root;
	return net_of(y, f->key, (struct site_net *)((char *)to + f->at), e);
}

int read_nets(const char *root, const struct yaml *y, const struct field *f, void *to,
	      struct err *e)
{
	enum { NETS_MAX = 50 };
	struct site_net *nets;
	size_t *n = (size_t *)((char *)to + f->at + sizeof(nets));

	(void)root;
	if (schema_want_list(y, f->key, e) != 0)
		return -1;
	if (y->n == 0 || y->n > NETS_MAX)
		return schema_refuse(y, e, "Write each that the tunnel leads to.",
				     "\"%s\" wants 1 to %d networks", f->key, NETS_MAX);
	nets = mem_zalloc(y->n * sizeof(*nets));
	memcpy((char *)to + f->at, &nets, sizeof(nets));
	for (; *n < y->n; ++*n)
		if (net_of(y->items[*n], f->key, &nets[*n], e) != 0) {
			++*n;
			return -1;
		}
	return 0;
}

static const char *const key_types[] = {"ssh-ed25519",
					"ecdsa-sha2-nistp256",
					"ecdsa-sha2-nistp384",
					"ecdsa-sha2-nistp521",
					"sk-ssh-ed25519@openssh.com",
					"sk-ecdsa-sha2-nistp256@openssh.com",
					"ssh-rsa",
					NULL};

/* The blob begins with its own type, as a text behind its length (RFC 4253, 6.6). */
static bool blob_is(const char *base64, const char *type)
{
	struct buf blob SCOPED(buf_release) = BUF_INIT(4096);
	size_t n = strlen(type);

	return base64_decode(base64, &blob) == 0 && blob.len > 4 + n && blob.data[0] == 0 &&
	       blob.data[1] == 0 && blob.data[2] == 0 && (unsigned char)blob.data[3] == n &&
	       memcmp(blob.data + 4, type, n) == 0;
}

static bool key_ok(const char *line)
{
	size_t n = strcspn(line, " "), m;
	char *type SCOPED(mem_freep) = mem_strndup(line, n), *blob SCOPED(mem_freep) = NULL;
	const char *const *known = key_types;

	while (*known != NULL && strcmp(*known, type) != 0)
		known++;
	if (*known == NULL || line[n] != ' ')
		return false;
	m = strcspn(line + n + 1, " ");
	blob = mem_strndup(line + n + 1, m);
	return blob_is(blob, type);
}

int read_keys(const char *root, const struct yaml *y, const struct field *f, void *to,
	      struct err *e)
{
	static const struct grammar line = {
	    "a public key", "TYPE BASE64 [COMMENT], in one line.", LOWER, NULL, 4000, NULL};
	struct strv *keys = (struct strv *)((char *)to + f->at);

	(void)root;
	if (schema_want_list(y, f->key, e) != 0)
		return -1;
	if (y->n > SITE_KEYS_MAX)
		return schema_refuse(y, e, "Shorten it.", "\"%s\" has more than %d items", f->key,
				     SITE_KEYS_MAX);
	for (size_t i = 0; i < y->n; i++) {
		const struct yaml *one = y->items[i];

		/* the value may be the wrong half: it must not reach the message */
		if (one->kind != YAML_SCALAR || !grammar_ok(&line, one->text) ||
		    strpbrk(one->text, "\r\n\t") != NULL || !key_ok(one->text))
			return schema_refuse(
			    one, e, "Write the line of the .pub file: TYPE BASE64 COMMENT.",
			    "\"%s\" wants public keys of OpenSSH without options", f->key);
		strv_add(keys, one->text);
	}
	return 0;
}
