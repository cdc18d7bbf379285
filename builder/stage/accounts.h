/* accounts.h - who is at an instance: the accounts of its image, those of its site, and what people
 * changed in the instance before. passwd(5), group(5), shadow(5), gshadow(5). */
#ifndef STAGE_ACCOUNTS_H
#define STAGE_ACCOUNTS_H

#include "base/strv.h"
#include "site/site.h"

/* Numbers of people and of an application's own accounts; below them the system's, above them
 * nobody's. */
enum { ACCOUNT_FIRST = 1000, ACCOUNT_LAST = 59999 };

enum account_table { ACCOUNT_PASSWD, ACCOUNT_GROUP, ACCOUNT_SHADOW, ACCOUNT_GSHADOW };
enum { ACCOUNT_TABLES = 4 };

/* "etc/passwd" and so on. */
extern const char *const account_paths[ACCOUNT_TABLES];

struct account_row {
	struct strv f; /* its fields: at least the name */
};

struct account_rows {
	struct account_row *v;
	size_t n;
};

struct account_files {
	struct account_rows t[ACCOUNT_TABLES];
};

/* Reads the four texts, NULL for one that is not there; `whose` names them in errors. A row with
 * too few fields, with a number that is none or a name that cannot be one is ERR_VERIFY. */
int account_files_read(const char *const *texts, const char *whose, struct account_files *ret,
		       struct err *e) MUST_CHECK;
void account_files_release(struct account_files *f);

/* Refuses accounts of an instance (ERR_VERIFY) that nobody has made so: without the rows of a table
 * that its image has, or without root. An interrupted write of a full disk leaves such. */
int account_files_whole(const struct account_files *image, const struct account_files *was,
			const char *whose, struct err *e) MUST_CHECK;

/* Appends the text of one table. */
void account_rows_text(const struct account_rows *rows, struct buf *ret);

/* The row of that name, or with that number in field 2; NULL when there is none. */
struct account_row *account_row(const struct account_rows *rows, const char *name);
struct account_row *account_row_of_id(const struct account_rows *rows, uint32_t id);
uint32_t account_id(const struct account_row *row, size_t field);

/* A number of the system's in one image as another has it, by its name: root's where that one has
 * no such name. People's stay. */
uint32_t account_moved_id(const struct account_rows *was, const struct account_rows *now,
			  uint32_t id);

/* Adds a row of these fields, in place of none; sets one field. */
void account_add(struct account_rows *rows, const struct strv *fields);
void account_set_field(struct account_row *row, size_t field, const char *text);

/* Whether the number is one of people. */
bool account_is_person(uint32_t id);

/* Makes somebody a member of a group that is there, or no longer one. */
void account_join(struct account_files *f, const char *group, const char *user);
void account_leave(struct account_files *f, const char *group, const char *user);
bool account_is_member(const struct account_files *f, const char *group, const char *user);

/* A password that was taken away and an account that has expired: neither a password nor a key
 * opens it. Returns whether it was not so before; nobody of that name is false. account_unlock
 * undoes what was done for that reason, and nothing else: the password and its end are those of
 * before, locked where an administrator had locked it. Returns whether it was so. */
enum account_lock { ACCOUNT_OF_SITE, ACCOUNT_OF_IMAGE }; /* which has it no more */
bool account_lock(struct account_files *f, const char *name, enum account_lock why);
bool account_unlock(struct account_files *f, const char *name, enum account_lock why);

/* Has the password of a row of passwd in shadow, where it is looked for and can be locked; there it
 * is none where passwd had none. */
void account_settle(struct account_files *f, const char *name);

struct account_home {
	char *path; /* absolute */
	uint32_t uid, gid;
};

struct account_homes {
	struct account_home *v;
	size_t n;
};
void account_homes_release(struct account_homes *h);

/* What an instance's accounts come from. */
struct accounts_from {
	const struct account_files *image;           /* the new image's own */
	const struct account_files *was_image, *was; /* the former's own, and as it was in the end;
							NULL = there was none */
	const struct site *site;
	unsigned today;              /* days since 1970 */
	const struct strv *was_site; /* users of the former's site: USER, and USER:GROUP */
	const char *shells;          /* shells(5) of the image, or NULL */
	const char *login_defs;      /* login.defs(5) of the image, or NULL */
	const char *useradd;         /* /etc/default/useradd of the image, or NULL */
};

struct accounts_made {
	struct account_files files;
	struct account_homes homes;
	struct strv did;
};
void accounts_made_release(struct accounts_made *m);

/* Has in the groups of *m whom people put there in the former instance, from->was, and not whom
 * they took out, as far as it is somebody who was there and is here. Interrupted it stops half-way.
 */
void accounts_keep_members(const struct accounts_from *from, struct accounts_made *m);

/* Makes the accounts of an instance. In this order:
 * - the image's own;
 * - what people changed in the former instance, as far as root and accounts from ACCOUNT_FIRST to
 *   ACCOUNT_LAST go: passwords and their ageing, shells, homes, names, members of groups, accounts
 *   and groups that they added; those that they removed are locked if the image still has them;
 * - the site's users; who was one before and is none any more is locked.
 * Names count, not numbers: a number that two names want is ERR_VERIFY, naming both, and so is a
 * name whose number is another now, since its files would be another's. `did` gets a line for each
 * that is made or locked, `homes` the directories that the added ones want. */
int accounts_make(const struct accounts_from *from, struct accounts_made *ret,
		  struct err *e) MUST_CHECK;

#endif
