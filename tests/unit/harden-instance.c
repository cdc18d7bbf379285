/* harden: what listens in an instance, and processes that cannot be looked at. */
#include "harden-lib.h"

static struct rootfs t;

static int set_up(void **state)
{
	(void)state;
	t = rootfs_make();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rootfs_drop(&t);
	return 0;
}

/* What the control finds in the instance, and, after "; held: ", what it is sure of. */
static char *outcome(const struct harden_profile *p, int proc)
{
	static const struct recipe none;
	const struct harden_instance in = {.proc = proc};
	const struct harden_context c = {.recipe = &none, .today = TODAY, .instance = &in};
	struct buf b = BUF_INIT(1 << 16);
	struct harden_report r = {0};
	struct err e = ERR_INIT;

	if (harden_check(p, t.path, &c, &r, &e) != 0)
		fail_msg("%s", e.msg);
	buf_addf(&b, "%s; held:", r.v[0].detail);
	for (size_t i = 0; i < r.v[0].held.n; i++)
		buf_addf(&b, " %s", r.v[0].held.v[i]);
	harden_report_release(&r);
	return buf_take(&b);
}

#define UDP(port) "  1: 00000000:" port " 00000000:0000 07 00000000:00000000\n"

/* Of another network only what a new one has is known. */
static void ports_of_who_asked_are_those_of_the_range(void **state)
{
	struct harden_profile *p SCOPED(harden_profile_freep) =
	    load_want(&t, "      - listening: {}\n");
	char *text SCOPED(mem_freep) = NULL;

	(void)state;
	/* 32767, 32768, 60999, 61000 */
	put(&t, "net/udp", "head\n" UDP("7FFF") UDP("8000") UDP("EE47") UDP("EE48"), 0644);
	text = outcome(p, t.fd);
	assert_non_null(strstr(text, "udp 32767 listens"));
	assert_non_null(strstr(text, "udp 61000 listens"));
	assert_null(strstr(text, "udp 32768 listens"));
	assert_null(strstr(text, "udp 60999 listens"));
}

static void what_cannot_be_told_is_said(void **state)
{
	struct harden_profile *p SCOPED(harden_profile_freep) =
	    load_want(&t, "      - listening: {}\n");
	int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *range = NULL, *other = NULL, *want = NULL, *ours = NULL;
	struct buf b = BUF_INIT(100);
	struct err e = ERR_INIT;
	unsigned first, last;

	(void)state;
	other = outcome(p, t.fd);
	assert_non_null(strstr(other, "udp 32768 to 60999 (as in a new network): whether"));
	assert_int_equal(fs_get(AT_FDCWD, "/proc/sys/net/ipv4/ip_local_port_range", &b, &e), 0);
	range = buf_take(&b);
	first = (unsigned)strtoul(range, &want, 10);
	last = (unsigned)strtoul(want, NULL, 10);
	want = mem_format("udp %u to %u: whether", first, last);
	put(&t, "net/udp", "", 0644);
	assert_int_equal(fs_mkdirs(t.fd, "ns", 0755, &e), 0);
	free(range);
	range = mem_zalloc(64);
	assert_true(readlinkat(self, "ns/net", range, 63) > 0);
	assert_int_equal(symlinkat(range, t.fd, "ns/net"), 0);
	ours = outcome(p, t.fd);
	assert_non_null(strstr(ours, want));
	free(range);
	free(other);
	free(want);
	free(ours);
	(void)close(self);
}

/* Nobody may look at the machine's own processes. */
static void hidden_processes_are_a_finding(void **state)
{
	struct harden_profile *p SCOPED(harden_profile_freep) =
	    load_want(&t, "      - confined: {capabilities: [chown]}\n");
	int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *text = NULL;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(seteuid(65534), 0);
	text = outcome(p, self);
	assert_int_equal(seteuid(0), 0);
	assert_non_null(strstr(text, "may not be looked at"));
	free(text);
	(void)close(self);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(ports_of_who_asked_are_those_of_the_range, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(what_cannot_be_told_is_said, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(hidden_processes_are_a_finding, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
