#include "base/num.h"
#include "import/kickstart.h"
#include "recipe/grammar.h"
#include <stdio.h>
#include <string.h>

enum { ID_MAX = 60000 };

/* Groups that a base system has of its own. */
static bool system_group(const char *name)
{
	static const char *const is[] = {
	    "adm",  "audio", "cdrom",  "dialout", "disk",  "input", "kvm",
	    "lp",   "mail",  "nobody", "root",    "sudo",  "sys",   "systemd-journal",
	    "tape", "tty",   "users",  "video",   "wheel", NULL};

	for (const char *const *g = is; *g != NULL; g++)
		if (strcmp(*g, name) == 0)
			return true;
	return false;
}

/* Takes the number of an option when it is one that nobody has, else the next free one. */
static uint32_t take_id(struct ks_command *c, const char *option, const struct strv *of)
{
	struct import *im = c->at.im;
	const char *text = ks_option(c, option);
	char key[32];
	uint64_t id;

	if (text != NULL && num_u64(text, UINT32_MAX - 1, &id) == 0 && id > 0) {
		(void)snprintf(key, sizeof(key), "id %u", (unsigned)id);
		if (draft_mark(im, of, key))
			return (uint32_t)id;
		found(&c->at, RULE_CONFLICT, "the number %u is another's", (unsigned)id);
	} else if (text != NULL) {
		found(&c->at, RULE_BAD_VALUE, "--%s is no number of a user or group", option);
	}
	do
		(void)snprintf(key, sizeof(key), "id %u", im->next_id++);
	while (!draft_mark(im, of, key) && im->next_id < ID_MAX);
	return im->next_id - 1;
}

static void add_group(struct import *im, const char *name, uint32_t gid)
{
	if (draft_mark(im, &im->d.groups, name))
		strv_addf(&im->d.groups, "{name: %s, gid: %u}", name, gid);
}

static void add_member(struct ks_command *c, const char *name, struct strv *groups)
{
	struct import *im = c->at.im;
	const char *is = im->debian && strcmp(name, "wheel") == 0 ? "sudo" : name;

	if (!grammar_ok(&grammar_user, is)) {
		found(&c->at, RULE_BAD_VALUE, "\"%s\" is no name of a group", is);
		return;
	}
	if (is != name)
		found(&c->at, RULE_IMPLICIT, "the group \"wheel\" is called \"sudo\" there");
	if (!strv_has(groups, is))
		strv_add(groups, is);
	if (!system_group(is) && !draft_has(im, &im->d.groups, is)) {
		uint32_t gid = take_id(c, "", &im->d.groups);

		found(&c->at, RULE_USER_ID, "the group \"%s\" gets the gid %u", is, gid);
		add_group(im, is, gid);
	}
}

enum outcome ks_rootpw(struct ks_command *c)
{
	bool crypted = ks_option(c, "iscrypted") != NULL;
	const char *value;

	(void)ks_option(c, "plaintext");
	(void)ks_option(c, "lock");
	value = ks_word(c);
	if (value[0] != '\0')
		found_password(&c->at, "root", value, crypted || any_hash(value));
	else
		found(&c->at, RULE_IMPLICIT, "root is locked in every image");
	if (ks_option(c, "allow-ssh") != NULL)
		found(&c->at, RULE_OPTION, "root may not log in by ssh");
	return OUTCOME_REPLACED;
}

/* What passwd(5) can hold between its colons. */
static void put_text(struct buf *b, struct ks_command *c, const char *option, const char *key)
{
	const char *v = ks_option(c, option);
	const struct grammar *g = strcmp(key, "gecos") == 0 ? &grammar_gecos : &grammar_image_path;
	char *s SCOPED(mem_freep) = NULL;

	if (v == NULL || v[0] == '\0')
		return;
	if (!grammar_ok(g, v)) {
		found(&c->at, RULE_BAD_VALUE, "--%s is not %s", option, g->what);
		return;
	}
	s = yaml_scalar(v);
	buf_addf(b, ", %s: %s", key, s);
}

/* Supplementary groups, behind one of the user's own name. */
static void put_groups(struct buf *b, struct ks_command *c, const char *name, uint32_t uid)
{
	struct import *im = c->at.im;
	const char *list = ks_option(c, "groups");
	struct strv names = {0}, groups = {0};
	char *flow SCOPED(mem_freep) = NULL;

	ks_split(list != NULL ? list : "", &names);
	if (names.n > 0 || ks_option(c, "gid") != NULL) {
		uint64_t gid = uid;
		const char *given = ks_option(c, "gid");

		if (given != NULL && num_u64(given, UINT32_MAX - 1, &gid) != 0)
			found(&c->at, RULE_BAD_VALUE, "--gid is no number");
		strv_add(&groups, name);
		add_group(im, name, (uint32_t)gid);
		for (size_t i = 0; i < names.n; i++)
			add_member(c, names.v[i], &groups);
		flow = yaml_flow(&groups);
		buf_addf(b, ", groups: %s", flow);
	}
	strv_release(&names);
	strv_release(&groups);
}

enum outcome ks_user(struct ks_command *c)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1 << 17);
	struct import *im = c->at.im;
	const char *name = ks_option(c, "name");
	uint32_t uid;

	(void)ks_option(c, "lock");
	(void)ks_option(c, "plaintext");
	if (name == NULL || !grammar_ok(&grammar_user, name) || strcmp(name, "root") == 0) {
		found(&c->at, RULE_BAD_VALUE, "\"%s\" is no name of a user",
		      name != NULL ? name : "");
		return OUTCOME_FOUND;
	}
	if (!draft_mark(im, &im->d.users, name)) {
		found(&c->at, RULE_DUPLICATE, "the user \"%s\" is there twice", name);
		return OUTCOME_FOUND;
	}
	uid = take_id(c, "uid", &im->d.users);
	if (ks_option(c, "uid") == NULL)
		found(&c->at, RULE_USER_ID, "the user \"%s\" gets the uid %u", name, uid);
	buf_addf(&b, "{name: %s, uid: %u", name, uid);
	put_groups(&b, c, name, uid);
	put_text(&b, c, "gecos", "gecos");
	if (ks_option(c, "shell") == NULL)
		buf_addf(&b, ", shell: /bin/bash");
	put_text(&b, c, "shell", "shell");
	put_text(&b, c, "homedir", "home");
	buf_addf(&b, ", password: locked}");
	strv_add(&im->d.users, b.data);
	return OUTCOME_CARRIED;
}

enum outcome ks_group(struct ks_command *c)
{
	struct import *im = c->at.im;
	const char *name = ks_option(c, "name");
	uint32_t gid;

	if (name == NULL || !grammar_ok(&grammar_user, name)) {
		found(&c->at, RULE_BAD_VALUE, "\"%s\" is no name of a group",
		      name != NULL ? name : "");
		return OUTCOME_FOUND;
	}
	if (draft_has(im, &im->d.groups, name)) {
		found(&c->at, RULE_DUPLICATE, "the group \"%s\" is there already", name);
		return OUTCOME_FOUND;
	}
	gid = take_id(c, "gid", &im->d.groups);
	if (ks_option(c, "gid") == NULL)
		found(&c->at, RULE_USER_ID, "the group \"%s\" gets the gid %u", name, gid);
	add_group(im, name, gid);
	return OUTCOME_CARRIED;
}

enum outcome ks_sshkey(struct ks_command *c)
{
	const char *user = ks_option(c, "username");

	(void)ks_word(c);
	found(&c->at, RULE_AUTHORIZED_KEYS, "a key that may log in as \"%s\"",
	      user != NULL ? user : "root");
	return OUTCOME_FOUND;
}

enum outcome ks_auth(struct ks_command *c)
{
	const char *algorithm;

	(void)ks_option(c, "useshadow");
	(void)ks_option(c, "enableshadow");
	(void)ks_word(c);
	algorithm = ks_option(c, "passalgo");
	if (ks_option(c, "enablemd5") != NULL ||
	    (algorithm != NULL && strcmp(algorithm, "sha512") != 0 &&
	     strcmp(algorithm, "sha256") != 0))
		found(&c->at, RULE_WEAK_HASH, "new passwords would be hashed by a broken way");
	if (strcmp(c->name, "authselect") == 0)
		found(&c->at, RULE_UNSUPPORTED, "the stack of %s is not carried over", c->name);
	else
		found(&c->at, RULE_IMPLICIT, "shadow passwords with a strong hash are the base's");
	return OUTCOME_REPLACED;
}
