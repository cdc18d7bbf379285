#include "installer/sheet.h"

#include "base/num.h"
#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define ALNUM LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define HEX   "0123456789abcdef"

static bool only(const char *s, const char *of)
{
	return *s != '\0' && s[strspn(s, of)] == '\0';
}

static bool is_shop(const char *s)
{
	return only(s, ALNUM "-") && *s != '-';
}

/* Labels between dots, none of which begins or ends with a dash. */
static bool is_hostname(const char *s)
{
	size_t n = strlen(s);

	if (!only(s, ALNUM "-.") || strchr("-.", s[0]) != NULL || strchr("-.", s[n - 1]) != NULL)
		return false;
	return strstr(s, "..") == NULL && strstr(s, ".-") == NULL && strstr(s, "-.") == NULL;
}

static bool is_interface(const char *s)
{
	return only(s, ALNUM "_-.") && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

static bool is_ipv4(const char *s)
{
	struct in_addr in;

	return inet_pton(AF_INET, s, &in) == 1 && in.s_addr != 0;
}

/* The address of a host in a network of 8 to 30 bits. */
static bool is_address(const char *s)
{
	const char *slash = strchr(s, '/');
	char host[16] = "";
	uint64_t bits;

	if (slash == NULL || (size_t)(slash - s) >= sizeof(host) || slash[1] == '0')
		return false;
	memcpy(host, s, (size_t)(slash - s));
	return is_ipv4(host) && num_u64(slash + 1, 30, &bits) == 0 && bits >= 8;
}

static bool is_serial(const char *s)
{
	return *s != '\0';
}

static bool is_id(const char *s)
{
	return only(s, HEX) && strlen(s) == SHEET_ID;
}

static bool is_contents(const char *s)
{
	return only(s, HEX) && strlen(s) == 2 * SHEET_ID;
}

/* A key: where its value goes, and how often it may stand there. */
struct key {
	const char *name;
	size_t at, size;
	bool (*ok)(const char *s);
	size_t count; /* offset of how many there are; 0 = one */
	size_t most;
	bool installed; /* only of the sheet on the disk */
};

#define AT(member)   offsetof(struct sheet, member)
#define SIZE(member) sizeof(((struct sheet *)NULL)->member)

static const struct key keys[] = {
    {"shop", AT(shop), SIZE(shop), is_shop, 0, 1, false},
    {"hostname", AT(hostname), SIZE(hostname), is_hostname, 0, 1, false},
    {"interface", AT(interface), SIZE(interface), is_interface, 0, 1, false},
    {"address", AT(address), SIZE(address), is_address, 0, 1, false},
    {"gateway", AT(gateway), SIZE(gateway), is_ipv4, 0, 1, false},
    {"dns", AT(dns), SIZE(dns[0]), is_ipv4, AT(dns_n), SHEET_DNS, false},
    {"disk", AT(disks), SIZE(disks[0]), is_serial, AT(disks_n), SHEET_DISKS, false},
    {"erase", AT(erase), SIZE(erase), is_shop, 0, 1, false},
    {"machine-id", AT(machine_id), SIZE(machine_id), is_id, 0, 1, true},
    {"run", AT(run), SIZE(run), is_id, 0, 1, true},
    {"contents", AT(contents), SIZE(contents), is_contents, 0, 1, true},
};

enum { KEYS = sizeof(keys) / sizeof(keys[0]) };

static const struct key *find_key(const char *name, enum sheet_kind kind)
{
	for (size_t i = 0; i < KEYS; i++)
		if (strcmp(keys[i].name, name) == 0 &&
		    (!keys[i].installed || kind == SHEET_INSTALLED))
			return &keys[i];
	return NULL;
}

/* A line of the text, and what of it is being read. */
struct place {
	const char *line;
	size_t number;
	const char *at;
};

static int fault(const struct place *p, struct err *e, const char *what)
{
	(void)err_set(e, ERR_RECIPE, SHEET_FILE ":%zu:%zu: %s", p->number,
		      (size_t)(p->at - p->line) + 1, what);
	return err_hint(e, "See posmedia-installer(5).");
}

/* How many of the key there are, and where the next one goes. */
static size_t taken(const struct key *k, const struct sheet *s)
{
	size_t n;

	if (k->count == 0)
		return ((const char *)s)[k->at] != '\0' ? 1 : 0;
	memcpy(&n, (const char *)s + k->count, sizeof(n));
	return n;
}

static void put(const struct key *k, const char *value, struct sheet *s)
{
	size_t n = taken(k, s);

	memcpy((char *)s + k->at + n * k->size, value, strlen(value) + 1);
	n++;
	if (k->count != 0)
		memcpy((char *)s + k->count, &n, sizeof(n));
}

/* Cuts blanks from both ends, in place. */
static char *trim(char *s)
{
	size_t n;

	s += strspn(s, " \t");
	n = strlen(s);
	while (n > 0 && strchr(" \t\r", s[n - 1]) != NULL)
		s[--n] = '\0';
	return s;
}

static int read_line(char *line, size_t number, enum sheet_kind kind, struct sheet *s,
		     struct err *e)
{
	char *text = trim(line), *equals = strchr(text, '='), *value;
	struct place at = {line, number, text};
	const struct key *k;

	if (*text == '\0' || *text == '#')
		return 0;
	for (; *at.at != '\0'; at.at++)
		if (*at.at < ' ' || *at.at > '~')
			return fault(&at, e, "a character that may not be there");
	at.at = text;
	if (equals == NULL)
		return fault(&at, e, "no KEY=VALUE");
	*equals = '\0';
	k = find_key(trim(text), kind);
	value = trim(equals + 1);
	if (k == NULL)
		return fault(&at, e, "no such key");
	if (taken(k, s) == k->most)
		return fault(&at, e, "one more of this key than there may be");
	at.at = value;
	if (strlen(value) >= k->size || !k->ok(value))
		return fault(&at, e, "its value is none for this key");
	put(k, value, s);
	return 0;
}

static uint32_t ipv4(const char *s)
{
	char host[16] = "";
	struct in_addr in = {0};

	memcpy(host, s, strcspn(s, "/") < sizeof(host) ? strcspn(s, "/") : 0);
	(void)inet_pton(AF_INET, host, &in);
	return ntohl(in.s_addr);
}

static bool same_network(const struct sheet *s)
{
	const char *slash = strchr(s->address, '/');
	uint64_t bits = 0;

	if (slash == NULL || num_u64(slash + 1, 30, &bits) != 0 || bits == 0)
		return false;
	return (ipv4(s->address) ^ ipv4(s->gateway)) >> (32 - bits) == 0;
}

/* What is missing; NULL for nothing. */
static const char *judge_whole(const struct sheet *s, enum sheet_kind kind)
{
	if (s->shop[0] == '\0')
		return "shop= is missing";
	if (s->hostname[0] == '\0')
		return "hostname= is missing";
	if (s->disks_n == 0)
		return "disk= is missing";
	if (kind == SHEET_INSTALLED &&
	    (s->machine_id[0] == '\0' || s->run[0] == '\0' || s->contents[0] == '\0'))
		return "it is not whole";
	return NULL;
}

/* What does not go together. */
static const char *judge(const struct sheet *s)
{
	if (s->disks_n == 2 && strcmp(s->disks[0], s->disks[1]) == 0)
		return "it names one disk twice";
	if ((s->gateway[0] != '\0' || s->dns_n > 0) && s->address[0] == '\0')
		return "gateway= and dns= are for address=";
	if (s->gateway[0] != '\0' && !same_network(s))
		return "gateway= is not in the network of address=";
	if (s->erase[0] != '\0' && strcmp(s->erase, s->shop) != 0)
		return "erase= names another shop";
	return NULL;
}

int sheet_parse(const char *text, size_t n, enum sheet_kind kind, struct sheet *ret, struct err *e)
{
	static const char mark[] = "\xef\xbb\xbf"; /* of an editor that writes UTF-8 */
	char *copy SCOPED(mem_freep) = NULL, *line, *next;
	struct sheet s = {0};
	const char *wrong;
	size_t number = 1;

	if (n > SHEET_MAX)
		return err_set(e, ERR_RECIPE, SHEET_FILE " is longer than %d bytes", SHEET_MAX);
	if (memchr(text, '\0', n) != NULL)
		return err_set(e, ERR_RECIPE, SHEET_FILE " is no text");
	copy = mem_strndup(text, n);
	line = strncmp(copy, mark, strlen(mark)) == 0 ? copy + strlen(mark) : copy;
	for (; line != NULL; line = next, number++) {
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		if (read_line(line, number, kind, &s, e) != 0)
			return -1;
	}
	wrong = judge_whole(&s, kind);
	if (wrong == NULL)
		wrong = judge(&s);
	if (wrong != NULL) {
		(void)err_set(e, ERR_RECIPE, SHEET_FILE ": %s", wrong);
		return err_hint(e, "See posmedia-installer(5).");
	}
	*ret = s;
	return 0;
}

void sheet_write(const struct sheet *s, enum sheet_kind kind, struct buf *ret)
{
	for (size_t i = 0; i < KEYS; i++) {
		const struct key *k = &keys[i];

		if (k->installed && kind != SHEET_INSTALLED)
			continue;
		for (size_t j = 0; j < taken(k, s); j++)
			buf_addf(ret, "%s=%s\n", k->name, (const char *)s + k->at + j * k->size);
	}
}

/* All that a sheet has of a key, as one text; the caller owns it. */
static char *values_of(const struct key *k, const struct sheet *s)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(SHEET_MAX);

	for (size_t j = 0; j < taken(k, s); j++)
		buf_addf(&b, "%s%s", j > 0 ? " " : "", (const char *)s + k->at + j * k->size);
	return b.len > 0 ? buf_take(&b) : mem_strdup("nothing");
}

void sheet_differs(const struct sheet *has, const struct sheet *told, struct buf *ret)
{
	for (size_t i = 0; i < KEYS; i++) {
		const struct key *k = &keys[i];
		char *is SCOPED(mem_freep) = values_of(k, has);
		char *here SCOPED(mem_freep) = values_of(k, told);

		if (!k->installed && k->at != AT(erase) && strcmp(is, here) != 0)
			buf_addf(ret, "%s%s=%s, here %s", ret->len > 0 ? "; " : "", k->name, is,
				 here);
	}
}
