#include "menu/rows.h"

#include "base/num.h"
#include "site/site.h"
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 2000, TEXT_MAX = 400, HEX_SHOWN = 12 };

static void row_release(struct menu_row *r)
{
	char *const all[] = {r->site, r->root,  r->container, r->shop,  r->env,
			     r->name, r->state, r->trouble,   r->image, r->uptime,
			     r->vpn,  r->room,  r->fault};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		free(all[i]);
	*r = (struct menu_row){0};
}

void rows_release(struct menu_rows *r)
{
	for (size_t i = 0; i < r->n; i++)
		row_release(&r->v[i]);
	free(r->v);
	*r = (struct menu_rows){0};
}

static struct menu_row *add_row(struct menu_rows *rows, const char *site)
{
	struct menu_row *r;

	rows->v = mem_resize(rows->v, rows->n + 1, sizeof(*rows->v));
	r = &rows->v[rows->n++];
	*r = (struct menu_row){
	    .site = mem_strdup(site),
	    .root = mem_strdup(""),
	    .container = mem_strdup(""),
	    .shop = mem_strdup(""),
	    .env = mem_strdup(""),
	    .name = mem_strdup(""),
	    .state = mem_strdup(""),
	    .trouble = mem_strdup(""),
	    .image = mem_strdup(""),
	    .uptime = mem_strdup(""),
	    .vpn = mem_strdup(""),
	    .room = mem_strdup(""),
	};
	return r;
}

/* The latest of a text; what is too long is cut. */
static void set(char **at, const char *text)
{
	if (text == NULL)
		return;
	free(*at);
	*at = mem_strndup(text, strnlen(text, TEXT_MAX));
}

void rows_read(const struct strv *sites, struct menu_rows *ret)
{
	for (size_t i = 0; i < sites->n && i < ROWS_MAX; i++) {
		struct menu_row *r = add_row(ret, sites->v[i]);
		struct site *s SCOPED(site_freep) = NULL;
		struct err e = ERR_INIT;

		if (site_load(sites->v[i], &s, &e) != 0) {
			r->fault = mem_strdup(e.msg);
			set(&r->name, sites->v[i]);
			continue;
		}
		set(&r->root, s->root);
		set(&r->shop, s->shop);
		set(&r->env, site_env_word(s->env));
		set(&r->name, s->hostname);
		set(&r->image, s->image.reference);
		r->prod = s->env == SITE_PROD;
	}
}

bool rows_same(const struct menu_row *r, struct err *e)
{
	struct site *s SCOPED(site_freep) = NULL;

	if (*r->site == '\0')
		return true;
	if (site_load(r->site, &s, e) != 0)
		return false;
	if (strcmp(s->shop, r->shop) == 0 && strcmp(site_env_word(s->env), r->env) == 0)
		return true;
	(void)err_set(e, ERR_BUSY, "%s is of shop %s in %s now: nothing was done", r->site, s->shop,
		      site_env_word(s->env));
	return false;
}

char *rows_time(int64_t s)
{
	if (s >= 86400)
		return mem_format("%lldd %02lldh", (long long)(s / 86400),
				  (long long)(s % 86400 / 3600));
	if (s >= 3600)
		return mem_format("%lldh %02lldm", (long long)(s / 3600),
				  (long long)(s % 3600 / 60));
	return s >= 60 ? mem_format("%lldm", (long long)(s / 60))
		       : mem_format("%llds", (long long)s);
}

static struct menu_row *find_row(struct menu_rows *rows, const char *shop, const char *env)
{
	for (size_t i = 0; i < rows->n; i++)
		if (strcmp(rows->v[i].shop, shop) == 0 && strcmp(rows->v[i].env, env) == 0)
			return &rows->v[i];
	return NULL;
}

/* "2/3" of the tunnels are up, "?/3" when that is not known of one. */
static void set_vpn(struct menu_row *r, const struct jval *list)
{
	struct jval *nothing SCOPED(jval_freep) = jval_null();
	size_t n = jval_len(list), up = 0;
	bool known = true;

	if (!jval_is_array(list) || n == 0)
		return;
	for (size_t i = 0; i < n; i++) {
		const struct jval *v = jval_get(jval_at(list, i), "up");

		up += jval_get_bool(jval_at(list, i), "up");
		known = known && v != NULL && !jval_equal(v, nothing);
	}
	free(r->vpn);
	r->vpn = known ? mem_format("%zu/%zu", up, n) : mem_format("?/%zu", n);
}

/* "till:1@0123456789ab": without where it comes from, which is longer than the line. */
static void set_image(struct menu_row *r, const struct jval *v)
{
	const char *image = jval_get_str(v, "image"), *digest = jval_get_str(v, "manifest");
	const char *name = image != NULL ? strrchr(image, '/') : NULL;
	const char *hex = digest != NULL ? strchr(digest, ':') : NULL;

	if (image == NULL)
		return;
	free(r->image);
	r->image = mem_format("%.*s%s%.*s", TEXT_MAX, name != NULL ? name + 1 : image,
			      hex != NULL ? "@" : "", HEX_SHOWN, hex != NULL ? hex + 1 : "");
}

/* What is not well, all in one line. */
static void set_trouble(struct menu_row *r, const struct jval *list)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(TEXT_MAX);

	for (size_t i = 0; i < jval_len(list); i++)
		if (jval_str(jval_at(list, i)) != NULL)
			buf_addf(&b, "%s%s", b.len == 0 ? "" : "; ", jval_str(jval_at(list, i)));
	set(&r->trouble, b.data);
}

static void set_row(struct menu_row *r, const struct jval *v)
{
	int64_t n;

	set(&r->name, jval_get_str(v, "hostname"));
	set(&r->state, jval_get_str(v, "state"));
	set_image(r, v);
	if (jval_get_int(v, "up_seconds", &n) == 0 && n >= 0) {
		free(r->uptime);
		r->uptime = rows_time(n);
	}
	if (jval_get_int(v, "disk_free", &n) == 0 && n >= 0) {
		free(r->room);
		r->room = num_human((uint64_t)n);
	}
	set(&r->container, jval_get_str(v, "container"));
	set_vpn(r, jval_get(v, "tunnels"));
	set_trouble(r, jval_get(v, "trouble"));
}

static bool is_env(const char *word)
{
	return strcmp(word, site_env_word(SITE_DEV)) == 0 ||
	       strcmp(word, site_env_word(SITE_QA)) == 0 ||
	       strcmp(word, site_env_word(SITE_PROD)) == 0;
}

static void add_status(struct menu_rows *rows, const struct jval *v)
{
	const char *shop = jval_get_str(v, "shop"), *env = jval_get_str(v, "environment");
	struct menu_row *r;

	if (shop == NULL || env == NULL || !site_shop_ok(shop) || !is_env(env))
		return;
	r = find_row(rows, shop, env);
	if (r == NULL && rows->n < ROWS_MAX) {
		r = add_row(rows, "");
		set(&r->shop, shop);
		set(&r->env, env);
		r->prod = strcmp(env, site_env_word(SITE_PROD)) == 0;
	}
	if (r != NULL)
		set_row(r, v);
}

void rows_status(struct menu_rows *rows, const struct jval *status)
{
	if (!jval_is_array(status))
		return;
	/* a site that it does not speak of was never staged here */
	for (size_t i = 0; i < rows->n; i++)
		if (rows->v[i].fault == NULL)
			set(&rows->v[i].state, "none");
	for (size_t i = 0; i < jval_len(status); i++)
		add_status(rows, jval_at(status, i));
}
