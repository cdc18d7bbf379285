#include "import/kickstart.h"
#include "recipe/grammar.h"
#include <string.h>
#include <sys/stat.h>

enum outcome ks_services(struct ks_command *c)
{
	struct draft *d = &c->at.im->d;
	const char *options[] = {"enabled", "disabled"};
	struct strv *lists[] = {&d->enable, &d->disable};
	size_t n = 0;

	for (size_t i = 0; i < 2; i++) {
		const char *names = ks_option(c, options[i]);
		struct strv words = {0};

		ks_split(names != NULL ? names : "", &words);
		for (size_t k = 0; k < words.n; k++)
			draft_service(&c->at, lists[i], words.v[k]);
		n += words.n;
		strv_release(&words);
	}
	return n > 0 ? OUTCOME_CARRIED : OUTCOME_FOUND;
}

/* ---- firewall */

static void open_service(struct ks_command *c, const char *service)
{
	const char *ports = known_ports(service);
	struct strv words = {0};

	if (ports == NULL) {
		found(&c->at, RULE_BAD_VALUE, "the ports of the service \"%s\" are not known",
		      service);
		return;
	}
	ks_split(ports, &words);
	for (size_t i = 0; i < words.n; i++) {
		char *slash = strchr(words.v[i], '/');

		*slash = '\0';
		(void)draft_port(c->at.im, words.v[i], slash + 1);
	}
	strv_release(&words);
}

/* "1234:tcp", "imap:tcp", "2000-2001:udp". */
static void open_port(struct ks_command *c, const char *entry)
{
	char *numbers SCOPED(mem_freep) = mem_strndup(entry, strcspn(entry, ":/"));
	const char *protocol = entry + strlen(numbers);
	const char *is = protocol[0] != '\0' ? protocol + 1 : "tcp";
	const char *ports = known_ports(numbers);

	if (ports != NULL)
		open_service(c, numbers);
	else if (!draft_port(c->at.im, numbers, is))
		found(&c->at, RULE_BAD_VALUE, "\"%s\" is no port", entry);
}

static void each(struct ks_command *c, const char *option,
		 void (*open)(struct ks_command *c, const char *entry))
{
	struct strv words = {0};

	for (size_t i = 0; i < c->options_n; i++)
		if (strcmp(c->options[i].name, option) == 0 && c->options[i].value != NULL) {
			c->options[i].used = true;
			ks_split(c->options[i].value, &words);
		}
	for (size_t i = 0; i < words.n; i++)
		open(c, words.v[i]);
	strv_release(&words);
}

static void trust(struct ks_command *c, const char *interface)
{
	found(&c->at, RULE_TRUSTED_INTERFACE, "everything is let in from \"%s\"", interface);
}

enum outcome ks_firewall(struct ks_command *c)
{
	static const char *const services[] = {"ssh", "telnet", "smtp", "http", "ftp", NULL};
	bool off = ks_option(c, "disabled") != NULL;

	(void)ks_option(c, "enabled");
	if (off)
		found(&c->at, RULE_FIREWALL_OFF, "the firewall is switched off");
	for (const char *const *s = services; *s != NULL; s++)
		if (ks_option(c, *s) != NULL)
			open_service(c, *s);
	each(c, "service", open_service);
	each(c, "port", open_port);
	each(c, "trust", trust);
	return off ? OUTCOME_FOUND : OUTCOME_CARRIED;
}

enum outcome ks_selinux(struct ks_command *c)
{
	bool permissive = ks_option(c, "permissive") != NULL;

	if (permissive || ks_option(c, "disabled") != NULL) {
		found(&c->at, RULE_SELINUX_OFF, "SELinux is %s",
		      permissive ? "made permissive" : "switched off");
		return OUTCOME_FOUND;
	}
	(void)ks_option(c, "enforcing");
	found(&c->at, RULE_IMPLICIT, "the host decides whether SELinux is enforcing");
	return OUTCOME_REPLACED;
}

/* ---- time and language */

static bool plain_word(const char *s)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_+-/.@:";

	return s[0] != '\0' && s[0] != '/' && strlen(s) < 64 && s[strspn(s, letters)] == '\0' &&
	       strstr(s, "..") == NULL;
}

enum outcome ks_timezone(struct ks_command *c)
{
	struct import *im = c->at.im;
	const char *zone = ks_word(c);
	char *link SCOPED(mem_freep) = mem_format("/usr/share/zoneinfo/%s", zone);
	char *line SCOPED(mem_freep) = mem_format("%s\n", zone);

	/* a container has no clock of its own */
	if (ks_option(c, "isutc") != NULL || ks_option(c, "utc") != NULL)
		found(&c->at, RULE_OPTION, "the hardware's clock is the host's");
	if (ks_option(c, "nontp") != NULL || ks_option(c, "ntpservers") != NULL)
		found(&c->at, RULE_SITE, "the time servers");
	if (!plain_word(zone)) {
		found(&c->at, RULE_BAD_VALUE, "\"%s\" is no time zone", zone);
		return OUTCOME_FOUND;
	}
	draft_config(&c->at, "etc/localtime", link);
	if (im->debian)
		draft_config(&c->at, "etc/timezone", line);
	return OUTCOME_CARRIED;
}

/* "en_US" of "en_US.UTF-8". */
static void add_language(struct ks_command *c, const char *text)
{
	char *lang SCOPED(mem_freep) = mem_strndup(text, strcspn(text, ".:@"));

	if (grammar_ok(&grammar_lang, lang))
		draft_once(c->at.im, &c->at.im->d.langs, lang);
	else
		found(&c->at, RULE_BAD_VALUE, "\"%s\" is no language", text);
}

enum outcome ks_lang(struct ks_command *c)
{
	struct import *im = c->at.im;
	const char *lang = ks_word(c);
	const char *more = ks_option(c, "addsupport");
	char *line SCOPED(mem_freep) = mem_format("LANG=%s\n", lang);
	struct strv words = {0};

	if (!plain_word(lang)) {
		found(&c->at, RULE_BAD_VALUE, "\"%s\" is no language", lang);
		return OUTCOME_FOUND;
	}
	draft_config(&c->at, im->debian ? "etc/default/locale" : "etc/locale.conf", line);
	add_language(c, lang);
	ks_split(more != NULL ? more : "", &words);
	for (size_t i = 0; i < words.n; i++)
		add_language(c, words.v[i]);
	strv_release(&words);
	return OUTCOME_CARRIED;
}

enum outcome ks_keyboard(struct ks_command *c)
{
	struct import *im = c->at.im;
	const char *word = ks_word(c), *console = ks_option(c, "vckeymap");
	const char *layouts = ks_option(c, "xlayouts");
	const char *is = console != NULL ? console : word[0] != '\0' ? word : layouts;
	char *line SCOPED(mem_freep) = NULL;

	if (is == NULL || !plain_word(is)) {
		found(&c->at, RULE_BAD_VALUE, "\"%s\" is no keyboard", is != NULL ? is : "");
		return OUTCOME_FOUND;
	}
	if (layouts != NULL && is != layouts)
		found(&c->at, RULE_OPTION, "the layouts of a graphical console");
	line = mem_format(im->debian ? "XKBLAYOUT=\"%s\"\n" : "KEYMAP=%s\n", is);
	draft_config(&c->at, im->debian ? "etc/default/keyboard" : "etc/vconsole.conf", line);
	return OUTCOME_CARRIED;
}

/* ---- where packages come from */

/* "https://mirror.example/8/BaseOS" for "$releasever"; the caller owns it. */
static char *without_variables(const struct import *im, const char *url)
{
	static const char *const names[] = {"$releasever", "${releasever}", "$basearch",
					    "${basearch}", "$arch"};
	const char *values[] = {im->release == 7 ? "7" : im->release == 8 ? "8" : "9", NULL};
	struct buf b SCOPED(buf_release) = BUF_INIT(8192);

	values[1] = values[0];
	while (*url != '\0') {
		size_t i = 0;

		while (i < 5 && strncmp(url, names[i], strlen(names[i])) != 0)
			i++;
		if (i < 5)
			buf_addf(&b, "%s", i < 2 ? values[0] : "x86_64");
		else
			buf_add(&b, url, 1);
		url += i < 5 ? strlen(names[i]) : 1;
	}
	return buf_take(&b);
}

/* The release that a URL has between its slashes, such as 7 or 7.6.1810, or 0. */
static unsigned release_of(const char *url)
{
	for (const char *p = strchr(url, '/'); p != NULL; p = strchr(p + 1, '/'))
		if (p[1] >= '5' && p[1] <= '9' && p[2] != '\0' && strchr("/.-", p[2]) != NULL)
			return (unsigned)(p[1] - '0');
	return 0;
}

static void add_repository(struct ks_command *c, const char *name, const char *given)
{
	struct import *im = c->at.im;
	char *bare SCOPED(mem_freep) = without_userinfo(&c->at, given, strlen(given));
	char *url SCOPED(mem_freep) = without_variables(im, bare);
	char *id SCOPED(mem_freep) = draft_medium_name(im, name);
	char *shown SCOPED(mem_freep) = harmless(url, strlen(url));
	char *quoted SCOPED(mem_freep) = NULL;
	unsigned release = release_of(url);

	for (char *p = id; *p != '\0'; p++)
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
	if (!grammar_ok(&grammar_mirror, url) || strcmp(url, "system") == 0) {
		found(&c->at, RULE_BAD_VALUE, "no URL of a repository: %s", shown);
		strv_addf(&im->repos, "# %s: %s", id, shown);
		return;
	}
	if (strncmp(url, "http://", 7) == 0)
		found(&c->at, RULE_HTTP_REPOSITORY, "the repository \"%s\" is read without TLS",
		      id);
	if (release != 0 && release != im->release)
		found(&c->at, RULE_IMPLICIT, "the repository is of release %u, the recipe of %u",
		      release, im->release);
	found(&c->at, RULE_REPOSITORY_KEY, "a kickstart names no key of \"%s\"", id);
	quoted = yaml_scalar(url);
	strv_addf(&im->repos, "name: %s\nurl: %s\ngpgkey: signing/keyrings/el-%u.asc", id, quoted,
		  im->release);
}

/* The value of an option that is a URL. */
static const char *list_option(struct ks_command *c, const char *name)
{
	const char *v = ks_option(c, name);

	if (v != NULL)
		note_userinfo(&c->at, v, strlen(v));
	return v;
}

static void note_list(struct import *im, const char *list)
{
	char *shown SCOPED(mem_freep) = list != NULL ? harmless(list, strlen(list)) : NULL;

	strv_addf(&im->repos, "# %s", shown != NULL ? shown : "a repository without a URL");
}

enum outcome ks_url(struct ks_command *c)
{
	struct import *im = c->at.im;
	const char *name = ks_option(c, "name"), *base = ks_option(c, "baseurl");
	const char *url = base != NULL ? base : ks_option(c, "url");
	const char *list = list_option(c, "mirrorlist"), *meta = list_option(c, "metalink");

	if (ks_option(c, "noverifyssl") != NULL)
		found(&c->at, RULE_TLS_OFF, "the server's certificate is not checked");
	if (im->o.base != NULL) {
		(void)ks_option(c, "cost");
		found(&c->at, RULE_BASE_REPLACED, "%s", url != NULL ? url : "a list of mirrors");
		return OUTCOME_REPLACED;
	}
	if (url == NULL || url[0] == '\0') {
		found(&c->at, RULE_NO_REPOSITORY, "%s",
		      list != NULL || meta != NULL ? "only a list of mirrors is named"
						   : "no URL is named");
		note_list(im, list != NULL ? list : meta);
		return OUTCOME_FOUND;
	}
	add_repository(c, name != NULL ? name : "os", url);
	return OUTCOME_CARRIED;
}

void ks_base(struct import *im)
{
	struct spot top = {im, im->sources[0], 1};

	if (im->o.base != NULL)
		return;
	strv_addf(&im->d.base, "dnf:\n  release: \"%u\"", im->release);
	if (im->repos.n == 0) {
		found(&top, RULE_NO_REPOSITORY, "the kickstart names no repository");
		strv_add(&im->d.base, "  repos: []");
		return;
	}
	strv_add(&im->d.base, "  repos:");
	for (size_t i = 0; i < im->repos.n; i++) {
		struct buf b SCOPED(buf_release) = BUF_INIT(16384);
		const char *p = im->repos.v[i];

		buf_addf(&b, "    %s", p[0] == '#' ? "" : "- ");
		for (; *p != '\0'; p++)
			buf_addf(&b, *p == '\n' ? "\n      " : "%c", *p);
		strv_add(&im->d.base, b.data);
	}
}

enum outcome ks_module(struct ks_command *c)
{
	struct import *im = c->at.im;
	const char *name = ks_option(c, "name"), *stream = ks_option(c, "stream");
	char *entry SCOPED(mem_freep) = NULL;

	if (name == NULL || name[0] == '\0' || ks_option(c, "disable") != NULL || im->debian) {
		found(&c->at, RULE_UNSUPPORTED, "the module \"%s\"", name != NULL ? name : "");
		return OUTCOME_FOUND;
	}
	entry =
	    mem_format("@%s%s%s", name, stream != NULL ? ":" : "", stream != NULL ? stream : "");
	draft_install(&c->at, entry);
	return OUTCOME_CARRIED;
}
