/* Any text as each of the tables of an instance, and as its queues: nobody but root and people is
 * taken over, no number belongs to two, and what is made is read again, the same. */
#include "fuzz.h"

#include "stage/accounts.h"
#include "stage/keeps.h"

static const char *const image[ACCOUNT_TABLES] = {
    "root:x:0:0::/root:/bin/sh\nlp:x:7:7::/:/bin/sh\nrti:x:1500:1500::/home/rti:/bin/sh\n",
    "root:x:0:\nlp:x:7:\nrti:x:1500:\n", "root:*:1::::::\nlp:*:1::::::\nrti:!:1::::::\n", ""};

static void check(const struct account_files *f)
{
	for (size_t t = 0; t <= ACCOUNT_GROUP; t++)
		for (size_t i = 0; i < f->t[t].n; i++) {
			const struct account_row *row = &f->t[t].v[i];
			uint32_t id = account_id(row, 2);

			HOLDS(account_row_of_id(&f->t[t], id) == row);
			HOLDS(id == 0 || id == 7 || (id >= ACCOUNT_FIRST && id <= ACCOUNT_LAST));
		}
	HOLDS(strcmp(account_row(&f->t[ACCOUNT_SHADOW], "lp")->f.v[1], "*") == 0);
}

static void reread(const struct account_files *f)
{
	const char *texts[ACCOUNT_TABLES];
	struct buf text[ACCOUNT_TABLES];
	struct account_files again = {0};
	struct err e = ERR_INIT;

	for (size_t t = 0; t < ACCOUNT_TABLES; t++) {
		text[t] = (struct buf)BUF_INIT(64 << 20);
		account_rows_text(&f->t[t], &text[t]);
		texts[t] = text[t].data;
	}
	HOLDS(account_files_read(texts, "again", &again, &e) == 0);
	for (size_t t = 0; t < ACCOUNT_TABLES; t++) {
		struct buf one SCOPED(buf_release) = BUF_INIT(64 << 20);

		account_rows_text(&again.t[t], &one);
		HOLDS(strcmp(one.data, texts[t]) == 0);
	}
	for (size_t t = 0; t < ACCOUNT_TABLES; t++)
		buf_release(&text[t]);
	account_files_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *text SCOPED(mem_freep) = n > 1 ? fuzz_text(p + 1, n - 1) : mem_strdup("");
	const char *was[ACCOUNT_TABLES];
	struct account_files f[2] = {0};
	struct accounts_made made SCOPED(accounts_made_release) = {0};
	struct buf queues SCOPED(buf_release) = BUF_INIT(64 << 20);
	const struct site s = {0};
	const struct strv none = {0};
	const struct accounts_from from = {
	    .image = &f[0], .was_image = &f[0], .was = &f[1], .site = &s, .was_site = &none};
	struct err e = ERR_INIT;

	memcpy(was, image, sizeof(was));
	was[n > 0 ? p[0] % ACCOUNT_TABLES : 0] = text;
	HOLDS(account_files_read(image, "image", &f[0], &e) == 0);
	if (account_files_read(was, "before", &f[1], &e) == 0 &&
	    accounts_make(&from, &made, &e) == 0) {
		check(&made.files);
		reread(&made.files);
	} else {
		HOLDS(e.msg[0] != '\0');
	}
	printers_merge(text, &s, &none, &queues);
	account_files_release(&f[0]);
	account_files_release(&f[1]);
	return 0;
}
