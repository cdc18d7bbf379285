/* settle.c - what was not told of the sites of a host, and the last that is told of one. */
#include "stage/life.h"
#include "stage/parts.h"

#include "base/fault.h"
#include "base/log.h"
#include "form/hex.h"
#include "ledger/ledger.h"
#include "sys/fs.h"
#include "sys/lock.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define NOTE "destroyed.json"
enum { NOTE_MAX = 16 << 10, QUIET_MS = 5000, ONCE_BYTES = 8 };

int stage_told_destroying(const struct stage *st, const struct stage_ended *out, struct err *e)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(NOTE_MAX);
	struct jval *v SCOPED(jval_freep) = jval_object();
	uint8_t bytes[ONCE_BYTES];
	char hex[2 * ONCE_BYTES + 1];

	if (st->o->ledger == NULL)
		return 0;
	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return err_sys(e, "getrandom");
	hex_encode(bytes, sizeof(bytes), hex);
	jval_put_text(v, "once", hex);
	jval_put_text(v, "shop", st->s->shop);
	jval_put_text(v, "env", site_env_word(st->s->env));
	if (out->archive != NULL) {
		jval_put_text(v, "archive", out->archive);
		jval_put_text(v, "digest", digest_text(&out->digest).s);
	}
	jval_write(v, &text);
	return fs_put(st->ownfd, NOTE, text.data, text.len, 0600, e);
}

int stage_told_destroyed(const struct stage_opts *o, int dirfd, const char *gone, struct err *e)
{
	char *path SCOPED(mem_freep) = mem_format("%s/.posmedia/" NOTE, gone);
	struct buf text SCOPED(buf_release) = BUF_INIT(NOTE_MAX);
	struct jval *v SCOPED(jval_freep) = NULL;
	struct ledger_event event = {.kind = "destroy"};

	if (o->ledger == NULL ||
	    (faccessat(dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT))
		return 0;
	if (fs_get_file(dirfd, path, &text, e) != 0 ||
	    jval_parse(text.data, text.len, path, &v, e) != 0)
		return -1;
	event.fields = v;
	if (ledger_append(o->ledger, &event, 1, e) != 0)
		return -1;
	fault_point("destroy: told");
	return unlinkat(dirfd, path, 0) == 0 || errno == ENOENT ? 0 : err_sys(e, "remove %s", path);
}

/* A host's sites. */
struct all {
	const struct stage_opts *o;
	struct engine *en; /* NULL = it does not answer */
	struct engine_entries list;
	size_t open;
};

static void all_release(struct all *a)
{
	engine_free(a->en);
	engine_entries_release(&a->list);
}

static void settle_site(struct all *a, struct stage *st)
{
	struct err why = ERR_INIT;

	if (fs_open_dir(AT_FDCWD, st->own, &st->ownfd, &why) != 0) {
		if (errno != ENOENT)
			log_warn("%s", why.msg);
		return;
	}
	if (stage_is_settled(st, &a->list))
		return;
	if (a->en == NULL) {
		a->open++;
		return;
	}
	/* who holds it tells by itself */
	if (lock_take(st->ownfd, "lock", &st->lock, &why) == 0)
		stage_settle(st);
}

static void settle_shop(struct all *a, const char *shop)
{
	for (enum site_env env = SITE_DEV; env <= SITE_PROD; env++) {
		struct site s = {.shop = (char *)(uintptr_t)shop, .env = env};
		struct stage st SCOPED(stage_release) = {
		    .s = &s, .o = a->o, .en = a->en, .ownfd = -1, .lock = -1};

		st.dir = mem_format("%s/%s/%s", a->o->state, shop, site_env_word(env));
		st.own = mem_format("%s/.posmedia", st.dir);
		if (access(st.own, F_OK) == 0)
			settle_site(a, &st);
		st.en = NULL; /* it is everybody's */
	}
}

/* Sites whose end nobody told. */
static int settle_gone(const struct stage_opts *o, struct err *e)
{
	char *kept SCOPED(mem_freep) = fs_join(o->state, STAGE_KEPT_DIR);
	struct strv names SCOPED(strv_release) = {0};
	int fd SCOPED(fd_closep) = -1;

	if (access(kept, F_OK) != 0)
		return 0;
	if (fs_open_dir(AT_FDCWD, kept, &fd, e) != 0 || fs_list(fd, ".", &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (strncmp(names.v[i], STAGE_GONE_PREFIX, strlen(STAGE_GONE_PREFIX)) == 0 &&
		    stage_told_destroyed(o, fd, names.v[i], e) != 0)
			return -1;
	return 0;
}

int stage_settle_all(const struct stage_opts *o, size_t *ret_open, struct err *e)
{
	struct all a SCOPED(all_release) = {.o = o};
	struct strv shops SCOPED(strv_release) = {0};
	struct err why = ERR_INIT;

	*ret_open = 0;
	if (access(o->state, F_OK) != 0)
		return 0;
	if (fs_list(AT_FDCWD, o->state, &shops, e) != 0 || settle_gone(o, e) != 0)
		return -1;
	if (engine_open_within(o->socket, QUIET_MS, &a.en, &why) == 0 &&
	    engine_list(a.en, "posmedia.shop", &a.list, &why) != 0) {
		engine_free(a.en);
		a.en = NULL;
	}
	for (size_t i = 0; i < shops.n; i++)
		if (site_shop_ok(shops.v[i]))
			settle_shop(&a, shops.v[i]);
	*ret_open = a.open;
	return 0;
}
