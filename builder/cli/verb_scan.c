#include "cli/object.h"
#include "cli/screen.h"
#include "cli/verb.h"

#include "sandbox/sandbox.h"
#include "scan/scan.h"
#include "sys/clock.h"
#include <stdio.h>
#include <string.h>

static const struct opt opts[] = {
    {0, "allow", "FILE", "Findings that somebody answers for, by digest, class and reason."},
    {0, "fail-on", "SEVERITY", "Refuse at low, medium, high (the default) or never."},
    OBJECT_PLAIN,
    {0, "json", NULL, "Print the report as JSON."},
    {0, NULL, NULL, NULL},
};

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static int of_image(const struct args *a, const struct scan_opts *o, struct jval **ret,
		    struct err *e)
{
	struct visit v SCOPED(visit_end) = {0};
	struct image i SCOPED(image_release) = {0};

	if (object_image(a, a->rest.v[0], &v, &i, e) != 0)
		return -1;
	return scan_image(i.layout, &i.manifest, a->rest.v[0], o, ret, e);
}

static int of_object(const struct args *a, const struct scan_opts *o, struct jval **ret,
		     struct err *e)
{
	const char *text = a->rest.v[0];

	if (begins(text, "oci:") || begins(text, "docker://"))
		return of_image(a, o, ret, e);
	return scan_path(begins(text, "dir:") ? text + 4 : text, text, o, ret, e);
}

static void print(const struct args *a, const struct jval *report)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(64 << 20);

	if (args_has(a, "json")) {
		screen_json(report);
		return;
	}
	scan_text(report, &b);
	screen_plain(b.data);
	(void)fputs(b.data, stdout);
}

static int run(const struct args *a, struct err *e)
{
	const char *fail_on = args_get(a, "fail-on");
	const struct scan_opts o = {.allow = args_get(a, "allow"), .today = clock_epoch_s()};
	struct jval *report SCOPED(jval_freep) = NULL;

	if (of_object(a, &o, &report, e) != 0)
		return -1;
	print(a, report);
	return scan_gate(report, fail_on != NULL ? fail_on : "high", e);
}

const struct verb verb_scan = {
    .name = "scan",
    .args = "oci:DIR[:TAG] | docker://HOST/REPO:TAG | dir:PATH | FILE",
    .help = "Look for cardholder data and secrets.",
    .min = 1,
    .max = 1,
    .opts = opts,
    .run = run,
};
