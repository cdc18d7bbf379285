/* menu: rows from what a status says, foreign text made fit for a line, and what an action runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "menu/act.h"
#include "menu/line.h"
#include <locale.h>
#include <stdlib.h>
#include <string.h>

static struct menu_rows from(const char *json)
{
	struct menu_rows rows = {0};
	struct jval *v SCOPED(jval_freep) = NULL;
	struct err e = ERR_INIT;

	if (jval_parse(json, strlen(json), "status", &v, &e) != 0)
		fail_msg("%s", e.msg);
	rows_status(&rows, v);
	return rows;
}

static void a_status_is_a_row(void **state)
{
	struct menu_rows r SCOPED(rows_release) =
	    from("[{\"shop\":\"123\",\"environment\":\"prod\",\"hostname\":\"till\",\"state\":"
		 "\"runs\",\"container\":\"pos-1\",\"image\":\"registry.example/shop/"
		 "till:1\",\"manifest\":"
		 "\"sha256:0123456789abcdef\",\"up_seconds\":100000,\"disk_free\":2000000000,"
		 "\"tunnels\":[{\"peer\":\"a\",\"up\":true},{\"peer\":\"b\",\"up\":false}],"
		 "\"trouble\":[\"a tunnel is down\",\"no backup\"]}]");

	(void)state;
	assert_int_equal(r.n, 1);
	assert_string_equal(r.v[0].shop, "123");
	assert_true(r.v[0].prod);
	assert_string_equal(r.v[0].name, "till");
	assert_string_equal(r.v[0].state, "runs");
	assert_string_equal(r.v[0].container, "pos-1");
	assert_string_equal(r.v[0].image, "till:1@0123456789ab");
	assert_string_equal(r.v[0].uptime, "1d 03h");
	assert_string_equal(r.v[0].vpn, "1/2");
	assert_string_equal(r.v[0].trouble, "a tunnel is down; no backup");
}

static void what_is_not_known_is_not_guessed(void **state)
{
	struct menu_rows r SCOPED(rows_release) =
	    from("[{\"shop\":\"123\",\"environment\":\"qa\",\"state\":null,\"up_seconds\":-1,"
		 "\"disk_free\":\"much\",\"image\":7,\"trouble\":[1,{}],"
		 "\"tunnels\":[{\"up\":true},{\"up\":null}]}]");

	(void)state;
	assert_int_equal(r.n, 1);
	assert_false(r.v[0].prod);
	assert_string_equal(r.v[0].state, "");
	assert_string_equal(r.v[0].uptime, "");
	assert_string_equal(r.v[0].room, "");
	assert_string_equal(r.v[0].image, "");
	assert_string_equal(r.v[0].vpn, "?/2");
	assert_string_equal(r.v[0].trouble, "");
}

static void what_is_no_instance_is_no_row(void **state)
{
	struct menu_rows r SCOPED(rows_release) =
	    from("[{},7,null,{\"shop\":\"\",\"environment\":\"dev\"},"
		 "{\"shop\":\"1\\u001b[2J\",\"environment\":\"dev\"},"
		 "{\"shop\":\"1\",\"environment\":\"space\"},{\"shop\":[],\"environment\":{}}]");
	struct menu_rows none SCOPED(rows_release) = from("{\"shop\":\"1\"}");

	(void)state;
	assert_int_equal(r.n, 0);
	assert_int_equal(none.n, 0);
}

static void fits(const char *text, size_t columns, const char *want)
{
	char *got SCOPED(mem_freep) = line_cut(text, columns);

	assert_string_equal(got, want);
}

static void nothing_that_a_terminal_obeys_is_left(void **state)
{
	(void)state;
	fits("a\033[2Jb\a\b\177c", 80, "a?[2Jb???c");
	fits("\302\233"
	     "31m",
	     80, "?31m");
	/* the direction of writing, a mark heaped on a letter, no character */
	fits("x\342\200\256y", 80, "x?y");
	fits("e\314\201", 80, "e?");
	fits("so\302\255ft", 80, "so?ft");
	fits("\377\376", 80, "??");
	fits("a\tb", 80, "a       b");
}

static void text_is_cut_by_columns(void **state)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(100);

	(void)state;
	fits("abcdef", 3, "abc");
	fits("abc", 0, "");
	fits("a\tb", 4, "a   ");
	fits("\344\270\255\346\226\207", 3, "\344\270\255");
	fits("M\303\274ller", 3, "M\303\274l");
	/* what is too wide for the whole line must not stop who breaks lines */
	assert_int_equal(line_fit("\344\270\255", 3, 1, &b), 1);
}

static struct menu_row site(const char *env)
{
	static char shop[] = "123", file[] = "-s.yaml", empty[] = "";

	return (struct menu_row){.site = file,
				 .shop = shop,
				 .env = empty,
				 .root = empty,
				 .container = empty,
				 .prod = strcmp(env, "prod") == 0};
}

/* The arguments behind the program, joined. */
static char *argv_of(int key, const struct menu_row *r, struct err *e)
{
	struct menu_opts o = {.program = "/p"};
	struct strv argv SCOPED(strv_release) = {0};
	struct buf b SCOPED(buf_release) = BUF_INIT(1000);
	int rc;

	strv_add(&o.engine, "--engine=/s");
	rc = act_argv(act_find(key), r, &o, &argv, e);
	strv_release(&o.engine);
	for (size_t i = 1; rc == 0 && i < argv.n; i++)
		buf_addf(&b, "%s%s", i == 1 ? "" : " ", argv.v[i]);
	return rc == 0 ? buf_take(&b) : NULL;
}

static void acts_are_runs_of_the_verbs(void **state)
{
	static const struct {
		int key;
		const char *env, *want;
		int confirms;
	} table[] = {
	    {'s', "prod", "status --engine=/s -- -s.yaml", 0},
	    {'t', "prod", "start --engine=/s -- -s.yaml", 0},
	    {'p', "dev", "stop --engine=/s -- -s.yaml", 1},
	    {'g', "dev", "stage --engine=/s -- -s.yaml", 0},
	    {'g', "prod", "stage --engine=/s -- -s.yaml", 1},
	    {'b', "dev", "stage --rollback --engine=/s -- -s.yaml", 1},
	    {'v', "prod", "vpn -- -s.yaml", 0},
	    {'l', "prod", "logs --engine=/s -- -s.yaml", 0},
	    {'x', "dev", "destroy --confirm=123 --engine=/s -- -s.yaml", 1},
	    {'x', "prod", "destroy --confirm=123 --really --engine=/s -- -s.yaml", 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct menu_row r = site(table[i].env);
		struct err e = ERR_INIT;
		char *got SCOPED(mem_freep) = argv_of(table[i].key, &r, &e);

		assert_string_equal(got, table[i].want);
		assert_int_equal(act_confirms(act_find(table[i].key), &r), table[i].confirms);
	}
	assert_null(act_find('z'));
	assert_null(act_find(0));
}

static void what_is_audited_is_the_container(void **state)
{
	static char name[] = "pos-1", root[] = "/p";
	struct menu_row r = site("dev");
	struct err e = ERR_INIT;
	char *got SCOPED(mem_freep) = NULL;

	(void)state;
	r.container = name;
	r.root = root;
	got = argv_of('u', &r, &e);
	assert_string_equal(got, "audit --profile=/p/recipes/profiles/pa-dss-3.2.yaml --engine=/s "
				 "instance:pos-1");
}

static void what_has_no_container_is_not_audited(void **state)
{
	struct menu_row r = site("dev");
	struct err e = ERR_INIT;

	(void)state;
	assert_null(argv_of('u', &r, &e));
	assert_non_null(strstr(e.msg, "has no container"));
	*r.site = '\0';
	assert_null(argv_of('p', &r, &e));
	assert_non_null(strstr(e.msg, "the file of this site is not known"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_status_is_a_row),
	    cmocka_unit_test(what_is_not_known_is_not_guessed),
	    cmocka_unit_test(what_is_no_instance_is_no_row),
	    cmocka_unit_test(nothing_that_a_terminal_obeys_is_left),
	    cmocka_unit_test(text_is_cut_by_columns),
	    cmocka_unit_test(acts_are_runs_of_the_verbs),
	    cmocka_unit_test(what_is_audited_is_the_container),
	    cmocka_unit_test(what_has_no_container_is_not_audited),
	};

	(void)setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests_name("menu-rows", tests, NULL, NULL);
}
