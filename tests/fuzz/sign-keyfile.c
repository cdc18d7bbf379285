/* Any bytes as a key file of cosign's. What it asks of scrypt has a limit; no input here opens. */
#include "fuzz.h"

#include "sign/pkey.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	EVP_PKEY *key = NULL;
	struct err e = ERR_INIT;

	if (key_from_cosign(p, n, "word", &key, &e) == 0)
		EVP_PKEY_free(key);
	return 0;
}
