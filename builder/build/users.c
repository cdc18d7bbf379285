#include "build/job.h"

#include "sys/fs.h"
#include <string.h>

static int add_group(struct job *j, const char *root, const char *name, uint32_t gid, struct err *e)
{
	char *id SCOPED(mem_freep) = mem_format("%u", gid);
	const char *argv[] = {"groupadd", "-g", id, name, NULL};
	char *what SCOPED(mem_freep) = mem_format("group %s", name);

	return job_run(j, root, what, argv, e);
}

static const char *or_default(const char *s, const char *dflt)
{
	return s != NULL && s[0] != '\0' ? s : dflt;
}

/* Only who can log in gets a home directory made; a service's is its application's business. */
static bool logs_in(const struct recipe_user *u)
{
	char *name SCOPED(mem_freep) = fs_basename(or_default(u->shell, "nologin"));

	return strcmp(name, "nologin") != 0 && strcmp(name, "false") != 0;
}

static int add_user(struct job *j, const char *root, const struct recipe_user *u, struct err *e)
{
	char *id SCOPED(mem_freep) = mem_format("%u", u->uid);
	char *home SCOPED(mem_freep) = mem_format("/home/%s", u->name);
	char *what SCOPED(mem_freep) = mem_format("user %s", u->name);
	struct buf more SCOPED(buf_release) = BUF_INIT(4096);
	struct strv argv SCOPED(strv_release) = {0};

	strv_add(&argv, "useradd");
	/* no sparse lastlog of the size of the largest uid, no ranges for nested containers */
	strv_add(&argv, "--no-log-init");
	strv_add(&argv, "-K");
	strv_add(&argv, "SUB_UID_COUNT=0");
	strv_add(&argv, "-K");
	strv_add(&argv, "SUB_GID_COUNT=0");
	strv_add(&argv, "-u");
	strv_add(&argv, id);
	if (u->groups.n > 0) {
		strv_add(&argv, "-g");
		strv_add(&argv, u->groups.v[0]);
	} else {
		strv_add(&argv, "-U");
	}
	for (size_t i = 1; i < u->groups.n; i++)
		buf_addf(&more, "%s%s", more.len > 0 ? "," : "", u->groups.v[i]);
	if (more.len > 0) {
		strv_add(&argv, "-G");
		strv_add(&argv, more.data);
	}
	strv_add(&argv, "-s");
	strv_add(&argv, or_default(u->shell, "/usr/sbin/nologin"));
	strv_add(&argv, "-d");
	strv_add(&argv, or_default(u->home, home));
	strv_add(&argv, logs_in(u) ? "-m" : "-M");
	strv_add(&argv, "-c");
	strv_add(&argv, or_default(u->gecos, ""));
	strv_add(&argv, u->name);
	if (job_run(j, root, what, (const char *const *)argv.v, e) != 0) {
		char *at SCOPED(mem_freep) = recipe_pos_text(&u->pos);

		return err_in(e, "%s", at);
	}
	return 0;
}

int job_users(struct job *j, const char *root, struct err *e)
{
	for (size_t i = 0; i < j->r->groups_n; i++)
		if (add_group(j, root, j->r->groups[i].name, j->r->groups[i].gid, e) != 0)
			return -1;
	for (size_t i = 0; i < j->r->users_n; i++)
		if (add_user(j, root, &j->r->users[i], e) != 0)
			return -1;
	return 0;
}
