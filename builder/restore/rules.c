/* rules.c - what stays out on purpose: data, each with its reason. */
#include "restore/parts.h"

#include "base/glob.h"
#include "restore/scanned.h"
#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { IN_DEV = 1 << SITE_DEV, IN_QA = 1 << SITE_QA, IN_PROD = 1 << SITE_PROD };
enum { EVERYWHERE = IN_DEV | IN_QA | IN_PROD, TESTS = IN_DEV | IN_QA };
enum { PATHS_TOLD = 1000 };

/* A pattern is about the absolute path that an entry has on its machine. */
struct rule {
	const char *name, *pattern, *why;
	unsigned in; /* environments */
};

static const struct rule rules[] = {
    {"recovered", "/lost+found", "what fsck(8) found belongs to a disk", EVERYWHERE},
    {"recovered", "/usr2/lost+found", "what fsck(8) found belongs to a disk", EVERYWHERE},
    {"recovered", "/d/lost+found", "what fsck(8) found belongs to a disk", EVERYWHERE},
    {"recovered", "/var/lost+found", "what fsck(8) found belongs to a disk", EVERYWHERE},
    {"cardholder", "/**/CCXF01", "cardholder data", TESTS},
    {"cardholder", "/**/CCXF02", "cardholder data", TESTS},
    {"cardholder", "/**/ONCA01", "cardholder data", TESTS},
    {"cardholder", "/**/bytefile", "cardholder data", TESTS},
    {"cardholder", "/**/recv.fil", "cardholder data", TESTS},
    {"cardholder", "/**/crddata.pos", "cardholder data", TESTS},
    {"cardholder", "/d/daisy-*.tar.asc", "an installation of before, with its cards", TESTS},
    {"passwords", "/etc/shadow", "password hashes of production", TESTS},
    {"passwords", "/etc/shadow-", "password hashes of production", TESTS},
    {"passwords", "/etc/gshadow", "password hashes of production", TESTS},
    {"passwords", "/etc/gshadow-", "password hashes of production", TESTS},
    {"passwords", "/etc/samba/smbpasswd", "password hashes of production", TESTS},
    {"passwords", "/etc/samba/*.tdb", "password hashes of production", TESTS},
    {"passwords", "/var/lib/samba/private", "password hashes of production", TESTS},
    {"keys", "/**/.ssh/id_*", "private keys of production", TESTS},
    {"keys", "/**/.ssh/authorized_keys", "who may log in to production", TESTS},
    {"keys", "/**/.rhosts", "who may log in to production", TESTS},
    {"keys", "/etc/ssh/ssh_host_*", "what production proves itself with", TESTS},
};
enum { RULES = sizeof(rules) / sizeof(rules[0]) };

/* How often a rule held, and for what. */
struct held {
	char *name, *pattern, *why;
	char *folded; /* of what no test may have: in any case of letters, by each of its names */
	uint64_t n, links;
	struct strv paths, linked; /* masked */
};

struct restore_filter {
	pthread_mutex_t lock;
	char *at;
	struct held *v;
	size_t n;
	size_t all;       /* the rule that holds back the place of the tree itself, plus 1 */
	size_t devices;   /* the rule about them, plus 1 */
	struct map links; /* other names of what is held back: to the rule's place, plus 1 */
	struct map noted; /* by content */
};

/* Every letter as a class of its two cases: glob_match, rsync and tar all read that. */
static char *fold(const char *pattern)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(4096);

	for (; *pattern != '\0'; pattern++) {
		if (isalpha((unsigned char)*pattern))
			buf_addf(&b, "[%c%c]", toupper((unsigned char)*pattern),
				 tolower((unsigned char)*pattern));
		else
			buf_add(&b, pattern, 1);
	}
	return buf_take(&b);
}

static struct held *add(struct restore_filter *f, const char *name, const char *pattern,
			const char *why)
{
	f->v = mem_resize(f->v, f->n + 1, sizeof(*f->v));
	f->v[f->n] = (struct held){
	    .name = mem_strdup(name), .pattern = mem_strdup(pattern), .why = mem_strdup(why)};
	return &f->v[f->n++];
}

/* A leading double star is any depth, none too. */
static bool holds(const char *pattern, const char *full)
{
	if (glob_match(pattern, full))
		return true;
	return strncmp(pattern, "/**/", 4) == 0 && glob_match(pattern + 3, full);
}

/* The place of the rule that holds an absolute path back, plus 1; 0 = none does. */
static size_t forbidding(const struct restore_filter *f, const char *full, bool tests)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct held *h = &f->v[i];

		if (h->folded != NULL ? holds(h->folded, full) : !tests && holds(h->pattern, full))
			return i + 1;
	}
	return 0;
}

/* The same, or one that holds back a directory that it is in. */
static size_t above(const struct restore_filter *f, const char *full, bool tests)
{
	size_t at = 0;

	for (const char *end = full; end != NULL && at == 0;) {
		char *path SCOPED(mem_freep) = NULL;

		end = strchr(end + 1, '/');
		path = end != NULL ? mem_strndup(full, (size_t)(end - full)) : mem_strdup(full);
		at = forbidding(f, path, tests);
	}
	return at;
}

static size_t holding(const struct restore_filter *f, const char *full, const char *path,
		      enum manifest_type type, bool *link)
{
	size_t at = f->all > 0 ? f->all : forbidding(f, full, false);

	*link = false;
	if (at == 0 && f->devices > 0 && (type == MANIFEST_CHAR || type == MANIFEST_BLOCK))
		at = f->devices;
	if (at == 0 && f->links.n > 0) {
		at = (size_t)(uintptr_t)map_get(&f->links, path);
		*link = at > 0;
	}
	return at;
}

struct restore_filter *restore_filter_new(enum site_env env, const struct strv *more,
					  const char *at)
{
	struct restore_filter *f = mem_zalloc(sizeof(*f));

	(void)pthread_mutex_init(&f->lock, NULL);
	f->at = mem_strdup(at);
	for (size_t i = 0; i < RULES; i++) {
		struct held *h;

		if ((rules[i].in & 1U << env) == 0)
			continue;
		h = add(f, rules[i].name, rules[i].pattern, rules[i].why);
		if (rules[i].in == TESTS)
			h->folded = fold(rules[i].pattern);
	}
	for (size_t i = 0; more != NULL && i < more->n; i++)
		(void)add(f, "asked", more->v[i], "as the command line has it");
	f->all = at[0] != '\0' ? above(f, at, true) : 0;
	return f;
}

void restore_filter_free(struct restore_filter *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < f->n; i++) {
		free(f->v[i].name);
		free(f->v[i].pattern);
		free(f->v[i].why);
		free(f->v[i].folded);
		strv_release(&f->v[i].paths);
		strv_release(&f->v[i].linked);
	}
	free(f->v);
	free(f->at);
	map_release(&f->links, NULL);
	map_release(&f->noted, NULL);
	(void)pthread_mutex_destroy(&f->lock);
	free(f);
}

void restore_filter_freep(struct restore_filter **f)
{
	restore_filter_free(*f);
	*f = NULL;
}

/* A name, or another one (`link`) of what a rule holds back; masked, as all that is told. */
static void note(struct restore_filter *f, struct held *h, const char *path, bool link)
{
	struct strv *to = link ? &h->linked : &h->paths;

	(void)pthread_mutex_lock(&f->lock);
	*(link ? &h->links : &h->n) += 1;
	if (to->n < PATHS_TOLD) {
		char *told SCOPED(mem_freep) = restore_told(path);

		strv_add(to, told);
	}
	(void)pthread_mutex_unlock(&f->lock);
}

bool restore_filter_wants(struct restore_filter *f, const char *path, enum manifest_type type)
{
	char *full SCOPED(mem_freep) = NULL;
	bool link = false;
	size_t at;

	if (path[0] == '\0')
		return true;
	full = mem_format("%s/%s", f->at, path);
	at = holding(f, full, path, type, &link);
	if (at > 0)
		note(f, &f->v[at - 1], full, link);
	return at == 0;
}

bool restore_filter_passes(const struct restore_filter *f, const char *path,
			   enum manifest_type type)
{
	char *full SCOPED(mem_freep) = mem_format("%s/%s", f->at, path);
	bool link;

	return path[0] == '\0' || holding(f, full, path, type, &link) == 0;
}

bool restore_filter_fetches(struct restore_filter *f, const char *path,
			    const struct restore_fetching *how)
{
	char *full SCOPED(mem_freep) = mem_format("%s/%s", f->at, path);
	size_t link = (size_t)(uintptr_t)map_get(&f->links, path);
	size_t at = link > 0 ? link : above(f, full, how->tests);

	if (at > 0 && how->count)
		note(f, &f->v[at - 1], full, link > 0);
	return at == 0;
}

void restore_filter_patterns(const struct restore_filter *f, bool tests, struct strv *ret)
{
	for (size_t i = 0; i < f->n; i++) {
		if (f->v[i].folded != NULL)
			strv_add(ret, f->v[i].folded);
		else if (!tests && f->v[i].pattern[0] == '/')
			strv_add(ret, f->v[i].pattern);
	}
}

void restore_filter_of_site(struct restore_filter *f)
{
	f->devices = f->n + 1;
	(void)add(f, "devices", "by type", "a device: the data of a site has none");
	(void)add(f, RESTORE_PRIVILEGES, "by mode",
		  "restored without what would run it as root: set-id bits, capabilities");
}

/* The first name of a file that has several. */
static const char *first_of(const struct map *firsts, const char *path)
{
	const char *first = map_get(firsts, path);

	return first != NULL ? first : path;
}

void restore_filter_find_links(struct restore_filter *f, const struct restore_name *v, size_t n)
{
	struct map firsts = {0}, held = {0};

	for (size_t i = 0; i < n; i++) {
		const char *first = v[i].same_as;

		if (first == NULL)
			continue;
		first = first_of(&firsts, first);
		(void)map_add(&firsts, v[i].path, (void *)(uintptr_t)first);
		(void)map_add(&firsts, first, (void *)(uintptr_t)first);
	}
	for (size_t i = 0; firsts.n > 0 && i < n; i++) {
		size_t at = map_has(&firsts, v[i].path) ? above(f, v[i].full, true) : 0;

		if (at > 0)
			(void)map_add(&held, first_of(&firsts, v[i].path), (void *)(uintptr_t)at);
	}
	for (size_t i = 0; held.n > 0 && i < n; i++) {
		void *at = map_get(&held, first_of(&firsts, v[i].path));

		if (at != NULL && above(f, v[i].full, true) == 0)
			(void)map_add(&f->links, v[i].path, at);
	}
	map_release(&firsts, NULL);
	map_release(&held, NULL);
}

void restore_filter_lend_links(const struct restore_filter *from, const char *below,
			       struct restore_filter *to)
{
	const char **keys SCOPED(mem_freep) = map_keys(&from->links);
	size_t len = strlen(below);

	for (size_t i = 0; i < from->links.n; i++) {
		const char *path = keys[i];

		if (len > 0 && (strncmp(path, below, len) != 0 || path[len] != '/'))
			continue;
		(void)map_add(&to->links, path + (len > 0 ? len + 1 : 0),
			      map_get(&from->links, path));
	}
}

bool restore_filter_is_link(const struct restore_filter *f, const char *path)
{
	return map_has(&f->links, path);
}

static struct held *rule_named(struct restore_filter *f, const char *name, const char *pattern,
			       const char *why)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->v[i].name, name) == 0)
			return &f->v[i];
	return add(f, name, pattern, why);
}

void restore_filter_note(struct restore_filter *f, const char *rule, const char *path)
{
	char *full SCOPED(mem_freep) = mem_format("%s/%s", f->at, path);
	char *key SCOPED(mem_freep) = mem_format("%s %s", rule, full);
	struct held *h = rule_named(f, rule, "by content", "what posmedia-scan(7) finds in it");

	if (map_add(&f->noted, key, NULL))
		note(f, h, full, false);
}

static struct jval *row(const struct held *h, bool link)
{
	const struct strv *told = link ? &h->linked : &h->paths;
	struct jval *o = jval_object(), *paths = jval_array();
	char *why SCOPED(mem_freep) =
	    mem_format("%s%s", link ? "another name of a file that is " : "", h->why);

	for (size_t i = 0; i < told->n; i++)
		jval_push(paths, jval_text(told->v[i]));
	jval_put_text(o, "rule", h->name);
	jval_put_text(o, "pattern", h->pattern);
	jval_put_text(o, "why", why);
	jval_put_int(o, "count", (int64_t)(link ? h->links : h->n));
	jval_put(o, "paths", paths);
	return o;
}

void restore_filter_report(const struct restore_filter *f, struct jval *list)
{
	for (size_t i = 0; i < f->n; i++) {
		jval_push(list, row(&f->v[i], false));
		if (f->v[i].links > 0)
			jval_push(list, row(&f->v[i], true));
	}
}

uint64_t restore_filter_count(const struct restore_filter *f)
{
	uint64_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		n += f->v[i].n + f->v[i].links;
	return n;
}

void restore_excludes(enum site_env env, const struct strv *more, struct strv *ret)
{
	struct restore_filter *f SCOPED(restore_filter_freep) = restore_filter_new(env, more, "");

	restore_filter_patterns(f, false, ret);
}
