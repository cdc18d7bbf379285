/* grammars: words that pass and words that do not, each kind. */
#include "recipe/grammar.h"

#include "base/buf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct words {
	const struct grammar *g;
	const char *good[9], *bad[14]; /* NULL-terminated */
};

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct words table[] = {
    {&grammar_image_name, {"rti", "a", "pos-16.1_x"}, {"", "Rti", "a/b", "-a", "a-", "a..b"}},
    {&grammar_tag, {"16.1.5", "_x", "V1-a"}, {"", ".1", "-1", "a/b", "a:b", "a b"}},
    {&grammar_user, {"rti", "_apt", "www-data"}, {"", "1a", "-a", "a.b", "A", "a$", "a:b", "a\n"}},
    {&grammar_package, {"cups", "libstdc++6", "7zip"}, {"", "a", "+a", "-a", "A1", "a_b", "a*"}},
    {&grammar_package_glob, {"linux-*", "*", "a?"}, {"", "-a", "a[b]", "a b", "a/b"}},
    {&grammar_locked_package,
     {"cups", "perl-DBI", "_x", "a"},
     {"", "+a", "-a", "a*", "a b", "a:b"}},
    {&grammar_locked_version,
     {"1", "1:2.3-4~x+b1", "2.34-60.el9_2", "1^git"},
     {"", "-1", "1 2", "1/2"}},
    {&grammar_locked_arch, {"amd64", "x86_64"}, {"", "AMD64", "64", "a/b"}},
    {&grammar_release, {"9", "9.4", "40-beta"}, {"", ".9", "9/x", "9..1", "9 x"}},
    {&grammar_repo_url,
     {"http://h/x", "file:///x", "BaseOS/x86_64/os", "9.4/x"},
     {"", "system:x", "../x", "/x", "a/../b", "ftp://h/x", "http://u:p@h/", "a:b"}},
    {&grammar_rpm_name, {"cups", "perl-DBI"}, {"", "-a", "a*", "@a", "a b"}},
    {&grammar_rpm_glob,
     {"kernel*", "*-firmware", "a?", "_x", "@print-server"},
     {"", "-a", "a[b]", "a b", "a/b", "@", "@^x", "a@b"}},
    {&grammar_rpm_spec,
     {"cups", "glibc.i686", "bash-5.1-2.el9", "@core", "@^minimal", "@ruby:3.1", "/bin/sh",
      "perl(Foo::Bar)"},
     {"", "a", "-a", "a b", "a;b", "a$b", "a = 1", "--x"}},
    {&grammar_arch, {"amd64", "kfreebsd-amd64"}, {"", "AMD64", "64", "a/b", "x86_64"}},
    {&grammar_suite, {"bookworm", "stable-x"}, {"", "a/b", "a..b", "-a", "A"}},
    {&grammar_pocket, {"updates", "security", "backports"}, {"", "update", "proposed"}},
    {&grammar_component, {"main", "non-free-firmware"}, {"", "a/b", "-a", "main contrib"}},
    {&grammar_unit, {"ssh", "getty@tty1.service", "a:b_c-d"}, {"", "-a", ".a", "a/b", "a b", "a;"}},
    {&grammar_name, {"app", "1", "rti-16.1_x"}, {"", "-a", ".a", "a/b", "a..b", "a b"}},
    {&grammar_control, {"ssh-forwarding", "pa-dss-3.2", "ACC-01b"}, {"", "-a", "a_b", "a/b"}},
    {&grammar_lang, {"de", "en_US", "sr@latin"}, {"", "_a", "a/b", "..", "a..b"}},
    {&grammar_line, {"any text: yes", "ü"}, {"", "a\nb", "a\tb", "a\x1b[m", "a\x7f"}},
    {&grammar_gecos, {"Till 1, shop"}, {"", "a:b", "a\nb"}},
    {&grammar_env_name, {"PATH", "_x1"}, {"", "1A", "A-B", "A=B", "A B"}},
    {&grammar_env_value, {"any = thing"}, {"a\nb"}},
    {&grammar_signal,
     {"SIGTERM", "SIGRTMIN+3", "SIGRTMAX-1", "15", "64", "SIGUSR1"},
     {"", "TERM", "SIG", "0", "65", "SIGTERM+1", "SIGRTMIN+", "SIGRTMIN+31", "SIGRTMIN*1",
      "sigterm", "15x", "1-2"}},
    {&grammar_run_user, {"1500", "rti", "1500:1500"}, {"", ":a", "a:", "a:b:c", "A", "a b"}},
    {&grammar_date,
     {"2027-01-31", "2028-02-29", "2000-02-29", "1970-01-01"},
     {"", "2027-02-29", "2100-02-29", "2027-13-01", "2027-00-01", "2027-01-00", "2027-04-31",
      "1969-12-31", "20270131", "2027-1-031", "2027-01-3", "2027/01/31", "2027-01-311"}},
    {&grammar_mirror,
     {"system", "http://h/d", "https://[::1]:80/d", "file:///srv/d"},
     {"", "ftp://h/d", "http://", "http:///d", "file://h/d", "http://u@h/", "http://h/?q",
      "http://h/a/../b", "http://h/a b", "h/d"}},
    {&grammar_url,
     {"http://h/x", "https://h/x.iso"},
     {"", "system", "file:///x", "s3://b/x", "http://u:p@h/x", "https://h/#f"}},
    {&grammar_image_path,
     {"/", "/usr2", "/a b/ü"},
     {"", "a", "//", "/a//b", "/a/", "/.", "/a/..", "/a/../b", "/a\nb", "./a"}},
    {&grammar_image_glob, {"/usr2/**", "/*"}, {"", "usr2/**", "**", "/a/../**"}},
    {&grammar_project_path,
     {"a", "media/x.iso", "/srv/x.iso"},
     {"", ".", "..", "../a", "a/../b", "a//b", "a/", "/a/..", "a\nb", "//a"}},
    {&grammar_media_url, {"media/x.iso", "http://h/x"}, {"", "../x", "s3://b/x", "://"}},
    {&grammar_media_url,
     {"docker://h:1/a/b@sha256:" HEX},
     {"docker://h/a:b", "docker://@sha256:" HEX}},
    {&grammar_source,
     {"openssl 3.0.15-1"},
     {"", "openssl", "openssl ", " 3", "openssl 3 4", "openssl -3", "a*b 3"}},
    {&grammar_package_arch,
     {"zlib1g", "zlib1g:i386"},
     {"", "zlib1g:", ":i386", "-o", "a:b:c", "zz:I"}},
    {&grammar_pool_path,
     {"pool/main/o/openssl/openssl_3.0.15-1~deb12u1_amd64.deb", "a"},
     {"", "/a", "../a", "a/../b", "a//b", "a b", "a?b", "-a"}},
};

static void tells_words_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct words *w = &table[i];

		for (const char *const *s = w->good; *s != NULL; s++)
			if (!grammar_ok(w->g, *s))
				fail_msg("%s: refuses \"%s\"", w->g->what, *s);
		for (const char *const *s = w->bad; *s != NULL; s++)
			if (grammar_ok(w->g, *s))
				fail_msg("%s: takes \"%s\"", w->g->what, *s);
	}
}

static void has_a_longest_word(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct grammar *g = table[i].g;
		struct buf b = BUF_INIT(8192);

		/* a word that only its length can make wrong, where letters are enough */
		buf_addf(&b, "%s", g->first != NULL && g->first[0] == '/' ? "/" : "a");
		while (b.len < g->max)
			buf_add(&b, "1", 1);
		if (grammar_ok(g, b.data)) {
			buf_add(&b, "1", 1);
			if (grammar_ok(g, b.data))
				fail_msg("%s: takes %zu bytes", g->what, b.len);
		}
		buf_release(&b);
	}
}

static void says_what_and_how(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_true(strlen(table[i].g->what) > 3);
		assert_true(table[i].g->hint[strlen(table[i].g->hint) - 1] == '.');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tells_words_apart),
	    cmocka_unit_test(has_a_longest_word),
	    cmocka_unit_test(says_what_and_how),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
