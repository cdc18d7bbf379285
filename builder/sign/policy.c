#include "sign/policy.h"

#include "base/log.h"
#include "form/ref.h"
#include "form/yaml.h"
#include "sign/file.h"
#include "sign/policy_rule.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

enum { POLICY_MAX = 1 << 20 };

struct sign_policy {
	char *path;
	struct rule *rules;
	size_t n;
	bool accept;
};

void sign_policy_free(struct sign_policy *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n; i++)
		rule_release(&p->rules[i]);
	free(p->rules);
	free(p->path);
	free(p);
}

void sign_policy_freep(struct sign_policy **p)
{
	sign_policy_free(*p);
	*p = NULL;
}

static int parse_rules(const char *dir, const struct yaml *top, struct sign_policy *p,
		       struct err *e)
{
	const struct yaml *y = yaml_get(top, "repositories");

	if (y == NULL)
		return 0;
	if (y->kind != YAML_LIST)
		return yaml_err(y, e, "wants a list of rules");
	p->rules = mem_zalloc((y->n + 1) * sizeof(*p->rules));
	while (p->n < y->n) {
		size_t i = p->n++;

		if (rule_parse(dir, y->items[i], &p->rules[i], e) != 0)
			return -1;
	}
	return 0;
}

static int parse_top(const struct yaml *top, struct sign_policy *p, struct err *e)
{
	static const char *const known[] = {"posmedia", "repositories", "default", NULL};
	char *dir SCOPED(mem_freep) = fs_dirname(p->path);
	const struct yaml *version, *fallback;

	if (rule_keys_known(top, known, e) != 0)
		return -1;
	version = yaml_get(top, "posmedia");
	if (version == NULL)
		return yaml_err(top, e, "no posmedia: 1");
	if (version->kind != YAML_SCALAR || strcmp(version->text, "1") != 0)
		return yaml_err(version, e, "this version reads only posmedia: 1");
	fallback = yaml_get(top, "default");
	if (fallback != NULL) {
		const char *text = fallback->kind == YAML_SCALAR ? fallback->text : "";

		p->accept = strcmp(text, "accept") == 0;
		if (!p->accept && strcmp(text, "reject") != 0)
			return yaml_err(fallback, e, "wants reject or accept");
	}
	return parse_rules(dir, top, p, e);
}

int sign_policy_load(const char *path, struct sign_policy **ret, struct err *e)
{
	struct sign_policy *p SCOPED(sign_policy_freep) = mem_zalloc(sizeof(*p));
	struct buf b SCOPED(buf_release) = BUF_INIT(POLICY_MAX);
	struct yaml *top SCOPED(yaml_freep) = NULL;

	p->path = mem_strdup(path);
	if (fs_get(AT_FDCWD, path, &b, e) != 0)
		return err_in(e, "policy");
	if (yaml_parse(b.data, b.len, path, &top, e) != 0 || parse_top(top, p, e) != 0)
		return -1;
	*ret = STEAL(p);
	return 0;
}

void sign_policy_demand(struct sign_policy *p, int stage)
{
	p->accept = false;
	for (size_t i = 0; i < p->n; i++)
		if (p->rules[i].stage < stage)
			p->rules[i].stage = stage;
}

/* HOST/REPO of HOST/REPO:TAG; the caller owns it. */
static int repository(const char *identity, char **ret, struct err *e)
{
	struct ref r = {0};

	if (ref_parse_docker(identity, &r, e) != 0)
		return err_in(e, "identity");
	*ret = mem_format("%s/%s", r.host, r.path);
	ref_release(&r);
	return 0;
}

/* The first rule that fits HOST/REPO, or NULL. */
static const struct rule *rule_of(const struct sign_policy *p, const char *repo)
{
	for (size_t i = 0; i < p->n; i++)
		if (fnmatch(p->rules[i].match, repo, FNM_PATHNAME | FNM_NOESCAPE) == 0)
			return &p->rules[i];
	return NULL;
}

static int no_rule(const struct sign_policy *p, const char *repo, struct err *e)
{
	(void)err_set(e, ERR_VERIFY, "%s: no rule for %s, and the default is to reject", p->path,
		      repo);
	return err_hint(e, "add a rule that matches %s", repo);
}

int sign_policy_fits(const struct sign_policy *p, const char *identity, struct err *e)
{
	char *repo SCOPED(mem_freep) = NULL;

	if (repository(identity, &repo, e) != 0)
		return -1;
	return p->accept || rule_of(p, repo) != NULL ? 0 : no_rule(p, repo, e);
}

int sign_policy_verify(const struct sign_policy *p, const struct oci_layout *l,
		       const struct oci_desc *manifest, const char *identity,
		       struct sign_report *ret, struct err *e)
{
	char *repo SCOPED(mem_freep) = NULL;
	const struct rule_question q = {l, manifest, identity};
	const struct rule *rule;

	if (repository(identity, &repo, e) != 0)
		return -1;
	rule = rule_of(p, repo);
	if (rule != NULL) {
		if (rule_judge(rule, &q, ret, e) == 0)
			return 0;
		(void)err_in(e, "%s:%u: %s", p->path, rule->line, identity);
		return err_hint(e, "sign it with posmedia sign, or look at the keys of this rule");
	}
	if (!p->accept)
		return no_rule(p, repo, e);
	log_warn("%s: no rule for %s; accepted unverified, by default", p->path, repo);
	*ret = (struct sign_report){0};
	return 0;
}

/* What nobody has to have signed. */
static int sum_file(const char *path, struct digest *ret, struct sign_report *ret_report,
		    struct err *e)
{
	const struct sign_wanted none = {.forms = 0};

	return sign_file_verify(path, &none, ret, ret_report, e);
}

static int no_rule_file(const struct sign_policy *p, const char *repo, struct err *e)
{
	if (!p->accept)
		return no_rule(p, repo, e);
	(void)err_set(e, ERR_VERIFY, "%s: no rule for %s, which is only what the file says",
		      p->path, repo);
	return err_hint(e, "say which image it is of by --identity");
}

int sign_policy_verify_file(const struct sign_policy *p, const struct sign_policy_file *f,
			    struct digest *ret_digest, struct sign_report *ret, struct err *e)
{
	char *repo SCOPED(mem_freep) = NULL;
	const struct rule *rule;

	if (repository(f->identity, &repo, e) != 0)
		return -1;
	rule = rule_of(p, repo);
	if (rule == NULL && !(p->accept && f->named))
		return no_rule_file(p, repo, e);
	if (rule == NULL) {
		log_warn("%s: no rule for %s; accepted unverified, by default", p->path, repo);
		return sum_file(f->path, ret_digest, ret, e);
	}
	if (rule_judge_file(rule, f, ret_digest, ret, e) == 0)
		return 0;
	(void)err_in(e, "%s:%u: %s", p->path, rule->line, f->identity);
	return e->hint[0] != '\0' ? -1
				  : err_hint(e, "sign it with posmedia sign, or look at the keys "
						"of this rule");
}
