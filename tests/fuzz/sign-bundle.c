/* Any bytes as a bundle, as notation's JWS and as the list of an image's referrers. None is by a
 * key of ours; what is listed can be written and read again. */
#include "fuzz.h"

#include "oci/referrers.h"
#include "sign/dsse.h"
#include "sign/notation.h"
#include "sys/fs.h"

/* a key that nobody signs with */
static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
			  "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEtqSBpm96RoVS/WGO20gR2fWznC5G\n"
			  "Pl7xvMOoi8ZXFp8l+HlBvLWhndhEyoLyb77XjzYHOUZ/7UoAtTCFlr5THg==\n"
			  "-----END PUBLIC KEY-----\n";

static struct sign_public *load_key(void)
{
	char path[] = "/tmp/posmedia-fuzz-XXXXXX";
	int fd = mkstemp(path);
	struct sign_public *key = NULL;
	struct err e = ERR_INIT;

	HOLDS(fd >= 0 && fs_write_all(fd, pem, strlen(pem), &e) == 0);
	HOLDS(sign_public_load(path, &key, &e) == 0);
	HOLDS(close(fd) == 0 && unlink(path) == 0);
	return key;
}

static void list(const struct buf *in)
{
	struct oci_index x SCOPED(oci_index_release) = {0}, y SCOPED(oci_index_release) = {0};
	struct buf b SCOPED(buf_release) = BUF_INIT(OCI_MANIFEST_MAX);
	struct err e = ERR_INIT;

	if (oci_referrers_parse(in->data, in->len, &x, &e) != 0)
		return;
	oci_index_write(&x, &b);
	if (buf_over(&b))
		return;
	HOLDS(oci_index_parse(b.data, b.len, &y, &e) == 0);
	HOLDS(x.n == y.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct sign_public *key;
	struct buf in SCOPED(buf_release) = BUF_INIT(n);
	struct bundle_said said SCOPED(bundle_said_release);
	char type[] = OCI_MANIFEST;
	struct oci_desc image = {.media_type = type};
	struct digest d = digest_of("", 0);
	struct err e = ERR_INIT;
	int64_t stamped;

	bundle_said_init(&said);
	if (key == NULL)
		key = load_key();
	buf_add(&in, p, n);
	HOLDS(bundle_open(&in, key, NULL, &said, &e) != 0);
	HOLDS(bundle_check_file(&in, key, NULL, &d, &stamped, &e) != 0);
	HOLDS(notation_check(&in, &image, key, &e) != 0);
	list(&in);
	return 0;
}
