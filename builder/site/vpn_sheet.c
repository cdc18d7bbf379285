/* vpn_sheet.c - what to enter at a store's router. */
#include "site/vpn_parts.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 24 };

struct row {
	const char *label; /* NULL: `value` is the title of a part */
	char *value;
};

struct sheet {
	char *title;
	struct row v[ROWS_MAX];
	size_t n;
};

static void sheet_release(struct sheet *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i].value);
	free(s->title);
}

static void add(struct sheet *s, const char *label, char *value)
{
	s->v[s->n++] = (struct row){label, value};
}

static char *nets_text(const struct site_net *v, size_t n)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(4096);

	for (size_t i = 0; i < n; i++)
		buf_addf(&b, "%s%s", i == 0 ? "" : ", ", v[i].text);
	return buf_take(&b);
}

static char *text_or(const char *text, const char *otherwise)
{
	return mem_strdup(text != NULL ? text : otherwise);
}

static void add_ends(struct sheet *t, const struct site *s, const struct site_peer *p)
{
	add(t, NULL, mem_strdup("The two ends"));
	add(t, "Router, address", text_or(p->address, "any"));
	add(t, "Router, identity (local id)", mem_strdup(p->id));
	add(t, "Router, networks (local)", nets_text(p->networks, p->networks_n));
	add(t, "POS, address (peer)", text_or(s->vpn.address, "that of the POS host"));
	add(t, "POS, identity (remote id)", mem_strdup(s->vpn.id));
	add(t, "POS, networks (remote)", nets_text(s->vpn.networks, s->vpn.networks_n));
	add(t, "Who calls", mem_strdup(p->wait ? "the router" : "the POS; the router answers"));
	add(t, "Ports", mem_strdup("UDP 500 and 4500, NAT traversal on"));
}

static void add_phases(struct sheet *t, const struct site_peer *p)
{
	const struct vpn_suite *x = vpn_suite(p->ike);

	add(t, NULL, mem_strdup("Phase 1 (IKE SA)"));
	add(t, "Version", mem_strdup(p->ike == 1 ? "IKEv1, main mode" : "IKEv2"));
	add(t, "Authentication",
	    mem_format("pre-shared key \"%s\": it is handed over separately", p->secret));
	add(t, "Encryption", mem_strdup(x->ike_encryption));
	add(t, "Integrity", mem_strdup(x->ike_integrity));
	add(t, "Diffie-Hellman group", mem_strdup(x->ike_groups));
	add(t, "Lifetime", mem_format("%d s", VPN_IKE_SECONDS));
	add(t, "Dead peer detection", mem_format("every %d s", VPN_DPD_SECONDS));
	add(t, NULL, mem_strdup("Phase 2 (ESP)"));
	add(t, "Encryption", mem_strdup(x->esp_encryption));
	add(t, "Integrity", mem_strdup(x->esp_integrity));
	add(t, "Perfect forward secrecy, group", mem_strdup(x->esp_groups));
	add(t, "Lifetime", mem_format("%d s", VPN_CHILD_SECONDS));
}

static void text_sheet(const struct sheet *t, struct buf *ret)
{
	buf_addf(ret, "%s\n", t->title);
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].label == NULL)
			buf_addf(ret, "\n%s\n", t->v[i].value);
		else
			buf_addf(ret, "  %-32s %s\n", t->v[i].label, t->v[i].value);
}

/* What Markdown or HTML would act on; the words of a site have none, and this does not rely on
 * it. */
static void put_plain(struct buf *ret, const char *s)
{
	for (; *s != '\0'; s++)
		switch (*s) {
		case '&':
			buf_addf(ret, "&amp;");
			break;
		case '<':
			buf_addf(ret, "&lt;");
			break;
		case '>':
			buf_addf(ret, "&gt;");
			break;
		case '"':
			buf_addf(ret, "&quot;");
			break;
		case '|':
		case '*':
		case '_':
		case '`':
			buf_addf(ret, "&#%d;", *s);
			break;
		default:
			buf_add(ret, s, 1);
		}
}

static void markdown_sheet(const struct sheet *t, struct buf *ret)
{
	buf_addf(ret, "# ");
	put_plain(ret, t->title);
	buf_addf(ret, "\n");
	for (size_t i = 0; i < t->n; i++) {
		const struct row *r = &t->v[i];

		buf_addf(ret, r->label == NULL ? "\n## " : "| %s | ", r->label);
		put_plain(ret, r->value);
		buf_addf(ret, r->label == NULL ? "\n\n| | |\n| --- | --- |\n" : " |\n");
	}
}

static void html_sheet(const struct sheet *t, struct buf *ret)
{
	bool open = false;

	buf_addf(ret, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
		      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		      "style-src 'unsafe-inline'\">\n<title>");
	put_plain(ret, t->title);
	buf_addf(ret, "</title>\n<style>body{font-family:sans-serif;margin:2em}"
		      "th{text-align:left;font-weight:normal;padding-right:2em;width:18em}"
		      "td{font-family:monospace}</style></head>\n<body><h1>");
	put_plain(ret, t->title);
	buf_addf(ret, "</h1>\n");
	for (size_t i = 0; i < t->n; i++) {
		const struct row *r = &t->v[i];

		if (r->label == NULL) {
			buf_addf(ret, "%s<h2>", open ? "</table>\n" : "");
			put_plain(ret, r->value);
			buf_addf(ret, "</h2>\n<table>\n");
			open = true;
			continue;
		}
		buf_addf(ret, "<tr><th>%s</th><td>", r->label);
		put_plain(ret, r->value);
		buf_addf(ret, "</td></tr>\n");
	}
	buf_addf(ret, "</table>\n</body></html>\n");
}

const char *vpn_form_suffix(enum vpn_form form)
{
	static const char *const suffixes[] = {"txt", "md", "html"};

	return suffixes[form];
}

void vpn_sheet(const struct site *s, const struct site_peer *p, enum vpn_form form, struct buf *ret)
{
	static void (*const print[])(const struct sheet *t,
				     struct buf *ret) = {text_sheet, markdown_sheet, html_sheet};
	struct sheet t SCOPED(sheet_release) = {0};

	t.title = mem_format("VPN of store \"%s\", shop %s (%s)", p->name, s->shop,
			     site_env_word(s->env));
	add_ends(&t, s, p);
	add_phases(&t, p);
	print[form](&t, ret);
}
