/* trust.c - keys, compliance, and the ledger itself. */
#include "report/parts.h"

#include <string.h>

#define COLS(c) (c), sizeof(c) / sizeof((c)[0])

static const struct report_column keys[] = {
    {"key", "Key", REPORT_DIGEST},
    {"file", "File", REPORT_TEXT},
    {"state", "State", REPORT_STATE},
    {"made", "Made", REPORT_DATE},
    {"age", "Age in days", REPORT_DAYS},
    {"due", "Rotate until", REPORT_DATE},
    {"used", "Signed", REPORT_NUMBER},
    {"last", "Last used", REPORT_TIME},
    {"replaced", "Replaced by", REPORT_TEXT},
};
static const struct report_column key_events[] = {
    {"time", "Time", REPORT_TIME}, {"action", "Action", REPORT_TEXT}, {"file", "File", REPORT_TEXT},
    {"by", "By", REPORT_TEXT},     {"host", "Host", REPORT_TEXT},     {"key", "Key", REPORT_DIGEST},
};

int make_keys(const struct making *m, struct report *r, struct err *e)
{
	static const char views[] =
	    "CREATE TEMP VIEW ke AS SELECT id, t, subject AS key, actor, host, fields ->> 'action'"
	    " AS action, fields ->> 'file' AS file, coalesce(CAST(strftime('%s', fields ->>"
	    " 'created') AS INTEGER), t) AS made, replace(fields ->> 'replaces', '.pub', '') AS"
	    " replaces FROM raw WHERE kind = 'key';"
	    "CREATE TEMP VIEW used AS SELECT fields ->> 'key' AS key, t FROM raw WHERE kind IN"
	    " ('sign', 'promote');"
	    "CREATE TEMP VIEW known AS SELECT key, min(made) AS made, max(file) AS file FROM ke"
	    " WHERE key <> '' GROUP BY key UNION SELECT key, NULL, NULL FROM used WHERE key NOT IN"
	    " (SELECT key FROM ke) GROUP BY key;";
	static const char of_keys[] =
	    "WITH k AS (SELECT known.*, (SELECT max(x.file) FROM ke x WHERE x.action = 'rotate' AND"
	    " x.replaces = known.file AND x.key <> known.key) AS by FROM known)"
	    " SELECT k.key, k.file, CASE WHEN by IS NOT NULL THEN 'replaced' WHEN k.made IS NULL"
	    " THEN 'age not known' WHEN :now > k.made + 365 * 86400 THEN 'overdue' WHEN :now >"
	    " k.made + 335 * 86400 THEN 'due soon' ELSE 'ok' END, k.made, (:now - k.made) / 86400,"
	    " k.made + 365 * 86400, (SELECT count(*) FROM used u WHERE u.key = k.key), (SELECT"
	    " max(u.t) FROM used u WHERE u.key = k.key), by FROM k ORDER BY k.made, k.key";
	static const char of_events[] = "SELECT t, action, file, actor, host, nullif(key, '') FROM"
					" ke ORDER BY t DESC, id DESC";
	struct report_table *t;

	r->title = "Keys";
	r->about = "How old signing keys are. A key is replaced within a year.";
	if (sql_run(m->db, views, e) != 0)
		return -1;
	t = table_new(r, "keys", "Keys", COLS(keys));
	t->none = "No key is noted.";
	if (table_fill(t, m->db, of_keys, m, e) != 0)
		return -1;
	t = table_new(r, "events", "What was done with them", COLS(key_events));
	t->none = "Nothing.";
	return table_fill(t, m->db, of_events, m, e);
}

static const struct report_column audits[] = {
    {"object", "Audited", REPORT_TEXT},
    {"profile", "Profile", REPORT_TEXT},
    {"state", "State", REPORT_STATE},
    {"time", "When", REPORT_TIME},
    {"pass", "Pass", REPORT_NUMBER},
    {"fail", "Fail", REPORT_NUMBER},
    {"waived", "Waived", REPORT_NUMBER},
    {"other", "Other", REPORT_NUMBER},
    {"failed", "Failed controls", REPORT_TEXT},
    {"running", "Runs at", REPORT_NUMBER},
    {"evidence", "Evidence", REPORT_DIGEST},
    {"digest", "Image", REPORT_DIGEST},
};
static const struct report_column waivers[] = {
    {"control", "Control", REPORT_TEXT},
    {"until", "Until", REPORT_TEXT},
    {"days", "Days left", REPORT_DAYS},
    {"state", "State", REPORT_STATE},
    {"by", "By", REPORT_TEXT},
    {"reason", "Reason", REPORT_TEXT},
    {"images", "In audits", REPORT_NUMBER},
};
static const struct report_column unaudited[] = {
    {"shop", "Shop", REPORT_TEXT},
    {"env", "Environment", REPORT_TEXT},
    {"identity", "Image", REPORT_TEXT},
    {"digest", "Digest", REPORT_DIGEST},
};

static int compliance_chart(const struct making *m, struct report *r, struct err *e)
{
	static const char query[] =
	    "SELECT what, sum(pass), sum(fail), sum(waived) FROM (SELECT coalesce(name, object) AS"
	    " what, t, pass, fail, waived, row_number() OVER (PARTITION BY coalesce(name, object)"
	    " ORDER BY t DESC) AS turn FROM au) WHERE turn = 1 GROUP BY what ORDER BY what LIMIT "
	    "12";
	static const char *const series[] = {"pass", "fail", "waived"};
	struct sql_query *q SCOPED(sql_query_freep) = NULL;
	struct report_chart *c;

	if (sql_prepare(m->db, query, &q, e) != 0)
		return -1;
	c = chart_new(r, "Controls of the last audit", REPORT_NUMBER);
	memcpy(c->series, series, sizeof(series));
	c->series_n = 3;
	for (;;) {
		int64_t v[3];
		bool more;

		if (sql_next(q, &more, e) != 0)
			return -1;
		if (!more)
			return 0;
		for (int i = 0; i < 3; i++)
			v[i] = sql_column_int(q, i + 1);
		chart_add(c, sql_column_text(q, 0), v);
	}
}

int make_compliance(const struct making *m, struct report *r, struct err *e)
{
	static const char view[] =
	    "CREATE TEMP VIEW au AS SELECT * FROM (SELECT id, t, nullif(subject, '') AS image,"
	    " fields ->> 'object' AS object, fields ->> 'name' AS name, fields ->> 'profile' AS"
	    " profile, fields ->> 'pass' AS pass, fields ->> 'fail' AS fail, fields ->> 'waived' AS"
	    " waived, (fields ->> 'not-applicable') + (fields ->> 'not-run') AS other, fields ->>"
	    " 'evidence' AS evidence, fields, row_number() OVER (PARTITION BY coalesce(nullif("
	    "subject, ''), fields ->> 'object'), fields ->> 'profile' ORDER BY t DESC, id DESC) AS"
	    " turn FROM raw WHERE kind = 'audit') WHERE turn = 1;";
	static const char of_audits[] =
	    "SELECT object, profile, CASE WHEN fail > 0 THEN 'failed' WHEN waived > 0 THEN 'waived'"
	    " ELSE 'good' END, t, pass, fail, waived, other, (SELECT group_concat(value, ' ') FROM"
	    " json_each(au.fields, '$.failed')), (SELECT count(*) FROM instance i WHERE i.subject ="
	    " au.image AND i.kind = 'start'), evidence, image FROM au ORDER BY fail > 0 DESC, t "
	    "DESC,"
	    " id DESC";
	static const char of_waivers[] =
	    "SELECT control, until, CAST((strftime('%s', until) + 86400 - :now) / 86400 AS "
	    "INTEGER),"
	    " CASE WHEN strftime('%s', until) + 86400 <= :now THEN 'ended' WHEN strftime('%s',"
	    " until) - :now < 30 * 86400 THEN 'ends soon' ELSE 'holds' END, by, reason, count(*) "
	    "FROM"
	    " (SELECT w.value ->> 'control' AS control, w.value ->> 'until' AS until, w.value ->>"
	    " 'by' AS by, w.value ->> 'reason' AS reason FROM au, json_each(au.fields, '$.waivers')"
	    " w) GROUP BY control, until, by, reason ORDER BY until, control, by, reason";
	static const char of_none[] =
	    "SELECT shop, env, identity, subject FROM instance WHERE kind = 'start' AND subject NOT"
	    " IN (SELECT image FROM au WHERE image IS NOT NULL) ORDER BY shop, env";
	struct report_table *t;

	r->title = "Compliance";
	r->about = "What audits found, which waivers hold until when, and the digests of evidence.";
	if (sql_run(m->db, view, e) != 0)
		return -1;
	t = table_new(r, "audits", "Last audit of each image", COLS(audits));
	t->none = "No audit is noted.";
	if (table_fill(t, m->db, of_audits, m, e) != 0)
		return -1;
	t = table_new(r, "waivers", "Waivers", COLS(waivers));
	t->none = "No control is waived.";
	if (table_fill(t, m->db, of_waivers, m, e) != 0)
		return -1;
	t = table_new(r, "unaudited", "Runs without an audit", COLS(unaudited));
	t->none = "All images that run were audited.";
	return table_fill(t, m->db, of_none, m, e) != 0 ? -1 : compliance_chart(m, r, e);
}

static const struct report_column ledgers[] = {
    {"dir", "Ledger", REPORT_TEXT},
    {"state", "State", REPORT_STATE},
    {"chain", "Chain", REPORT_TEXT},
    {"lines", "Lines", REPORT_NUMBER},
    {"first", "First", REPORT_TIME},
    {"last", "Last", REPORT_TIME},
    {"segments", "Segments", REPORT_NUMBER},
    {"bytes", "Size", REPORT_BYTES},
    {"unfinished", "Unfinished", REPORT_BYTES},
    {"head", "Head record", REPORT_STATE},
    {"digest", "Last line", REPORT_DIGEST},
};
static const struct report_column kinds[] = {
    {"kind", "Kind", REPORT_TEXT},       {"events", "Events", REPORT_NUMBER},
    {"last", "Last", REPORT_TIME},       {"hosts", "Hosts", REPORT_NUMBER},
    {"actors", "Actors", REPORT_NUMBER},
};
static const struct report_column latest[] = {
    {"time", "Time", REPORT_TIME}, {"kind", "Kind", REPORT_TEXT},
    {"shop", "Shop", REPORT_TEXT}, {"actor", "By", REPORT_TEXT},
    {"host", "Host", REPORT_TEXT}, {"subject", "Subject", REPORT_DIGEST},
};

int make_ledger(const struct making *m, struct report *r, struct err *e)
{
	static const char of_ledgers[] =
	    "SELECT dir, CASE WHEN damaged THEN 'damaged' ELSE 'whole' END, chain, lines, (SELECT "
	    "min(first) FROM tally WHERE ledger = l.id),"
	    " (SELECT max(last) FROM tally WHERE ledger = l.id), segments, bytes, unfinished, CASE "
	    "WHEN"
	    " head THEN 'yes' WHEN lines = 0 THEN '' ELSE 'no' END, CASE WHEN lines > 0 THEN last "
	    "END"
	    " FROM ledger l ORDER BY id";
	static const char of_kinds[] =
	    "SELECT kind, sum(n), max(last), count(DISTINCT host), count(DISTINCT actor) FROM tally"
	    " GROUP BY kind ORDER BY kind";
	static const char of_latest[] =
	    "SELECT t, kind, fields ->> 'shop', actor, host, nullif(subject, '') FROM"
	    " (SELECT id FROM raw ORDER BY t DESC, id DESC LIMIT 100) JOIN raw USING (id)"
	    " ORDER BY t DESC, id DESC";
	struct report_table *t;

	r->title = "Ledger";
	r->about = "What was noted, by whom, and whether the chain of lines is whole.";
	t = table_new(r, "ledgers", "Ledgers", COLS(ledgers));
	t->none = "There is none.";
	if (table_fill(t, m->db, of_ledgers, m, e) != 0)
		return -1;
	t = table_new(r, "kinds", "Events by kind", COLS(kinds));
	t->none = "Nothing is noted.";
	if (table_fill(t, m->db, of_kinds, m, e) != 0)
		return -1;
	t = table_new(r, "latest", "The last hundred", COLS(latest));
	t->none = "Nothing is noted.";
	return table_fill(t, m->db, of_latest, m, e);
}
