/* parts.h - what the parts of an import share: the sources, the draft of the recipe, the findings
 * and the account. */
#ifndef IMPORT_PARTS_H
#define IMPORT_PARTS_H

#include "base/map.h"
#include "form/digest.h"
#include "import/import.h"
#include "import/rules.h"
#include <stdint.h>
#include <sys/types.h>

enum {
	SOURCES_MAX = 64,            /* files of one import */
	INCLUDES_DEEP = 16,          /* one in another */
	SOURCE_BYTES_MAX = 16 << 20, /* of all sources */
	FINDINGS_MAX = 20000,
	EXCLUDED_MAX = 2000,       /* that scripts are compared with */
	COPY_BYTES_MAX = 64 << 20, /* of what COPY takes along */
	COPY_FILES_MAX = 10000,
	SCRIPTS_MAX = 500, /* each is shown to a shell */
};

/* What became of a line. */
enum mark {
	MARK_BLANK = 1,
	MARK_COMMENT = 2,
	MARK_CARRIED = 4,
	MARK_SCRIPT = 8,
	MARK_FOUND = 16,
};

struct source {
	char *name; /* as findings call it */
	char *data;
	size_t n;
	uint8_t *marks; /* by line, from 1 */
	unsigned lines;
};

/* A place in a source. */
struct spot {
	struct import *im;
	struct source *src;
	unsigned line;
};

struct finding {
	const char *file; /* of a source */
	unsigned line;
	enum rule rule;
	size_t order; /* in which they were found */
	char *message;
};

/* A file beside the recipe, below NAME.d. */
struct draft_file {
	char *path;
	char *data; /* of a link: where it points */
	size_t n;
	mode_t mode; /* S_IFLNK, or the permissions of a plain file */
};

/* The sections of the recipe; entries that begin with '#' are comments. */
struct draft {
	struct strv notes; /* comments of the whole */
	struct strv base;  /* lines of YAML */
	struct strv install, exclude, langs;
	struct strv overlays, groups, users, media, steps; /* items of YAML, lines parted by '\n' */
	struct strv enable, disable, mask, ports, profiles;
	struct strv entrypoint, cmd, env, volumes; /* env: "NAME: value" */
	char *user, *workdir, *stop_signal;
	int docs, recommends; /* -1 = not said */
	struct draft_file *files;
	size_t files_n, files_cap;
};

struct tally {
	size_t in, carried, replaced, found;
};

struct account {
	struct tally packages, commands;
	size_t script_in, script_out, script_lifted, script_found; /* bytes */
	size_t scripts, includes;
};

/* Where the entries of a list come from, by their number. */
struct origins {
	struct spot *v;
	size_t n, cap;
};

struct import {
	struct import_opts o;
	const char *kind; /* "kickstart", "dockerfile" */
	char *name;
	bool debian; /* the base is of that family */
	unsigned release;
	struct source **sources;
	size_t sources_n, sources_bytes;
	struct finding *findings;
	size_t findings_n, findings_cap;
	bool too_many;
	struct draft d;
	struct origins install_at, exclude_at;
	struct account a;
	struct map known;     /* what the repositories have; empty = not known */
	struct map media;     /* names that are taken */
	struct map urls;      /* which medium a URL is; owned names */
	struct map seen;      /* what draft_once has added, by list */
	struct strv excluded; /* as they are written, before any script is looked at */
	struct strv repos;    /* of base.dnf, items of YAML */
	uint32_t next_id;     /* for users and groups that have none */
};

/* Notes a finding at a place, and marks the line. Text of the input is cut and made harmless; a
 * secret must not be in it. */
void found(const struct spot *at, enum rule r, const char *fmt, ...) PRINTF(3, 4);

/* Says what became of a line, or of several. */
void mark(const struct spot *at, enum mark m);
void mark_lines(const struct spot *at, unsigned last, enum mark m);

/* Makes a source of n bytes, which it takes over; the import owns it. NULL past the limits. */
struct source *source_add(struct import *im, const char *name, char *data, size_t n);

/* Reads a file as a source. */
int source_load(struct import *im, const char *path, struct source **ret, struct err *e) MUST_CHECK;

/* An import without anything in it yet, for a file of that name; the names of --repository-names
 * are read. */
int import_begin(const char *path, const char *kind, const struct import_opts *o,
		 struct import **ret, struct err *e) MUST_CHECK;

/* Names every line that nothing has become of. */
void import_end(struct import *im);

/* One scalar of YAML: plain where that is safe, else in double quotes. The caller owns it. */
char *yaml_scalar(const char *s) MUST_CHECK;

/* "[a, b]"; the caller owns it. */
char *yaml_flow(const struct strv *l) MUST_CHECK;

/* Notes words that a recipe cannot hold as they are: control characters become '?'. */
void check_words(const struct spot *at, const struct strv *words);

/* One line of text that may stand in a comment: control characters and bad bytes are replaced, and
 * it is cut; so is what without_userinfo cuts. The caller owns it. */
char *harmless(const char *p, size_t n) MUST_CHECK;

/* Text without what stands for name and password between "://" and '@'. That there was something is
 * noted at the place, unless it is NULL or a variable's. The caller owns it. */
char *without_userinfo(const struct spot *at, const char *p, size_t n) MUST_CHECK;

/* The same noting alone. */
void note_userinfo(const struct spot *at, const char *p, size_t n);

/* Whether there is any. */
bool has_userinfo(const char *p, size_t n) MUST_CHECK;

/* Whether the word is in a list that ends in NULL. */
bool is_one_of(const char *w, const char *const *list) MUST_CHECK;

/* Whether the character is a letter or digit of ASCII. */
bool is_letter(char c) MUST_CHECK;

/* Adds to a list of the draft what is not in it yet; false when it was. Whether it is there. */
bool draft_once(struct import *im, struct strv *l, const char *word);
bool draft_has(const struct import *im, const struct strv *l, const char *word) MUST_CHECK;

/* The same without adding: true the first time that a word is marked for a list. */
bool draft_mark(struct import *im, const struct strv *l, const char *word);

/* Adds a file beside the recipe, n bytes copied; mode S_IFLNK makes a link. */
void draft_file(struct import *im, const char *path, const void *p, size_t n, mode_t mode);

/* Puts a one-line file into the overlay for configuration; a second one of the path takes its
 * place, and is told of. */
void draft_config(const struct spot *at, const char *path, const char *text);

/* What the recipe calls a file of NAME.d, as a scalar of YAML; the caller owns it. */
char *draft_path(const struct import *im, const char *file) MUST_CHECK;

/* A name for a medium that nothing has yet, made of any text; the caller owns it. */
char *draft_medium_name(struct import *im, const char *from) MUST_CHECK;

/* Adds a unit to one of the lists of services; one that is in another list is a finding. */
void draft_service(const struct spot *at, struct strv *list, const char *unit);

/* Adds "22/tcp" and its like: a number or range of them, and "tcp" or "udp". False when it is no
 * port. */
bool draft_port(struct import *im, const char *numbers, const char *protocol);

/* ---- packages */

/* Counts one name that is to be installed and adds it, or what it is called by now. */
void draft_install(const struct spot *at, const char *name);
void draft_exclude(const struct spot *at, const char *pattern);

/* Adds what comes in although no line names it: it is not counted. */
void draft_implied(const struct spot *at, const char *name);

/* Keeps a comment of the list where it stands. */
void draft_comment(const struct spot *at, const char *text);

/* When all are in: what contradicts, and what is there twice. */
void packages_check(struct import *im);

/* What is known of a package's name. */
struct known_name {
	const char *name;
	unsigned gone;      /* the first EL release without it; 0 = still there */
	const char *el;     /* what it is there, "" = nothing */
	const char *debian; /* what it is in Debian, "" = nothing */
};
const struct known_name *known_name(const char *name);

/* The package that a package needs and that kickstarts like to exclude, or NULL. */
const char *known_need(const char *name);

/* What a unit of EL is called in Debian; itself when nothing else is known. */
const char *known_unit(const char *unit);

/* The ports of a service of firewalld, "631/tcp 631/udp", or NULL. */
const char *known_ports(const char *service);

/* ---- scripts */

struct script {
	struct spot at;   /* where it begins: its header or instruction */
	const char *data; /* its bytes */
	size_t n;
	unsigned first;        /* the line of the source where the first of its lines is */
	const unsigned *lines; /* or that of each of them */
	size_t lines_n;
	const char *name;        /* "post-1" */
	const char *interpreter; /* "/bin/bash" */
	struct strv media;       /* that it wants, by name: filled by the look at it */
};

/* Looks for traps, downloads and what wants a running system. Media are added for downloads. Of a
 * script that is kept and not run only what is wrong or secret in it is found. */
void script_look(struct script *s);
void script_look_kept(struct script *s);

/* The line of the source that is the script's own n-th. */
struct spot script_spot(const struct script *s, unsigned line);

/* Adds the file, its medium and the step that runs it. `options` are of the interpreter. */
void script_step(struct script *s, const struct strv *options);

/* Downloads of a command: each URL becomes a medium that wants a digest. */
struct shell_command;
void fetch_look(struct script *s, const struct shell_command *c);

/* Adds a medium for a URL; the digest is not known unless given. Returns its name, which the
 * caller owns, or NULL when it can be none. */
char *draft_fetch(const struct spot *at, const char *url, const char *sha256) MUST_CHECK;

/* Whether the text is a hash of a password of a kind that is broken, or any hash at all. */
bool weak_hash(const char *s) MUST_CHECK;
bool any_hash(const char *s) MUST_CHECK;

/* Keeps a comment of the input, which must not be a commented-out secret: then it is a finding. The
 * text is borrowed; NULL when it may not be kept. The caller owns the result. */
char *kept_comment(const struct spot *at, const char *p, size_t n) MUST_CHECK;

/* Notes that a secret was found; "what" says of whom. */
void found_password(const struct spot *at, const char *what, const char *value, bool is_hash);

#endif
