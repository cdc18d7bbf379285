/* system.c - container or machine, and of which distribution: os-release(5) and what the recipe
 * says. */
#include "harden/system.h"

#include "base/num.h"
#include "harden/lines.h"
#include <stdlib.h>
#include <string.h>

enum { OS_RELEASE_MAX = 1 << 16, NAME_MAX_LEN = 60 };

/* A value of os-release(5) without its quotes; the caller owns it. */
static char *unquoted(const char *val)
{
	size_t n = strlen(val);

	if (n >= 2 && (*val == '"' || *val == '\'') && val[n - 1] == *val)
		return mem_strndup(val + 1, n - 2);
	return mem_strdup(val);
}

/* The last assignment counts, as in a shell. The caller owns it; "" when there is none. */
static char *value_of(const struct strv *lines, const char *key)
{
	size_t n = strlen(key);

	for (size_t i = lines->n; i-- > 0;)
		if (strncmp(lines->v[i], key, n) == 0 && lines->v[i][n] == '=')
			return unquoted(lines->v[i] + n + 1);
	return mem_strdup("");
}

/* Rebuilds of Enterprise Linux are one distribution here: their files are the same. */
static bool is_el(const char *id, const char *like)
{
	struct strv words SCOPED(strv_release) = {0};

	line_words(like, &words);
	return strcmp(id, "rhel") == 0 || strcmp(id, "centos") == 0 || strv_has(&words, "rhel");
}

static uint64_t major_of(const char *version)
{
	char *digits SCOPED(mem_freep) = mem_strndup(version, strspn(version, "0123456789"));
	uint64_t n;

	return num_u64(digits, UINT32_MAX, &n) == 0 ? n : 0;
}

static int read_os_release(int rootfd, struct harden_system *ret, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(OS_RELEASE_MAX);
	struct strv lines SCOPED(strv_release) = {0};
	char *id SCOPED(mem_freep) = NULL, *like SCOPED(mem_freep) = NULL;
	char *version SCOPED(mem_freep) = NULL;
	bool there;

	if (root_read(rootfd, "etc/os-release", &text, &there, e) != 0 ||
	    (!there && root_read(rootfd, "usr/lib/os-release", &text, NULL, e) != 0))
		return -1;
	lines_split(text.data == NULL ? "" : text.data, &lines);
	id = value_of(&lines, "ID");
	like = value_of(&lines, "ID_LIKE");
	version = value_of(&lines, "VERSION_ID");
	/* it is printed: a name of any other form says nothing */
	if (strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789._-") != strlen(id) ||
	    strlen(id) > NAME_MAX_LEN)
		*id = '\0';
	ret->id = is_el(id, like) ? mem_strdup("el") : STEAL(id);
	ret->major = major_of(version);
	return 0;
}

/* What boots has a kernel, where Debian and Enterprise Linux put it. */
static int has_kernel(int rootfd, bool *ret, struct err *e)
{
	static const char *const kernels[] = {"boot/vmlinu[xz]-*", "usr/lib/modules/*/vmlinuz"};
	struct strv found SCOPED(strv_release) = {0};

	for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++)
		if (root_glob(rootfd, kernels[i], &found, e) != 0)
			return -1;
	*ret = found.n > 0;
	return 0;
}

int system_read(int rootfd, const struct harden_context *c, struct harden_system *ret,
		struct err *e)
{
	const char *target = c->target;
	struct harden_system s = {0};

	if (target == NULL && c->recipe != NULL)
		target = c->recipe->target;
	if (target != NULL)
		s.machine = strcmp(target, "machine") == 0;
	else if (has_kernel(rootfd, &s.machine, e) != 0)
		return -1;
	if (read_os_release(rootfd, &s, e) != 0)
		return -1;
	*ret = s;
	return 0;
}

void system_release(struct harden_system *s)
{
	free(s->id);
	*s = (struct harden_system){0};
}

/* Cuts "el 9+" into its parts; *ret_major is 0 when there is none. The caller owns *ret_name. */
static int cut_word(const char *word, char **ret_name, uint64_t *ret_major, bool *ret_later)
{
	size_t n = strcspn(word, " "), len = strlen(word);
	char *major SCOPED(mem_freep) = NULL;

	*ret_major = 0;
	*ret_later = word[n] != '\0' && word[len - 1] == '+';
	if (n == 0 || strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789._-") != n)
		return -1;
	if (word[n] != '\0') {
		major = mem_strndup(word + n + 1, len - n - 1 - (*ret_later ? 1 : 0));
		if (num_u64(major, UINT32_MAX, ret_major) != 0 || *ret_major == 0)
			return -1;
	}
	*ret_name = mem_strndup(word, n);
	return 0;
}

int system_word_check(const char *word)
{
	char *name SCOPED(mem_freep) = NULL;
	uint64_t major;
	bool later;

	return cut_word(word, &name, &major, &later);
}

bool system_is(const struct harden_system *s, const char *word)
{
	char *name SCOPED(mem_freep) = NULL;
	uint64_t major;
	bool later;

	if (cut_word(word, &name, &major, &later) != 0 || strcmp(name, s->id) != 0)
		return false;
	return major == 0 || s->major == major || (later && s->major > major);
}

char *system_excludes(const struct harden_system *s, const struct control *c)
{
	struct buf words SCOPED(buf_release) = BUF_INIT(1 << 12);

	if (c->target != NULL && (strcmp(c->target, "machine") == 0) != s->machine)
		return mem_format("%s: %s", c->held_by, c->reason);
	if (c->target == NULL && c->reason != NULL)
		return mem_format("%s: %s", c->place, c->reason);
	for (size_t i = 0; i < c->distributions.n; i++) {
		if (system_is(s, c->distributions.v[i]))
			return NULL;
		buf_addf(&words, "%s%s", i == 0 ? "" : ", ", c->distributions.v[i]);
	}
	if (c->distributions.n == 0)
		return NULL;
	if (*s->id == '\0')
		return mem_format("it is for %s, and the tree does not say what it is", words.data);
	return s->major == 0 ? mem_format("it is for %s, and this is %s", words.data, s->id)
			     : mem_format("it is for %s, and this is %s %u", words.data, s->id,
					  (unsigned)s->major);
}
