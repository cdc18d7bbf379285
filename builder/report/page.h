/* page.h - the parts of a report's page; for the html files of report/ only. */
#ifndef REPORT_PAGE_H
#define REPORT_PAGE_H

#include "report/parts.h"

/* What a report adds to the style of the pages of evidence, and what makes its tables sort and
 * filter. */
extern const char report_style[], report_script[];

/* A chart, drawn. */
void page_chart(const struct report *r, const struct report_chart *c, struct buf *out);

/* What of a report is worth a large figure: how many rows are in which state, and sums. */
void page_cards(const struct report *r, struct buf *out);

/* The word for a state, with its mark. */
void page_state(const char *word, struct buf *out);

#endif
