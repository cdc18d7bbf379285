/* fleet.c - what runs where, how old it is, and whether it is kept: inventory, patches, backups. */
#include "report/parts.h"

#include <string.h>

enum { DAY = 86400, KEPT_DAYS = 30 };

#define COLS(c) (c), sizeof(c) / sizeof((c)[0])

static const struct report_column instances[] = {
    {"shop", "Shop", REPORT_TEXT},       {"env", "Environment", REPORT_TEXT},
    {"state", "State", REPORT_STATE},    {"since", "Since", REPORT_TIME},
    {"identity", "Image", REPORT_TEXT},  {"recipe", "Recipe", REPORT_TEXT},
    {"version", "Version", REPORT_TEXT}, {"host", "Host", REPORT_TEXT},
    {"built", "Built", REPORT_DATE},     {"digest", "Digest", REPORT_DIGEST},
};

static int count_states(const struct making *m, struct report *r, struct err *e)
{
	static const char query[] =
	    "SELECT env, sum(kind = 'start'), sum(kind IN ('stop', 'crash')) FROM instance"
	    " WHERE kind <> 'destroy' GROUP BY env ORDER BY env";
	static const char *const series[] = {"runs", "does not run"};
	struct sql_query *q SCOPED(sql_query_freep) = NULL;
	struct report_chart *c;

	if (sql_prepare(m->db, query, &q, e) != 0)
		return -1;
	c = chart_new(r, "Instances by environment", REPORT_NUMBER);
	memcpy(c->series, series, sizeof(series));
	c->series_n = 2;
	for (;;) {
		int64_t v[2];
		bool more;

		if (sql_next(q, &more, e) != 0)
			return -1;
		if (!more)
			return 0;
		v[0] = sql_column_int(q, 1);
		v[1] = sql_column_int(q, 2);
		chart_add(c, sql_column_text(q, 0) != NULL ? sql_column_text(q, 0) : "", v);
	}
}

int make_inventory(const struct making *m, struct report *r, struct err *e)
{
	static const char query[] =
	    "SELECT i.shop, i.env, CASE i.kind WHEN 'start' THEN 'runs' WHEN 'stop' THEN 'stopped'"
	    " WHEN 'crash' THEN 'crashed' ELSE 'destroyed' END, coalesce(i.ended, i.t), i.identity,"
	    " b.recipe, b.version, i.host, b.t, nullif(i.subject, '') FROM instance i"
	    " LEFT JOIN build b ON b.subject = i.subject ORDER BY i.shop, i.env";
	struct report_table *t;

	r->title = "Inventory";
	r->about = "Which image runs for whom, where, and since when.";
	t = table_new(r, "instances", "Instances", COLS(instances));
	t->none = "No instance was started yet.";
	return table_fill(t, m->db, query, m, e) != 0 ? -1 : count_states(m, r, e);
}

static const struct report_column images[] = {
    {"recipe", "Recipe", REPORT_TEXT},   {"version", "Version", REPORT_TEXT},
    {"built", "Built", REPORT_DATE},     {"age", "Age in days", REPORT_DAYS},
    {"looked", "Looked", REPORT_TIME},   {"packages", "Packages", REPORT_NUMBER},
    {"behind", "Behind", REPORT_NUMBER}, {"security", "Security", REPORT_NUMBER},
    {"state", "State", REPORT_STATE},    {"running", "Runs at", REPORT_NUMBER},
    {"digest", "Digest", REPORT_DIGEST},
};

static const struct report_column shops[] = {
    {"shop", "Shop", REPORT_TEXT},           {"env", "Environment", REPORT_TEXT},
    {"recipe", "Recipe", REPORT_TEXT},       {"version", "Version", REPORT_TEXT},
    {"age", "Age in days", REPORT_DAYS},     {"behind", "Behind", REPORT_NUMBER},
    {"security", "Security", REPORT_NUMBER}, {"state", "State", REPORT_STATE},
    {"rebuild", "Wants", REPORT_TEXT},
};

static const struct report_column updates[] = {
    {"recipe", "Recipe", REPORT_TEXT},         {"version", "Version", REPORT_TEXT},
    {"package", "Package", REPORT_TEXT},       {"has", "Has", REPORT_TEXT},
    {"candidate", "There is", REPORT_TEXT},    {"kind", "Kind", REPORT_STATE},
    {"advisories", "Advisories", REPORT_TEXT}, {"digest", "Digest", REPORT_DIGEST},
};

#define STATE                                                                                      \
	"CASE WHEN o.t IS NULL THEN 'not looked at' WHEN o.security > 0 THEN 'security'"           \
	" WHEN o.behind > 0 THEN 'behind' ELSE 'current' END"

static int look_views(const struct making *m, struct err *e)
{
	static const char views[] =
	    "CREATE TEMP VIEW looked AS SELECT * FROM (SELECT t, subject, fields ->> 'packages' AS"
	    " packages, fields ->> 'behind' AS behind, fields ->> 'security' AS security, fields,"
	    " row_number() OVER (PARTITION BY subject ORDER BY t DESC, id DESC) AS turn FROM raw"
	    " WHERE kind = 'outdated') WHERE turn = 1;"
	    "CREATE TEMP VIEW live AS SELECT * FROM instance WHERE kind <> 'destroy';";

	return sql_run(m->db, views, e);
}

int make_patches(const struct making *m, struct report *r, struct err *e)
{
	static const char of_images[] =
	    "SELECT b.recipe, b.version, b.t, (:now - b.t) / 86400, o.t, o.packages, o.behind,"
	    " o.security, " STATE ", (SELECT count(*) FROM live l WHERE l.subject = b.subject),"
	    " b.subject FROM build b LEFT JOIN looked o ON o.subject = b.subject"
	    " ORDER BY b.recipe, b.t DESC, b.subject";
	static const char of_shops[] =
	    "SELECT l.shop, l.env, b.recipe, b.version, (:now - b.t) / 86400, o.behind, o.security,"
	    " " STATE ", CASE WHEN o.security > 0 THEN 'rebuild of ' || coalesce(b.recipe,"
	    " l.identity) || ', security' WHEN o.behind > 0 THEN 'rebuild of ' || "
	    "coalesce(b.recipe,"
	    " l.identity) WHEN o.t IS NULL THEN 'a look: posmedia outdated' ELSE '' END"
	    " FROM live l LEFT JOIN build b ON b.subject = l.subject"
	    " LEFT JOIN looked o ON o.subject = l.subject ORDER BY coalesce(o.security, 0) DESC,"
	    " coalesce(o.behind, 0) DESC, l.shop, l.env";
	static const char of_packages[] =
	    "SELECT o.fields ->> 'recipe', o.fields ->> 'version', p.value ->> 'package',"
	    " p.value ->> 'version', p.value ->> 'candidate', CASE WHEN p.value ->> 'security' THEN"
	    " 'security' ELSE 'update' END, (SELECT group_concat(a.value, ' ') FROM"
	    " json_each(p.value, '$.advisories') a), o.subject FROM looked o,"
	    " json_each(o.fields, '$.list') p ORDER BY 6, 1, 2, 3, 8";
	struct report_table *t;

	r->title = "Patches";
	r->about = "How old images are, and which updates are pending where.";
	if (look_views(m, e) != 0)
		return -1;
	t = table_new(r, "shops", "Which shops need which rebuild", COLS(shops));
	t->none = "Nothing was started yet.";
	if (table_fill(t, m->db, of_shops, m, e) != 0)
		return -1;
	t = table_new(r, "images", "Images", COLS(images));
	t->none = "No build is noted.";
	if (table_fill(t, m->db, of_images, m, e) != 0)
		return -1;
	t = table_new(r, "updates", "Pending updates", COLS(updates));
	t->none = "None is known: posmedia outdated looks.";
	return table_fill(t, m->db, of_packages, m, e);
}

static const struct report_column backups[] = {
    {"what", "Shop or tree", REPORT_TEXT},
    {"env", "Environment", REPORT_TEXT},
    {"state", "State", REPORT_STATE},
    {"last", "Last good", REPORT_TIME},
    {"hours", "Hours ago", REPORT_NUMBER},
    {"kept", "Made in 30 days", REPORT_NUMBER},
    {"missed", "Missed in 30 days", REPORT_NUMBER},
    {"files", "Files", REPORT_NUMBER},
    {"bytes", "Size", REPORT_BYTES},
    {"to", "Repository", REPORT_TEXT},
};

static int backup_views(const struct making *m, struct err *e)
{
	/* periods of the last 30 days, and of them those in which one was made */
	char *text SCOPED(mem_freep) = mem_format(
	    "CREATE TEMP VIEW snap AS SELECT r.id, t, coalesce(p.shop, fields ->> 'source') AS "
	    "what,"
	    " coalesce(p.env, fields ->> 'env', '') AS env, (%lld - t) / %llu AS period"
	    " FROM raw r LEFT JOIN place p ON p.id = r.place"
	    " WHERE kind = 'snapshot' AND t <= %lld;"
	    "CREATE TEMP TABLE backed AS SELECT what, env, min(t) AS first, max(t * 1000000000 + "
	    "id)"
	    " %% 1000000000 AS id FROM snap GROUP BY 1, 2;"
	    "CREATE TEMP VIEW due AS SELECT shop AS what, env, first FROM (SELECT place, min(t) AS"
	    " first FROM ran GROUP BY place) JOIN place p ON p.id = place UNION SELECT what, env, "
	    "first FROM backed;"
	    "CREATE TEMP VIEW owed AS SELECT what, env, min(first) AS first FROM due WHERE NOT"
	    " EXISTS (SELECT 1 FROM instance i WHERE i.shop = what AND i.env = due.env AND"
	    " i.kind = 'destroy') GROUP BY 1, 2;",
	    (long long)m->o->now, (unsigned long long)m->o->backup_s, (long long)m->o->now);

	return sql_run(m->db, text, e);
}

static int backup_days(const struct making *m, struct report *r, struct err *e)
{
	static const char query[] =
	    "SELECT strftime('%m-%d', t, 'unixepoch'), count(*) FROM snap WHERE t > :now - 2592000"
	    " GROUP BY strftime('%Y-%m-%d', t, 'unixepoch') ORDER BY min(t)";
	struct sql_query *q SCOPED(sql_query_freep) = NULL;
	struct report_chart *c;

	if (sql_prepare(m->db, query, &q, e) != 0)
		return -1;
	sql_named(q, ":now", m->o->now);
	c = chart_new(r, "Backups by day, of UTC", REPORT_NUMBER);
	c->series[0] = "made";
	c->series_n = 1;
	for (;;) {
		int64_t n;
		bool more;

		if (sql_next(q, &more, e) != 0)
			return -1;
		if (!more)
			return 0;
		n = sql_column_int(q, 1);
		chart_add(c, sql_column_text(q, 0), &n);
	}
}

int make_backups(const struct making *m, struct report *r, struct err *e)
{
	char *query SCOPED(mem_freep) = mem_format(
	    "WITH w AS (SELECT *, min(%d * 86400 / %llu, max(0, (:now - first) / %llu)) AS periods"
	    " FROM owed), made AS (SELECT what, env, count(*) AS n, count(DISTINCT period) AS p "
	    "FROM"
	    " snap WHERE t > :now - %d * 86400 GROUP BY 1, 2), last AS (SELECT b.what, b.env, r.t, "
	    "fields ->> 'files' AS files, fields ->> 'bytes' AS bytes, fields ->> 'to' AS target"
	    " FROM backed b JOIN raw r USING (id)) SELECT w.what, w.env, CASE WHEN l.t IS NULL "
	    "THEN 'never'"
	    " WHEN :now - l.t > %llu * 3 / 2 THEN 'late' ELSE 'ok' END, l.t, (:now - l.t) / 3600,"
	    " coalesce(made.n, 0), max(0, w.periods - coalesce(made.p, 0)), l.files, l.bytes,"
	    " l.target FROM w LEFT JOIN last l ON l.what = w.what AND l.env = w.env LEFT JOIN made"
	    " ON made.what = w.what AND made.env = w.env ORDER BY w.what, w.env",
	    KEPT_DAYS, (unsigned long long)m->o->backup_s, (unsigned long long)m->o->backup_s,
	    KEPT_DAYS, (unsigned long long)m->o->backup_s);
	struct report_table *t;

	r->title = "Backups";
	r->about = "When each shop was last backed up, and how often that was missed.";
	if (backup_views(m, e) != 0)
		return -1;
	report_fact(r, "Due every", "%llu h", (unsigned long long)m->o->backup_s / 3600);
	t = table_new(r, "backups", "Backups", COLS(backups));
	t->none = "Nothing was started, and nothing backed up.";
	return table_fill(t, m->db, query, m, e) != 0 ? -1 : backup_days(m, r, e);
}
