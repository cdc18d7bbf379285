/* site: the plan of a cutover in a site file, what it is by default and what is refused. */
#include "site/site.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[32];

#define FILE_NAME "recipes/sites/s.yaml"
#define TOP                                                                                        \
	"posmedia: 1\nshop: \"123\"\nenvironment: qa\nimage: {reference: \"oci:d:t\", policy: "    \
	"policy.yaml}\nhostname: h\ndata: [{name: d, at: /d}]\n"                                   \
	"secrets: [{name: k, file: /k}]\n"
#define OLD "old: {host: \"ssh://old.example\", known_hosts: /kh, secret: k"

static void put(const char *name, const char *text)
{
	char *parent SCOPED(mem_freep) = fs_dirname(name);
	struct err e = ERR_INIT;

	assert_int_equal(fs_mkdirs(AT_FDCWD, parent, 0755, &e), 0);
	assert_int_equal(fs_put_path(name, text, strlen(text), 0644, &e), 0);
}

static int enter(void **state)
{
	char *here = realpath(".", NULL);

	(void)snprintf(dir, sizeof(dir), "/tmp/posmedia-site-XXXXXX");
	*state = here;
	if (here == NULL || mkdtemp(dir) == NULL || chdir(dir) != 0)
		return -1;
	put("policy.yaml", "posmedia: 1\n");
	return 0;
}

static int leave(void **state)
{
	struct err e = ERR_INIT;
	int rc = chdir(*state) | fs_rmtree(AT_FDCWD, dir, &e);

	free(*state);
	return rc;
}

static struct site *load(const char *text)
{
	struct site *s = NULL;
	struct err e = ERR_INIT;

	put(FILE_NAME, text);
	if (site_load(FILE_NAME, &s, &e) != 0)
		fail_msg("%s\n%s", e.msg, text);
	return s;
}

static void the_least(void **state)
{
	struct site *s SCOPED(site_freep) = load(TOP "cutover: {" OLD ", services: [till]}}\n");
	const struct site_cutover *c = &s->cutover;
	char *user SCOPED(mem_freep) = NULL, *host SCOPED(mem_freep) = NULL;
	uint16_t port;

	(void)state;
	assert_int_equal(c->old.data_n, 1);
	assert_string_equal(c->old.data[0].at, "/d");
	assert_int_equal(c->lease_ms, 120000);
	assert_int_equal(c->budget.outage, 600000);
	assert_int_equal(c->skew_ms, 2000);
	assert_int_equal(c->free_percent, 200);
	assert_int_equal(c->old.holders, SITE_HOLDERS_KILL);
	assert_int_equal(c->old.cron, SITE_CRON_REQUIRED);
	assert_int_equal(c->old.trial, SITE_TRIAL_REQUIRED);
	assert_null(c->old.interface);
	assert_int_equal(c->rehearsal,
			 s->env == SITE_PROD ? SITE_REHEARSAL_REQUIRED : SITE_REHEARSAL_OPTIONAL);
	assert_int_equal(c->printers, SITE_PRINTERS_REQUIRED);
	site_old_host(&c->old, &user, &host, &port);
	assert_string_equal(user, "root");
	assert_string_equal(host, "old.example");
	assert_int_equal(port, 22);
}

#define WHOLE                                                                                      \
	"network: {interface: eth1, address: 192.0.2.9/24}\n"                                      \
	"cutover:\n"                                                                               \
	"  old:\n"                                                                                 \
	"    host: ssh://pos@192.0.2.7:2222\n"                                                     \
	"    known_hosts: /kh\n"                                                                   \
	"    secret: k\n"                                                                          \
	"    data: [{name: d, at: /usr2}]\n"                                                       \
	"    exclude: [/usr2/log/**]\n"                                                            \
	"    services: [till]\n"                                                                   \
	"    stop: [{run: [/bin/a, stop], within: 9s}, {run: [/bin/b], may_fail: true}]\n"         \
	"    start: [{run: [/bin/a, start]}]\n"                                                    \
	"    ports: [2001, 80]\n"                                                                  \
	"    holders: report\n"                                                                    \
	"    cron: optional\n"                                                                     \
	"    trial: none\n"                                                                        \
	"    address: {interface: eth0, address: 192.0.2.9/24}\n"                                  \
	"  private: 192.0.2.10/24\n"                                                               \
	"  lease: 90s\n"                                                                           \
	"  budget: {outage: 5m, fence: 30s, last-pass: 2m, verify: 1m, start: 1m, smoke: 1m, "     \
	"hold: 5s}\n"                                                                              \
	"  announce: [{run: [/usr/bin/wall, soon]}, {on: new, run: [/b], undo: [/u]}]\n"           \
	"  checks:\n"                                                                              \
	"    - {name: port, on: new, phase: smoke, tcp: 2001}\n"                                   \
	"    - {name: sale, on: control, phase: after, run: [/bin/sale], within: 3s}\n"            \
	"  dns: {run: [/bin/dns, new], undo: [/bin/dns, old]}\n"                                   \
	"  after: [{name: backups, on: control, run: [/bin/p], undo: [/bin/q]}]\n"                 \
	"  clock-skew: 5s\n"                                                                       \
	"  free: 1.5x\n"

static void the_whole(void **state)
{
	struct site *s SCOPED(site_freep) = load(TOP WHOLE);
	struct site *again SCOPED(site_freep) = NULL;
	const struct site_cutover *c = &s->cutover;
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 20);
	char *user SCOPED(mem_freep) = NULL, *host SCOPED(mem_freep) = NULL;
	uint16_t port;

	(void)state;
	site_old_host(&c->old, &user, &host, &port);
	assert_string_equal(user, "pos");
	assert_string_equal(host, "192.0.2.7");
	assert_int_equal(port, 2222);
	assert_string_equal(c->old.data[0].at, "/usr2");
	assert_string_equal(c->old.exclude.v[0], "/usr2/log/**");
	assert_int_equal(c->old.stop_n, 2);
	assert_int_equal(c->old.stop[0].within_ms, 9000);
	assert_int_equal(c->old.stop[1].within_ms, 60000);
	assert_true(c->old.stop[1].may_fail);
	assert_int_equal(c->old.trial, SITE_TRIAL_NONE);
	assert_int_equal(c->announce[0].on, SITE_ON_OLD);
	assert_int_equal(c->announce[1].on, SITE_ON_NEW);
	assert_int_equal(c->old.ports[1], 80);
	assert_int_equal(c->old.holders, SITE_HOLDERS_REPORT);
	assert_string_equal(c->old.taken.text, "192.0.2.9/24");
	assert_string_equal(c->alone.text, "192.0.2.10/24");
	assert_int_equal(c->budget.last_pass, 120000);
	assert_string_equal(site_on_word(c->checks[1].on), "control");
	assert_string_equal(site_when_word(c->checks[0].when), "smoke");
	assert_string_equal(c->dns.undo.v[1], "old");
	assert_string_equal(c->after[0].name, "backups");
	assert_int_equal(c->free_percent, 150);
	jval_write(s->resolved, &text);
	again = load(text.data);
	assert_true(digest_equal(&s->digest, &again->digest));
}

#define ADDRESS(text) ", services: [a], address: {interface: e, address: " text "}"

static const struct {
	const char *text, *want; /* behind TOP and FILE_NAME":", from line 8 on */
} bad[] = {
    {"cutover: {}\n", "8:10: missing key \"old\""},
    {"cutover: {" OLD "}}\n", "8:16: old: nothing says how its application is stopped"},
    {"cutover: {" OLD ", stop: [{run: [/bin/a]}]}}\n",
     "8:16: old: nothing says how its application is started again"},
    {"cutover: {" OLD ", stop: [{run: [a]}]}}\n",
     "8:86: \"run\" wants a list that begins with an absolute path"},
    {"cutover: {old: {host: \"ssh://-x@h\", known_hosts: /kh, secret: k}}\n",
     "8:23: \"host\" wants an old server, not \"ssh://-x@h\""},
    {"cutover: {old: {host: \"ssh://h/path\", known_hosts: /kh, secret: k}}\n",
     "8:23: \"host\" wants an old server, not \"ssh://h/path\""},
    {"cutover: {old: {host: \"ssh://h\", known_hosts: /kh, secret: z, services: [a]}}\n",
     "8:16: there is no secret \"z\""},
    {"cutover: {" OLD ", services: [a], data: [{name: z, at: /z}]}}\n",
     "8:95: old: there is no data \"z\""},
    {"cutover: {" OLD ", services: [a]}, private: 192.0.2.1/24}\n",
     "8:10: cutover: \"private\" without \"network\""},
    {"cutover: {" OLD ", services: [a]}, lease: 4999ms}\n",
     "8:10: cutover: a lease is 5 seconds to an hour"},
    {"cutover: {" OLD ADDRESS("192.0.2.9/24") "}}\n", "8:16: old: \"address\" without \"network\""},
    {"network: {interface: l, address: 192.0.2.8/24}\ncutover: {" OLD ADDRESS(
	 "192.0.2.9/24") "}}\n",
     "9:16: old: the instance does not get 192.0.2.9/24"},
    {"cutover: {" OLD ", services: [a]}, checks: [{name: c, on: new, phase: trial, run: [/c]}]}\n",
     "8:98: cutover: the check c cannot be in the instance"},
    {"cutover: {" OLD
     ", services: [a]}, checks: [{name: c, on: new, phase: returned, run: [/c]}]}\n",
     "8:98: cutover: the check c cannot be in the instance"},
    {"cutover: {" OLD ", services: [a]}, free: 0.5x}\n",
     "8:95: \"free\" wants how many times the size of the data"},
    {"cutover: {" OLD ", services: [a]}, budget: {outage: 1m, start: 2m}}\n",
     "8:10: cutover: one phase may take longer than the whole"},
    {"cutover: {" OLD ", services: [a]}, checks: [{name: c, on: new, phase: smoke}]}\n",
     "8:98: cutover: the check c has neither a program nor a port"},
    {"cutover: {" OLD ", services: [a]}, checks: [{name: c, on: old, phase: smoke, tcp: 1}]}\n",
     "8:98: cutover: the check c cannot be on the old server"},
    {"cutover: {" OLD ", services: [a]}, checks: [{name: c, on: control, phase: after, tcp: 1}]}\n",
     "8:98: cutover: the check c needs an address"},
};

static void wrong_ones(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *text SCOPED(mem_freep) = mem_format("%s%s", TOP, bad[i].text);
		char *want SCOPED(mem_freep) = mem_format(FILE_NAME ":%s", bad[i].want);
		struct site *s SCOPED(site_freep) = NULL;
		struct err e = ERR_INIT;

		put(FILE_NAME, text);
		if (site_load(FILE_NAME, &s, &e) == 0)
			fail_msg("accepted:\n%s", text);
		if (strcmp(e.msg, want) != 0)
			fail_msg("\n got %s\nwant %s\n%s", e.msg, want, text);
		assert_int_equal(e.kind, ERR_RECIPE);
		assert_true(e.hint[0] != '\0');
	}
}

/* The templates that are shipped, each with what a site adds. */
static void templates(void **state)
{
	static const char *const names[] = {"rti", "daisy", "daisy-sysv"};
	const char *back = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *from SCOPED(mem_freep) =
		    mem_format("%s/recipes/cutovers/%s.yaml", back, names[i]);
		char *to SCOPED(mem_freep) = mem_format("recipes/cutovers/%s.yaml", names[i]);
		struct buf b SCOPED(buf_release) = BUF_INIT(1 << 16);
		char *text SCOPED(mem_freep) = NULL;
		struct site *s SCOPED(site_freep) = NULL;
		struct err e = ERR_INIT;

		assert_int_equal(fs_get(AT_FDCWD, from, &b, &e), 0);
		put(to, b.data);
		text = mem_format(
		    "posmedia: 1\nextends: [../cutovers/%s.yaml]\nshop: \"1\"\n"
		    "environment: prod\nimage: {reference: \"oci:d:t\", policy: "
		    "policy.yaml}\nhostname: h\ndata:\n%s"
		    "  - {name: home, at: /home}\n"
		    "  - {name: samba, at: /var/lib/samba}\n"
		    "  - {name: mail, at: /var/spool/mail}\n"
		    "secrets: [{name: k, file: /k}]\n"
		    "cutover: {" OLD "}}\n",
		    names[i], i == 0 ? "  - {name: usr2, at: /usr2}\n" : "  - {name: d, at: /d}\n");
		s = load(text);
		assert_true(s->cutover.old.stop_n > 0);
		assert_true(s->cutover.old.services.n > 0 && s->cutover.old.ports_n > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(the_least, enter, leave),
	    cmocka_unit_test_setup_teardown(the_whole, enter, leave),
	    cmocka_unit_test_setup_teardown(wrong_ones, enter, leave),
	    cmocka_unit_test_setup_teardown(templates, enter, leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
