/* sections.h - the tables that say which key of a recipe fills which member. */
#ifndef RECIPE_SECTIONS_H
#define RECIPE_SECTIONS_H

#include "recipe/schema.h"

/* The rows of a whole recipe, into struct recipe. */
extern const struct field recipe_fields[];

/* The parts of recipe_fields that live in files of their own. */
extern const struct array array_users, array_groups, array_steps, array_tests, array_fixers;
FIELD_READER(read_base);
FIELD_READER(read_media);
FIELD_READER(read_ports);
FIELD_READER(read_env);
FIELD_READER(read_base_tar);
FIELD_READER(read_base_scratch);
FIELD_READER(read_base_oci);

/* What base.oci says, for the resolved recipe; the caller owns it. */
struct jval *recipe_oci_json(const struct recipe *r) MUST_CHECK;

/* Puts the archive of base.tar, or the blobs of base.oci, among the media, when all of the recipe
 * is read. */
void recipe_base_medium(struct recipe *r);
FIELD_READER(read_expects);

/* Frees what it holds; what of it is not the default, for the resolved recipe (the caller owns
 * it). */
void recipe_expects_release(struct recipe_expects *x);
struct jval *recipe_expects_json(const struct recipe_expects *x) MUST_CHECK;

/* What the values say together: unknown media, contradicting services and packages, ids taken
 * twice. y: the merged tree the recipe was read from. */
int recipe_check(const struct recipe *r, const struct yaml *y, struct err *e) MUST_CHECK;

/* The recipe as canonical JSON with every default filled in; the caller owns it. */
struct jval *recipe_resolved(const struct recipe *r) MUST_CHECK;

/* Its "base"; and a path as it stands there, since the digest must not depend on where the project
 * lies. The caller owns them. */
struct jval *recipe_base_json(const struct recipe *r) MUST_CHECK;
struct jval *recipe_path_json(const struct recipe *r, const char *path) MUST_CHECK;

/* A list of texts; the caller owns it. */
struct jval *recipe_list_json(const struct strv *l) MUST_CHECK;

/* The same of base.dnf alone: what read_base and its neighbours do for it. */
FIELD_READER(read_dnf);
struct jval *recipe_dnf_json(const struct recipe *r) MUST_CHECK;
const char *recipe_dnf_platform(const struct recipe_dnf *dnf);
void recipe_dnf_files(const struct recipe_dnf *dnf, struct strv *ret);
void recipe_dnf_free(struct recipe_dnf *dnf);

/* "mirrors" of a base: "system" alone, or URLs. */
FIELD_READER(read_mirrors);

/* Frees what read_base filled in. */
void recipe_base_release(struct recipe *r);

#endif
