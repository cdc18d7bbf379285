/* cutover: the session with an agent that lies, breaks off, hangs, or is the real one. */
#include "cutover/parts.h"

#include "sys/clock.h"
#include "sys/fs.h"
#include "sys/intr.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct site_data data[] = {{.name = (char[]){"usr2"}, .at = (char[]){"/usr2"}}};
static struct site_old plan = {.host = (char[]){"ssh://old"}, .data = data, .data_n = 1};

static struct old *open_fake(const char *script)
{
	static const char *argv[] = {"sh", "-c", NULL, NULL};
	static const struct old_opts opts = {
	    .plan = &plan, .shop = "1", .epoch = 1, .run = "r", .argv = argv};
	struct err e = ERR_INIT;
	struct old *o = NULL;

	argv[2] = script;
	assert_int_equal(old_open(&opts, &o, &e), 0);
	return o;
}

#define STATE                                                                                      \
	"\"state\":\"LEASED\",\"epoch\":1,\"run\":\"r\",\"left_ms\":9,\"undoing\":false,"          \
	"\"complete\":true,\"closed\":false,\"trouble\":[\"a\\u001b\",\"b\"]"
#define SAYS(text) "read q; echo '" text "'; read q"

/* What old_renew makes of an agent that does this. */
static void renews(const char *script, enum err_kind kind, const char *want)
{
	struct old_state s SCOPED(old_state_release) = {0};
	struct old *o SCOPED(old_closep) = open_fake(script);
	struct err e = ERR_INIT;

	if (old_renew(o, &s, &e) == 0)
		fail_msg("taken: %s", script);
	if (e.kind != kind || strstr(e.msg, want) == NULL)
		fail_msg("\n got %d %s\nwant %d %s", e.kind, e.msg, kind, want);
	assert_null(s.run);
	if (kind != ERR_REMOTE)
		return;
	e = (struct err)ERR_INIT;
	assert_int_equal(old_renew(o, &s, &e), -1);
	assert_non_null(strstr(e.msg, "session is over"));
	assert_int_equal(e.kind, ERR_REMOTE);
}

static void hostile(void **state)
{
	(void)state;
	renews("exit 0", ERR_REMOTE, "has ended");
	renews("echo who are you >&2; exit 255", ERR_REMOTE, "has ended: who are you");
	renews("read q; echo no; read q", ERR_REMOTE, "ssh://old");
	renews(SAYS("[]"), ERR_REMOTE, "what was not asked");
	renews(SAYS("{\"id\":2,\"ok\":true," STATE "}"), ERR_REMOTE, "what was not asked");
	renews(SAYS("{\"id\":-1,\"ok\":true}"), ERR_REMOTE, "what was not asked");
	renews(SAYS("{\"id\":1}"), ERR_REMOTE, "no end");
	renews(SAYS("{\"id\":1,\"ok\":true}"), ERR_REMOTE, "no state");
	renews(SAYS("{\"id\":1,\"ok\":true,\"state\":\"GONE\"}"), ERR_REMOTE, "no state");
	renews(SAYS("{\"id\":1,\"ok\":true,\"state\":\"FREE\",\"epoch\":-4}"), ERR_REMOTE,
	       "no epoch");
	renews(SAYS("{\"id\":1,\"chunk\":\"YQ==\"}"), ERR_REMOTE, "was not asked for");
	renews(SAYS("{\"id\":1,\"ok\":false}"), ERR_REMOTE, "no reason");
	renews(SAYS("{\"id\":1,\"ok\":false,\"kind\":\"odd\",\"error\":\"x\"}"), ERR_REMOTE,
	       "no reason that we know");
	renews("read q; printf 'a\\0b\\n'; read q", ERR_REMOTE, "NUL");
	renews("read q; head -c 3000000 /dev/zero | tr '\\0' a; read q", ERR_REMOTE, "too long");
	renews("read q; yes '{\"id\":7,\"ok\":true}' | head -n 100000; read q", ERR_REMOTE,
	       "what was not asked");
	renews(SAYS("{\"id\":1,\"ok\":true,\"ok\":true}"), ERR_REMOTE, "ssh://old");
}

static void refusals(void **state)
{
	(void)state;
#define REFUSED(kind)                                                                              \
	SAYS("{\"id\":1,\"ok\":false,\"kind\":\"" kind "\",\"error\":\"it\\u0007 is\"}")
	renews(REFUSED("refused"), ERR_BUSY, "it  is");
	renews(REFUSED("busy"), ERR_BUSY, "it  is");
	renews(REFUSED("unproven"), ERR_VERIFY, "it  is");
	renews(REFUSED("failed"), ERR_STEP, "it  is");
}

static void answers(void **state)
{
	struct old_state s SCOPED(old_state_release) = {0};
	struct old *o SCOPED(old_closep) =
	    open_fake("read q; echo '{\"id\":1,\"ok\":true," STATE "}'; read q; "
		      "echo '{\"id\":2,\"ok\":false,\"kind\":\"refused\",\"error\":\"x\"}'; "
		      "read q; echo '{\"id\":3,\"ok\":true," STATE "}'");
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(old_renew(o, &s, &e), 0);
	assert_int_equal(s.state, OLD_LEASED);
	assert_true(s.complete && !s.undoing && !s.closed);
	assert_string_equal(s.trouble, "a ; b");
	assert_int_equal(s.left_ms, 9);
	assert_int_equal(old_hold(o, &s, &e), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	/* a refusal does not end the session */
	assert_int_equal(old_prove(o, &s, &e), 0);
	assert_string_equal(s.run, "r");
}

/* An interrupted fence is still at work there. */
static void a_release_has_patience(void **state)
{
	struct old_state s SCOPED(old_state_release) = {0};
	struct old *o SCOPED(old_closep) = open_fake(
	    "read q; case $q in *'\"patience\":'[1-9][0-9]*) echo '{\"id\":1,\"ok\":true," STATE
	    "}'; esac; read q");
	struct err e = ERR_INIT;

	(void)state;
	if (old_release(o, false, &s, &e) != 0)
		fail_msg("%s", e.msg);
}

static void a_listing_in_pieces(void **state)
{
	struct old *o SCOPED(old_closep) = open_fake(
	    "read q; echo '{\"id\":1,\"chunk\":\"YWI=\"}'; "
	    "echo '{\"id\":1,\"chunk\":\"Yw==\"}'; echo '{\"id\":1,\"ok\":true}'; read q");
	char *path SCOPED(mem_freep) = mem_format("/tmp/cutover-old-%d", (int)getpid());
	struct err e = ERR_INIT;
	struct old_list l;

	(void)state;
	(void)path;
	assert_int_equal(old_list(o, NULL, &l, &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
}

static void names(void **state)
{
	struct old_opts opts = {.plan = &plan, .shop = "a b", .epoch = 1, .run = "r"};
	struct err e = ERR_INIT;
	struct old *o = NULL;

	(void)state;
	assert_int_equal(old_open(&opts, &o, &e), -1);
	assert_non_null(strstr(e.msg, "name of a shop"));
	opts.shop = "1";
	opts.run = "$(x)";
	assert_int_equal(old_open(&opts, &o, &e), -1);
	opts.run = "r";
	assert_int_equal(old_open(&opts, &o, &e), -1);
	assert_non_null(strstr(e.msg, "which key"));
}

/* The agent of this program, without ssh. */
struct real {
	char dir[64];
	struct site_data data[1];
	struct site_old plan;
	struct old_opts opts;
	char *agent;
	const char *argv[5];
};

static void real_setup(struct real *r)
{
	size_t n;
	const char *text = agent_text(&n);
	struct err e = ERR_INIT;
	char *at SCOPED(mem_freep) = NULL, *file SCOPED(mem_freep) = NULL;

	*r = (struct real){.dir = "/tmp/posmedia-old-XXXXXX"};
	assert_non_null(mkdtemp(r->dir));
	r->agent = fs_join(r->dir, "agent");
	at = fs_join(r->dir, "data");
	file = mem_format("%s/a b\n\xff", at);
	assert_int_equal(fs_put_path(r->agent, text, n, 0700, &e), 0);
	assert_int_equal(fs_mkdirs(AT_FDCWD, at, 0755, &e), 0);
	assert_int_equal(fs_put_path(file, "sold\n", 5, 0640, &e), 0);
	r->data[0] = (struct site_data){.name = (char[]){"data"}, .at = STEAL(at)};
	r->plan = (struct site_old){.host = plan.host, .data = r->data, .data_n = 1};
	r->argv[0] = "sh";
	r->argv[1] = "-c";
	r->argv[2] =
	    mem_format("POSMEDIA_CUTOVER_STATE=%s/state exec perl -w %s serve 1", r->dir, r->agent);
	r->opts = (struct old_opts){
	    .plan = &r->plan, .shop = "1", .epoch = 1, .run = "r", .argv = r->argv};
}

static void real_teardown(struct real *r)
{
	char *rm SCOPED(mem_freep) = mem_format("rm -rf %s", r->dir);

	free(r->agent);
	free(r->data[0].at);
	free((char *)(uintptr_t)r->argv[2]);
	assert_int_equal(system(rm), 0);
}

static int collect(void *ctx, const void *p, size_t n, struct err *e)
{
	(void)e;
	buf_add(ctx, p, n);
	return 0;
}

static void the_real_one(void **state)
{
	struct buf text SCOPED(buf_release) = BUF_INIT(1 << 16);
	struct buf ours SCOPED(buf_release) = BUF_INIT(1 << 16);
	const struct sink to = {collect, &text}, to_ours = {collect, &ours};
	struct old_status s SCOPED(old_status_release) = {0};
	struct old_hello h SCOPED(old_hello_release) = {0};
	struct strv argv SCOPED(strv_release) = {0};
	struct manifest m SCOPED(manifest_release) = {0};
	char *said SCOPED(mem_freep) = NULL;
	struct old *o SCOPED(old_closep) = NULL;
	struct old_list l = {0}, mine = {0};
	struct err e = ERR_INIT;
	struct real r;
	int fd SCOPED(fd_closep) = -1;

	(void)state;
	real_setup(&r);
	if (old_open(&r.opts, &o, &e) != 0 || old_hello(o, &h, &e) != 0)
		fail_msg("%s", e.msg);
	assert_true(h.disks_n == 1 && h.disks[0].total > 0 && h.uptime_ms > 0);
	assert_true(h.skew_ms < 1000 && h.skew_ms > -1000);
	strv_add(&argv, "echo");
	strv_add(&argv, "$HOME");
	assert_int_equal(old_run(o, &argv, 5000, &said, &e), 0);
	assert_string_equal(said, "$HOME\n");
	strv_release(&argv);
	strv_add(&argv, "false");
	assert_int_equal(old_run(o, &argv, 5000, &said, &e), -1);
	assert_int_equal(e.kind, ERR_STEP);
	if (old_prehash(o, NULL, &l, &e) != 0 || old_list(o, NULL, &l, &e) != 0 ||
	    old_listing(o, 0, &to, &e) != 0)
		fail_msg("%s", e.msg);
	fd = open(r.data[0].at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(manifest_make(fd, &(struct manifest_opts){.threads = 1}, &m, &e), 0);
	assert_int_equal(listing_write(&m, &to_ours, &e), 0);
	assert_string_equal(text.data, ours.data);
	assert_int_equal(listing_of(&m, &mine, &e), 0);
	assert_true(digest_equal(&mine.root, &l.root));
	assert_true(mine.entries == l.entries && mine.bytes == l.bytes && mine.files == l.files);
	assert_int_equal(old_witness(o, "{\"seq\":1}", &e), 0);
	assert_int_equal(old_witness(o, "{\"seq\":1}", &e), 0);
	assert_int_equal(old_status(o, &s, &e), 0);
	assert_true(s.lines == 1 && s.now.state == OLD_FREE && !s.fence);
	assert_string_equal(s.last, "{\"seq\":1}");
	assert_int_equal(old_forget(o, &e), 0);
	real_teardown(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hostile),
	    cmocka_unit_test(refusals),
	    cmocka_unit_test(answers),
	    cmocka_unit_test(a_release_has_patience),
	    cmocka_unit_test(a_listing_in_pieces),
	    cmocka_unit_test(names),
	    cmocka_unit_test(the_real_one),
	};

	intr_install();
	return cmocka_run_group_tests_name("cutover: the session with the old server", tests, NULL,
					   NULL);
}
