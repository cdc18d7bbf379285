/* cutover.c - the tables of a site's "cutover". */
#include "site/parts.h"

#include "base/num.h"
#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(struct site, cutover.member)
#define MANUAL                                                                                     \
	{                                                                                          \
		NULL, NULL, 0, "posmedia-cutover(5)", false                                        \
	}
#define ITEMS(fields, unique, type, count, defaults)                                               \
	{                                                                                          \
		fields, unique, sizeof(type), AT(count), offsetof(type, pos), defaults             \
	}

static const char *const on_words[] = {"old", "new", "control", NULL};
static const char *const when_words[] = {"preflight", "smoke",    "after", "reverse",
					 "trial",     "returned", NULL};
static const char *const holders_words[] = {"kill", "report", NULL};
static const char *const cron_words[] = {"required", "optional", NULL};
static const char *const trial_words[] = {"required", "none", NULL};
static const char *const printers_words[] = {"required", "optional", NULL};
static const char *const rehearsal_words[] = {"by-environment", "true", "false", NULL};
static const char *const unique_not[] = {NULL};
static const char *const unique_name[] = {"name", NULL};
static const char *const unique_place[] = {"name", "at", NULL};

const char *site_on_word(int on)
{
	return on_words[on];
}

const char *site_when_word(int when)
{
	return when_words[when];
}

static int read_ports(const char *root, const struct yaml *y, const struct field *f, void *to,
		      struct err *e)
{
	const struct field one = {f->key, read_port, 0, NULL, false};
	uint16_t **slot = (uint16_t **)((char *)to + f->at);
	size_t *n = &((struct site *)to)->cutover.old.ports_n;

	if (schema_want_list(y, f->key, e) != 0)
		return -1;
	if (y->n > SITE_PORTS_MAX)
		return schema_refuse(y, e, "Shorten it.", "\"%s\" has more than %d items", f->key,
				     SITE_PORTS_MAX);
	*slot = mem_zalloc((y->n + 1) * sizeof(**slot));
	for (*n = 0; *n < y->n; ++*n)
		if (read_port(root, y->items[*n], &one, &(*slot)[*n], e) != 0)
			return -1;
	return 0;
}

/* "2x" or "1.5x", of the size of the data, into hundredths. */
static int read_times(const char *root, const struct yaml *y, const struct field *f, void *to,
		      struct err *e)
{
	size_t n = y->kind == YAML_SCALAR ? strlen(y->text) : 0;
	const char *dot = n > 0 ? strchr(y->text, '.') : NULL;
	size_t whole_n = dot == NULL ? n - (n > 0) : (size_t)(dot - y->text);
	char *whole SCOPED(mem_freep) = mem_strndup(n > 0 ? y->text : "", whole_n);
	uint64_t v = 0, tenths = 0;
	bool ok = n > 1 && y->text[n - 1] == 'x' && num_u64(whole, 100, &v) == 0 &&
		  (dot == NULL || (dot[1] >= '0' && dot[1] <= '9' && dot[2] == 'x'));

	(void)root;
	if (ok && dot != NULL)
		tenths = (uint64_t)(dot[1] - '0');
	v = v * 100 + tenths * 10;
	if (!ok || v < 100)
		return schema_refuse(y, e, "Such as 2x or 1.5x; at least 1x.",
				     "\"%s\" wants how many times the size of the data", f->key);
	memcpy((char *)to + f->at, &v, sizeof(v));
	return 0;
}

static void command_defaults(void *item)
{
	struct site_command *c = item;

	if (c->within_ms == 0)
		c->within_ms = 60000;
}

static void check_defaults(void *item)
{
	struct site_check *c = item;

	if (c->within_ms == 0)
		c->within_ms = 30000;
}

static void act_defaults(void *item)
{
	struct site_act *a = item;

	if (a->within_ms == 0)
		a->within_ms = 60000;
}

static const struct field command_fields[] = {
    {"run", read_program, offsetof(struct site_command, run), NULL, true},
    {"within", read_duration, offsetof(struct site_command, within_ms), NULL, false},
    {"may_fail", read_bool, offsetof(struct site_command, may_fail), NULL, false},
    MANUAL,
};
static const struct few stop = {
    ITEMS(command_fields, unique_not, struct site_command, old.stop_n, command_defaults),
    SITE_COMMANDS_MAX};
static const struct few start = {
    ITEMS(command_fields, unique_not, struct site_command, old.start_n, command_defaults),
    SITE_COMMANDS_MAX};
static const struct field announce_fields[] = {
    {"run", read_program, offsetof(struct site_command, run), NULL, true},
    {"undo", read_program, offsetof(struct site_command, undo), NULL, false},
    {"on", read_number_of, offsetof(struct site_command, on), on_words, false},
    {"within", read_duration, offsetof(struct site_command, within_ms), NULL, false},
    {"may_fail", read_bool, offsetof(struct site_command, may_fail), NULL, false},
    MANUAL,
};
static const struct few announce = {
    ITEMS(announce_fields, unique_not, struct site_command, announce_n, command_defaults),
    SITE_COMMANDS_MAX};

static const struct field data_fields[] = {
    {"name", read_word, offsetof(struct site_data, name), &grammar_printer, true},
    {"at", read_word, offsetof(struct site_data, at), &grammar_image_path, true},
    MANUAL,
};
static const struct few data = {
    ITEMS(data_fields, unique_place, struct site_data, old.data_n, NULL), SITE_DATA_MAX};

static const struct field address_fields[] = {
    {"interface", read_word, AT(old.interface), &grammar_interface, true},
    {"address", read_address, AT(old.taken), NULL, true},
    MANUAL,
};

static const struct field old_fields[] = {
    {"host", read_word, AT(old.host), &grammar_old_host, true},
    {"known_hosts", read_word, AT(old.known_hosts), &grammar_image_path, true},
    {"secret", read_word, AT(old.secret), &grammar_printer, true},
    {"data", read_few, AT(old.data), &data, false},
    {"exclude", read_set, AT(old.exclude), &grammar_image_glob, false},
    {"services", read_set, AT(old.services), &grammar_unit, false},
    {"stop", read_few, AT(old.stop), &stop, false},
    {"start", read_few, AT(old.start), &start, false},
    {"ports", read_ports, AT(old.ports), NULL, false},
    {"holders", read_number_of, AT(old.holders), holders_words, false},
    {"cron", read_number_of, AT(old.cron), cron_words, false},
    {"trial", read_number_of, AT(old.trial), trial_words, false},
    {"address", read_map, 0, address_fields, false},
    MANUAL,
};

static const struct field budget_fields[] = {
    {"outage", read_duration, AT(budget.outage), NULL, false},
    {"fence", read_duration, AT(budget.fence), NULL, false},
    {"last-pass", read_duration, AT(budget.last_pass), NULL, false},
    {"verify", read_duration, AT(budget.verify), NULL, false},
    {"start", read_duration, AT(budget.start), NULL, false},
    {"smoke", read_duration, AT(budget.smoke), NULL, false},
    {"hold", read_duration, AT(budget.hold), NULL, false},
    MANUAL,
};

static const struct field check_fields[] = {
    {"name", read_word, offsetof(struct site_check, name), &grammar_printer, true},
    {"on", read_number_of, offsetof(struct site_check, on), on_words, true},
    {"phase", read_number_of, offsetof(struct site_check, when), when_words, true},
    {"run", read_program, offsetof(struct site_check, run), NULL, false},
    {"tcp", read_port, offsetof(struct site_check, tcp), NULL, false},
    {"within", read_duration, offsetof(struct site_check, within_ms), NULL, false},
    MANUAL,
};
static const struct few checks = {
    ITEMS(check_fields, unique_name, struct site_check, checks_n, check_defaults), SITE_CHECKS_MAX};

static const struct field dns_fields[] = {
    {"run", read_program, AT(dns.run), NULL, true},
    {"undo", read_program, AT(dns.undo), NULL, false},
    {"within", read_duration, AT(dns.within_ms), NULL, false},
    MANUAL,
};

static const struct field after_fields[] = {
    {"name", read_word, offsetof(struct site_act, name), &grammar_printer, true},
    {"on", read_number_of, offsetof(struct site_act, on), on_words, true},
    {"run", read_program, offsetof(struct site_act, run), NULL, true},
    {"undo", read_program, offsetof(struct site_act, undo), NULL, false},
    {"within", read_duration, offsetof(struct site_act, within_ms), NULL, false},
    MANUAL,
};
static const struct few after = {
    ITEMS(after_fields, unique_name, struct site_act, after_n, act_defaults), SITE_COMMANDS_MAX};

const struct field site_cutover_fields[] = {
    {"old", read_here, AT(old.pos), old_fields, true},
    {"private", read_address, AT(alone), NULL, false},
    {"lease", read_duration, AT(lease_ms), NULL, false},
    {"budget", read_map, 0, budget_fields, false},
    {"announce", read_few, AT(announce), &announce, false},
    {"checks", read_few, AT(checks), &checks, false},
    {"dns", read_here, AT(dns.pos), dns_fields, false},
    {"after", read_few, AT(after), &after, false},
    {"require-rehearsal", read_number_of, AT(rehearsal), rehearsal_words, false},
    {"printers", read_number_of, AT(printers), printers_words, false},
    {"clock-skew", read_duration, AT(skew_ms), NULL, false},
    {"free", read_times, AT(free_percent), NULL, false},
    MANUAL,
};

static void same_data(const struct site *s, struct site_old *o)
{
	o->data = mem_zalloc((s->data_n + 1) * sizeof(*o->data));
	for (o->data_n = 0; o->data_n < s->data_n; o->data_n++) {
		o->data[o->data_n].name = mem_strdup(s->data[o->data_n].name);
		o->data[o->data_n].at = mem_strdup(s->data[o->data_n].at);
		o->data[o->data_n].pos = o->pos;
	}
}

void site_cutover_defaults(struct site *s)
{
	struct site_cutover *c = &s->cutover;

	if (c->old.host == NULL)
		return;
	if (c->old.data_n == 0 && c->old.data == NULL)
		same_data(s, &c->old);
	if (c->lease_ms == 0)
		c->lease_ms = 120000;
	if (c->budget.outage == 0)
		c->budget.outage = 600000;
	if (c->rehearsal == SITE_REHEARSAL_BY_ENV)
		c->rehearsal =
		    s->env == SITE_PROD ? SITE_REHEARSAL_REQUIRED : SITE_REHEARSAL_OPTIONAL;
	if (c->skew_ms == 0)
		c->skew_ms = 2000;
	if (c->free_percent == 0)
		c->free_percent = 200;
	if (c->dns.within_ms == 0)
		c->dns.within_ms = 60000;
	c->dns.on = SITE_ON_CONTROL;
}

static void commands_free(struct site_command *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		strv_release(&v[i].run);
		strv_release(&v[i].undo);
	}
	free(v);
}

static void act_release(struct site_act *a)
{
	free(a->name);
	strv_release(&a->run);
	strv_release(&a->undo);
}

static void old_release(struct site_old *o)
{
	for (size_t i = 0; i < o->data_n; i++) {
		free(o->data[i].name);
		free(o->data[i].at);
	}
	free(o->data);
	free(o->host);
	free(o->known_hosts);
	free(o->secret);
	strv_release(&o->exclude);
	strv_release(&o->services);
	commands_free(o->stop, o->stop_n);
	commands_free(o->start, o->start_n);
	free(o->ports);
	free(o->interface);
	free(o->taken.text);
}

void site_cutover_release(struct site_cutover *c)
{
	old_release(&c->old);
	free(c->alone.text);
	commands_free(c->announce, c->announce_n);
	for (size_t i = 0; i < c->checks_n; i++) {
		free(c->checks[i].name);
		strv_release(&c->checks[i].run);
	}
	free(c->checks);
	act_release(&c->dns);
	for (size_t i = 0; i < c->after_n; i++)
		act_release(&c->after[i]);
	free(c->after);
}
