/* evidence: what an image says never breaks out of a format, and the same findings are the same
 * bytes. */
#include "evidence/parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PROFILE "recipes/profiles/pa-dss-3.2.yaml"

static struct harden_profile *profile;
static struct yaml *sources;

static int set_up(void **state)
{
	static const char text[] = "{pa-dss: [\"3.1.10\", \"3.1.9\"], pci-dss: [\"8.3.1\"]}\n";
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(harden_profile_load(PROFILE, &profile, &e), 0);
	assert_int_equal(yaml_parse(text, strlen(text), "t", &sources, &e), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	harden_profile_free(profile);
	yaml_node_free(sources);
	return 0;
}

static void add(struct harden_report *r, const char *id, enum harden_status s, const char *found)
{
	struct harden_result *one;

	r->v = mem_resize(r->v, r->n + 1, sizeof(*r->v));
	one = &r->v[r->n++];
	*one = (struct harden_result){.id = id,
				      .title = "a title",
				      .place = "image",
				      .wants = "mode: paths /etc/x\nmode: paths /etc/y",
				      .sources = sources,
				      .severity = HARDEN_HIGH,
				      .status = s};
	if (s == HARDEN_NOT_APPLICABLE) {
		one->place = "host";
		one->detail = mem_strdup(found);
	} else if (found != NULL) {
		strv_add(&one->found, found);
	}
	r->count[s]++;
}

static void waive(struct harden_report *r, const char *until, bool ended)
{
	struct harden_waiver *w = mem_zalloc(sizeof(*w));

	w->by = mem_strdup("A & B");
	w->reason = mem_strdup("]]> because");
	w->until = mem_strdup(until);
	w->ended = ended;
	r->v[r->n - 1].waiver = w;
}

static struct evidence_subject image(void)
{
	return (struct evidence_subject){.name = "demo",
					 .version = "1",
					 .object = "oci:/home/me/demo",
					 .is_image = true,
					 .image = digest_of("a", 1),
					 .config = digest_of("b", 1),
					 .time = 1700000000};
}

/* All formats of a report, which is released. */
static void make(const struct evidence_subject *s, struct harden_report *r,
		 struct evidence_files *ret)
{
	struct evidence *v = evidence_new(s, r, profile);

	evidence_files_init(ret);
	evidence_make(v, (1u << EVIDENCE_FORMATS) - 1, ret);
	evidence_free(v);
	harden_report_release(r);
}

static bool says(const struct evidence_files *f, enum evidence_format i, const char *text)
{
	return strstr(f->files[i].data, text) != NULL;
}

static void cleans_text(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
	    {"plain", "plain"},
	    {"  blanks  ", "blanks"},
	    {"a\tb\nc\x1b[2J\x7f", "a\\x09b\\x0ac\\x1b[2J\\x7f"},
	    {"\xff\xfe", "\\xff\\xfe"},
	    {"\xc3\xa4 \xe2\x82\xac", "\xc3\xa4 \xe2\x82\xac"},
	    {"\xc2\x85", "\\xc2\\x85"},          /* next line */
	    {"\xe2\x80\xae", "\\xe2\\x80\\xae"}, /* right to left */
	    {"\xef\xbf\xbf", "\\xef\\xbf\\xbf"}, /* no character */
	    {"\xed\xa0\x80", "\\xed\\xa0\\x80"}, /* half of a pair */
	    {"123456789012345678901", "12345678901234567890… (1 bytes more)"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *got = text_clean(rows[i].in, 20 + 8 * (i < 9));

		assert_string_equal(got, rows[i].out);
		free(got);
	}
}

static void finds_the_place(void **state)
{
	static const struct {
		const char *in, *path;
		unsigned line;
	} rows[] = {
	    {"/etc/x:12: is no", "etc/x", 12},
	    {"/etc/x: is no", "etc/x", 0},
	    {"/etc/a:b: no", "etc/a:b", 0},
	    {"/etc/:7: no", "etc/", 7},
	    {"package x: no", NULL, 0},
	    {"/: no", NULL, 0},
	    {"/etc/x", NULL, 0},
	    {"/x:99999999999: no", "x:99999999999", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned line = 77;
		char *path = evidence_place(rows[i].in, &line);

		if (rows[i].path == NULL)
			assert_null(path);
		else
			assert_string_equal(path, rows[i].path);
		assert_int_equal(line, rows[i].line);
		free(path);
	}
}

static void reads_lists_of_formats(void **state)
{
	static const char *const bad[] = {"", "json,", ",json", "pdf", "json,json", "jso", "JSON"};
	struct err e = ERR_INIT;
	unsigned set = 0;

	(void)state;
	assert_int_equal(evidence_formats("oscal,html", &set, &e), 0);
	assert_int_equal(set, 1u << EVIDENCE_OSCAL | 1u << EVIDENCE_HTML);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(evidence_formats(bad[i], &set, &e), -1);
		assert_int_equal(e.kind, ERR_USAGE);
	}
}

/* The path of an image on this machine is nobody's business, its digest is everybody's. */
static void is_bound_to_the_digest(void **state)
{
	struct evidence_subject s = image();
	struct harden_report r = {0};
	struct evidence_files f;

	(void)state;
	add(&r, "A-1", HARDEN_PASS, NULL);
	make(&s, &r, &f);
	for (unsigned i = 0; i < EVIDENCE_FORMATS; i++) {
		assert_true(says(&f, i, digest_hex(&s.image).s));
		assert_false(says(&f, i, "/home/me"));
	}
	assert_true(says(&f, EVIDENCE_INTOTO, "\"result\": \"PASSED\""));
	evidence_files_release(&f);
}

static void says_that_a_tree_has_no_digest(void **state)
{
	struct evidence_subject s = {.object = "dir:/srv/x", .name = "", .version = ""};
	struct harden_report r = {0};
	struct evidence_files f;

	(void)state;
	add(&r, "A-1", HARDEN_FAIL, "/etc/x: is no");
	make(&s, &r, &f);
	assert_true(says(&f, EVIDENCE_INTOTO, "\"digest\": {},\n   \"name\": \"dir:/srv/x\""));
	assert_true(says(&f, EVIDENCE_INTOTO, "\"result\": \"FAILED\""));
	assert_true(says(&f, EVIDENCE_HTML, "bound to no digest"));
	evidence_files_release(&f);
}

static void is_the_same_bytes_in_any_order(void **state)
{
	struct evidence_subject s = image();
	struct harden_report one = {0}, two = {0};
	struct evidence_files f, g;

	(void)state;
	add(&one, "A-1", HARDEN_PASS, NULL);
	add(&one, "B-1", HARDEN_FAIL, "/etc/x: is no");
	add(&two, "B-1", HARDEN_FAIL, "/etc/x: is no");
	add(&two, "A-1", HARDEN_PASS, NULL);
	make(&s, &one, &f);
	make(&s, &two, &g);
	for (unsigned i = 0; i < EVIDENCE_FORMATS; i++)
		assert_string_equal(f.files[i].data, g.files[i].data);
	evidence_files_release(&f);
	evidence_files_release(&g);
}

static void names_the_other_files(void **state)
{
	struct evidence_subject s = image();
	struct harden_report r = {0};
	struct evidence_files f;

	(void)state;
	add(&r, "A-1", HARDEN_PASS, NULL);
	make(&s, &r, &f);
	for (unsigned i = 0; i < EVIDENCE_INTOTO; i++) {
		struct digest d = digest_of(f.files[i].data, f.files[i].len);

		assert_true(says(&f, EVIDENCE_INTOTO, digest_hex(&d).s));
	}
	evidence_files_release(&f);
}

/* A waiver in force warns and says until when; one that ended fails. */
static void shows_waivers(void **state)
{
	struct evidence_subject s = image();
	struct harden_report r = {0};
	struct evidence_files f;

	(void)state;
	add(&r, "A-1", HARDEN_WAIVED, "/etc/x:3: is no");
	waive(&r, "2027-02-01", false);
	add(&r, "A-2", HARDEN_WAIVED, "/etc/y: is no");
	waive(&r, "2027-01-31", false);
	add(&r, "A-3", HARDEN_FAIL, "/etc/z: is no");
	waive(&r, "2020-01-31", true);
	add(&r, "A-4", HARDEN_NOT_APPLICABLE, "host: the kernel is the host's");
	make(&s, &r, &f);
	assert_true(says(&f, EVIDENCE_JSON, "\"holds-until\": \"2027-01-31\""));
	assert_true(says(&f, EVIDENCE_INTOTO, "\"result\": \"FAILED\""));
	assert_true(says(&f, EVIDENCE_HTML, "until 2027-02-01, by A &amp; B: ]]&gt; because"));
	assert_true(says(&f, EVIDENCE_HTML, "its waiver ended on 2020-01-31"));
	assert_true(says(&f, EVIDENCE_HTML, "held by the host: the kernel is the host&#39;s"));
	assert_true(says(&f, EVIDENCE_SARIF, "\"startLine\":3"));
	assert_true(says(&f, EVIDENCE_SARIF, "\"status\":\"rejected\""));
	assert_true(says(&f, EVIDENCE_OSCAL, "\"deviation-approved\""));
	assert_true(says(&f, EVIDENCE_JUNIT, "failures=\"1\" errors=\"0\" skipped=\"3\""));
	evidence_files_release(&f);
}

static void shows_values_that_hold(void **state)
{
	static const enum evidence_format formats[] = {EVIDENCE_JSON, EVIDENCE_OSCAL,
						       EVIDENCE_XCCDF, EVIDENCE_HTML};
	struct evidence_subject s = image();
	struct harden_report r = {0};
	struct evidence_files f;

	(void)state;
	add(&r, "A-1", HARDEN_PASS, NULL);
	strv_add(&r.v[0].held, "/etc/x:3: Key is yes");
	make(&s, &r, &f);
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		assert_true(says(&f, formats[i], "/etc/x:3: Key is yes"));
	evidence_files_release(&f);
}

static void sorts_requirements_by_number(void **state)
{
	struct evidence_subject s = image();
	struct harden_report r = {0};
	struct evidence_files f;

	(void)state;
	add(&r, "A-1", HARDEN_PASS, NULL);
	make(&s, &r, &f);
	assert_true(strstr(f.files[EVIDENCE_HTML].data, "PA-DSS 3.1.9<") <
		    strstr(f.files[EVIDENCE_HTML].data, "PA-DSS 3.1.10<"));
	assert_true(says(&f, EVIDENCE_HTML, "PA-DSS requirement 3: Provide secure authentication"));
	evidence_files_release(&f);
}

/* The same findings by the standard of another profile, with what it calls its requirements. */
static void goes_by_the_standard_of_the_profile(void **state)
{
	static const char pci[] = "recipes/profiles/pci-dss-4.0.1.yaml";
	struct harden_profile *padss = profile;
	struct evidence_subject s = image();
	struct harden_report r = {0};
	struct evidence_files f;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(harden_profile_load(pci, &profile, &e), 0);
	add(&r, "A-1", HARDEN_PASS, NULL);
	make(&s, &r, &f);
	assert_true(says(&f, EVIDENCE_HTML, "<h2 id=\"r0\">PCI DSS requirement 8: Identify users"));
	assert_true(says(&f, EVIDENCE_HTML, "<h3>PCI DSS 8.3.1: Strong authentication for users"));
	assert_false(says(&f, EVIDENCE_HTML, "<h3>PA-DSS"));
	assert_false(says(&f, EVIDENCE_HTML, "was retired"));
	evidence_files_release(&f);
	harden_profile_free(profile);
	profile = padss;
	add(&r, "A-1", HARDEN_PASS, NULL);
	make(&s, &r, &f);
	assert_true(says(&f, EVIDENCE_HTML, "<h3>PA-DSS 3.1.9<"));
	assert_true(says(&f, EVIDENCE_HTML, "PA-DSS was retired"));
	evidence_files_release(&f);
}

/* Letters after numbers, and each chapter once. */
static void orders_letters_after_numbers(void **state)
{
	static const char text[] = "{pa-dss: [\"A1\", \"10.2\", \"2.2.10\", \"A3.2\", \"2.2.9\", "
				   "\"12.1\", \"10.10\", \"A1.1\"]}\n";
	static const char *const order[] = {"2.2.9", "2.2.10", "10.2", "10.10",
					    "12.1",  "A1",     "A1.1", "A3.2"};
	struct evidence_subject s = image();
	struct harden_report r = {0};
	struct evidence_files f;
	struct yaml *mixed = NULL;
	struct err e = ERR_INIT;
	const char *at;

	(void)state;
	assert_int_equal(yaml_parse(text, strlen(text), "t", &mixed, &e), 0);
	add(&r, "A-1", HARDEN_PASS, NULL);
	r.v[0].sources = mixed;
	make(&s, &r, &f);
	at = f.files[EVIDENCE_HTML].data;
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		char *head = mem_format("<h3>PA-DSS %s", order[i]);

		at = strstr(at, head);
		assert_non_null(at);
		free(head);
	}
	evidence_files_release(&f);
	yaml_node_free(mixed);
}

/* However much there is of the first, there is something of each. */
static void shows_a_value_of_each_control(void **state)
{
	enum { CONTROLS = 60, LINES = 20 };
	struct evidence_subject s = image();
	struct harden_report r = {0};
	struct evidence_files f;
	char *ids[CONTROLS];

	(void)state;
	for (size_t i = 0; i < CONTROLS; i++) {
		ids[i] = mem_format("A-%zu", i);
		add(&r, ids[i], HARDEN_PASS, NULL);
		for (size_t k = 0; k < LINES; k++)
			strv_addf(&r.v[i].held, "/etc/x%zu: line %zu, %0200d", i, k, 0);
	}
	make(&s, &r, &f);
	for (size_t i = 0; i < CONTROLS; i++) {
		char *line = mem_format("\"/etc/x%zu: line 0", i);

		assert_true(says(&f, EVIDENCE_JSON, line));
		free(line);
	}
	assert_true(says(&f, EVIDENCE_JSON, "17 more left out"));
	evidence_files_release(&f);
	for (size_t i = 0; i < CONTROLS; i++)
		free(ids[i]);
}

static void escapes_what_an_image_says(void **state)
{
	static const char evil[] = "/a]]>\x01\xff</script><script>alert(1)</script>\"'&<!--: x";
	struct evidence_subject s = image();
	struct harden_report r = {0};
	struct evidence_files f;
	struct jval *j = NULL;
	struct err e = ERR_INIT;

	(void)state;
	s.name = evil;
	s.version = "\xe2\x80\xae";
	add(&r, "A-1", HARDEN_FAIL, evil);
	make(&s, &r, &f);
	for (unsigned i = 0; i < EVIDENCE_FORMATS; i++) {
		bool is_json = f.files[i].data[0] == '{';

		assert_null(memchr(f.files[i].data, 1, f.files[i].len));
		assert_null(memchr(f.files[i].data, 0xff, f.files[i].len));
		if (is_json) {
			assert_int_equal(jval_parse(f.files[i].data, f.files[i].len, "x", &j, &e),
					 0);
			jval_freep(&j);
			continue;
		}
		assert_null(strstr(f.files[i].data, "<script"));
		assert_null(strstr(f.files[i].data, "]]>"));
		assert_null(strstr(f.files[i].data, "<!--"));
	}
	assert_true(says(&f, EVIDENCE_SARIF, "\"uri\":\"a%5D%5D%3E%5Cx01"));
	evidence_files_release(&f);
}

/* 110 controls, each with twelve findings of a megabyte: under 1 MB together. */
static void stays_small(void **state)
{
	enum { CONTROLS = 110, LINES = 12, LONG = 1 << 20 };
	struct evidence_subject s = image();
	struct harden_report r = {0};
	struct evidence_files f;
	char *line = mem_zalloc(LONG + 1), *ids[CONTROLS];
	size_t all = 0;

	(void)state;
	memset(line, '&', LONG);
	for (size_t i = 0; i < CONTROLS; i++) {
		ids[i] = mem_format("A-%zu", i);
		add(&r, ids[i], HARDEN_FAIL, "/etc/x: is no");
		for (size_t k = 0; k < LINES && i < 4; k++)
			strv_add(&r.v[i].found, line);
		for (size_t k = 0; k < LINES; k++)
			strv_add(&r.v[i].held, line + LONG - 5000);
		for (size_t k = 0; k < LINES && i >= 4; k++)
			strv_add(&r.v[i].found, line + LONG - 5000);
	}
	make(&s, &r, &f);
	for (unsigned i = 0; i < EVIDENCE_FORMATS; i++) {
		assert_false(buf_over(&f.files[i]));
		all += f.files[i].len;
	}
	print_message("# %zu bytes\n", all);
	assert_true(all < 1000000);
	assert_true(says(&f, EVIDENCE_HTML, "more left out"));
	evidence_files_release(&f);
	for (size_t i = 0; i < CONTROLS; i++)
		free(ids[i]);
	free(line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(cleans_text),
	    cmocka_unit_test(finds_the_place),
	    cmocka_unit_test(reads_lists_of_formats),
	    cmocka_unit_test(is_bound_to_the_digest),
	    cmocka_unit_test(says_that_a_tree_has_no_digest),
	    cmocka_unit_test(is_the_same_bytes_in_any_order),
	    cmocka_unit_test(names_the_other_files),
	    cmocka_unit_test(shows_waivers),
	    cmocka_unit_test(shows_values_that_hold),
	    cmocka_unit_test(sorts_requirements_by_number),
	    cmocka_unit_test(goes_by_the_standard_of_the_profile),
	    cmocka_unit_test(orders_letters_after_numbers),
	    cmocka_unit_test(shows_a_value_of_each_control),
	    cmocka_unit_test(escapes_what_an_image_says),
	    cmocka_unit_test(stays_small),
	};

	return cmocka_run_group_tests_name("evidence-formats", tests, set_up, tear_down);
}
