#include "sandbox/profile.h"

#include "base/map.h"
#include "base/num.h"
#include "form/yaml.h"
#include "sys/fs.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <string.h>

enum { FILE_MAX = 256 << 10, CALLS_MAX = 1000, RULES_MAX = 200 };

static const char *const known_keys[] = {"posmedia-seccomp", "architectures", "allow",
					 "allow-when",       "missing",       NULL};

/* The rules, as libseccomp has them and as an engine wants them. */
struct profile {
	scmp_filter_ctx ctx;
	struct map calls; /* each once among allow, allow-when and missing */
	struct jval *rules;
};

static void profile_release(struct profile *p)
{
	if (p->ctx != NULL)
		seccomp_release(p->ctx);
	map_release(&p->calls, NULL);
	jval_free(p->rules);
}

static int bad(const struct yaml *at, const char *what, struct err *e)
{
	(void)yaml_err(at, e, "%s", what);
	return err_hint(e, "recipes/hosts/seccomp.yaml is one that is right.");
}

/* The number of a call on any architecture, for libseccomp's own rules here: negative where this
 * one does not have it. */
static int call_number(const struct yaml *y, int *ret, struct err *e)
{
	if (y == NULL || y->kind != YAML_SCALAR || strlen(y->text) > 64)
		return bad(y, "wants the name of a call", e);
	*ret = seccomp_syscall_resolve_name(y->text);
	if (*ret != __NR_SCMP_ERROR)
		return 0;
	(void)yaml_err(y, e, "no call \"%s\" is known", y->text);
	return err_hint(e, "man 2 syscalls lists them.");
}

static int claim(struct profile *p, const struct yaml *y, void *by, struct err *e)
{
	void *before = map_put(&p->calls, y->text, by);

	if (before == NULL || (before == by && strcmp(by, "allow-when") == 0))
		return 0;
	(void)yaml_err(y, e, "\"%s\" is there twice", y->text);
	return err_hint(e, "Keep one of the two.");
}

static int add_rule(struct profile *p, uint32_t action, int nr, const struct scmp_arg_cmp *when,
		    struct err *e)
{
	int rc = nr < 0 ? 0 : seccomp_rule_add_array(p->ctx, action, nr, when != NULL, when);

	if (rc == 0)
		return 0;
	errno = -rc;
	return err_sys(e, "seccomp: a rule");
}

static struct jval *new_rule(struct profile *p, const char *action)
{
	struct jval *rule = jval_object();

	jval_put_text(rule, "action", action);
	jval_push(p->rules, rule);
	return rule;
}

static int add_names(struct profile *p, const struct yaml *y, const char *key, struct err *e)
{
	const bool allow = strcmp(key, "allow") == 0;
	struct jval *names = jval_array();
	struct jval *rule = new_rule(p, allow ? "SCMP_ACT_ALLOW" : "SCMP_ACT_ERRNO");

	jval_put(rule, "names", names);
	if (!allow)
		jval_put_int(rule, "errnoRet", ENOSYS);
	if (y->kind != YAML_LIST || y->n > CALLS_MAX)
		return bad(y, "wants a list of at most 1000 calls", e);
	for (size_t i = 0; i < y->n; i++) {
		int nr;

		if (call_number(y->items[i], &nr, e) != 0 ||
		    claim(p, y->items[i], (void *)(uintptr_t)key, e) != 0 ||
		    add_rule(p, allow ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(ENOSYS), nr, NULL, e) != 0)
			return -1;
		jval_push(names, jval_text(y->items[i]->text));
	}
	return 0;
}

/* Decimal, or 0x and hexadecimal; at most 32 bits, which JSON and all engines carry. */
static int number(const struct yaml *y, uint64_t max, uint64_t *ret, struct err *e)
{
	static const char digits[] = "0123456789abcdef";
	const char *s = y != NULL && y->kind == YAML_SCALAR ? y->text : "";
	uint64_t v = 0;

	if (strncmp(s, "0x", 2) != 0) {
		if (num_u64(s, max, ret) == 0)
			return 0;
		return bad(y, "wants a number", e);
	}
	if (s[2] == '\0' || strlen(s) > 10)
		return bad(y, "wants a number", e);
	for (s += 2; *s != '\0'; s++) {
		const char *digit = strchr(digits, *s);

		if (digit == NULL)
			return bad(y, "wants a number", e);
		v = v << 4 | (uint64_t)(digit - digits);
	}
	if (v > max)
		return bad(y, "is too large", e);
	*ret = v;
	return 0;
}

static int keys_known(const struct yaml *map, const char *const *known, struct err *e)
{
	for (size_t i = 0; i < map->n; i++) {
		const char *const *k = known;

		while (*k != NULL && strcmp(*k, map->pairs[i].key) != 0)
			k++;
		if (*k == NULL)
			return bad(map->pairs[i].val, "is a value of an unknown key", e);
	}
	return 0;
}

static void put_condition(struct jval *rule, uint64_t argument, const uint64_t *mask,
			  uint64_t value)
{
	struct jval *args = jval_array(), *one = jval_object();

	jval_put_int(one, "index", (int64_t)argument);
	jval_put_int(one, "value", (int64_t)(mask != NULL ? *mask : value));
	jval_put_int(one, "valueTwo", mask != NULL ? (int64_t)value : 0);
	jval_put_text(one, "op", mask != NULL ? "SCMP_CMP_MASKED_EQ" : "SCMP_CMP_EQ");
	jval_push(args, one);
	jval_put(rule, "args", args);
}

static int add_condition(struct profile *p, const struct yaml *y, struct err *e)
{
	static const char *const known[] = {"call", "argument", "mask", "value", NULL};
	const struct yaml *call = yaml_get(y, "call"), *masked = yaml_get(y, "mask");
	uint64_t argument, mask = 0, value;
	struct scmp_arg_cmp when;
	struct jval *rule, *names;
	int nr;

	if (y->kind != YAML_MAP)
		return bad(y, "wants a map: call, argument, mask, value", e);
	if (yaml_get(y, "argument") == NULL || yaml_get(y, "value") == NULL)
		return bad(y, "wants a call, an argument and a value", e);
	if (keys_known(y, known, e) != 0 || call_number(call, &nr, e) != 0 ||
	    claim(p, call, (void *)(uintptr_t) "allow-when", e) != 0 ||
	    number(yaml_get(y, "argument"), 5, &argument, e) != 0 ||
	    number(yaml_get(y, "value"), UINT32_MAX, &value, e) != 0 ||
	    (masked != NULL && number(masked, UINT32_MAX, &mask, e) != 0))
		return -1;
	when = (struct scmp_arg_cmp){(unsigned)argument, SCMP_CMP_EQ, value, 0};
	if (masked != NULL)
		when = (struct scmp_arg_cmp){(unsigned)argument, SCMP_CMP_MASKED_EQ, mask, value};
	if (add_rule(p, SCMP_ACT_ALLOW, nr, &when, e) != 0)
		return -1;
	rule = new_rule(p, "SCMP_ACT_ALLOW");
	names = jval_array();
	jval_push(names, jval_text(call->text));
	jval_put(rule, "names", names);
	put_condition(rule, argument, masked != NULL ? &mask : NULL, value);
	return 0;
}

static int add_conditions(struct profile *p, const struct yaml *y, struct err *e)
{
	if (y->kind != YAML_LIST || y->n > RULES_MAX)
		return bad(y, "wants a list of at most 200 maps", e);
	for (size_t i = 0; i < y->n; i++)
		if (add_condition(p, y->items[i], e) != 0)
			return -1;
	return 0;
}

/* "x86_64" to "SCMP_ARCH_X86_64". */
static int arch_name(const struct yaml *y, const char *name, struct jval **ret, struct err *e)
{
	char *text SCOPED(mem_freep) = mem_format("SCMP_ARCH_%.20s", name);

	if (seccomp_arch_resolve_name(name) == 0)
		return bad(y, "no such architecture is known", e);
	for (char *c = text; *c != '\0'; c++)
		*c = (char)toupper((unsigned char)*c);
	*ret = jval_text(text);
	return 0;
}

/* {x86_64: [x86]} to the archMap of engines. */
static int read_archs(const struct yaml *y, struct jval *map, struct err *e)
{
	if (y->kind != YAML_MAP || y->n > 20)
		return bad(y, "wants a map of architectures and those that run on them", e);
	for (size_t i = 0; i < y->n; i++) {
		const struct yaml *list = y->pairs[i].val;
		struct jval *one = jval_object(), *subs = jval_array(), *name = NULL;

		jval_push(map, one);
		jval_put(one, "subArchitectures", subs);
		if (list->kind != YAML_LIST || list->n > 20)
			return bad(list, "wants a list of architectures", e);
		if (arch_name(list, y->pairs[i].key, &name, e) != 0)
			return -1;
		jval_put(one, "architecture", name);
		for (size_t k = 0; k < list->n; k++) {
			const struct yaml *sub = list->items[k];

			if (sub->kind != YAML_SCALAR)
				return bad(sub, "wants the name of an architecture", e);
			if (arch_name(sub, sub->text, &name, e) != 0)
				return -1;
			jval_push(subs, name);
		}
	}
	return 0;
}

static int read_rules(const struct yaml *y, struct profile *p, struct err *e)
{
	const struct yaml *version = yaml_get(y, "posmedia-seccomp");
	const struct yaml *allow = yaml_get(y, "allow"), *when = yaml_get(y, "allow-when");
	const struct yaml *missing = yaml_get(y, "missing");

	if (y->kind != YAML_MAP || version == NULL || version->kind != YAML_SCALAR ||
	    strcmp(version->text, "1") != 0)
		return bad(y, "does not begin with \"posmedia-seccomp: 1\"", e);
	if (keys_known(y, known_keys, e) != 0)
		return -1;
	if (allow == NULL || yaml_get(y, "architectures") == NULL)
		return bad(y, "wants the keys allow and architectures", e);
	if (add_names(p, allow, "allow", e) != 0 ||
	    (when != NULL && add_conditions(p, when, e) != 0))
		return -1;
	return missing != NULL ? add_names(p, missing, "missing", e) : 0;
}

int seccomp_profile_load(const char *path, struct jval **ret, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(FILE_MAX);
	struct yaml *y SCOPED(yaml_freep) = NULL;
	struct profile p SCOPED(profile_release) = {.rules = jval_array()};
	struct jval *all SCOPED(jval_freep) = jval_object(), *archs = jval_array();

	jval_put(all, "archMap", archs);
	p.ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (p.ctx == NULL)
		return err_set(e, ERR_FAIL, "seccomp: no filter");
	if (fs_get_file(AT_FDCWD, path, &text, e) != 0 ||
	    yaml_parse(text.data, text.len, path, &y, e) != 0 || read_rules(y, &p, e) != 0 ||
	    read_archs(yaml_get(y, "architectures"), archs, e) != 0)
		return -1;
	jval_put_text(all, "defaultAction", "SCMP_ACT_ERRNO");
	jval_put_int(all, "defaultErrnoRet", EPERM);
	jval_put(all, "syscalls", STEAL(p.rules));
	*ret = STEAL(all);
	return 0;
}
