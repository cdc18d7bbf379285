#include "cli/screen.h"
#include "cli/verb.h"

#include "site/vpn.h"
#include <stdio.h>

static const struct opt opts[] = {
    {'o', "output", "DIR", "Where swanctl.conf is; /etc/swanctl when absent."},
    {0, "sheets", "DIR", "Where the sheets of routers go; DIR/posmedia/sheets when absent."},
    {0, "dry-run", NULL, "Only say what would change."},
    {0, "json", NULL, "Print the outcome as JSON."},
    {0, NULL, NULL, NULL},
};

static void print_json(const struct vpn_files *f, const struct strv *findings)
{
	struct jval *v SCOPED(jval_freep) = jval_object();
	struct jval *files = jval_array(), *list = jval_array();

	for (size_t i = 0; i < f->n; i++) {
		struct jval *one = jval_object();

		jval_put_text(one, "path", f->v[i].path);
		jval_put(one, "changed", jval_bool(f->v[i].changed));
		jval_push(files, one);
	}
	for (size_t i = 0; i < findings->n; i++)
		jval_push(list, jval_text(findings->v[i]));
	jval_put(v, "files", files);
	jval_put(v, "findings", list);
	screen_json(v);
}

static void print_files(const struct args *a, const struct vpn_files *f,
			const struct strv *findings)
{
	const char *word = args_has(a, "dry-run") ? "would change" : "changed";
	size_t changed = 0;

	for (size_t i = 0; i < f->n; i++) {
		changed += f->v[i].changed;
		if (f->v[i].changed)
			printf("%s %s\n", word, f->v[i].path);
	}
	if (changed == 0)
		puts("nothing changed");
	for (size_t i = 0; i < findings->n; i++)
		printf("finding: %s\n", findings->v[i]);
}

static int run(const struct args *a, struct err *e)
{
	struct site *s SCOPED(site_freep) = NULL;
	struct vpn_files files SCOPED(vpn_files_release) = {0};
	struct strv findings SCOPED(strv_release) = {0};
	const char *dir = args_has(a, "output") ? args_get(a, "output") : "/etc/swanctl";
	char *own SCOPED(mem_freep) = mem_format("%s/posmedia/sheets", dir);
	const struct vpn_place at = {.dir = dir,
				     .sheets = args_has(a, "sheets") ? args_get(a, "sheets") : own,
				     .dry_run = args_has(a, "dry-run")};

	if (site_load(a->rest.v[0], &s, e) != 0)
		return -1;
	if (vpn_write(s, &at, &files, e) != 0)
		return -1;
	if (s->vpn.peers_n == 0)
		strv_addf(&findings, "%s: no \"vpn\": the site has no tunnels", s->file);
	site_vpn_findings(s, &findings);
	if (args_has(a, "json"))
		print_json(&files, &findings);
	else
		print_files(a, &files, &findings);
	return 0;
}

const struct verb verb_vpn = {
    .name = "vpn",
    .args = "SITE",
    .help = "Write the tunnels to a site's stores, and the sheets of their routers.",
    .min = 1,
    .max = 1,
    .opts = opts,
    .run = run,
};
