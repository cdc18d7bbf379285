#include "cli/host.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "base/num.h"
#include "stage/status.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct opt opts[] = {
    {0, "controls", NULL, "Also check what the engine and the site have to hold."},
    {0, "checks", NULL, "Run the programs of the sites' checks too, as for sites that are named."},
    {0, "vici", "URI", "Where charon listens, as swanctl's --uri wants it."},
    HOST_OPTS,
    {0, "json", NULL, "Print all that is known as JSON."},
    {0, NULL, NULL, NULL},
};

enum { HOUR_S = 3600, DAY_S = 24 * HOUR_S, HEX_SHOWN = 12 };

static const char *text_of(const struct jval *v, const char *key)
{
	const char *text = jval_get_str(v, key);

	return text != NULL ? text : "-";
}

/* "3d 4h", "4h 5m" or "5m"; "-" when it is not known. */
static char *duration(const struct jval *v, const char *key)
{
	int64_t s;

	if (jval_get_int(v, key, &s) != 0)
		return mem_strdup("-");
	if (s >= DAY_S)
		return mem_format("%lldd %lldh", (long long)(s / DAY_S),
				  (long long)(s % DAY_S / HOUR_S));
	if (s >= HOUR_S)
		return mem_format("%lldh %lldm", (long long)(s / HOUR_S),
				  (long long)(s % HOUR_S / 60));
	return mem_format("%lldm", (long long)(s / 60));
}

static char *days(const struct jval *v, const char *key)
{
	int64_t n;

	return jval_get_int(v, key, &n) == 0 ? mem_format("%lld", (long long)n) : mem_strdup("-");
}

static char *bytes(const struct jval *v, const char *key)
{
	int64_t n;

	return jval_get_int(v, key, &n) == 0 ? num_human((uint64_t)n) : mem_strdup("-");
}

/* "2/3" of those in the list whose member is true, "?/3" when that is not known of some. */
static char *share(const struct jval *list, const char *key)
{
	struct jval *nothing SCOPED(jval_freep) = jval_null();
	size_t n = jval_len(list), good = 0;
	bool known = true;

	if (n == 0)
		return mem_strdup("-");
	for (size_t i = 0; i < n; i++) {
		if (jval_get_bool(jval_at(list, i), key))
			good++;
		else if (jval_equal(jval_get(jval_at(list, i), key), nothing))
			known = false;
	}
	return known ? mem_format("%zu/%zu", good, n) : mem_format("?/%zu", n);
}

/* "localhost/till:1@0123456789ab" */
static char *image(const struct jval *v)
{
	const char *digest = jval_get_str(v, "manifest");
	const char *hex = digest != NULL ? strchr(digest, ':') : NULL;

	return hex != NULL ? mem_format("%s@%.*s", text_of(v, "image"), HEX_SHOWN, hex + 1)
			   : mem_strdup("-");
}

static void print_line(const struct jval *v)
{
	char *up SCOPED(mem_freep) = duration(v, "up_seconds");
	char *checks SCOPED(mem_freep) = share(jval_get(v, "checks"), "passes");
	char *tunnels SCOPED(mem_freep) = share(jval_get(v, "tunnels"), "up");
	char *left SCOPED(mem_freep) = bytes(v, "disk_free");
	char *age SCOPED(mem_freep) = days(v, "image_days");
	char *what SCOPED(mem_freep) = image(v);
	const char *backup = jval_get_str(v, "backup");

	printf("%-12s %-4s %-8s %-8s %-6s %-7s %-8s %-5s %-20s %s\n", text_of(v, "shop"),
	       text_of(v, "environment"), text_of(v, "state"), up, checks, tunnels, left, age,
	       backup != NULL ? backup : "never", what);
}

static void print_controls(const struct jval *v)
{
	const struct jval *list = jval_get(v, "controls");

	for (size_t i = 0; i < jval_len(list); i++) {
		char *found SCOPED(mem_freep) = mem_strdup(text_of(jval_at(list, i), "found"));

		screen_plain_line(found);
		printf("%s %s %s: %s: %s\n", text_of(v, "shop"), text_of(v, "environment"),
		       text_of(jval_at(list, i), "control"),
		       jval_get_bool(jval_at(list, i), "passes") ? "passes" : "fails", found);
	}
}

static void print_trouble(const struct jval *v)
{
	const struct jval *list = jval_get(v, "trouble");
	const char *closed = jval_get_str(v, "closed");
	int64_t pid;

	if (closed != NULL)
		printf("%s %s: it is closed (%s): nobody gets in\n", text_of(v, "shop"),
		       text_of(v, "environment"), closed);

	if (jval_get_int(v, "at_work", &pid) == 0)
		printf("%s %s: process %lld is at work on it\n", text_of(v, "shop"),
		       text_of(v, "environment"), (long long)pid);
	for (size_t i = 0; i < jval_len(list); i++) {
		char *text SCOPED(mem_freep) = mem_strdup(jval_str(jval_at(list, i)));

		screen_plain_line(text);
		printf("%s %s: %s\n", text_of(v, "shop"), text_of(v, "environment"), text);
	}
}

static void print(const struct jval *all)
{
	if (jval_len(all) == 0) {
		puts("no instances");
		return;
	}
	printf("%-12s %-4s %-8s %-8s %-6s %-7s %-8s %-5s %-20s %s\n", "SHOP", "ENV", "STATE", "UP",
	       "CHECKS", "TUNNELS", "FREE", "DAYS", "BACKUP", "IMAGE");
	for (size_t i = 0; i < jval_len(all); i++)
		print_line(jval_at(all, i));
	for (size_t i = 0; i < jval_len(all); i++)
		print_controls(jval_at(all, i));
	for (size_t i = 0; i < jval_len(all); i++)
		print_trouble(jval_at(all, i));
}

struct sites {
	struct site **v;
	size_t n;
};

static void sites_release(struct sites *l)
{
	for (size_t i = 0; i < l->n; i++)
		site_free(l->v[i]);
	free(l->v);
}

static int load_sites(const struct args *a, struct sites *ret, struct err *e)
{
	ret->v = mem_zalloc((a->rest.n + 1) * sizeof(struct site *));
	for (; ret->n < a->rest.n; ret->n++)
		if (site_load(a->rest.v[ret->n], &ret->v[ret->n], e) != 0)
			return -1;
	return 0;
}

static int run(const struct args *a, struct err *e)
{
	struct sites sites SCOPED(sites_release) = {0};
	struct jval *all SCOPED(jval_freep) = NULL;
	struct stage_opts where;
	bool well;

	if (host_options(a, &where, e) != 0 || load_sites(a, &sites, e) != 0)
		return -1;
	const struct status_opts o = {.where = &where,
				      .vici = args_get(a, "vici"),
				      .ask = a->rest.n > 0 || args_has(a, "checks"),
				      .controls = args_has(a, "controls")};

	if (stage_status(&o, (const struct site *const *)sites.v, sites.n, &all, &well, e) != 0)
		return -1;
	if (args_has(a, "json"))
		screen_json(all);
	else
		print(all);
	return well ? 0 : err_set(e, ERR_FAIL, "not all is well");
}

const struct verb verb_status = {
    .name = "status",
    .args = "[SITE...]",
    .help = "Show how the instances of this host are.",
    .min = 0,
    .max = 1000,
    .opts = opts,
    .run = run,
};
