/* journal.h - what a cutover has done, record by record, each on the disk before the next thing is
 * done: a chain (sys/chain.h) with sums. See posmedia-cutover(5).
 *
 * Whoever holds an open journal is the only one who runs a cutover of that site. */
#ifndef CUTOVER_JOURNAL_H
#define CUTOVER_JOURNAL_H

#include "cutover/machine.h"
#include "form/json.h"

#define CUT_JOURNAL "journal"

enum { CUT_RECORD_MAX = 60000, CUT_EPOCHS_MAX = 100000000 };

struct journal;

/* A record that is read, lent. */
struct cut_record {
	uint64_t number, epoch;
	enum cut_phase phase;
	enum cut_event event;
	const char *time, *run;
	const struct jval *data; /* an object, or NULL */
	const struct jval *line; /* all of it */
};
typedef int cut_record_fn(void *ctx, const struct cut_record *r, struct err *e);

/* Takes the lock of the directory (made with all that leads to it) and reads its journal. Another
 * one at work is ERR_BUSY; a record that is damaged, or that no cutover can have written there, is
 * ERR_VERIFY. */
int journal_open(const char *dir, struct journal **ret, struct err *e) MUST_CHECK;

/* The same to look only: no lock, nothing is made, and nothing can be appended. */
int journal_look(const char *dir, struct journal **ret, struct err *e) MUST_CHECK;

/* Lets the lock go. Accepts NULL. */
void journal_close(struct journal *j);
void journal_closep(struct journal **j);

/* What it says, until the next append. */
const struct cut_facts *journal_facts(const struct journal *j);

/* The random name of the last epoch, "" when there is none. */
const char *journal_run(const struct journal *j);

/* The directory, open. */
int journal_dir(const struct journal *j);

/* Begins the next epoch with a new random name, from the side that is right: a reverse, when that
 * is the new instance. Takes data over (an object or NULL). What is not over is ERR_BUSY. */
int journal_begin(struct journal *j, struct jval *data, struct err *e) MUST_CHECK;

/* Appends a record of the last epoch and waits for the disk; takes data over (an object or NULL).
 * What the machine does not allow there is ERR_BUSY and not written. */
int journal_append(struct journal *j, enum cut_phase p, enum cut_event v, struct jval *data,
		   struct err *e) MUST_CHECK;

/* The last record as it stands in the file, without its end: what witnesses get. */
const char *journal_last(const struct journal *j);

/* Calls fn for every record of the file. */
int journal_each(const struct journal *j, cut_record_fn *fn, void *ctx, struct err *e) MUST_CHECK;

/* Reads the bytes of a journal into facts; *ret_n: how many records. As journal_open refuses. */
int journal_parse(const char *p, size_t n, struct cut_facts *ret, uint64_t *ret_n,
		  struct err *e) MUST_CHECK;

#endif
