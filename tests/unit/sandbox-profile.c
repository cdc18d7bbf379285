/* sandbox: the filter of instances, from data to what engines take. */
#include "sandbox/profile.h"

#include "sys/fs.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int load(const char *text, struct jval **ret, struct err *e)
{
	char path[64];
	int rc;

	(void)snprintf(path, sizeof(path), "/tmp/posmedia-profile-%d.yaml", (int)getpid());
	assert_int_equal(fs_put_path(path, text, strlen(text), 0644, e), 0);
	rc = seccomp_profile_load(path, ret, e);
	(void)unlink(path);
	return rc;
}

#define HEAD "posmedia-seccomp: 1\narchitectures: {x86_64: [x86]}\n"

static void ours(void **state)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;
	static const char *const never[] = {
	    "\"mount\"",          "\"bpf\"",         "\"ptrace\"",
	    "\"keyctl\"",         "\"unshare\"",     "\"init_module\"",
	    "\"io_uring_setup\"", "\"userfaultfd\"", "\"setns\""};

	(void)state;
	if (seccomp_profile_load("recipes/hosts/seccomp.yaml", &v, &e) != 0)
		fail_msg("%s", e.msg);
	jval_write(v, &text);
	assert_non_null(strstr(text.data, "\"openat\""));
	assert_non_null(strstr(text.data, "\"defaultAction\":\"SCMP_ACT_ERRNO\""));
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		assert_null(strstr(text.data, never[i]));
}

static void written(void **state)
{
	struct jval *v SCOPED(jval_freep) = NULL;
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;

	(void)state;
	if (load(HEAD "allow: [read]\nallow-when:\n - {call: clone, argument: 0, mask: 0xff, "
		      "value: 1}\n - {call: socket, argument: 0, value: 2}\n - {call: socket, "
		      "argument: 0, value: 10}\nmissing: [clone3]\n",
		 &v, &e) != 0)
		fail_msg("%s", e.msg);
	jval_write(v, &text);
	assert_string_equal(
	    text.data,
	    "{\"archMap\":[{\"architecture\":\"SCMP_ARCH_X86_64\",\"subArchitectures\":["
	    "\"SCMP_ARCH_X86\"]}],\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1,"
	    "\"syscalls\":[{\"action\":\"SCMP_ACT_ALLOW\",\"names\":[\"read\"]},"
	    "{\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,\"op\":\"SCMP_CMP_MASKED_EQ\","
	    "\"value\":255,\"valueTwo\":1}],\"names\":[\"clone\"]},"
	    "{\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,\"op\":\"SCMP_CMP_EQ\","
	    "\"value\":2,\"valueTwo\":0}],\"names\":[\"socket\"]},"
	    "{\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,\"op\":\"SCMP_CMP_EQ\","
	    "\"value\":10,\"valueTwo\":0}],\"names\":[\"socket\"]},"
	    "{\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":38,\"names\":[\"clone3\"]}]}");
}

static void refused(void **state)
{
	static const char *const bad[][2] = {
	    {"[a]", ":1:1: does not begin"},
	    {"posmedia-seccomp: 2\n", ":1:1: does not begin"},
	    {HEAD, ":1:1: wants the keys allow and architectures"},
	    {HEAD "allow: [raed]\n", ":3:9: no call \"raed\" is known"},
	    {HEAD "allow: [read, read]\n", ":3:15: \"read\" is there twice"},
	    {HEAD "allow: [read]\nmissing: [read]\n", ":4:11: \"read\" is there twice"},
	    {HEAD "allow: [[read]]\n", ":3:9: wants the name of a call"},
	    {HEAD "allow: read\n", ":3:8: wants a list"},
	    {HEAD "allow: []\nalow: []\n", ":4:7: is a value of an unknown key"},
	    {HEAD "allow: []\nallow-when: [{call: read}]\n", ":4:14: wants a call, an argument"},
	    {HEAD "allow: []\nallow-when: [{call: read, argument: 6, value: 0}]\n",
	     ":4:37: wants a number"},
	    {HEAD "allow: []\nallow-when: [{call: read, argument: 0, value: 0x1g}]\n",
	     ":4:47: wants a number"},
	    {HEAD "allow: []\nallow-when: [{call: read, argument: 0, value: 0x1ffffffff}]\n",
	     ":4:47: wants a number"},
	    {"posmedia-seccomp: 1\nallow: []\narchitectures: {vax: []}\n",
	     ":3:22: no such architecture"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct jval *v = NULL;
		struct err e = ERR_INIT;

		if (load(bad[i][0], &v, &e) == 0)
			fail_msg("accepted: %s", bad[i][0]);
		if (strstr(e.msg, bad[i][1]) == NULL)
			fail_msg("\n got %s\nwant %s", e.msg, bad[i][1]);
		assert_int_equal(e.kind, ERR_RECIPE);
		assert_null(v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ours),
	    cmocka_unit_test(written),
	    cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
