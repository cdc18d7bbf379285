#include "cli/verb.h"

#include <stdio.h>
#include <string.h>

#ifdef POSMEDIA_MACHINE /* the program that a machine has, to be updated by */
const struct verb *const verbs[] = {&verb_help, &verb_machine, &verb_version, NULL};
#else
const struct verb *const verbs[] = {
    &verb_audit,    &verb_build,   &verb_copy,     &verb_cutover, &verb_delete, &verb_destroy,
    &verb_diff,     &verb_help,    &verb_host,     &verb_import,  &verb_key,    &verb_lock,
    &verb_logs,     &verb_machine, &verb_manifest, &verb_media,   &verb_menu,   &verb_nightly,
    &verb_outdated, &verb_plan,    &verb_promote,  &verb_pull,    &verb_push,   &verb_rebuild,
    &verb_report,   &verb_restore, &verb_retain,   &verb_sbom,    &verb_scan,   &verb_sign,
    &verb_snapshot, &verb_stage,   &verb_start,    &verb_status,  &verb_stop,   &verb_store,
    &verb_tags,     &verb_verify,  &verb_version,  &verb_vpn,     NULL,
};
#endif

const struct verb *verb_find(const char *name)
{
	for (const struct verb *const *v = verbs; *v != NULL; v++)
		if (strcmp((*v)->name, name) == 0)
			return *v;
	return NULL;
}

void verb_usage(void)
{
	puts("posmedia turns recipes into signed operating-system images.\n\n"
	     "usage: posmedia VERB [OPTION…] [ARGUMENT…]\n");
	for (const struct verb *const *v = verbs; *v != NULL; v++)
		printf("  %-8s %s\n", (*v)->name, (*v)->help);
	puts("\nposmedia VERB --help shows a verb's arguments and options.\n"
	     "Exit status: 0 done, 1 failed, 2 usage, 3 an input file is wrong, 4 refused,\n"
	     "5 a remote failed, 6 a build step failed, 7 busy, 71 no memory.");
}

static void print_options(const struct opt *t)
{
	for (; t != NULL && t->name != NULL; t++) {
		char left[64];

		(void)snprintf(left, sizeof(left), "%c%c%c --%s%s%s", t->letter ? '-' : ' ',
			       t->letter ? t->letter : ' ', t->letter ? ',' : ' ', t->name,
			       t->arg != NULL ? " " : "", t->arg != NULL ? t->arg : "");
		printf("  %-26s %s\n", left, t->help);
	}
}

void verb_help_print(const struct verb *v)
{
	printf("usage: posmedia %s [OPTION…] %s\n\n%s\n\n", v->name, v->args, v->help);
	print_options(v->opts);
	print_options(args_common);
}

static int help_run(const struct args *a, struct err *e)
{
	const struct verb *v;

	if (a->rest.n == 0) {
		verb_usage();
		return 0;
	}
	v = verb_find(a->rest.v[0]);
	if (v == NULL)
		return err_set(e, ERR_USAGE, "no such verb: %s", a->rest.v[0]);
	verb_help_print(v);
	return 0;
}

const struct verb verb_help = {
    .name = "help",
    .args = "[VERB]",
    .help = "Show the verbs, or one verb's options.",
    .max = 1,
    .run = help_run,
};

static int version_run(const struct args *a, struct err *e)
{
	(void)a;
	(void)e;
	puts("posmedia " POSMEDIA_VERSION);
	return 0;
}

const struct verb verb_version = {
    .name = "version",
    .args = "",
    .help = "Show the version.",
    .run = version_run,
};
