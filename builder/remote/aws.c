#include "remote/aws.h"
#include "remote/auth.h"

#include "form/json.h"
#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/proc.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20, ANSWER_MAX = 1 << 16, PROCESS_MS = 60000, EARLY_S = 300 };

void aws_login_release(struct aws_login *l)
{
	free(l->id);
	auth_wipe(l->secret);
	auth_wipe(l->token);
	*l = (struct aws_login){0};
}

bool aws_stale(const struct aws_login *l)
{
	return l->until_s != 0 && clock_wall_s() + EARLY_S >= l->until_s;
}

static const char *set(const char *name)
{
	const char *v = getenv(name);

	return v != NULL && v[0] != '\0' ? v : NULL;
}

static void wipe(struct buf *b)
{
	if (b->cap > 0)
		explicit_bzero(b->data, b->cap);
	buf_release(b);
}

/* "key = value" of a line; *ret is NULL when it has another key. */
static void take_line(char *line, const char *key, char **ret)
{
	char *eq = strchr(line, '='), *end;
	size_t n;

	if (eq == NULL || line[0] == ' ' || line[0] == '\t' || line[0] == '#' || line[0] == ';')
		return;
	n = strcspn(line, " \t=");
	if (n != strlen(key) || strncmp(line, key, n) != 0)
		return;
	eq += 1 + strspn(eq + 1, " \t");
	end = eq + strlen(eq);
	while (end > eq && strchr(" \t\r", end[-1]) != NULL)
		end--;
	auth_wipe(*ret);
	*ret = mem_strndup(eq, (size_t)(end - eq));
}

/* "[profile]" or, in the config, "[profile NAME]". */
static bool is_section(const char *line, const char *profile, bool config)
{
	char *want SCOPED(mem_freep) = mem_format(
	    "[%s%s]", config && strcmp(profile, "default") != 0 ? "profile " : "", profile);

	return strncmp(line, want, strlen(want)) == 0;
}

static char *look_in(const char *path, bool config, const char *key)
{
	const char *profile = set("AWS_PROFILE") != NULL ? set("AWS_PROFILE") : "default";
	struct buf b SCOPED(wipe) = BUF_INIT(FILE_MAX);
	struct err quiet = ERR_INIT;
	char *value = NULL, *line, *rest = NULL;
	bool in = false;

	if (fs_get_file(AT_FDCWD, path, &b, &quiet) != 0)
		return NULL;
	for (line = strtok_r(b.data, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
		if (line[0] == '[')
			in = is_section(line, profile, config);
		else if (in)
			take_line(line, key, &value);
	return value;
}

static char *shared_file(const char *variable, const char *usual)
{
	const char *home = set("HOME");

	if (set(variable) != NULL)
		return mem_strdup(set(variable));
	return mem_format("%s/.aws/%s", home != NULL ? home : "", usual);
}

char *aws_profile_get(const char *key)
{
	char *keys SCOPED(mem_freep) = shared_file("AWS_SHARED_CREDENTIALS_FILE", "credentials");
	char *config SCOPED(mem_freep) = shared_file("AWS_CONFIG_FILE", "config");
	char *value = look_in(keys, false, key);

	return value != NULL ? value : look_in(config, true, key);
}

char *aws_region(void)
{
	char *own;

	if (set("AWS_REGION") != NULL)
		return mem_strdup(set("AWS_REGION"));
	if (set("AWS_DEFAULT_REGION") != NULL)
		return mem_strdup(set("AWS_DEFAULT_REGION"));
	own = aws_profile_get("region");
	return own != NULL ? own : mem_strdup("us-east-1");
}

int aws_read_json(const char *p, size_t n, const char *what, struct aws_login *ret, struct err *e)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	const char *id, *secret, *token, *until;
	int64_t until_s = 0;

	if (jval_parse(p, n, what, &v, e) != 0)
		return -1;
	id = jval_get_str(v, "AccessKeyId");
	secret = jval_get_str(v, "SecretAccessKey");
	token = jval_get_str(v, "SessionToken");
	if (token == NULL)
		token = jval_get_str(v, "Token");
	until = jval_get_str(v, "Expiration");
	if (id == NULL || secret == NULL)
		return err_set(e, ERR_FAIL, "%s: no AccessKeyId and SecretAccessKey in the answer",
			       what);
	if (until != NULL && clock_parse(until, &until_s) != 0)
		return err_set(e, ERR_FAIL, "%s: Expiration is no time", what);
	*ret = (struct aws_login){.id = mem_strdup(id),
				  .secret = mem_strdup(secret),
				  .token = token != NULL ? mem_strdup(token) : NULL,
				  .until_s = until_s};
	return 0;
}

static int from_environment(struct aws_login *ret)
{
	const char *token = set("AWS_SESSION_TOKEN");

	if (set("AWS_ACCESS_KEY_ID") == NULL || set("AWS_SECRET_ACCESS_KEY") == NULL)
		return 1;
	*ret = (struct aws_login){.id = mem_strdup(set("AWS_ACCESS_KEY_ID")),
				  .secret = mem_strdup(set("AWS_SECRET_ACCESS_KEY")),
				  .token = token != NULL ? mem_strdup(token) : NULL};
	return 0;
}

/* Words by blanks; double quotes keep some together. No shell sees them. */
static void split(const char *p, struct strv *ret)
{
	while (*(p += strspn(p, " \t")) != '\0') {
		struct buf b = BUF_INIT(FILE_MAX);
		bool quoted = false;

		for (; *p != '\0' && (quoted || (*p != ' ' && *p != '\t')); p++)
			if (*p == '"')
				quoted = !quoted;
			else
				buf_add(&b, p, 1);
		strv_take(ret, buf_take(&b));
	}
}

static int from_process(const char *command, struct aws_login *ret, struct err *e)
{
	struct strv argv SCOPED(strv_release) = {0};
	struct buf out SCOPED(wipe) = BUF_INIT(ANSWER_MAX);
	struct buf said SCOPED(buf_release) = BUF_INIT(ANSWER_MAX);
	struct proc_spec spec = {.env = (const char *const *)environ,
				 .out = &out,
				 .err = &said,
				 .timeout_ms = PROCESS_MS};

	split(command, &argv);
	if (argv.n == 0)
		return err_set(e, ERR_RECIPE, "credential_process: names no program");
	spec.argv = (const char *const *)argv.v;
	if (proc_ok(&spec, ERR_FAIL, e) != 0 ||
	    aws_read_json(out.data, out.len, argv.v[0], ret, e) != 0)
		return err_in(e, "credential_process");
	return 0;
}

/* Keys in the shared files, or the program there that has them. */
static int from_files(struct aws_login *ret, struct err *e)
{
	char *id SCOPED(mem_freep) = aws_profile_get("aws_access_key_id");
	char *secret = aws_profile_get("aws_secret_access_key");
	char *command SCOPED(mem_freep) = NULL, *sso SCOPED(mem_freep) = NULL;

	if (id != NULL && secret != NULL) {
		*ret = (struct aws_login){.id = STEAL(id),
					  .secret = secret,
					  .token = aws_profile_get("aws_session_token")};
		return 0;
	}
	auth_wipe(secret);
	command = aws_profile_get("credential_process");
	if (command != NULL)
		return from_process(command, ret, e);
	sso = aws_profile_get("sso_account_id");
	if (sso == NULL)
		return 1;
	(void)err_set(e, ERR_FAIL, "the AWS profile logs in by single sign-on");
	return err_hint(e, "let the profile say: credential_process = aws configure "
			   "export-credentials --profile NAME");
}

int aws_find(const char *region, struct aws_login *ret, struct err *e)
{
	static const char *const names[] = {"the environment", "a web identity", "the shared files",
					    "the container", "the machine"};
	struct aws_login l = {0};
	int rc = 1;

	for (size_t i = 0; i < 5 && rc == 1; i++) {
		switch (i) {
		case 0:
			rc = from_environment(&l);
			break;
		case 1:
			rc = aws_from_web_identity(region, &l, e);
			break;
		case 2:
			rc = from_files(&l, e);
			break;
		case 3:
			rc = aws_from_container(&l, e);
			break;
		default:
			rc = aws_from_machine(&l, e);
			break;
		}
		l.from = names[i];
	}
	if (rc < 0)
		return err_in(e, "credentials from %s", l.from);
	if (rc > 0)
		l.from = "nowhere";
	*ret = l;
	return 0;
}
