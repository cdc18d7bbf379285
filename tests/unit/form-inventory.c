/* Package lists of servers, in the forms that rpm and dpkg print them. */
#include "base/buf.h"
#include "form/inventory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* "NAME VERSION ARCH" of each, as one text with ';'. */
static char *shown(const struct inventory *v)
{
	struct buf b = BUF_INIT(1 << 16);

	for (size_t i = 0; i < v->n; i++)
		buf_addf(&b, "%s%s %s %s", i > 0 ? "; " : "", v->v[i].name, v->v[i].version,
			 v->v[i].arch != NULL ? v->v[i].arch : "-");
	return buf_take(&b);
}

static void reads_as(const char *text, enum inventory_kind kind, const char *want)
{
	/* what is unclear is what the other kind is not */
	for (int assume = INVENTORY_DEB; assume <= INVENTORY_RPM; assume++) {
		struct inventory v SCOPED(inventory_release) = {0};
		struct err e = ERR_INIT;
		char *got SCOPED(mem_freep) = NULL;

		if (inventory_parse("m", text, strlen(text), (enum inventory_kind)assume, &v, &e) !=
		    0)
			fail_msg("%s: %s", text, e.msg);
		got = shown(&v);
		assert_string_equal(got, want);
		assert_int_equal(v.kind, kind);
	}
}

static void dpkg_forms(void **state)
{
	static const char want[] = "bash 5.2.15-2+b2 amd64; libc6 2.36-9 amd64; libc6 2.36-9 i386; "
				   "tzdata 1:2024a-0 all";

	(void)state;
	reads_as("bash\t5.2.15-2+b2\nlibc6:amd64\t2.36-9\nold\t\ntzdata\t1:2024a-0\n",
		 INVENTORY_DEB, "bash 5.2.15-2+b2 -; libc6 2.36-9 amd64; tzdata 1:2024a-0 -");
	reads_as("\xef\xbb\xbf"
		 "bash 5.2.15-2+b2 amd64\r\nlibc6:amd64 2.36-9 amd64\r\n"
		 "libc6:i386 2.36-9 i386\r\ntzdata 1:2024a-0 all\r\n",
		 INVENTORY_DEB, want);
	reads_as("bash|amd64|5.2.15-2+b2\nlibc6|amd64|2.36-9\nlibc6|i386|2.36-9\n"
		 "tzdata|all|1:2024a-0",
		 INVENTORY_DEB, want);
	reads_as("libc6:amd64=2.36-9\nbash=5.2.15-2+b2\n", INVENTORY_DEB,
		 "bash 5.2.15-2+b2 -; libc6 2.36-9 amd64");
	reads_as("bash 5.2.15-2+b2 install ok installed amd64\n"
		 "gone 1.0-1 deinstall ok config-files amd64\n",
		 INVENTORY_DEB, "bash 5.2.15-2+b2 amd64");
	reads_as("ii |bash|5.2.15-2+b2|amd64\nrc |gone|1.0-1|amd64\nhi |kept|1.0-1|all\n",
		 INVENTORY_DEB, "bash 5.2.15-2+b2 amd64; kept 1.0-1 all");
	reads_as("bash;install ok installed;5.2.15-2+b2;amd64\n", INVENTORY_DEB,
		 "bash 5.2.15-2+b2 amd64");
}

static void dpkg_l(void **state)
{
	(void)state;
	reads_as("Gew\xc3\xbcnscht=Unbekannt/Installieren\n"
		 "| Status=Nicht/Installiert/Config\n"
		 "|/ Fehler?=(kein)/R (Status, Fehler: GROSS=schlecht)\n"
		 "||/ Name           Version      Architektur  Beschreibung\n"
		 "+++-==============-============-============-=============\n"
		 "ii  bash           5.2.15-2+b2  amd64        GNU; Bourne, Again | SHell\n"
		 "rc  gone           1.0-1        amd64        was here\n"
		 "hi  libc6:amd64    2.36-9       amd64        C library\n"
		 "iHR broken         2.0          all          half of it\n",
		 INVENTORY_DEB, "bash 5.2.15-2+b2 amd64; libc6 2.36-9 amd64");
}

static void rpm_forms(void **state)
{
	static const char want[] = "bash 5.1.8-6.el9 x86_64; perl-libs 4:5.32.1-480.el9 x86_64; "
				   "tzdata 2024a-1.el9 noarch";

	(void)state;
	reads_as("tzdata-2024a-1.el9.noarch\nbash-5.1.8-6.el9.x86_64\n"
		 "gpg-pubkey-8483c65d-5ccc5b19\nperl-libs-5.32.1-480.el9.x86_64\n",
		 INVENTORY_RPM,
		 "bash 5.1.8-6.el9 x86_64; perl-libs 5.32.1-480.el9 x86_64; "
		 "tzdata 2024a-1.el9 noarch");
	reads_as("tzdata-2024a-1.el9.noarch     Tue 05 Mar 2024 10:11:12 AM UTC\n"
		 "bash-5.1.8-6.el9.x86_64       Tue 05 Mar 2024 10:11:11 AM UTC\n",
		 INVENTORY_RPM, "bash 5.1.8-6.el9 x86_64; tzdata 2024a-1.el9 noarch");
	reads_as("bash (none) 5.1.8 6.el9 x86_64\nperl-libs 4 5.32.1 480.el9 x86_64\n"
		 "tzdata (none) 2024a 1.el9 noarch\ngpg-pubkey (none) 8483c65d 5ccc5b19 (none)\n",
		 INVENTORY_RPM, want);
	reads_as("bash\t0\t5.1.8\t6.el9\tx86_64\nperl-libs\t4\t5.32.1\t480.el9\tx86_64\n"
		 "tzdata\t0\t2024a\t1.el9\tnoarch\n",
		 INVENTORY_RPM, want);
	reads_as("bash|5.1.8-6.el9|x86_64\nperl-libs|4:5.32.1-480.el9|x86_64\n"
		 "tzdata|(none):2024a-1.el9|noarch\n",
		 INVENTORY_RPM, want);
	reads_as("bash-0:5.1.8-6.el9.x86_64\nperl-libs-4:5.32.1-480.el9.x86_64\n"
		 "0:tzdata-2024a-1.el9.noarch\n",
		 INVENTORY_RPM, want);
	reads_as("glibc 2.17-325.el7_9\nglibc 2.17-325.el7_9\nbash (none):4.2.46-35.el7_9\n",
		 INVENTORY_RPM, "bash 4.2.46-35.el7_9 -; glibc 2.17-325.el7_9 -");
	reads_as("kernel-5.14.0-70.el9.x86_64\nkernel-5.14.0-162.el9.x86_64\n"
		 "kernel-5.14.0-9.el9.x86_64\n",
		 INVENTORY_RPM, "kernel 5.14.0-162.el9 x86_64");
}

static void what_is_unclear_is_what_the_base_is(void **state)
{
	static const char text[] = "bash 5.2-1\nlibX 1_0-2\n";
	struct inventory v SCOPED(inventory_release) = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(inventory_parse("m", text, strlen(text), INVENTORY_RPM, &v, &e), 0);
	assert_int_equal(v.kind, INVENTORY_RPM);
	assert_false(v.epochs);
	assert_int_equal(inventory_parse("m", text, strlen(text), INVENTORY_DEB, &v, &e), -1);
	assert_string_equal(e.msg, "m:2:1: \"libX\" is no package name");
}

static void refused(const char *text, size_t n, const char *want)
{
	struct inventory v = {0};
	struct err e = ERR_INIT;

	if (inventory_parse("m", text, n, INVENTORY_DEB, &v, &e) == 0)
		fail_msg("taken: %.60s", text);
	if (strstr(e.msg, want) == NULL)
		fail_msg("\"%s\" has no \"%s\"", e.msg, want);
	assert_int_equal(e.kind, ERR_RECIPE);
}

static void hostile(void **state)
{
	static const char *const bad[][2] = {
	    {"", "m: no package in it"},
	    {"\n\n# nothing\n", "m: no package in it"},
	    {"bash\t5.2-1\nbash\t5.2-2\n", "m:2:1: bash is in line 1 already"},
	    {"bash-5.1.8-6.el9.x86_64\nbash-5.1.8-7.el9.x86_64\n", "is in line 1 already"},
	    {"<html><head><title>503</title>\n", "m:1:1:"},
	    {"Hello, this is no list at all\n", "m:1:1:"},
	    {"bash\t5.2-1\tamd64\nzlib1g\t1.2\n", "m:2:1: 2 fields where line 1 has 3"},
	    {"bash\t../../etc\n", "m:1:6: \"../../etc\" is no version"},
	    {"bash\t5.2;rm -rf\n", "m:1:6:"},
	    {"--help 1.0-1\n", "m:1:1: \"--help\" is no package name"},
	    {"bash-5.1.8-6.el9.x86_64\nthis-is no list\n", "m:2:"},
	    {"bash 5.2-1\nba\x01sh 1\n", "m:2:3: byte 0x01 is no text"},
	};
	char *huge = mem_zalloc(1 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(bad[i][0], strlen(bad[i][0]), bad[i][1]);
	refused("bash\t5.2\n\0\0\0", 12, "m:2:1: byte 0x00 is no text");
	refused("\x7f"
		"ELF\x02\x01\x01",
		7, "m:1:1: byte 0x7f is no text");
	memset(huge, 'a', 1 << 20);
	refused(huge, 1 << 20, "m:1:1: a line of 1048576 bytes is no package");
	free(huge);
	refused("", INVENTORY_MAX + 1, "more than");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(dpkg_forms), cmocka_unit_test(dpkg_l),
	    cmocka_unit_test(rpm_forms),  cmocka_unit_test(what_is_unclear_is_what_the_base_is),
	    cmocka_unit_test(hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
