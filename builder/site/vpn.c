/* vpn.c - strongSwan's configuration: swanctl.conf(5). */
#include "site/vpn_parts.h"

#include "form/hex.h"
#include <stdlib.h>
#include <string.h>

enum { PSK_MIN = 20, PSK_MAX = 256 };

/* Nothing below 128 bits, SHA-256 and a group of 2048: what the profile's ipsec control allows.
 * IKEv1 knows no AEAD for itself. */
static const struct vpn_suite suites[] = {
    {2,
     "aes256gcm16-prfsha256-ecp256,aes256gcm16-prfsha256-modp2048,aes256-sha256-ecp256,"
     "aes256-sha256-modp2048",
     "aes256gcm16-ecp256,aes256gcm16-modp2048,aes256-sha256-ecp256,aes256-sha256-modp2048",
     "AES-256-GCM, or AES-256-CBC", "SHA-256 (PRF SHA-256)", "19 (ECP 256), or 14 (MODP 2048)",
     "AES-256-GCM, or AES-256-CBC", "none with GCM, SHA-256 with CBC",
     "19 (ECP 256), or 14 (MODP 2048)"},
    {1, "aes256-sha256-ecp256,aes256-sha256-modp2048",
     "aes256-sha256-ecp256,aes256-sha256-modp2048", "AES-256-CBC", "SHA-256",
     "19 (ECP 256), or 14 (MODP 2048)", "AES-256-CBC", "SHA-256",
     "19 (ECP 256), or 14 (MODP 2048)"},
};

const struct vpn_suite *vpn_suite(unsigned ike)
{
	return &suites[ike == 1];
}

char *vpn_name(const struct site *s, const struct site_peer *p)
{
	return mem_format("%s-%s_%s", s->shop, site_env_word(s->env), p->name);
}

static void put_nets(struct buf *b, const char *key, const struct site_net *v, size_t n)
{
	buf_addf(b, "\t\t\t\t%s = ", key);
	for (size_t i = 0; i < n; i++)
		buf_addf(b, "%s%s", i == 0 ? "" : ",", v[i].text);
	buf_addf(b, "\n");
}

static void put_child(struct buf *b, const struct site *s, const struct site_peer *p)
{
	buf_addf(b, "\t\tchildren {\n\t\t\tnet {\n");
	put_nets(b, "local_ts", s->vpn.networks, s->vpn.networks_n);
	put_nets(b, "remote_ts", p->networks, p->networks_n);
	buf_addf(b, "\t\t\t\tesp_proposals = %s\n", vpn_suite(p->ike)->esp_proposals);
	buf_addf(b, "\t\t\t\trekey_time = %ds\n", VPN_CHILD_SECONDS);
	buf_addf(b, "\t\t\t\tstart_action = %s\n", p->wait ? "none" : "start");
	buf_addf(b, "\t\t\t\tclose_action = %s\n", p->wait ? "none" : "start");
	buf_addf(b, "\t\t\t\tdpd_action = %s\n", p->wait ? "clear" : "restart");
	buf_addf(b, "\t\t\t}\n\t\t}\n");
}

static void put_peer(struct buf *b, const struct site *s, const struct site_peer *p)
{
	char *name SCOPED(mem_freep) = vpn_name(s, p);

	buf_addf(b, "\t%s {\n\t\tversion = %u\n", name, p->ike);
	if (s->vpn.address != NULL)
		buf_addf(b, "\t\tlocal_addrs = %s\n", s->vpn.address);
	buf_addf(b, "\t\tremote_addrs = %s\n", p->address != NULL ? p->address : "%any");
	buf_addf(b, "\t\tproposals = %s\n", vpn_suite(p->ike)->proposals);
	buf_addf(b, "\t\trekey_time = %ds\n", VPN_IKE_SECONDS);
	buf_addf(b, "\t\tdpd_delay = %ds\n", VPN_DPD_SECONDS);
	if (p->ike == 1)
		buf_addf(b, "\t\tdpd_timeout = %ds\n\t\taggressive = no\n", VPN_DPD_TIMEOUT);
	else
		buf_addf(b, "\t\tmobike = no\n");
	buf_addf(b, "\t\tkeyingtries = %d\n\t\tunique = replace\n", p->wait ? 1 : 0);
	buf_addf(b, "\t\tlocal {\n\t\t\tauth = psk\n\t\t\tid = %s\n\t\t}\n", s->vpn.id);
	buf_addf(b, "\t\tremote {\n\t\t\tauth = psk\n\t\t\tid = %s\n\t\t}\n", p->id);
	put_child(b, s, p);
	buf_addf(b, "\t}\n");
}

void vpn_config(const struct site *s, const char *include, struct buf *ret)
{
	buf_addf(ret, "# Written by posmedia vpn from the site file of shop %s, %s.\n", s->shop,
		 site_env_word(s->env));
	buf_addf(ret, "connections {\n");
	for (size_t i = 0; i < s->vpn.peers_n; i++)
		put_peer(ret, s, &s->vpn.peers[i]);
	buf_addf(ret, "}\ninclude %s\n", include);
}

static int check_psk(const char *name, const struct buf *psk, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (psk->data[i] < 0x20 || psk->data[i] > 0x7e)
			return err_set(e, ERR_VERIFY,
				       "the secret \"%s\" has bytes that nobody can type", name);
	if (n >= PSK_MIN && n <= PSK_MAX)
		return 0;
	(void)err_set(e, ERR_VERIFY, "the secret \"%s\" has %zu bytes, not %d to %d", name, n,
		      PSK_MIN, PSK_MAX);
	return err_hint(e, "openssl rand -base64 32 makes one");
}

int vpn_secret(const struct site *s, const struct site_peer *p, const struct buf *psk,
	       struct buf *ret, struct err *e)
{
	char *name SCOPED(mem_freep) = vpn_name(s, p);
	size_t n = strcspn(psk->data, "\n");
	char *text;

	if (n > 0 && psk->data[n] == '\n' && psk->data[n - 1] == '\r')
		n--;
	/* a byte of 0 would hide what is behind it */
	if (strlen(psk->data) != psk->len)
		return err_set(e, ERR_VERIFY, "the secret \"%s\" has bytes of 0", p->secret);
	if (check_psk(p->secret, psk, n, e) != 0)
		return -1;
	buf_addf(ret, "\tike-%s {\n\t\tid-local = %s\n\t\tid-remote = %s\n", name, s->vpn.id,
		 p->id);
	/* before it knows an identity, IKEv1 looks for the secret by addresses */
	if (p->ike == 1)
		buf_addf(ret, "\t\tid-address = %s\n", p->address);
	/* base64, since every other form gives some byte a meaning */
	text = base64_encode(psk->data, n);
	buf_addf(ret, "\t\tsecret = 0s%s\n\t}\n", text);
	explicit_bzero(text, strlen(text));
	free(text);
	return 0;
}
