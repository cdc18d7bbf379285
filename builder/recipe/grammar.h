/* grammar.h - what a word may look like: names that end up in argument vectors, paths and files
 * of an image are checked against an alphabet before anything else sees them. */
#ifndef RECIPE_GRAMMAR_H
#define RECIPE_GRAMMAR_H

#include "base/mem.h"
#include <stdbool.h>
#include <stddef.h>

struct grammar {
	const char *what;            /* "a user name" */
	const char *hint;            /* one sentence: what is allowed */
	const char *first, *rest;    /* allowed characters, the first and the others */
	size_t max;                  /* bytes */
	bool (*also)(const char *s); /* one more condition, or NULL */
};

extern const struct grammar grammar_image_name, grammar_tag, grammar_user, grammar_package,
    grammar_package_glob, grammar_arch, grammar_suite, grammar_pocket, grammar_component,
    grammar_unit, grammar_name, grammar_control, grammar_lang, grammar_line, grammar_gecos,
    grammar_env_name, grammar_env_value, grammar_signal, grammar_run_user, grammar_date,
    grammar_mirror, grammar_snapshot, grammar_locked_mirror, grammar_url, grammar_image_path,
    grammar_image_glob, grammar_project_path, grammar_media_url, grammar_source,
    grammar_package_arch, grammar_pool_path, grammar_release, grammar_repo_url, grammar_rpm_name,
    grammar_rpm_glob, grammar_rpm_spec, grammar_locked_package, grammar_locked_version,
    grammar_locked_arch, grammar_host_glob, grammar_recorded_url, grammar_header;
extern const struct grammar grammar_inside, grammar_file_name, grammar_hostname, grammar_address;

/* Whether s is a word of the grammar. */
bool grammar_ok(const struct grammar *g, const char *s) MUST_CHECK;

/* Whether s is "/" or an absolute path of plain components, at most 4095 bytes. */
bool grammar_path_ok(const char *s) MUST_CHECK;

#endif
