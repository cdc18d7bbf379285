/* page.h - the HTML page's parts; for the html files of evidence/ only. */
#ifndef EVIDENCE_PAGE_H
#define EVIDENCE_PAGE_H

#include "evidence/parts.h"

/* The style sheet, which the page's policy names by its digest. */
extern const char page_style[];

/* At the end of a heading: back to the contents, on a screen. */
#define PAGE_UP "<a class=\"up\" href=\"#contents\">contents</a></h2>\n"

/* The part before the requirements: verdict, what it is about, counts, contents, and what needs
 * attention. */
void page_summary(const struct evidence *v, const struct requirements *r, struct buf *out);

/* One section a chapter of the standard, a table a requirement. */
void page_requirements(const struct evidence *v, const struct requirements *r, struct buf *out);

/* The lists at the end: waivers, what does not apply, and what the words mean. */
void page_lists(const struct evidence *v, const struct requirements *r, struct buf *out);

/* The length of a requirement's chapter: 1 of "3.1.4", 2 of "10.2". */
size_t page_chapter(const char *number);

/* Results of a requirement, or of a chapter: by enum harden_status, each result once. */
struct page_counts {
	size_t count[HARDEN_STATUSES];
};
struct page_counts page_count(const struct evidence *v, const struct requirement *r, size_t n);

/* The word for a result with its mark, as an element. */
void page_badge(enum harden_status s, struct buf *out);

/* A bar of the counts, at most 100 units wide. */
void page_bar(const struct page_counts *c, const char *label, struct buf *out);

#endif
