#include "site/parts.h"

#include "recipe/merge.h"
#include "sys/fs.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const struct site_secret *site_secret_find(const struct site *s, const char *name)
{
	for (size_t i = 0; i < s->secrets_n; i++)
		if (strcmp(s->secrets[i].name, name) == 0)
			return &s->secrets[i];
	return NULL;
}

static int resolve(struct site *s, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(8 << 20);

	s->resolved = site_resolved(s);
	jval_write(s->resolved, &text);
	if (buf_over(&text))
		return err_set(e, ERR_RECIPE, "%s: too large", s->file);
	s->digest = digest_of(text.data, text.len);
	return 0;
}

/* The file must be there. What is no path is the schema's to refuse. */
static int check_policy(const struct yaml *y, const char *root, struct err *e)
{
	const struct yaml *at = yaml_get(yaml_get(y, "image"), "policy");
	char *path SCOPED(mem_freep) = NULL;
	struct stat st;

	if (at == NULL || at->kind != YAML_SCALAR || !grammar_ok(&grammar_project_path, at->text))
		return 0;
	path = fs_join(root, at->text);
	if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
		return 0;
	yaml_err(at, e, "\"policy\": no file \"%s\"", schema_show(at->text).s);
	return err_hint(e, "Looked for %.200s.", path);
}

int site_load(const char *path, struct site **ret, struct err *e)
{
	return site_load_in(path, NULL, ret, e);
}

int site_load_in(const char *path, const char *root, struct site **ret, struct err *e)
{
	struct yaml *y SCOPED(yaml_freep) = NULL;
	struct site *s SCOPED(site_freep) = mem_zalloc(sizeof(*s));

	s->file = mem_strdup(path);
	if (merge_load(path, &y, e) != 0)
		return -1;
	if (root != NULL)
		s->root = mem_strdup(root);
	else if (recipe_root(path, &s->root, e) != 0)
		return -1;
	/* what is stored says what was; that needs no policy any more */
	if (root == NULL && check_policy(y, s->root, e) != 0)
		return -1;
	if (schema_map(s->root, y, site_fields, s, e) != 0)
		return -1;
	site_cutover_defaults(s);
	if (site_check(s, e) != 0)
		return -1;
	if (resolve(s, e) != 0)
		return -1;
	*ret = STEAL(s);
	return 0;
}

static void source_release(struct site_source *s)
{
	free(s->file);
	free(s->credential);
	strv_release(&s->command);
}

static void nets_free(struct site_net *v, size_t n)
{
	for (size_t i = 0; v != NULL && i < n; i++)
		free(v[i].text);
	free(v);
}

static void free_network(struct site_network *n)
{
	for (size_t i = 0; i < n->routes_n; i++) {
		free(n->routes[i].to.text);
		free(n->routes[i].via);
	}
	free(n->routes);
	free(n->interface);
	free(n->address.text);
	free(n->gateway);
	free(n->mac);
	strv_release(&n->dns);
}

static void free_people(struct site *s)
{
	for (size_t i = 0; i < s->printers_n; i++) {
		free(s->printers[i].name);
		free(s->printers[i].uri);
		free(s->printers[i].model);
	}
	for (size_t i = 0; i < s->users_n; i++) {
		free(s->users[i].name);
		strv_release(&s->users[i].groups);
		strv_release(&s->users[i].keys);
	}
	for (size_t i = 0; i < s->secrets_n; i++) {
		free(s->secrets[i].name);
		source_release(&s->secrets[i].from);
	}
	free(s->printers);
	free(s->users);
	free(s->secrets);
	source_release(&s->licence.from);
	free(s->licence.at);
}

static void free_vpn(struct site_vpn *v)
{
	for (size_t i = 0; i < v->peers_n; i++) {
		free(v->peers[i].name);
		free(v->peers[i].address);
		free(v->peers[i].id);
		free(v->peers[i].secret);
		nets_free(v->peers[i].networks, v->peers[i].networks_n);
	}
	free(v->peers);
	free(v->address);
	free(v->id);
	nets_free(v->networks, v->networks_n);
}

void site_free(struct site *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->data_n; i++) {
		free(s->data[i].name);
		free(s->data[i].at);
	}
	for (size_t i = 0; i < s->health_n; i++) {
		free(s->health[i].name);
		strv_release(&s->health[i].run);
	}
	free(s->data);
	free(s->health);
	free_network(&s->network);
	free_people(s);
	free_vpn(&s->vpn);
	site_cutover_release(&s->cutover);
	free(s->backup.from);
	free(s->backup.secret);
	free(s->backup.known_hosts);
	strv_release(&s->backup.keys);
	free(s->image.reference);
	free(s->image.policy);
	free(s->hostname);
	strv_release(&s->keep);
	free(s->shop);
	free(s->file);
	free(s->root);
	jval_free(s->resolved);
	free(s);
}

void site_freep(struct site **s)
{
	site_free(*s);
	*s = NULL;
}
