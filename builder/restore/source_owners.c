/* source_owners.c - whose the files of an archive are: by the names in it. A name that nobody has
 * here, and a header without one, leave a number, and that is told. */
#include "restore/source.h"

#include "base/log.h"
#include "sys/fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { TOLD_MAX = 700, ROWS_MAX = 64 << 20 };

struct owners {
	struct source *s;
	bool tree;                   /* the target has this machine's numbers, or the tree's */
	struct manifest_names *base; /* these */
	struct manifest_names *said; /* what a number of the archive is called */
	struct buf users, groups;    /* rows of tables: what the headers say */
	struct buf unknown, unknown_group; /* and of that who is not known */
	struct map strangers;              /* "user NAME": the same */
	struct map nameless;               /* "user NUMBER" */
	struct map lost;                   /* "user NAME": in an ACL, and has no number */
};

static void owners_release(struct owners *o)
{
	manifest_names_free(o->base);
	manifest_names_free(o->said);
	buf_release(&o->users);
	buf_release(&o->groups);
	buf_release(&o->unknown);
	buf_release(&o->unknown_group);
	map_release(&o->strangers, NULL);
	map_release(&o->nameless, NULL);
	map_release(&o->lost, NULL);
}

static void note(struct map *m, bool is_user, const char *who)
{
	char *text SCOPED(mem_freep) = mem_format("%s %s", is_user ? "user" : "group", who);

	(void)map_add(m, text, NULL);
}

static bool knows(const struct manifest_names *n, bool is_user, const char *name, uint32_t *ret)
{
	struct err quiet = ERR_INIT;

	return (is_user ? manifest_names_uid(n, name, ret, &quiet)
			: manifest_names_gid(n, name, ret, &quiet)) == 0;
}

static const char *called(const struct manifest_names *n, bool is_user, uint32_t id)
{
	return is_user ? manifest_names_user(n, id) : manifest_names_group(n, id);
}

/* Of "#user NAME NUMBER": the line is cut. */
static bool header_line(char *line, bool *ret_user, char **ret_name, char **ret_id)
{
	*ret_user = strncmp(line, "#user ", 6) == 0;
	if (!*ret_user && strncmp(line, "#group ", 7) != 0)
		return false;
	*ret_name = line + (*ret_user ? 6 : 7);
	*ret_id = strchr(*ret_name, ' ');
	if (*ret_id == NULL)
		return false;
	*(*ret_id)++ = '\0';
	return true;
}

static void add_header(struct owners *o, char *line)
{
	char *name, *id;
	uint32_t number;
	bool is_user;

	if (!header_line(line, &is_user, &name, &id))
		return;
	buf_addf(is_user ? &o->users : &o->groups, "%s:x:%s:\n", name, id);
	if (!o->tree || knows(o->base, is_user, name, &number))
		return;
	buf_addf(is_user ? &o->unknown : &o->unknown_group, "%s:x:%s:\n", name, id);
	note(&o->strangers, is_user, name);
}

/* Takes the lines of names off; what is behind them is the permfile. */
static char *take_headers(struct owners *o, char *text)
{
	while (strncmp(text, "#user ", 6) == 0 || strncmp(text, "#group ", 7) == 0) {
		char *end = strchr(text, '\n');

		if (end == NULL)
			break;
		*end = '\0';
		add_header(o, text);
		text = end + 1;
	}
	return text;
}

/* Where somebody is named in a line: "# owner: X", "user:X:rwx". *ret_n bytes. */
static char *named_in(char *line, bool *ret_user, bool *ret_acl, size_t *ret_n)
{
	char *at = line;

	*ret_acl = line[0] != '#';
	if (!*ret_acl) {
		*ret_user = strncmp(line, "# owner: ", 9) == 0;
		if (!*ret_user && strncmp(line, "# group: ", 9) != 0)
			return NULL;
		*ret_n = strcspn(line + 9, "\n");
		return line + 9;
	}
	at += strncmp(at, "default:", 8) == 0 ? 8 : 0;
	*ret_user = strncmp(at, "user:", 5) == 0;
	if (!*ret_user && strncmp(at, "group:", 6) != 0)
		return NULL;
	at += *ret_user ? 5 : 6;
	*ret_n = strcspn(at, ":\n");
	return *ret_n > 0 ? at : NULL;
}

static bool is_number(const char *s)
{
	return s[0] != '\0' && strspn(s, "0123456789") == strlen(s);
}

/* The name of a number, where the archive or the tree says it. */
static const char *resolve(struct owners *o, bool is_user, bool in_acl, const char *who)
{
	const char *name = NULL;
	uint32_t id = 0;

	if (!is_number(who)) {
		if (in_acl && o->tree && !knows(o->s->names, is_user, who, &id))
			note(&o->lost, is_user, who);
		return who;
	}
	if (knows(o->said, is_user, who, &id))
		name = called(o->said, is_user, id);
	if (name != NULL)
		return name;
	note(&o->nameless, is_user, who);
	name = o->tree ? called(o->base, is_user, id) : NULL;
	return name != NULL ? name : who;
}

static void add_line(struct owners *o, char *line, size_t n, struct buf *ret)
{
	char *who SCOPED(mem_freep) = NULL;
	bool is_user, in_acl;
	size_t len = 0;
	char *at = named_in(line, &is_user, &in_acl, &len);

	if (at == NULL) {
		buf_add(ret, line, n);
		return;
	}
	who = mem_strndup(at, len);
	buf_add(ret, line, (size_t)(at - line));
	buf_addf(ret, "%s", resolve(o, is_user, in_acl, who));
	buf_add(ret, at + len, n - (size_t)(at - line) - len);
}

static int refuse_lost(const struct owners *o, struct err *e)
{
	const char **keys SCOPED(mem_freep) = map_keys(&o->lost);
	struct buf b SCOPED(buf_release) = BUF_INIT(TOLD_MAX);

	if (o->lost.n == 0)
		return 0;
	for (size_t i = 0; i < o->lost.n && b.len < TOLD_MAX / 2; i++)
		buf_addf(&b, "%s%.200s", i > 0 ? ", " : "", keys[i]);
	(void)err_set(e, ERR_VERIFY, "its ACLs name who has no number here: %s%s", b.data,
		      b.len >= TOLD_MAX / 2 ? ", and more" : "");
	return err_hint(e, "add them to the users and groups of this machine first");
}

/* Two of the archive's names that would be one number here could not be told apart any more. */
static int refuse_two(const struct owners *o, bool is_user, struct err *e)
{
	const struct buf *rows = is_user ? &o->users : &o->groups;
	const char *kind = is_user ? "user" : "group";

	for (const char *at = rows->data; at != NULL && at[0] != '\0'; at = strchr(at, '\n') + 1) {
		char *name SCOPED(mem_freep) = mem_strndup(at, strcspn(at, ":"));
		char *one SCOPED(mem_freep) = mem_format("%s %s", kind, name);
		char *two SCOPED(mem_freep) = NULL;
		const char *is;
		uint32_t id = 0;

		if (!knows(o->s->names, is_user, name, &id))
			continue;
		is = called(o->s->names, is_user, id);
		if (is == NULL || strcmp(is, name) == 0)
			continue;
		two = mem_format("%s %s", kind, is);
		if (!map_has(&o->strangers, one) && !map_has(&o->strangers, two))
			continue;
		(void)err_set(e, ERR_VERIFY, "%s and %s of it would both be number %u", one, two,
			      id);
		return err_hint(e, "add them to the users and groups of this machine first");
	}
	return 0;
}

static int make_names(struct owners *o, const struct source_tables *t, struct err *e)
{
	struct buf users SCOPED(buf_release) = BUF_INIT(2 * ROWS_MAX);
	struct buf groups SCOPED(buf_release) = BUF_INIT(2 * ROWS_MAX);

	if (buf_over(&o->users) || buf_over(&o->groups))
		return err_set(e, ERR_VERIFY, "more users than fit");
	buf_addf(&users, "%s\n", o->unknown.data);
	buf_add(&users, t->passwd.data, t->passwd.len);
	buf_addf(&groups, "%s\n", o->unknown_group.data);
	buf_add(&groups, t->group.data, t->group.len);
	if (manifest_names_of(users.data, groups.data, &o->s->names, e) != 0)
		return -1;
	buf_cut(&users, 0);
	buf_cut(&groups, 0);
	buf_addf(&users, "%s%s\nroot:x:0:\n", o->users.data, t->own ? t->passwd.data : "");
	buf_addf(&groups, "%s%s\nroot:x:0:\n", o->groups.data, t->own ? t->group.data : "");
	return manifest_names_of(users.data, groups.data, &o->said, e);
}

static void tell(struct owners *o)
{
	const struct map *const both[] = {&o->strangers, &o->nameless};

	for (size_t m = 0; m < 2; m++) {
		const char **keys SCOPED(mem_freep) = map_keys(both[m]);

		for (size_t i = 0; i < both[m]->n; i++)
			strv_add(&o->s->by_number, keys[i]);
	}
	if (o->s->by_number.n > 0)
		log_warn("%s: %zu users and groups have no name that is known: their numbers stay",
			 o->s->text, o->s->by_number.n);
}

static int make_perms(struct owners *o, char *text, struct err *e)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(2 * (size_t)SOURCE_OWNERS_MAX);
	struct source_perms *p;

	for (char *at = text, *end; at[0] != '\0'; at = end) {
		size_t n = strcspn(at, "\n");

		end = at + n + (at[n] == '\n');
		add_line(o, at, (size_t)(end - at), &b);
	}
	if (buf_over(&b))
		return err_set(e, ERR_VERIFY, "more owners than fit");
	if (refuse_lost(o, e) != 0)
		return -1;
	p = source_perms_new();
	if (source_perms_parse(p, SOURCE_OWNERS, b.data, e) != 0) {
		source_perms_free(p);
		return -1;
	}
	o->s->perms = p;
	return 0;
}

int source_owners(struct source *s, const struct source_help *h, struct err *e)
{
	char *path SCOPED(mem_freep) = fs_join(h->work, SOURCE_OWNERS);
	struct buf text SCOPED(buf_release) = BUF_INIT(SOURCE_OWNERS_MAX);
	struct source_tables t SCOPED(source_tables_release) = SOURCE_TABLES_INIT;
	struct owners o SCOPED(owners_release) = {.s = s,
						  .tree = h->stage == NULL,
						  .users = BUF_INIT(ROWS_MAX),
						  .groups = BUF_INIT(ROWS_MAX),
						  .unknown = BUF_INIT(ROWS_MAX),
						  .unknown_group = BUF_INIT(ROWS_MAX)};
	char *rows;

	if (s->owners != NULL)
		buf_add(&text, s->owners, strlen(s->owners));
	else if (fs_get_file(AT_FDCWD, path, &text, e) != 0)
		return -1;
	free(STEAL(s->owners));
	if (source_tables(s, &t, e) != 0 ||
	    manifest_names_of(t.passwd.data, t.group.data, &o.base, e) != 0)
		return -1;
	rows = take_headers(&o, text.data);
	manifest_names_free(s->names);
	s->names = NULL;
	if (make_names(&o, &t, e) != 0 || refuse_two(&o, true, e) != 0 ||
	    refuse_two(&o, false, e) != 0 || make_perms(&o, rows, e) != 0)
		return -1;
	tell(&o);
	return 0;
}
