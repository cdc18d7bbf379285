/* rules.c - what stays out on purpose: data, each with its reason. */
#include "restore/parts.h"

#include "base/glob.h"
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
	uint64_t n;
	struct strv paths;
};

struct restore_filter {
	pthread_mutex_t lock;
	char *at;
	struct held *v;
	size_t n;
};

static void add(struct restore_filter *f, const char *name, const char *pattern, const char *why)
{
	f->v = mem_resize(f->v, f->n + 1, sizeof(*f->v));
	f->v[f->n++] =
	    (struct held){mem_strdup(name), mem_strdup(pattern), mem_strdup(why), 0, {0}};
}

struct restore_filter *restore_filter_new(enum site_env env, const struct strv *more,
					  const char *at)
{
	struct restore_filter *f = mem_zalloc(sizeof(*f));

	(void)pthread_mutex_init(&f->lock, NULL);
	f->at = mem_strdup(at);
	for (size_t i = 0; i < RULES; i++)
		if ((rules[i].in & 1U << env) != 0)
			add(f, rules[i].name, rules[i].pattern, rules[i].why);
	for (size_t i = 0; more != NULL && i < more->n; i++)
		add(f, "asked", more->v[i], "as the command line has it");
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
		strv_release(&f->v[i].paths);
	}
	free(f->v);
	free(f->at);
	(void)pthread_mutex_destroy(&f->lock);
	free(f);
}

void restore_filter_freep(struct restore_filter **f)
{
	restore_filter_free(*f);
	*f = NULL;
}

static void note(struct restore_filter *f, struct held *h, const char *path)
{
	(void)pthread_mutex_lock(&f->lock);
	h->n++;
	if (h->paths.n < PATHS_TOLD)
		strv_add(&h->paths, path);
	(void)pthread_mutex_unlock(&f->lock);
}

/* A leading double star is any depth, none too. */
static bool holds(const char *pattern, const char *full)
{
	if (glob_match(pattern, full))
		return true;
	return strncmp(pattern, "/**/", 4) == 0 && glob_match(pattern + 3, full);
}

/* The rule that holds an absolute path back, or NULL. */
static struct held *holding(const struct restore_filter *f, const char *full)
{
	for (size_t i = 0; i < f->n; i++)
		if (holds(f->v[i].pattern, full))
			return &f->v[i];
	return NULL;
}

bool restore_filter_wants(struct restore_filter *f, const char *path, enum manifest_type type)
{
	char *full SCOPED(mem_freep) = NULL;
	struct held *h;

	(void)type;
	if (path[0] == '\0')
		return true;
	full = mem_format("%s/%s", f->at, path);
	h = holding(f, full);
	if (h != NULL)
		note(f, h, full);
	return h == NULL;
}

bool restore_filter_passes(const struct restore_filter *f, const char *path)
{
	char *full SCOPED(mem_freep) = mem_format("%s/%s", f->at, path);

	return path[0] == '\0' || holding(f, full) == NULL;
}

void restore_filter_patterns(const struct restore_filter *f, struct strv *ret)
{
	for (size_t i = 0; i < f->n; i++)
		strv_add(ret, f->v[i].pattern);
}

void restore_filter_note(struct restore_filter *f, const char *rule, const char *path)
{
	char *full SCOPED(mem_freep) = mem_format("%s/%s", f->at, path);
	size_t i = 0;

	while (i < f->n && strcmp(f->v[i].name, rule) != 0)
		i++;
	if (i == f->n)
		add(f, rule, "by content", "what posmedia-scan(7) finds in it");
	note(f, &f->v[i], full);
}

void restore_filter_report(const struct restore_filter *f, struct jval *list)
{
	for (size_t i = 0; i < f->n; i++) {
		const struct held *h = &f->v[i];
		struct jval *o = jval_object(), *paths = jval_array();

		for (size_t k = 0; k < h->paths.n; k++)
			jval_push(paths, jval_text(h->paths.v[k]));
		jval_put_text(o, "rule", h->name);
		jval_put_text(o, "pattern", h->pattern);
		jval_put_text(o, "why", h->why);
		jval_put_int(o, "count", (int64_t)h->n);
		jval_put(o, "paths", paths);
		jval_push(list, o);
	}
}

uint64_t restore_filter_count(const struct restore_filter *f)
{
	uint64_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		n += f->v[i].n;
	return n;
}

void restore_excludes(enum site_env env, const struct strv *more, struct strv *ret)
{
	struct restore_filter *f SCOPED(restore_filter_freep) = restore_filter_new(env, more, "");

	restore_filter_patterns(f, ret);
}
