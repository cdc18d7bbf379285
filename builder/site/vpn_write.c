/* vpn_write.c - the files of a site's tunnels. */
#include "site/secret.h"
#include "site/vpn.h"

#include "base/map.h"
#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONFIG_MAX = 4 << 20, SECRETS_MAX = SITE_PEERS_MAX << 10 };

void vpn_files_release(struct vpn_files *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->v[i].path);
	free(f->v);
	*f = (struct vpn_files){0};
}

static void note(struct vpn_files *f, const char *path, bool changed)
{
	f->v = mem_resize(f->v, f->n + 1, sizeof(*f->v));
	f->v[f->n++] = (struct vpn_file){mem_strdup(path), changed};
}

/* Whether the file is there with this text and mode. */
static bool same(const char *path, const struct buf *text, mode_t mode)
{
	struct buf old SCOPED(site_secret_release) = BUF_INIT(CONFIG_MAX);
	struct err quiet = ERR_INIT;
	struct stat st;

	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 07777) == mode &&
	       fs_get_file(AT_FDCWD, path, &old, &quiet) == 0 && old.len == text->len &&
	       memcmp(old.data, text->data, text->len) == 0;
}

struct writer {
	const struct vpn_place *at;
	struct vpn_files files;
};

static void writer_release(struct writer *w)
{
	vpn_files_release(&w->files);
}

static int put(struct writer *w, const char *path, const struct buf *text, mode_t mode,
	       struct err *e)
{
	bool stays = same(path, text, mode);
	char *dir SCOPED(mem_freep) = fs_dirname(path);

	if (buf_over(text))
		return err_set(e, ERR_FAIL, "%s: too large", path);
	note(&w->files, path, !stays);
	if (stays || w->at->dry_run)
		return 0;
	if (fs_mkdirs(AT_FDCWD, dir, mode == 0600 ? 0700 : 0755, e) != 0)
		return -1;
	return fs_put_path(path, text->data, text->len, mode, e);
}

static int put_secrets(struct writer *w, const struct site *s, const char *path, struct err *e)
{
	struct buf text SCOPED(site_secret_release) = BUF_INIT(SECRETS_MAX);
	char *room SCOPED(mem_freep) = mem_zalloc(SECRETS_MAX);

	buf_add(&text, room, SECRETS_MAX); /* at once, for the sake of vpn_secret */
	buf_cut(&text, 0);
	buf_addf(&text, "secrets {\n");
	for (size_t i = 0; i < s->vpn.peers_n; i++) {
		const struct site_peer *p = &s->vpn.peers[i];
		struct buf psk SCOPED(site_secret_release) = BUF_INIT(SITE_SECRET_MAX);

		if (site_secret_read(&site_secret_find(s, p->secret)->from, &psk, e) != 0)
			return err_in(e, "the secret \"%s\"", p->secret);
		if (vpn_secret(s, p, &psk, &text, e) != 0)
			return -1;
	}
	buf_addf(&text, "}\n");
	return put(w, path, &text, 0600, e);
}

static int drop_file(struct writer *w, const char *path, struct err *e)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? 0 : err_sys(e, "look at %s", path);
	note(&w->files, path, true);
	if (!w->at->dry_run && unlink(path) != 0 && errno != ENOENT)
		return err_sys(e, "remove %s", path);
	return 0;
}

static int drop_old(struct writer *w, const char *dir, struct map *wanted, struct err *e)
{
	struct strv names SCOPED(strv_release) = {0};

	if (access(dir, F_OK) != 0)
		return 0;
	if (fs_list(AT_FDCWD, dir, &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		char *path SCOPED(mem_freep) = fs_join(dir, names.v[i]);
		const char *dot = strrchr(names.v[i], '.');
		int form = 0;

		while (dot != NULL && form < VPN_FORMS &&
		       strcmp(dot + 1, vpn_form_suffix((enum vpn_form)form)) != 0)
			form++;
		if (dot == NULL || form == VPN_FORMS || map_has(wanted, names.v[i]))
			continue;
		if (drop_file(w, path, e) != 0)
			return -1;
	}
	return 0;
}

static int put_sheets(struct writer *w, const struct site *s, const char *dir, struct map *wanted,
		      struct err *e)
{
	for (size_t i = 0; i < s->vpn.peers_n * VPN_FORMS; i++) {
		const struct site_peer *p = &s->vpn.peers[i / VPN_FORMS];
		enum vpn_form form = (enum vpn_form)(i % VPN_FORMS);
		struct buf text SCOPED(buf_release) = BUF_INIT(CONFIG_MAX);
		char *name SCOPED(mem_freep) = mem_format("%s.%s", p->name, vpn_form_suffix(form));
		char *path SCOPED(mem_freep) = fs_join(dir, name);

		map_put(wanted, name, w);
		vpn_sheet(s, p, form, &text);
		if (put(w, path, &text, 0644, e) != 0)
			return -1;
	}
	return drop_old(w, dir, wanted, e);
}

/* Where the files of a site are. */
struct names {
	char *conf, *secrets, *sheets;
};

static struct names names_of(const struct site *s, const struct vpn_place *at)
{
	const char *env = site_env_word(s->env);

	return (struct names){mem_format("%s/conf.d/posmedia-%s-%s.conf", at->dir, s->shop, env),
			      mem_format("%s/posmedia/%s-%s.secrets", at->dir, s->shop, env),
			      mem_format("%s/%s-%s", at->sheets, s->shop, env)};
}

static void names_release(struct names *n)
{
	free(n->conf);
	free(n->secrets);
	free(n->sheets);
}

/* The connections go before the secrets that they include. */
static int drop_all(struct writer *w, const struct names *n, struct err *e)
{
	struct map none = {0};

	if (drop_file(w, n->conf, e) != 0 || drop_file(w, n->secrets, e) != 0 ||
	    drop_old(w, n->sheets, &none, e) != 0)
		return -1;
	/* what is not ours may be in it */
	if (!w->at->dry_run && rmdir(n->sheets) != 0 && errno != ENOENT && errno != ENOTEMPTY)
		return err_sys(e, "remove %s", n->sheets);
	return 0;
}

static int put_all(struct writer *w, const struct site *s, const struct names *n, struct err *e)
{
	struct buf config SCOPED(buf_release) = BUF_INIT(CONFIG_MAX);
	struct map wanted = {0};
	char *include SCOPED(mem_freep) =
	    mem_format("../posmedia/%s-%s.secrets", s->shop, site_env_word(s->env));
	int rc;

	vpn_config(s, include, &config);
	if (put_secrets(w, s, n->secrets, e) != 0 || put(w, n->conf, &config, 0644, e) != 0)
		return -1;
	rc = put_sheets(w, s, n->sheets, &wanted, e);
	map_release(&wanted, NULL);
	return rc;
}

int vpn_write(const struct site *s, const struct vpn_place *at, struct vpn_files *ret,
	      struct err *e)
{
	struct writer w SCOPED(writer_release) = {.at = at};
	struct names n SCOPED(names_release) = names_of(s, at);

	if ((s->vpn.peers_n > 0 ? put_all(&w, s, &n, e) : drop_all(&w, &n, e)) != 0)
		return -1;
	*ret = w.files;
	w.files = (struct vpn_files){0};
	return 0;
}
