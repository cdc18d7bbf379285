/* op_waivers.c - what the recipe waives, it waives for a while. */
#include "harden/op.h"

#include "sys/clock.h"
#include <stddef.h>
#include <string.h>

enum { DAY_S = 24 * 60 * 60, DATE_LENGTH = 10 };

struct waivers {
	struct opt days; /* that one may last from today */
};

static const struct field waivers_fields[] = {
    {"days", FIELD_INT, offsetof(struct waivers, days), true},
    {0},
};

static const char *waivers_lacks(const struct op_run *r, const void *want)
{
	(void)want;
	return r->c->recipe == NULL ? "the recipe with its waivers is not given" : NULL;
}

/* Reason, approver and day are there: no recipe without them is read. */
static int waivers_check(const struct op_run *r, const void *want, struct err *e)
{
	const struct waivers *w = want;
	char *now SCOPED(mem_freep) = clock_rfc3339(r->c->today);
	char *last SCOPED(mem_freep) = clock_rfc3339(r->c->today + w->days.v * DAY_S);

	(void)e;
	for (size_t i = 0; i < r->c->recipe->waivers_n; i++) {
		const struct recipe_waiver *x = &r->c->recipe->waivers[i];

		if (strncmp(now, x->until, DATE_LENGTH) > 0)
			strv_addf(r->found, "the waiver of %s ended on %s", x->control, x->until);
		else if (strncmp(last, x->until, DATE_LENGTH) < 0)
			strv_addf(r->found, "the waiver of %s lasts until %s, more than %lld days",
				  x->control, x->until, (long long)w->days.v);
		else if (r->held != NULL)
			strv_addf(r->held, "%s, until %s by %s: %s", x->control, x->until, x->by,
				  x->reason);
	}
	return 0;
}

const struct op_kind op_waivers = {
    .name = "waivers",
    .size = sizeof(struct waivers),
    .fields = waivers_fields,
    .lacks = waivers_lacks,
    .check = waivers_check,
};
