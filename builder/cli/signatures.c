#include "cli/signatures.h"

#include "cli/screen.h"
#include <stdio.h>

struct jval *signatures_json(const struct sign_report *r)
{
	struct jval *list = jval_array();

	for (size_t n = 0; n < r->n; n++) {
		const struct sign_found *f = &r->v[n];
		struct jval *o = jval_object();

		jval_put_text(o, "form", sign_form_word(f->form));
		jval_put_text(o, "identity", f->identity);
		jval_put_text(o, "key", digest_text(&f->key).s);
		if (f->time != 0)
			jval_put_int(o, "time", f->time);
		if (f->stamped != 0)
			jval_put_int(o, "stamped", f->stamped);
		jval_push(list, o);
	}
	return list;
}

struct jval *signatures_checked_json(const struct sign_report *r)
{
	struct jval *list = jval_array();

	for (size_t n = 0; n < r->checked.n; n++)
		jval_push(list, jval_text(r->checked.v[n]));
	return list;
}

void signatures_print(const struct sign_report *r)
{
	for (size_t n = 0; n < r->n; n++)
		printf("%s signature of %s by key %s: good\n", sign_form_word(r->v[n].form),
		       r->v[n].identity, digest_text(&r->v[n].key).s);
	for (size_t n = 0; n < r->checked.n; n++) {
		screen_plain_line(r->checked.v[n]);
		puts(r->checked.v[n]);
	}
}
