/* config.c - the file of a nightly. */
#include "nightly/nightly.h"

#include "base/glob.h"
#include "base/map.h"
#include "base/num.h"
#include "form/ref.h"
#include "recipe/merge.h"
#include "recipe/schema.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define AT(member) offsetof(struct nightly, member)
#define MANUAL                                                                                     \
	{                                                                                          \
		NULL, NULL, 0, "posmedia-nightly(5)", false                                        \
	}

enum { DEFAULT_TIMEOUT_MS = 12 * 3600 * 1000 };
static const char *const lock_words[] = {"update", "keep", NULL};
static const char *const when_words[] = {"failure", "change", "always", NULL};

struct most {
	uint64_t max;
};

static int read_number(const char *root, const struct yaml *y, const struct field *f, void *to,
		       struct err *e)
{
	const struct most *most = f->how;
	uint64_t *slot = (uint64_t *)(void *)((char *)to + f->at);

	(void)root;
	if (schema_want_text(y, f->key, e) != 0)
		return -1;
	if (num_u64(y->text, most->max, slot) == 0 && *slot > 0)
		return 0;
	return schema_refuse(y, e, "Write a whole number.", "\"%s\" wants a number from 1 to %llu",
			     f->key, (unsigned long long)most->max);
}

static int read_when(const char *root, const struct yaml *y, const struct field *f, void *to,
		     struct err *e)
{
	const struct field word = {f->key, read_choice, 0, when_words, false};
	char *text SCOPED(mem_freep) = NULL;
	int when = 0;

	if (read_choice(root, y, &word, &text, e) != 0)
		return -1;
	while (strcmp(when_words[when], text) != 0)
		when++;
	memcpy((char *)to + f->at, &when, sizeof(when));
	return 0;
}

/* A path that need not be there; relative ones are the project's. */
static int read_place(const char *root, const struct yaml *y, const struct field *f, void *to,
		      struct err *e)
{
	char **slot = (char **)(void *)((char *)to + f->at);

	if (schema_word(y, f->key, &grammar_project_path, e) != 0)
		return -1;
	*slot = fs_join(root, y->text);
	return 0;
}

/* A repository, with "{name}" at most once in its path. */
static int read_repository(const char *root, const struct yaml *y, const struct field *f, void *to,
			   struct err *e)
{
	char **slot = (char **)(void *)((char *)to + f->at);
	char *plain SCOPED(mem_freep) = NULL, *at;
	struct ref ref SCOPED(ref_release) = {0};
	struct err why = ERR_INIT;

	(void)root;
	if (schema_want_text(y, f->key, e) != 0)
		return -1;
	plain = mem_strdup(y->text);
	at = strstr(plain, "{name}");
	if (at != NULL)
		memcpy(at, "aname_", 6);
	if (at != NULL)
		at[5] = 'a';
	if (ref_parse(plain, &ref, &why) != 0 || (ref.kind != REF_DOCKER && ref.kind != REF_S3) ||
	    ref.tag[0] != '\0' || ref.has_digest)
		return schema_refuse(y, e, "Such as docker://registry.example/pos/{name}.",
				     "\"%s\" wants a repository without a tag, not \"%s\"", f->key,
				     schema_show(y->text).s);
	*slot = mem_strdup(y->text);
	return 0;
}

/* One '@', something on both sides of it, and no dot where a name has none. */
static bool address_ok(const char *s)
{
	const char *at = strchr(s, '@');

	return at != NULL && at > s && at - s <= 64 && at[1] != '\0' && at[1] != '.' &&
	       strchr(at + 1, '@') == NULL && s[strlen(s) - 1] != '.' && strstr(s, "..") == NULL;
}

static bool http_ok(const char *s)
{
	return strncmp(s, "https://", 8) == 0 || strncmp(s, "http://", 7) == 0;
}

#define DIGIT "0123456789"
#define LOWER "abcdefghijklmnopqrstuvwxyz" DIGIT
#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZ" LOWER

static const struct grammar address = {"an address of mail",
				       "Letters, digits, '.', '_', '+', '-' and one '@'.",
				       ALNUM,
				       ALNUM "._+-@",
				       254,
				       address_ok};
static const struct grammar hook_url = {"a URL", "It begins with https:// or http://.",
					"h",     ALNUM "-._~:/?&=%+,;@!$'()*#[]",
					2000,    http_ok};
static const struct grammar features = {"features of a node",
					"As sbatch(1) has them; {arch} is the recipe's.",
					ALNUM "{[(",
					ALNUM "._-{}&|!*()[],",
					200,
					NULL};
static const struct grammar pod_image = {
    "an image", "Such as registry.example/posmedia:1.", ALNUM, ALNUM "._-/:@", 500, NULL};
static const struct grammar label = {
    "a name of Kubernetes", "Lower-case letters, digits and '-'.", LOWER, LOWER "-", 63, NULL};
static const struct grammar quantity = {
    "a quantity", "Such as 2, 500m or 4Gi.", DIGIT, DIGIT ".mkMGTi", 20, NULL};
static const struct grammar cron = {
    "five fields of time", "Such as \"30 2 * * *\".", DIGIT "*", ALNUM "*/,- ", 100, NULL};
static const struct most keep_most = {NIGHTLY_KEEP_MAX}, parallel_most = {NIGHTLY_PARALLEL_MAX};

static const struct field sign_fields[] = {
    {"key", read_place, AT(sign.key), NULL, true},
    {"passphrase-file", read_place, AT(sign.passphrase), NULL, false},
    {"signer", read_place, AT(sign.signer), NULL, false},
    {"signer-args", read_words, AT(sign.signer_args), &grammar_line, false},
    MANUAL};

/* A repository without a word of the recipe in it. */
static int read_cache(const char *root, const struct yaml *y, const struct field *f, void *to,
		      struct err *e)
{
	char **slot = (char **)(void *)((char *)to + f->at);

	if (read_repository(root, y, f, to, e) != 0)
		return -1;
	if (strchr(*slot, '{') == NULL)
		return 0;
	return schema_refuse(y, e, "All recipes share it.", "\"%s\" is one place for all", f->key);
}

static const struct field cache_fields[] = {
    {"at", read_cache, AT(cache.at), NULL, true},
    {"pub", read_set, AT(cache.pub), &grammar_project_path, false},
    {"key", read_place, AT(cache.key), NULL, false},
    {"passphrase-file", read_place, AT(cache.passphrase), NULL, false},
    MANUAL};

/* A bucket: registries write without conditions. */
static int read_bucket(const char *root, const struct yaml *y, const struct field *f, void *to,
		       struct err *e)
{
	char **slot = (char **)(void *)((char *)to + f->at);

	if (read_cache(root, y, f, to, e) != 0)
		return -1;
	if (strncmp(*slot, "s3://", 5) == 0)
		return 0;
	return schema_refuse(y, e, "Such as s3://pos/nightly.", "\"%s\" wants a bucket", f->key);
}

static const struct field share_fields[] = {{"at", read_bucket, AT(share.at), NULL, true},
					    {"ledger", read_bucket, AT(share.ledger), NULL, false},
					    MANUAL};

static const struct field mail_fields[] = {{"to", read_set, AT(mail.to), &address, true},
					   {"from", read_word, AT(mail.from), &address, false},
					   {"program", read_place, AT(mail.program), NULL, false},
					   {"when", read_when, AT(mail.when), NULL, false},
					   MANUAL};

static const struct field hook_fields[] = {
    {"url", read_word, AT(webhook.url), &hook_url, true},
    {"secret-file", read_place, AT(webhook.secret), NULL, false},
    {"when", read_when, AT(webhook.when), NULL, false},
    MANUAL};

static const struct field slurm_fields[] = {
    {"store", read_place, AT(slurm.store), NULL, false},
    {"partition", read_word, AT(slurm.partition), &grammar_name, false},
    {"account", read_word, AT(slurm.account), &grammar_name, false},
    {"constraint", read_word, AT(slurm.constraint), &features, false},
    {"program", read_place, AT(slurm.program), NULL, false},
    MANUAL};

static const struct field kubernetes_fields[] = {
    {"image", read_word, AT(kubernetes.image), &pod_image, true},
    {"volume", read_word, AT(kubernetes.volume), &label, false},
    {"namespace", read_word, AT(kubernetes.space), &label, false},
    {"store", read_place, AT(kubernetes.store), NULL, false},
    {"secret", read_word, AT(kubernetes.secret), &label, false},
    {"service-account", read_word, AT(kubernetes.account), &label, false},
    {"cpu", read_word, AT(kubernetes.cpu), &quantity, false},
    {"memory", read_word, AT(kubernetes.memory), &quantity, false},
    {"schedule", read_word, AT(kubernetes.schedule), &cron, false},
    {"program", read_place, AT(kubernetes.program), NULL, false},
    MANUAL};

static const struct field fields[] = {
    {"name", read_word, AT(name), &grammar_name, true},
    {"recipes", read_set, AT(patterns), &grammar_project_path, true},
    {"state", read_place, AT(state), NULL, false},
    {"lock", read_choice, AT(lock), lock_words, false},
    {"sign", read_map, 0, sign_fields, false},
    {"cache", read_map, 0, cache_fields, false},
    {"share", read_map, 0, share_fields, false},
    {"push", read_repository, AT(push), NULL, false},
    {"hold", read_set, AT(holds), &grammar_project_path, false},
    {"keep", read_number, AT(keep), &keep_most, false},
    {"prune", read_bool, AT(prune), NULL, false},
    {"parallel", read_number, AT(parallel), &parallel_most, false},
    {"timeout", read_duration, AT(timeout_ms), NULL, false},
    {"mail", read_map, 0, mail_fields, false},
    {"webhook", read_map, 0, hook_fields, false},
    {"slurm", read_map, 0, slurm_fields, false},
    {"kubernetes", read_map, 0, kubernetes_fields, false},
    MANUAL};

/* "rti" of "/x/recipes/rti.yaml"; NULL when it cannot be a name. The caller owns it. */
static char *key_of(const char *path)
{
	char *name SCOPED(mem_freep) = fs_basename(path);
	size_t n = strlen(name);

	if (n > 5 && strcmp(name + n - 5, ".yaml") == 0)
		name[n - 5] = '\0';
	return grammar_ok(&grammar_name, name) ? STEAL(name) : NULL;
}

static int add(struct nightly *n, char *path, struct err *e)
{
	struct nightly_recipe r = {.path = path, .key = key_of(path)};

	if (r.key == NULL || n->recipes_n == NIGHTLY_RECIPES_MAX) {
		(void)recipe_err(&n->pos, e,
				 r.key == NULL ? "\"recipes\": %s has no usable name"
					       : "\"recipes\": more than 1000 with %s",
				 path);
		free(r.key);
		free(path);
		return -1;
	}
	n->recipes = mem_resize(n->recipes, n->recipes_n + 1, sizeof(*n->recipes));
	n->recipes[n->recipes_n++] = r;
	return 0;
}

/* The files of one directory whose name fits. */
static int add_matches(struct nightly *n, const char *dir, const char *pattern, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};
	size_t before = n->recipes_n;

	if (fs_list(AT_FDCWD, dir, &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		char *path SCOPED(mem_freep) = fs_join(dir, names.v[i]);
		struct stat st;

		if (names.v[i][0] != '.' && glob_match(pattern, names.v[i]) &&
		    stat(path, &st) == 0 && S_ISREG(st.st_mode) && add(n, STEAL(path), e) != 0)
			return -1;
	}
	if (n->recipes_n > before)
		return 0;
	(void)recipe_err(&n->pos, e, "\"recipes\": nothing in %s is like %s", dir, pattern);
	return err_hint(e, "A pattern is for the names of files in one directory.");
}

static int by_key(const void *a, const void *b)
{
	const struct nightly_recipe *x = a, *y = b;

	return strcmp(x->key, y->key);
}

/* A recipe that is named and not there is a failure of its own; the others are built. */
static int find_recipes(struct nightly *n, struct err *e)
{
	for (size_t i = 0; i < n->patterns.n; i++) {
		char *path SCOPED(mem_freep) = fs_join(n->root, n->patterns.v[i]);
		char *dir SCOPED(mem_freep) = fs_dirname(path);
		char *name SCOPED(mem_freep) = fs_basename(path);
		bool pattern = strpbrk(name, "*?[") != NULL;

		if (pattern ? add_matches(n, dir, name, e) != 0 : add(n, STEAL(path), e) != 0)
			return -1;
	}
	qsort(n->recipes, n->recipes_n, sizeof(*n->recipes), by_key);
	for (size_t i = 1; i < n->recipes_n; i++) {
		const struct nightly_recipe *a = &n->recipes[i - 1], *b = &n->recipes[i];

		if (strcmp(a->key, b->key) != 0)
			continue;
		(void)recipe_err(&n->pos, e, "\"recipes\": %s and %s have the same name", a->path,
				 b->path);
		return err_hint(e, "Name each once, and rename one of two files.");
	}
	return 0;
}

/* Two recipes in one repository would take each other's tags every night. */
static int check_push(const struct nightly *n, const struct yaml *at, struct err *e)
{
	struct recipe_pos pos;

	if (n->push == NULL || n->recipes_n < 2 || strstr(n->push, "{name}") != NULL)
		return 0;
	pos = schema_pos(at);
	(void)recipe_err(&pos, e, "\"push\": %zu recipes would share one repository", n->recipes_n);
	return err_hint(e, "Such as docker://registry.example/pos/{name}.");
}

/* Another machine finds no image that is in a layout of this one. */
static int check_share(const struct nightly *n, const struct yaml *at, struct err *e)
{
	struct recipe_pos pos;

	if (n->share.at == NULL || n->push != NULL)
		return 0;
	pos = schema_pos(at);
	(void)recipe_err(&pos, e, "\"share\" wants \"push\"");
	return err_hint(e, "Machines that share no files find images in a repository.");
}

static void defaults(struct nightly *n)
{
	n->parallel = n->parallel > 0 ? n->parallel : 1;
	n->timeout_ms = n->timeout_ms > 0 ? n->timeout_ms : DEFAULT_TIMEOUT_MS;
	if (n->state == NULL)
		n->state = fs_join(n->root, "out/nightly");
	if (n->lock == NULL)
		n->lock = mem_strdup("update");
	if (n->mail.program == NULL)
		n->mail.program = mem_strdup("/usr/sbin/sendmail");
	if (n->slurm.program == NULL)
		n->slurm.program = mem_strdup("/usr/bin/sbatch");
	if (n->kubernetes.program == NULL)
		n->kubernetes.program = mem_strdup("/usr/bin/kubectl");
}

int nightly_load(const char *path, struct nightly **ret, struct err *e)
{
	struct nightly *n SCOPED(nightly_freep) = mem_zalloc(sizeof(*n));
	struct yaml *y SCOPED(yaml_freep) = NULL;

	n->file = mem_strdup(path);
	if (merge_load(path, &y, e) != 0 || recipe_root(path, &n->root, e) != 0 ||
	    schema_map(n->root, y, fields, n, e) != 0)
		return -1;
	n->pos = schema_pos(yaml_get(y, "recipes"));
	defaults(n);
	if (find_recipes(n, e) != 0 || check_push(n, yaml_get(y, "push"), e) != 0 ||
	    check_share(n, yaml_get(y, "share"), e) != 0)
		return -1;
	*ret = STEAL(n);
	return 0;
}

const struct nightly_recipe *nightly_find(const struct nightly *n, const char *key)
{
	for (size_t i = 0; i < n->recipes_n; i++)
		if (strcmp(n->recipes[i].key, key) == 0)
			return &n->recipes[i];
	return NULL;
}

void nightly_free(struct nightly *n)
{
	if (n == NULL)
		return;

	char *const texts[] = {n->file,
			       n->root,
			       n->name,
			       n->state,
			       n->lock,
			       n->push,
			       n->sign.key,
			       n->sign.passphrase,
			       n->sign.signer,
			       n->cache.at,
			       n->cache.key,
			       n->cache.passphrase,
			       n->share.at,
			       n->share.ledger,
			       n->mail.from,
			       n->mail.program,
			       n->webhook.url,
			       n->webhook.secret,
			       n->slurm.store,
			       n->slurm.partition,
			       n->slurm.account,
			       n->slurm.constraint,
			       n->slurm.program,
			       n->kubernetes.store,
			       n->kubernetes.secret,
			       n->kubernetes.image,
			       n->kubernetes.space,
			       n->kubernetes.account,
			       n->kubernetes.volume,
			       n->kubernetes.cpu,
			       n->kubernetes.memory,
			       n->kubernetes.schedule,
			       n->kubernetes.program};

	for (size_t i = 0; i < n->recipes_n; i++) {
		free(n->recipes[i].key);
		free(n->recipes[i].path);
	}
	free(n->recipes);
	strv_release(&n->patterns);
	strv_release(&n->holds);
	strv_release(&n->cache.pub);
	strv_release(&n->mail.to);
	strv_release(&n->sign.signer_args);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		free(texts[i]);
	free(n);
}

void nightly_freep(struct nightly **n)
{
	nightly_free(*n);
	*n = NULL;
}
