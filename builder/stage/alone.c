/* alone.c - who else lives on this host: production has it for itself, unless both say otherwise.
 */
#include "stage/parts.h"

#include "sys/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { SITE_MAX = 8 << 20 };

/* Whether the site that a generation was made from shares its host. What cannot be read does not.
 */
static bool is_shared(int ownfd, const struct stage_one *one)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(SITE_MAX);
	struct jval *v SCOPED(jval_freep) = NULL;
	char *name SCOPED(mem_freep) = mem_format("%.16s.site", digest_hex(&one->generation).s);
	struct err quiet = ERR_INIT;

	return fs_get_file(ownfd, name, &text, &quiet) == 0 &&
	       jval_parse(text.data, text.len, name, &v, &quiet) == 0 && jval_get_bool(v, "shared");
}

/* A site that is there, or begun, and whether it goes with ours. */
static int check_one(const struct stage *st, const char *shop, enum site_env env, struct err *e)
{
	char *path SCOPED(mem_freep) =
	    mem_format("%s/%s/%s/.posmedia", st->o->state, shop, site_env_word(env));
	struct stage_record r SCOPED(stage_record_release) = {0};
	const struct stage_one *one;
	struct err quiet = ERR_INIT;
	int fd SCOPED(fd_closep) = -1;

	if (strcmp(shop, st->s->shop) == 0 && env == st->s->env)
		return 0;
	if (access(path, F_OK) != 0 && errno == ENOENT)
		return 0;
	if (fs_open_dir(AT_FDCWD, path, &fd, e) != 0)
		return -1;
	/* a record that cannot be read is somebody all the same */
	if (stage_record_read(fd, &r, &quiet) == 0 && r.current.container == NULL &&
	    r.pending.container == NULL)
		return 0;
	one = r.current.container != NULL ? &r.current : &r.pending;
	if ((st->s->env != SITE_PROD || st->s->shared) && (env != SITE_PROD || is_shared(fd, one)))
		return 0;
	(void)err_set(e, ERR_BUSY, "shop %s in %s: shop %s in %s is on this host", st->s->shop,
		      site_env_word(st->s->env), shop, site_env_word(env));
	return err_hint(e, "Production has a host for itself, unless its site file says "
			   "\"shared: true\".");
}

int stage_check_alone(const struct stage *st, struct err *e)
{
	struct strv shops SCOPED(strv_release) = {0};

	if (access(st->o->state, F_OK) != 0 && errno == ENOENT)
		return 0;
	if (fs_list(AT_FDCWD, st->o->state, &shops, e) != 0)
		return -1;
	for (size_t i = 0; i < shops.n; i++)
		for (int env = SITE_DEV; env <= SITE_PROD && site_shop_ok(shops.v[i]); env++)
			if (check_one(st, shops.v[i], (enum site_env)env, e) != 0)
				return -1;
	return 0;
}
