#include "recipe/sections.h"

#include <string.h>

static int read_password(const char *root, const struct yaml *y, const struct field *f, void *to,
			 struct err *e)
{
	(void)root;
	(void)to;
	if (y->kind == YAML_SCALAR && strcmp(y->text, "locked") == 0)
		return 0;
	/* the value may be a secret: it must not reach the message */
	return schema_refuse(y, e, "Write \"locked\"; stage gives each site its own secrets.",
			     "\"%s\": an image must not carry a password, everyone who has the "
			     "image would know it",
			     f->key);
}

static void user_defaults(void *item)
{
	struct recipe_user *u = item;

	u->locked = true;
	if (u->shell == NULL)
		u->shell = mem_strdup("/usr/sbin/nologin");
	if (u->home == NULL)
		u->home = mem_format("/home/%s", u->name);
	if (u->gecos == NULL)
		u->gecos = mem_strdup("");
}

static const struct field user_fields[] = {
    {"name", read_word, offsetof(struct recipe_user, name), &grammar_user, true},
    {"uid", read_id, offsetof(struct recipe_user, uid), NULL, true},
    {"groups", read_set, offsetof(struct recipe_user, groups), &grammar_user, false},
    {"shell", read_word, offsetof(struct recipe_user, shell), &grammar_image_path, false},
    {"home", read_word, offsetof(struct recipe_user, home), &grammar_image_path, false},
    {"gecos", read_word, offsetof(struct recipe_user, gecos), &grammar_gecos, false},
    {"password", read_password, 0, NULL, false},
    {0},
};

static const char *const unique_user[] = {"name", "uid", NULL};
const struct array array_users = {user_fields,
				  unique_user,
				  sizeof(struct recipe_user),
				  offsetof(struct recipe, users_n),
				  offsetof(struct recipe_user, pos),
				  user_defaults};

static const struct field group_fields[] = {
    {"name", read_word, offsetof(struct recipe_group, name), &grammar_user, true},
    {"gid", read_id, offsetof(struct recipe_group, gid), NULL, true},
    {0},
};

static const char *const unique_group[] = {"name", "gid", NULL};
const struct array array_groups = {group_fields,
				   unique_group,
				   sizeof(struct recipe_group),
				   offsetof(struct recipe, groups_n),
				   offsetof(struct recipe_group, pos),
				   NULL};
