/* Where the login for a bucket comes from: the order of the chain, and services on loopback that
 * play the machine's, the container's and AWS's own. */
#include "http-server.h"
#include "remote-lib.h"
#include "remote/aws.h"
#include <time.h>

enum { TOKENS, ROLES, KEYS, OTHERS, MODE };
enum { GOOD, NO_TOKEN, NO_ROLE, EVIL_ROLE, CUT };

#define ROLE_DIR "/latest/meta-data/iam/security-credentials/"

static struct server metadata;
static char dir[40];

static void serve_keys(struct server_req *r)
{
	atomic_fetch_add(&r->sh->count[KEYS], 1);
	if (r->sh->count[MODE] == CUT) {
		server_say(r, "HTTP/1.1 200 X\r\nContent-Length: 900\r\n\r\n{\"Access");
		r->hang_up = true;
		return;
	}
	server_answer(r, 200, "",
		      "{\"Code\":\"Success\",\"AccessKeyId\":\"machine\",\"SecretAccessKey\":\"s\","
		      "\"Token\":\"t\",\"Expiration\":\"2033-05-18T03:33:20Z\"}");
}

static void serve_sts(struct server_req *r)
{
	bool right = strstr(r->body, "WebIdentityToken=the.token") != NULL &&
		     strstr(r->body, "RoleArn=arn%3Aaws") != NULL;

	server_answer(r, right ? 200 : 400, "",
		      "<AssumeRoleWithWebIdentityResponse xmlns=\"x\">"
		      "<AssumeRoleWithWebIdentityResult><Credentials>"
		      "<SessionToken>web-token</SessionToken><SecretAccessKey>s&amp;s"
		      "</SecretAccessKey><Expiration>2033-05-18T03:33:20Z</Expiration>"
		      "<AccessKeyId>web</AccessKeyId></Credentials>"
		      "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>");
}

/* IMDSv2: a token by PUT with a time to live. */
static void serve_token(struct server_req *r)
{
	bool right = strcmp(r->method, "PUT") == 0 && r->sh->count[MODE] != NO_TOKEN &&
		     server_header(r, "x-aws-ec2-metadata-token-ttl-seconds") != NULL;

	atomic_fetch_add(&r->sh->count[TOKENS], 1);
	server_answer(r, right ? 200 : 405, "", right ? "TOKEN==" : "");
}

static void serve_container(struct server_req *r)
{
	const char *auth = server_header(r, "authorization");

	server_answer(r, auth != NULL && strcmp(auth, "Bearer c") == 0 ? 200 : 401, "",
		      "{\"AccessKeyId\":\"container\",\"SecretAccessKey\":\"s\"}");
}

/* Everything else there wants the token. */
static void serve_role(struct server_req *r)
{
	const char *token = server_header(r, "x-aws-ec2-metadata-token");
	int mode = r->sh->count[MODE];

	if (token == NULL || strcmp(token, "TOKEN==") != 0) {
		atomic_fetch_add(&r->sh->count[OTHERS], 1);
		server_answer(r, 401, "", "");
	} else if (strcmp(r->path, ROLE_DIR) == 0) {
		atomic_fetch_add(&r->sh->count[ROLES], 1);
		server_answer(r, mode == NO_ROLE ? 404 : 200, "",
			      mode == EVIL_ROLE ? "../../other" : "the-role\n");
	} else if (strcmp(r->path, ROLE_DIR "the-role") == 0) {
		serve_keys(r);
	} else {
		atomic_fetch_add(&r->sh->count[OTHERS], 1);
		server_answer(r, 404, "", "");
	}
}

static void serve(struct server_req *r)
{
	if (strcmp(r->path, "/latest/api/token") == 0)
		serve_token(r);
	else if (strcmp(r->path, "/sts") == 0)
		serve_sts(r);
	else if (strcmp(r->path, "/container") == 0)
		serve_container(r);
	else
		serve_role(r);
}

static void put(const char *name, const char *text)
{
	char *path SCOPED(mem_freep) = mem_format("%s/%s", dir, name);
	struct err e = ERR_INIT;

	assert_int_equal(fs_put_path(path, text, strlen(text), 0700, &e), 0);
}

static void set_at(const char *variable, const char *name)
{
	char *path SCOPED(mem_freep) = mem_format("%s/%s", dir, name);

	(void)setenv(variable, path, 1);
}

static void set_url(const char *variable, const char *path)
{
	char *url SCOPED(mem_freep) = mem_format("http://127.0.0.1:%d%s", metadata.port, path);

	(void)setenv(variable, url, 1);
}

static int setup(void **state)
{
	static const char *const names[] = {"AWS_ACCESS_KEY_ID",
					    "AWS_SECRET_ACCESS_KEY",
					    "AWS_SESSION_TOKEN",
					    "AWS_PROFILE",
					    "AWS_REGION",
					    "AWS_DEFAULT_REGION",
					    "AWS_ROLE_ARN",
					    "AWS_WEB_IDENTITY_TOKEN_FILE",
					    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
					    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
					    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
					    "AWS_EC2_METADATA_DISABLED"};

	(void)state;
	scene_environment();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unsetenv(names[i]);
	strcpy(dir, "/tmp/posmedia-aws-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	server_start(&metadata, serve);
	set_url("AWS_EC2_METADATA_SERVICE_ENDPOINT", "");
	set_at("AWS_SHARED_CREDENTIALS_FILE", "credentials");
	set_at("AWS_CONFIG_FILE", "config");
	return 0;
}

static int teardown(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	server_stop(&metadata);
	return fs_rmtree(AT_FDCWD, dir, &e);
}

static void finds(const char *id, const char *token)
{
	struct aws_login l = {0};
	struct err e = ERR_INIT;

	if (aws_find("us-east-1", &l, &e) != 0)
		fail_msg("%s", e.msg);
	assert_non_null(l.id);
	assert_string_equal(l.id, id);
	if (token == NULL)
		assert_null(l.token);
	else
		assert_string_equal(l.token, token);
	assert_false(aws_stale(&l));
	aws_login_release(&l);
}

static void fails(const char *with)
{
	struct aws_login l = {0};
	struct err e = ERR_INIT;

	assert_int_equal(aws_find("us-east-1", &l, &e), -1);
	if (strstr(e.msg, with) == NULL)
		fail_msg("not \"%s\": %s", with, e.msg);
	assert_null(l.id);
}

static void test_machine(void **state)
{
	struct aws_login l = {0};
	struct err e = ERR_INIT;

	(void)state;
	finds("machine", "t");
	assert_int_equal(metadata.sh->count[TOKENS], 1);
	assert_int_equal(metadata.sh->count[OTHERS], 0);
	metadata.sh->count[MODE] = NO_ROLE;
	assert_int_equal(aws_find("us-east-1", &l, &e), 0);
	assert_null(l.id);
	(void)setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	metadata.sh->count[MODE] = GOOD;
	assert_int_equal(aws_find("us-east-1", &l, &e), 0);
	assert_null(l.id);
}

static void test_machine_faults(void **state)
{
	(void)state;
	metadata.sh->count[MODE] = NO_TOKEN;
	fails("no token");
	metadata.sh->count[MODE] = EVIL_ROLE;
	fails("no role's name");
	assert_int_equal(metadata.sh->count[OTHERS], 0);
	metadata.sh->count[MODE] = CUT;
	fails("machine");
	(void)setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1", 1);
	fails("machine");
}

static void test_order(void **state)
{
	(void)state;
	set_url("AWS_CONTAINER_CREDENTIALS_FULL_URI", "/container");
	fails("401");
	(void)setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer c", 1);
	finds("container", NULL);
	put("config", "[default]\nregion = eu-west-3\n[profile other]\nregion=x\n"
		      "credential_process = ./none\n");
	finds("container", NULL);
	put("credentials", "# keys\n[other]\naws_access_key_id=o\naws_secret_access_key=s\n"
			   "[default]\naws_access_key_id = file \r\n aws_session_token=no\n"
			   "aws_secret_access_key = a=b\n");
	finds("file", NULL);
	(void)setenv("AWS_PROFILE", "other", 1);
	finds("o", NULL);
	(void)unsetenv("AWS_PROFILE");
	put("token", "the.token\n");
	set_at("AWS_WEB_IDENTITY_TOKEN_FILE", "token");
	(void)setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/r", 1);
	set_url("AWS_ENDPOINT_URL_STS", "/sts");
	finds("web", "web-token");
	(void)setenv("AWS_ACCESS_KEY_ID", "env", 1);
	(void)setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
	finds("env", NULL);
	(void)setenv("AWS_SESSION_TOKEN", "st", 1);
	finds("env", "st");
}

static void test_process(void **state)
{
	char *text SCOPED(mem_freep) = NULL;

	(void)state;
	put("give keys",
	    "#!/bin/sh\necho \"{\\\"AccessKeyId\\\":\\\"$1\\\",\\\"SecretAccessKey\\\":"
	    "\\\"s\\\",\\\"SessionToken\\\":\\\"p\\\"}\"\n");
	text = mem_format("[default]\ncredential_process = \"%s/give keys\" one\n", dir);
	put("config", text);
	finds("one", "p");
	put("give keys", "#!/bin/sh\necho '{}'\n");
	fails("no AccessKeyId");
	put("give keys", "#!/bin/sh\nexit 3\n");
	fails("credential_process");
	put("config", "[default]\nsso_account_id = 1\n");
	fails("single sign-on");
}

static void test_region(void **state)
{
	char *a SCOPED(mem_freep) = aws_region(), *b SCOPED(mem_freep) = NULL;
	char *c SCOPED(mem_freep) = NULL;

	(void)state;
	assert_string_equal(a, "us-east-1");
	put("config", "[default]\nregion = eu-west-3\n");
	b = aws_region();
	assert_string_equal(b, "eu-west-3");
	(void)setenv("AWS_REGION", "here", 1);
	c = aws_region();
	assert_string_equal(c, "here");
}

static void test_stale(void **state)
{
	struct aws_login l = {.until_s = (int64_t)time(NULL) + 200};

	(void)state;
	assert_true(aws_stale(&l));
	l.until_s += 1000;
	assert_false(aws_stale(&l));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_machine, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_machine_faults, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_order, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_process, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_region, setup, teardown),
	    cmocka_unit_test(test_stale),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
