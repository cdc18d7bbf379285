/* Unit files as the shim reads them: systemd.service(5), systemd.unit(5), systemd.exec(5). */
#include "shim/unit.h"

#include "sys/fs.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct unit *parsed(const char *name, const char *text)
{
	struct unit *u = mem_zalloc(sizeof(*u));

	u->name = mem_strdup(name);
	unit_parse(u, text);
	return u;
}

static void settings(void **state)
{
	struct unit *u SCOPED(unit_freep) = parsed(
	    "till@two", "; c\r\n[Unit]\nDescription = The till %i \nType=notify\n"
			"[Service]\nType=forking\nUser=\nGroup=%p\n"
			"Environment=\"A=b c\" D=e\nEnvironment='F=%n'\n"
			"ExecStart=/bin/one\nExecStart=\nExecStart=/bin/two \\\n# in between\n"
			"  three\nRuntimeDirectory=a b\nRuntimeDirectoryMode=0750\n"
			"RemainAfterExit=yes\nTimeoutStartSec=2m\nnothing\n[Install]\nUser=x\n");

	(void)state;
	assert_string_equal(u->description, "The till two");
	assert_int_equal(u->type, UNIT_FORKING);
	assert_null(u->user);
	assert_string_equal(u->group, "till");
	assert_int_equal(u->env.n, 3);
	assert_string_equal(u->env.v[0], "A=b c");
	assert_string_equal(u->env.v[2], "F=till@two.service");
	assert_int_equal(u->exec[UNIT_START].n, 1);
	assert_string_equal(u->exec[UNIT_START].v[0], "/bin/two  three");
	assert_int_equal(u->runtime_dirs.n, 2);
	assert_int_equal(u->runtime_mode, 0750);
	assert_true(u->remains);
	assert_int_equal(u->start_ms, 120000);
}

static void check_command(const char *line, const char *want)
{
	struct unit *u SCOPED(unit_freep) = parsed("till", "");
	struct unit_command c SCOPED(unit_command_release) = {0};
	struct strv env SCOPED(strv_release) = {0};
	struct buf got SCOPED(buf_release) = BUF_INIT(4096);
	struct err e = ERR_INIT;

	strv_add(&env, "OPTS=-a  -b");
	strv_add(&env, "X=y z");
	if (unit_command(u, line, &env, &c, &e) != 0) {
		assert_string_equal("refused", want);
		return;
	}
	buf_addf(&got, "%s%s%s", c.may_fail ? "-" : "", c.zero != NULL ? c.zero : "",
		 c.zero != NULL ? "@" : "");
	for (size_t i = 0; i < c.argv.n; i++)
		buf_addf(&got, "%s%s", i > 0 ? "|" : "", c.argv.v[i]);
	assert_string_equal(got.data, want);
}

static void commands(void **state)
{
	(void)state;
	check_command("/bin/a b  c", "/bin/a|b|c");
	check_command("-/bin/a 'b c' \"d e\" f\"g h\"", "-/bin/a|b c|d e|fg h");
	check_command("@/bin/a zero one", "zero@/bin/a|one");
	check_command("+!/bin/a %n %% %N %x", "/bin/a|till.service|%|till|%x");
	check_command("/bin/a $OPTS ${X} $X$ ${NONE} $$PID", "/bin/a|-a|-b|y z|$X$||$PID");
	check_command("/bin/a b\\sc \\\"d\\\" \\n", "/bin/a|b c|\"d\"|\n");
	check_command("/bin/a b ; /bin/c", "/bin/a|b");
	check_command("/bin/a 'b", "refused");
	check_command("-", "refused");
	check_command("", "refused");
	check_command("$NONE", "refused");
}

static void names(void **state)
{
	static const char *const bad[] = {"", ".", "../x", "a/b", "a b", ".service", "a\nb"};
	struct err e = ERR_INIT;
	char *name = NULL;

	(void)state;
	assert_int_equal(unit_name("cups.service", &name, &e), 0);
	assert_string_equal(name, "cups");
	mem_freep(&name);
	assert_int_equal(unit_name("getty@tty1", &name, &e), 0);
	assert_string_equal(name, "getty@tty1");
	mem_freep(&name);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(unit_name(bad[i], &name, &e), -1);
}

static void put(const char *root, const char *path, const char *text)
{
	char *full SCOPED(mem_freep) = fs_join(root, path);
	char *dir SCOPED(mem_freep) = fs_dirname(full);
	struct err e = ERR_INIT;

	assert_int_equal(fs_mkdirs(AT_FDCWD, dir, 0755, &e), 0);
	assert_int_equal(fs_put_path(full, text, strlen(text), 0644, &e), 0);
}

static void tree_of_units(void **state)
{
	char root[] = "/tmp/shim-unit.XXXXXX";
	struct unit *u = NULL;
	struct err e = ERR_INIT;

	(void)state;
	assert_non_null(mkdtemp(root));
	put(root, "usr/lib/systemd/system/a.service",
	    "[Service]\nExecStart=/usr/lib/a\nUser=lib\n");
	put(root, "usr/lib/systemd/system/a.service.d/20.conf", "[Service]\nUser=twenty\n");
	put(root, "usr/lib/systemd/system/a.service.d/10.conf", "[Service]\nUser=ten\nGroup=ten\n");
	put(root, "etc/systemd/system/a.service.d/20.conf", "[Service]\nUser=etc\n");
	put(root, "usr/lib/systemd/system/t@.service", "[Service]\nExecStart=/bin/t %i\n");
	put(root, "etc/systemd/system/empty.service", "");
	put(root, "etc/systemd/system/none.service", "[Service]\nType=oneshot\n");
	put(root, "etc/init.d/old", "#!/bin/sh\n");

	assert_int_equal(unit_load(root, "a", &u, &e), 0);
	assert_string_equal(u->user, "etc");
	assert_string_equal(u->group, "ten");
	unit_freep(&u);
	assert_int_equal(unit_load(root, "t@x", &u, &e), 0);
	assert_string_equal(u->exec[UNIT_START].v[0], "/bin/t %i");
	unit_freep(&u);
	assert_int_equal(unit_load(root, "old", &u, &e), 0);
	assert_string_equal(u->exec[UNIT_STOP].v[0], "/etc/init.d/old stop");
	unit_freep(&u);
	assert_int_equal(unit_load(root, "nowhere", &u, &e), 0);
	assert_null(u);
	assert_int_equal(unit_load(root, "empty", &u, &e), -1);
	assert_string_equal(e.msg, "empty.service is masked");
	assert_int_equal(unit_load(root, "none", &u, &e), -1);
	assert_int_equal(fs_rmtree(AT_FDCWD, root, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(settings),
	    cmocka_unit_test(commands),
	    cmocka_unit_test(names),
	    cmocka_unit_test(tree_of_units),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
