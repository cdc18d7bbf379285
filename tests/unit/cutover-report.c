/* cutover: the report of a journal, and its page. */
#include "cutover/run.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char dir[40];
static struct site site = {.shop = (char[]){"123"}, .env = SITE_PROD};
static const struct cutover_opts opts = {.s = &site};

static int enter(void **state)
{
	struct err e = ERR_INIT;
	struct journal *j = NULL;

	(void)snprintf(dir, sizeof(dir), "/tmp/posmedia-report-XXXXXX");
	if (mkdtemp(dir) == NULL || journal_open(dir, &j, &e) != 0)
		return -1;
	*state = j;
	return 0;
}

static int leave(void **state)
{
	struct err e = ERR_INIT;

	journal_close(*state);
	return fs_rmtree(AT_FDCWD, dir, &e);
}

static void add(struct journal *j, enum cut_phase p, enum cut_event v, struct jval *data)
{
	struct err e = ERR_INIT;

	if (journal_append(j, p, v, data, &e) != 0)
		fail_msg("%s", e.msg);
}

static struct jval *of(const char *text)
{
	struct jval *v = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(jval_parse(text, strlen(text), "test", &v, &e), 0);
	return v;
}

static void upto(struct journal *j, enum cut_phase from, enum cut_phase to)
{
	for (int p = (int)from; p <= (int)to; p++) {
		if (p != CUT_COMMIT)
			add(j, (enum cut_phase)p, CUT_BEGIN, NULL);
		add(j, (enum cut_phase)p, CUT_OK, of("{\"ms\": 5}"));
	}
}

static struct jval *reported(const struct journal *j)
{
	struct jval *v = NULL;
	struct err e = ERR_INIT;

	if (cut_report(&opts, j, &v, &e) != 0)
		fail_msg("%s", e.msg);
	return v;
}

static void begun(struct journal *j, const char *data)
{
	struct err e = ERR_INIT;

	assert_int_equal(journal_begin(j, of(data), &e), 0);
}

static const char *state_of(const struct journal *j)
{
	static char word[32];
	struct jval *v SCOPED(jval_freep) = reported(j);

	(void)snprintf(word, sizeof(word), "%s", jval_get_str(v, "state"));
	return word;
}

static void how_it_stands(void **state)
{
	struct journal *j = *state;

	assert_string_equal(state_of(j), "none");
	begun(j, "{\"rehearsal\": true}");
	assert_string_equal(state_of(j), "plan");
	upto(j, CUT_PREFLIGHT, CUT_READY);
	assert_string_equal(state_of(j), "ready");
	add(j, CUT_SMOKE, CUT_NOTE, of("{\"estimates\": {\"start\": 1500}}"));
	add(j, CUT_ABORT, CUT_BEGIN, NULL);
	add(j, CUT_ABORT, CUT_OK, NULL);
	assert_string_equal(state_of(j), "rehearsed");
	begun(j, "{\"rehearsal\": false}");
	upto(j, CUT_PREFLIGHT, CUT_FENCE);
	add(j, CUT_ABORT, CUT_BEGIN, NULL);
	assert_string_equal(state_of(j), "undoing");
	add(j, CUT_ABORT, CUT_OK, NULL);
	assert_string_equal(state_of(j), "rolled-back");
	begun(j, "{\"rehearsal\": false}");
	upto(j, CUT_PREFLIGHT, CUT_COMMIT);
	assert_string_equal(state_of(j), "committed");
	upto(j, CUT_OPEN, CUT_DONE);
	assert_string_equal(state_of(j), "done");
}

static void figures(void **state)
{
	struct journal *j = *state;
	struct jval *v SCOPED(jval_freep) = NULL, *estimates SCOPED(jval_freep) = NULL;
	struct err e = ERR_INIT;
	int64_t n = -1;

	begun(j, "{\"rehearsal\": true}");
	add(j, CUT_SMOKE, CUT_NOTE, of("{\"estimates\": {\"start\": 1500}}"));
	add(j, CUT_ABORT, CUT_BEGIN, NULL);
	add(j, CUT_ABORT, CUT_OK, NULL);
	begun(j, "{\"rehearsal\": false, \"old\": \"ssh://h\"}");
	upto(j, CUT_PREFLIGHT, CUT_PASS);
	add(j, CUT_VERIFY, CUT_BEGIN, NULL);
	add(j, CUT_VERIFY, CUT_OK, of("{\"files\": 7, \"bytes\": 70, \"written-bytes\": 9}"));
	upto(j, CUT_START, CUT_START);
	add(j, CUT_SMOKE, CUT_BEGIN, NULL);
	add(j, CUT_SMOKE, CUT_OK,
	    of("{\"checks\": [{\"name\": \"a\", \"on\": \"new\", \"passed\": true, \"ms\": 1}]}"));
	upto(j, CUT_HOLD, CUT_DONE);
	v = reported(j);
	assert_int_equal(cut_number(v, "epoch"), 2);
	assert_int_equal(cut_number(v, "files"), 7);
	assert_int_equal(cut_number(v, "bytes"), 70);
	assert_int_equal(cut_number(v, "written-bytes"), 9);
	assert_int_equal(cut_number(v, "checks-passed"), 1);
	assert_int_equal(jval_get_int(v, "outage-ms", &n), 0);
	assert_true(n >= 0 && n < 60000);
	assert_int_equal(jval_get_int(v, "smoke-ms", &n), 0);
	assert_int_equal(cut_number(jval_get(v, "estimates"), "start"), 1500);
	assert_int_equal(jval_len(jval_get(v, "phases")), 15);
	assert_int_equal(cut_estimates(j, false, &estimates, &e), 0);
	assert_int_equal(cut_number(estimates, "start"), 1500);
}

/* Nothing of the outside is markup in it, and it asks for nothing else. */
static void the_page(void **state)
{
	struct journal *j = *state;
	struct jval *v SCOPED(jval_freep) = NULL;
	struct buf out SCOPED(buf_release) = BUF_INIT(1 << 20);

	begun(j, "{\"rehearsal\": false, \"old\": \"ssh://<b>\"}");
	upto(j, CUT_PREFLIGHT, CUT_ANNOUNCE);
	add(j, CUT_FENCE, CUT_BEGIN, NULL);
	add(j, CUT_FENCE, CUT_FAIL, of("{\"error\": \"<script>alert(1)</script>\"}"));
	v = reported(j);
	cut_page(v, &out);
	assert_null(strstr(out.data, "<script"));
	assert_null(strstr(out.data, "<b>"));
	assert_non_null(strstr(out.data, "&lt;script&gt;"));
	assert_non_null(strstr(out.data, "<svg"));
	assert_non_null(strstr(out.data, "<rect class=\"x\""));
	assert_null(strstr(out.data, "src="));
	assert_null(strstr(out.data, "href="));
	assert_non_null(strstr(out.data, "default-src 'none'"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(how_it_stands, enter, leave),
	    cmocka_unit_test_setup_teardown(figures, enter, leave),
	    cmocka_unit_test_setup_teardown(the_page, enter, leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
