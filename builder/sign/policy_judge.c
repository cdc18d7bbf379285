/* policy_judge.c - one rule of a policy, applied to an image. */
#include "sign/policy_rule.h"

#include "sign/file.h"
#include "sign/siglayer.h"
#include "sys/clock.h"
#include <stdlib.h>
#include <string.h>

/* Whether a signature is of a time at which its key counts. A stamp by the rule's authority is
 * worth more than what the signer says, and where the rule has one, bundles need it. */
static bool in_time(const struct rule *rule, const struct sign_found *f)
{
	int64_t time = f->stamped != 0 ? f->stamped : f->time;

	if (rule->tsa != NULL && f->form == SIGN_BUNDLE && f->stamped == 0)
		return false;
	for (size_t i = 0; i < rule->keys_n; i++) {
		struct digest id = sign_public_id(rule->keys[i]);
		const struct rule_window *w = &rule->windows[i];

		if (digest_equal(&id, &f->key))
			return (w->from == INT64_MIN && w->until == INT64_MAX) ||
			       (time != 0 && time >= w->from && time <= w->until);
	}
	return false;
}

/* Drops what does not count. Returns how many those were. */
static size_t drop_late(const struct rule *rule, struct sign_report *r)
{
	size_t kept = 0, n = r->n;

	for (size_t i = 0; i < n; i++) {
		if (in_time(rule, &r->v[i]))
			r->v[kept++] = r->v[i];
		else
			free(r->v[i].identity);
	}
	r->n = kept;
	r->ignored += n - kept;
	return n - kept;
}

/* The keys, not the signatures: one key may have signed twice. */
static size_t count_keys(const struct sign_report *r, enum sign_form form)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++) {
		bool again = r->v[i].form != form;

		for (size_t k = 0; k < i && !again; k++)
			again = r->v[k].form == form && digest_equal(&r->v[k].key, &r->v[i].key);
		n += again ? 0 : 1;
	}
	return n;
}

static int judge_signatures(const struct rule *rule, size_t late, struct sign_report *r,
			    struct err *e)
{
	for (int form = 0; form < SIGN_FORMS; form++) {
		size_t n = count_keys(r, (enum sign_form)form);

		if ((rule->forms & 1U << form) == 0)
			continue;
		if (n < rule->require)
			return err_set(e, ERR_VERIFY,
				       "wants %s signatures by %llu of its %zu keys, found %zu%s",
				       sig_form_name((enum sign_form)form),
				       (unsigned long long)rule->require, rule->keys_n, n,
				       late > 0 ? "; some are not of their key's time" : "");
		strv_addf(&r->checked, "%s: %zu of %zu keys, %llu wanted",
			  sign_form_word((enum sign_form)form), n, rule->keys_n,
			  (unsigned long long)rule->require);
	}
	return 0;
}

/* The text of a scalar at a path of members, "" when there is none; the caller owns it. */
static char *text_at(const struct jval *v, const char *path)
{
	struct buf b = BUF_INIT(4096);
	const char *text;

	for (const char *p = path; v != NULL && *p != '\0';) {
		size_t n = strcspn(p, ".");
		char *name SCOPED(mem_freep) = mem_strndup(p, n);

		v = jval_get(v, name);
		p += p[n] == '.' ? n + 1 : n;
	}
	text = jval_str(v);
	if (text != NULL)
		buf_add(&b, text, strlen(text));
	else if (v != NULL && !jval_is_object(v) && !jval_is_array(v))
		jval_write(v, &b);
	return buf_take(&b);
}

/* Whether a statement says what is wanted; the first member that differs is told in *why. */
static bool says(const struct attest_one *s, const struct rule_statement *want, struct err *why)
{
	const char *type = jval_get_str(s->json, "predicateType");

	if (type == NULL || strcmp(type, want->type) != 0)
		return false;
	for (size_t i = 0; i < want->paths.n; i++) {
		char *got SCOPED(mem_freep) =
		    text_at(jval_get(s->json, "predicate"), want->paths.v[i]);

		if (strcmp(got, want->values.v[i]) == 0)
			continue;
		(void)err_set(why, ERR_VERIFY, "; one says %s: \"%.100s\", not \"%s\"",
			      want->paths.v[i], got, want->values.v[i]);
		return false;
	}
	return true;
}

static int judge_statement(const struct rule_statement *want, const struct attest_list *all,
			   struct sign_report *r, struct err *e)
{
	struct err why = ERR_INIT;

	for (size_t i = 0; i < all->n; i++) {
		if (!says(&all->v[i], want, &why))
			continue;
		strv_addf(&r->checked, "attestation %s by key %s", want->type,
			  digest_text(&all->v[i].key).s);
		for (size_t k = 0; k < want->paths.n; k++)
			strv_addf(&r->checked, "  %s: %s", want->paths.v[k], want->values.v[k]);
		return 0;
	}
	return err_set(e, ERR_VERIFY, "wants an attestation %s by one of its keys%s", want->type,
		       why.msg);
}

/* What is in production has been through quality assurance. */
static int judge_stage(const struct rule *rule, const struct rule_question *q,
		       const struct attest_list *all, struct sign_report *r, struct err *e)
{
	for (int stage = 1; stage <= rule->stage; stage++) {
		const struct attest_one *hit = NULL;
		char *when SCOPED(mem_freep) = NULL;
		int64_t time = 0;

		for (size_t i = 0; i < all->n && hit == NULL; i++)
			if (promotion_is(&all->v[i], q->identity, stage, &time))
				hit = &all->v[i];
		if (hit == NULL) {
			(void)err_set(e, ERR_VERIFY, "is not promoted: no %s by one of its keys",
				      promotion_type(stage));
			return -1;
		}
		when = clock_rfc3339(time);
		strv_addf(&r->checked, "%s at %s by key %s", promotion_type(stage), when,
			  digest_text(&hit->key).s);
	}
	return 0;
}

/* Statements carry no time that an authority vouches for: only keys that count today may make
 * them, whatever day SOURCE_DATE_EPOCH gives to what is made. */
static struct attest_keys keys_of_today(const struct rule *rule, struct sign_public **v)
{
	struct attest_keys keys = {v, 0};
	int64_t now = clock_wall_s();

	for (size_t i = 0; i < rule->keys_n; i++)
		if (now >= rule->windows[i].from && now <= rule->windows[i].until)
			v[keys.n++] = rule->keys[i];
	return keys;
}

static int judge_statements(const struct rule *rule, const struct rule_question *q,
			    struct sign_report *r, struct err *e)
{
	struct attest_list all SCOPED(attest_list_release) = {0};
	struct sign_public **v = mem_zalloc((rule->keys_n + 1) * sizeof(*v));
	const struct attest_keys keys = keys_of_today(rule, v);
	int rc = attest_collect(q->layout, &q->manifest->digest, &keys, &all, e);

	free(v);
	for (size_t i = 0; i < rule->statements_n && rc == 0; i++)
		rc = judge_statement(&rule->statements[i], &all, r, e);
	return rc == 0 ? judge_stage(rule, q, &all, r, e) : rc;
}

/* Certificates that have run out today count no more, whatever SOURCE_DATE_EPOCH says. */
static int judge_notation(const struct rule *rule, const struct rule_question *q,
			  struct sign_report *r, struct err *e)
{
	const struct notation_wanted w = {rule->roots, rule->subject, clock_wall_s()};
	char *who SCOPED(mem_freep) = NULL;

	if (notation_find(q->layout, q->manifest, &w, &who, e) != 0)
		return -1;
	strv_addf(&r->checked, "notation: by %s", who);
	return 0;
}

int rule_judge(const struct rule *rule, const struct rule_question *q, struct sign_report *ret,
	       struct err *e)
{
	struct sign_report r SCOPED(sign_report_release) = {0};
	const struct sign_wanted w = {.identity = q->identity,
				      .keys = rule->keys,
				      .keys_n = rule->keys_n,
				      .forms = rule->forms,
				      .tsa = rule->tsa};

	if (sign_image_verify(q->layout, q->manifest, &w, &r, e) != 0 ||
	    judge_signatures(rule, drop_late(rule, &r), &r, e) != 0)
		return -1;
	if (rule->statements_n + (size_t)rule->stage > 0 && judge_statements(rule, q, &r, e) != 0)
		return -1;
	if (rule->roots != NULL && judge_notation(rule, q, &r, e) != 0)
		return -1;
	*ret = r;
	r = (struct sign_report){0};
	return 0;
}

/* What the rule wants that only the image has. */
static int judge_rest(const struct rule *rule, const struct sign_policy_file *f, struct err *e)
{
	if (f->image || (rule->statements_n == 0 && rule->stage == 0 && rule->roots == NULL))
		return 0;
	(void)err_set(e, ERR_VERIFY, "wants %s of the image, which a file has not got",
		      rule->statements_n > 0 ? "attestations"
		      : rule->stage > 0      ? "a promotion"
					     : "a notation signature");
	return err_hint(e, "Name the image that it was made of by --image.");
}

int rule_judge_file(const struct rule *rule, const struct sign_policy_file *f,
		    struct digest *ret_digest, struct sign_report *ret, struct err *e)
{
	struct sign_report r SCOPED(sign_report_release) = {0};
	const struct sign_wanted w = {
	    .keys = rule->keys, .keys_n = rule->keys_n, .forms = rule->forms, .tsa = rule->tsa};
	struct digest d;

	if (rule->forms == 0 || rule->keys_n == 0) {
		(void)err_set(e, ERR_VERIFY, "wants no signature that a file can have");
		return err_hint(e, "Add keys to the rule.");
	}
	if (judge_rest(rule, f, e) != 0 || sign_file_verify(f->path, &w, &d, &r, e) != 0)
		return -1;
	for (size_t i = 0; i < r.n; i++)
		if (r.v[i].time == 0)
			r.v[i].time = clock_wall_s();
	if (judge_signatures(rule, drop_late(rule, &r), &r, e) != 0)
		return -1;
	*ret_digest = d;
	*ret = r;
	r = (struct sign_report){0};
	return 0;
}
