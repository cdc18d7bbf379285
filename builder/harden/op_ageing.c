/* op_ageing.c - password ageing in the rows of shadow(5): login.defs only serves new accounts. */
#include "harden/accounts.h"
#include "harden/lines.h"
#include "harden/op.h"

#include <stddef.h>
#include <string.h>

enum { F_HASH = 1, F_CHANGED, F_MIN, F_MAX, F_WARN, F_INACTIVE, SHADOW_FIELDS = 9, DAY = 86400 };

struct ageing {
	struct opt min_days, warn_days;     /* at least */
	struct opt max_days, inactive_days; /* at most */
	struct opt uid_min;                 /* of the accounts meant; default 1000 */
	bool last_change;                   /* the day of the last change is not in the future */
};

static const struct field ageing_fields[] = {
    {"min", FIELD_INT, offsetof(struct ageing, min_days), false},
    {"max", FIELD_INT, offsetof(struct ageing, max_days), false},
    {"warn", FIELD_INT, offsetof(struct ageing, warn_days), false},
    {"inactive", FIELD_INT, offsetof(struct ageing, inactive_days), false},
    {"uid-min", FIELD_INT, offsetof(struct ageing, uid_min), false},
    {"last-change-past", FIELD_BOOL, offsetof(struct ageing, last_change), false},
    {0},
};

static bool meant(const struct ageing *w, const struct accounts *a, const char *name)
{
	const struct account *u = accounts_user(a, name);
	int64_t from = w->uid_min.set ? w->uid_min.v : 1000;

	return u != NULL && u->uid >= from && u->uid != 65534;
}

/* Of two profiles in one recipe the stricter value passes both. */
static bool holds(size_t i, int64_t is, int64_t bound)
{
	if (i == F_MIN || i == F_WARN)
		return is >= bound;
	return is >= (i == F_MAX ? 1 : 0) && is <= bound;
}

/* The value that field i of a row should have; NULL when it is fine. The caller owns it. */
static char *wanted(const struct op_run *r, const struct ageing *w, const struct strv *f, size_t i)
{
	const struct opt *o[SHADOW_FIELDS] = {
	    [F_MIN] = &w->min_days,
	    [F_MAX] = &w->max_days,
	    [F_WARN] = &w->warn_days,
	    [F_INACTIVE] = &w->inactive_days,
	};
	int64_t is, today = (r->c->epoch != 0 ? r->c->epoch : r->c->today) / DAY;

	if (i == F_CHANGED) {
		if (!w->last_change || (spec_int(f->v[i], &is) == 0 && is <= today) ||
		    f->v[i][0] == '\0')
			return NULL;
		return mem_format("%lld", (long long)today);
	}
	/* pam_unix(8) would refuse a key for the age of a password that is none */
	if (i == F_MAX && f->v[i][0] == '\0' && !account_hash_usable(f->v[F_HASH]))
		return NULL;
	if (o[i] == NULL || !o[i]->set || (spec_int(f->v[i], &is) == 0 && holds(i, is, o[i]->v)))
		return NULL;
	return mem_format("%lld", (long long)o[i]->v);
}

static void look(const struct op_run *r, const struct ageing *w, const struct accounts *a,
		 const struct strv *f)
{
	static const char *const names[] = {[F_CHANGED] = "day of the last change",
					    [F_MIN] = "least age",
					    [F_MAX] = "greatest age",
					    [F_WARN] = "days of warning",
					    [F_INACTIVE] = "days of grace"};

	if (f->n != SHADOW_FIELDS)
		return;
	for (size_t i = F_CHANGED; i <= F_INACTIVE; i++) {
		char *v SCOPED(mem_freep) = wanted(r, w, f, i);

		if (v != NULL && (i == F_CHANGED || meant(w, a, f->v[0])))
			strv_addf(r->found, "/etc/shadow: %s: %s is \"%s\", wants %s", f->v[0],
				  names[i], f->v[i], v);
	}
}

static int ageing_check(const struct op_run *r, const void *want, struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};
	const struct accounts *a;

	if (facts_accounts(r->facts, &a, e) != 0 ||
	    lines_read(r->rootfd, "etc/shadow", &lines, NULL, e) != 0)
		return -1;
	for (size_t i = 0; i < lines.n; i++) {
		struct strv f SCOPED(strv_release) = {0};

		line_fields(lines.v[i], ':', &f);
		look(r, want, a, &f);
	}
	return 0;
}

static int fix_row(const struct op_run *r, const struct ageing *w, const struct accounts *a,
		   const struct strv *f, struct err *e)
{
	for (size_t i = F_CHANGED; f->n == SHADOW_FIELDS && i <= F_INACTIVE; i++) {
		char *v SCOPED(mem_freep) = wanted(r, w, f, i);

		if (v == NULL || (i != F_CHANGED && !meant(w, a, f->v[0])))
			continue;
		if (account_set(r->rootfd, "etc/shadow", f->v[0], i, v, e) != 0)
			return -1;
		strv_addf(r->done, "/etc/shadow: %s: field %zu set to %s", f->v[0], i + 1, v);
	}
	return 0;
}

static int ageing_fix(const struct op_run *r, const void *want, struct err *e)
{
	struct strv lines SCOPED(strv_release) = {0};
	const struct accounts *a;

	if (facts_accounts(r->facts, &a, e) != 0 ||
	    lines_read(r->rootfd, "etc/shadow", &lines, NULL, e) != 0)
		return -1;
	for (size_t i = 0; i < lines.n; i++) {
		struct strv f SCOPED(strv_release) = {0};

		line_fields(lines.v[i], ':', &f);
		if (fix_row(r, want, a, &f, e) != 0)
			return -1;
	}
	return 0;
}

const struct op_kind op_ageing = {
    .name = "ageing",
    .size = sizeof(struct ageing),
    .fields = ageing_fields,
    .check = ageing_check,
    .fix = ageing_fix,
};
