#include "import/kickstart.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Options that never have a value: a word behind them is one of its own. */
static const char *const flags[] = {
    "activate",
    "addsshkey",
    "agreed",
    "all",
    "allow-ssh",
    "asprimary",
    "autoscreenshot",

    "cachedrun",
    "cdl",
    "default",
    "defaultos",
    "deny-ssh",
    "disable",
    "disabled",
    "eject",
    "enable",
    "enabled",
    "enablecache",
    "enablefingerprint",
    "enableldap",
    "enablemd5",
    "enablenis",
    "enableshadow",
    "encrypted",
    "enforcing",
    "erroronfail",
    "excludedocs",
    "exclude-weakdeps",
    "excludeweakdeps",
    "force",
    "ftp",
    "grow",
    "hibernation",
    "http",
    "https",
    "ignoredeps",
    "ignoregroups",
    "ignoremissing",
    "initlabel",
    "install",
    "iscrypted",
    "isutc",
    "kexec",
    "leavebootorder",
    "linux",
    "lock",
    "multilib",
    "noboot",
    "nobase",
    "nochroot",
    "nocore",
    "nodefaultroute",
    "nodisks",
    "nodns",
    "noformat",
    "nogpg",
    "nohome",
    "noipv4",
    "noipv6",
    "nolvm",
    "nombr",
    "nontp",
    "norelabel",
    "noswap",
    "notksdevice",
    "noverifyssl",
    "nossl",
    "only-use",
    "optional",
    "nodefaults",
    "password-less",
    "permissive",
    "plaintext",

    "preexist",
    "recommended",
    "reconfig",

    "resize",
    "smtp",
    "ssh",
    "startxonboot",
    "telnet",
    "thinpool",
    "trustall",
    "use-system-defaults",
    "useexisting",
    "usefstab",
    "useshadow",
    "utc",
    "yes",
    NULL,
};

static bool is_flag(const char *command, const char *name)
{
	if (strcmp(command, "services") == 0)
		return false;
	for (const char *const *f = flags; *f != NULL; f++)
		if (strcasecmp(*f, name) == 0)
			return true;
	return false;
}

static void add_option(struct ks_command *c, const char *text, const char *value)
{
	size_t n = strcspn(text, "=");
	struct ks_option *o;

	c->options = mem_resize(c->options, c->options_n + 1, sizeof(*c->options));
	o = &c->options[c->options_n++];
	*o = (struct ks_option){.name = mem_strndup(text, n)};
	if (text[n] == '=')
		o->value = mem_strdup(text + n + 1);
	else if (value != NULL)
		o->value = mem_strdup(value);
}

void ks_command_parse(const struct spot *at, const struct strv *words, struct ks_command *ret)
{
	struct ks_command c = {.at = *at, .name = mem_strdup(words->n > 0 ? words->v[0] : "")};

	for (size_t i = 1; i < words->n; i++) {
		const char *w = words->v[i];
		const char *next = i + 1 < words->n ? words->v[i + 1] : "";
		bool valued = strchr(w, '=') == NULL && next[0] != '\0' && next[0] != '-';

		if (strncmp(w, "--", 2) != 0 || w[2] == '\0') {
			strv_add(&c.words, w);
		} else if (valued && !is_flag(c.name, w + 2)) {
			add_option(&c, w + 2, next);
			i++;
		} else {
			add_option(&c, w + 2, NULL);
		}
	}
	*ret = c;
}

void ks_command_release(struct ks_command *c)
{
	for (size_t i = 0; i < c->options_n; i++) {
		free(c->options[i].name);
		free(c->options[i].value);
	}
	free(c->options);
	free(c->name);
	strv_release(&c->words);
}

const char *ks_option(struct ks_command *c, const char *name)
{
	struct ks_option *is = NULL;

	for (size_t i = 0; i < c->options_n; i++) {
		struct ks_option *o = &c->options[i];
		size_t n = strlen(o->name);

		if (strcasecmp(o->name, name) == 0 ||
		    (n >= 3 && strncasecmp(o->name, name, n) == 0)) {
			o->used = true;
			is = o;
		}
	}
	if (is == NULL)
		return NULL;
	return is->value != NULL ? is->value : "";
}

const char *ks_word(struct ks_command *c)
{
	c->words_used = true;
	return c->words.n > 0 ? c->words.v[0] : "";
}

char *ks_options_text(const struct ks_command *c, bool unused_only)
{
	struct buf b SCOPED(buf_release) = BUF_INIT(1024);

	for (size_t i = 0; i < c->options_n; i++)
		if (!unused_only || !c->options[i].used)
			buf_addf(&b, "%s--%s", b.len > 0 ? ", " : "", c->options[i].name);
	return buf_take(&b);
}

void ks_split(const char *list, struct strv *ret)
{
	while (*list != '\0') {
		size_t n = strcspn(list, ", \t");

		if (n > 0)
			strv_take(ret, mem_strndup(list, n));
		list += n;
		list += strspn(list, ", \t");
	}
}

/* ---- the table */

enum kind {
	KIND_DISK,
	KIND_INSTALLER,
	KIND_SITE,
	KIND_UNSUPPORTED,
	KIND_HANDLED,
};

static const struct known {
	const char *name;
	enum kind kind;
	enum outcome (*run)(struct ks_command *c);
} known[] = {
    {"auth", KIND_HANDLED, ks_auth},
    {"authconfig", KIND_HANDLED, ks_auth},
    {"authselect", KIND_HANDLED, ks_auth},
    {"autopart", KIND_DISK, NULL},
    {"autostep", KIND_INSTALLER, NULL},
    {"bootc", KIND_UNSUPPORTED, NULL},
    {"bootloader", KIND_DISK, NULL},
    {"btrfs", KIND_DISK, NULL},
    {"cdrom", KIND_INSTALLER, NULL},
    {"clearpart", KIND_DISK, NULL},
    {"cmdline", KIND_INSTALLER, NULL},
    {"device", KIND_INSTALLER, NULL},
    {"deviceprobe", KIND_INSTALLER, NULL},
    {"dmraid", KIND_DISK, NULL},
    {"driverdisk", KIND_INSTALLER, NULL},
    {"eula", KIND_INSTALLER, NULL},
    {"fcoe", KIND_DISK, NULL},
    {"firewall", KIND_HANDLED, ks_firewall},
    {"firstboot", KIND_INSTALLER, NULL},
    {"graphical", KIND_INSTALLER, NULL},
    {"group", KIND_HANDLED, ks_group},
    {"halt", KIND_INSTALLER, NULL},
    {"harddrive", KIND_INSTALLER, NULL},
    {"hmc", KIND_INSTALLER, NULL},
    {"ignoredisk", KIND_DISK, NULL},
    {"install", KIND_INSTALLER, NULL},
    {"interactive", KIND_INSTALLER, NULL},
    {"iscsi", KIND_DISK, NULL},
    {"iscsiname", KIND_DISK, NULL},
    {"key", KIND_INSTALLER, NULL},
    {"keyboard", KIND_HANDLED, ks_keyboard},
    {"lang", KIND_HANDLED, ks_lang},
    {"langsupport", KIND_INSTALLER, NULL},
    {"lilo", KIND_DISK, NULL},
    {"lilocheck", KIND_DISK, NULL},
    {"liveimg", KIND_UNSUPPORTED, NULL},
    {"logging", KIND_INSTALLER, NULL},
    {"logvol", KIND_DISK, NULL},
    {"mediacheck", KIND_INSTALLER, NULL},
    {"method", KIND_INSTALLER, NULL},
    {"module", KIND_HANDLED, ks_module},
    {"monitor", KIND_INSTALLER, NULL},
    {"mount", KIND_DISK, NULL},
    {"mouse", KIND_INSTALLER, NULL},
    {"multipath", KIND_DISK, NULL},
    {"network", KIND_SITE, NULL},
    {"nfs", KIND_INSTALLER, NULL},
    {"nvdimm", KIND_DISK, NULL},
    {"ostreecontainer", KIND_UNSUPPORTED, NULL},
    {"ostreesetup", KIND_UNSUPPORTED, NULL},
    {"part", KIND_DISK, NULL},
    {"partition", KIND_DISK, NULL},
    {"poweroff", KIND_INSTALLER, NULL},
    {"raid", KIND_DISK, NULL},
    {"rdp", KIND_INSTALLER, NULL},
    {"realm", KIND_SITE, NULL},
    {"reboot", KIND_INSTALLER, NULL},
    {"repo", KIND_HANDLED, ks_url},
    {"reqpart", KIND_DISK, NULL},
    {"rescue", KIND_INSTALLER, NULL},
    {"rhsm", KIND_SITE, NULL},
    {"rootpw", KIND_HANDLED, ks_rootpw},
    {"selinux", KIND_HANDLED, ks_selinux},
    {"services", KIND_HANDLED, ks_services},
    {"shutdown", KIND_INSTALLER, NULL},
    {"skipx", KIND_INSTALLER, NULL},
    {"snapshot", KIND_DISK, NULL},
    {"sshkey", KIND_HANDLED, ks_sshkey},
    {"sshpw", KIND_INSTALLER, NULL},
    {"syspurpose", KIND_SITE, NULL},
    {"text", KIND_INSTALLER, NULL},
    {"timesource", KIND_SITE, NULL},
    {"timezone", KIND_HANDLED, ks_timezone},
    {"unsupported_hardware", KIND_INSTALLER, NULL},
    {"updates", KIND_INSTALLER, NULL},
    {"upgrade", KIND_INSTALLER, NULL},
    {"url", KIND_HANDLED, ks_url},
    {"user", KIND_HANDLED, ks_user},
    {"vnc", KIND_INSTALLER, NULL},
    {"volgroup", KIND_DISK, NULL},
    {"xconfig", KIND_INSTALLER, NULL},
    {"zerombr", KIND_DISK, NULL},
    {"zfcp", KIND_DISK, NULL},
    {"zipl", KIND_DISK, NULL},
};

static int by_name(const void *key, const void *item)
{
	const struct known *k = item;

	return strcmp(key, k->name);
}

/* Options that hold a secret, whatever the command is. */
static void look_for_secrets(struct ks_command *c)
{
	bool crypted = ks_option(c, "iscrypted") != NULL;

	for (size_t i = 0; i < c->options_n; i++) {
		struct ks_option *o = &c->options[i];
		bool secret = strcasecmp(o->name, "password") == 0 ||
			      strcasecmp(o->name, "passphrase") == 0 ||
			      strcasecmp(o->name, "reverse-password") == 0 ||
			      strcasecmp(o->name, "activation-key") == 0 ||
			      strcasecmp(o->name, "wpakey") == 0 ||
			      strcasecmp(o->name, "wepkey") == 0 ||
			      strcasecmp(o->name, "one-time-password") == 0;

		if (secret && o->value != NULL && o->value[0] != '\0')
			found_password(&c->at, c->name, o->value, crypted || any_hash(o->value));
		o->used |= secret;
	}
	if (strcmp(c->name, "sshpw") == 0 && c->words.n > 0)
		found_password(&c->at, "the installer", c->words.v[0],
			       crypted || any_hash(c->words.v[0]));
}

static enum outcome not_applied(struct ks_command *c, enum kind kind)
{
	static const enum rule rules[] = {RULE_DISK, RULE_INSTALLER, RULE_SITE, RULE_UNSUPPORTED};
	char *options SCOPED(mem_freep) = ks_options_text(c, false);

	found(&c->at, rules[kind], "%s%s%s is not part of an image", c->name,
	      options[0] != '\0' ? " " : "", options);
	if (strcmp(c->name, "bootloader") == 0 && c->words.n > 0)
		found(&c->at, RULE_STRAY_WORD, "%zu words behind the options of %s", c->words.n,
		      c->name);
	return OUTCOME_FOUND;
}

/* What a command had that nothing came of. */
static void look_for_rest(struct ks_command *c)
{
	char *options SCOPED(mem_freep) = ks_options_text(c, true);

	if (options[0] != '\0')
		found(&c->at, RULE_OPTION, "%s: not carried over: %s", c->name, options);
	if (!c->words_used && c->words.n > 0)
		found(&c->at, RULE_STRAY_WORD, "%s: %zu words are not carried over", c->name,
		      c->words.n);
}

void ks_command_run(struct ks_command *c)
{
	struct tally *t = &c->at.im->a.commands;
	size_t before = c->at.im->findings_n;
	const struct known *k =
	    bsearch(c->name, known, sizeof(known) / sizeof(known[0]), sizeof(known[0]), by_name);
	enum outcome o = OUTCOME_FOUND;

	t->in++;
	if (k == NULL) {
		found(&c->at, RULE_UNKNOWN_COMMAND, "\"%s\" is no command of a kickstart", c->name);
		t->found++;
		return;
	}
	look_for_secrets(c);
	o = k->kind == KIND_HANDLED ? k->run(c) : not_applied(c, k->kind);
	if (k->kind == KIND_HANDLED)
		look_for_rest(c);
	if (o == OUTCOME_FOUND && c->at.im->findings_n == before)
		found(&c->at, RULE_NOT_UNDERSTOOD, "%s is not carried over", c->name);
	if (o != OUTCOME_FOUND)
		mark(&c->at, MARK_CARRIED);
	t->carried += o == OUTCOME_CARRIED;
	t->replaced += o == OUTCOME_REPLACED;
	t->found += o == OUTCOME_FOUND;
}
