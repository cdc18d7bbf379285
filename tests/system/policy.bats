#!/usr/bin/env bats
# verify under a policy: keys and their times, statements and what they say, stages; a layout that
# was meddled with.

bats_require_minimum_version 1.5.0
load lib
load tiny
load sign

setup_file() {
	load lib
	load tiny
	load sign
	sign_project "$(mktemp -d)"
	posmedia sign oci:out/till:1 --key k
	succeeded
	export dir POSMEDIA_STORE
}

teardown_file() {
	rm -rf "$dir"
}

setup() {
	cp "$dir/out/till/index.json" "$dir/index.json"
}

teardown() {
	cp "$dir/index.json" "$dir/out/till/index.json"
}

# A policy of one rule with the keys $1 and the lines on standard input.
rule() {
	printf '%s\n' 'posmedia: 1' 'repositories:' '  - match: "localhost/till"' "    keys: $1"
	sed 's/^/    /'
}

verify() {
	posmedia verify oci:out/till:1 --policy policy.yaml "$@"
}

@test "two of three keys" {
	posmedia key new third
	rule '[k.pub, other.pub, third.pub]' >"$dir/policy.yaml" <<<'require: 2'
	verify
	refused 4 'by 2 of its 3 keys, found 1'
	posmedia sign oci:out/till:1 --key third
	verify
	succeeded
	[[ $output == *'bundle: 2 of 3 keys, 2 wanted'* ]]
	verify --json
	[ "$(jq '.checked | length' <<<"$output")" = 3 ]
}

@test "a key counts in its time only" {
	rule '[{file: k.pub, from: 2020-01-01, until: 2020-12-31}]' >"$dir/policy.yaml" <<<''
	verify
	refused 4 "found 0; some are not of their key's time"
	rule '[{file: k.pub, from: 2020-01-01}]' >"$dir/policy.yaml" <<<''
	verify
	succeeded
	rule '[{file: k.pub, until: soon}]' >"$dir/policy.yaml" <<<''
	verify
	refused 3 'policy.yaml:4:33: wants a day'
}

@test "with an authority, bundles count by its stamp only" {
	posmedia key new tsa
	posmedia key new tsa2
	certify tsa critical,timeStamping
	certify tsa2 critical,timeStamping
	rule '[{file: k.pub, from: 2020-01-01}]' >"$dir/policy.yaml" <<<'tsa: tsa.pem'
	verify
	refused 4 'wants bundle signatures by 1 of its 1 keys, found 0'
	posmedia sign oci:out/till:1 --key other --tsa-key tsa --tsa-cert tsa.pem
	rule '[{file: other.pub, from: 2020-01-01}]' >"$dir/policy.yaml" <<<'tsa: tsa.pem'
	verify --json
	succeeded
	jq -e '.signatures[] | select(.form == "bundle").stamped > 1700000000' <<<"$output"
	rule '[{file: other.pub, from: 2020-01-01}]' >"$dir/policy.yaml" <<<'tsa: tsa2.pem'
	verify
	refused 4 'the time stamp is not by the authority'
}

# In place of what is attached, the bundle $dir/bundle with a stamp by the key $1, hashed by $2.
restamp() {
	printf '%s\n' '[tsa]' default_tsa=x '[x]' "serial=$dir/serial" "signer_digest=$2" \
		default_policy=1.2.3 digests=sha256 ess_cert_id_alg=sha256 >"$dir/tsa.cnf"
	openssl ts -reply -config "$dir/tsa.cnf" -queryfile "$dir/tsq" -inkey "$dir/$1" \
		-signer "$dir/$1.pem" -out "$dir/tsr"
	jq -c --arg t "$(base64 -w 0 "$dir/tsr")" '
		.verificationMaterial.timestampVerificationData = {
			rfc3161Timestamps: [{signedTimestamp: $t}]}' "$dir/bundle" >"$dir/stamped"
	cp "$dir/index.json" "$dir/out/till/index.json"
	tests/lib/add-referrer "$dir/out/till" "$image" x \
		application/vnd.dev.sigstore.bundle.v0.3+json \
		application/vnd.dev.sigstore.bundle.v0.3+json "$dir/stamped"
	rule '[{file: other.pub, from: 2020-01-01}]' >"$dir/policy.yaml" \
		<<<"tsa: $1.pem"$'\nforms: [bundle]'
	verify
}

@test "a stamp by a weak hash or a weak key is none" {
	local first added type=https://sigstore.dev/cosign/sign/v1
	posmedia key new tsa
	openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out "$dir/weak"
	certify tsa critical,timeStamping
	certify weak critical,timeStamping
	first=$(bundle_of "$type")
	posmedia sign oci:out/till:1 --key other
	succeeded
	added=$(bundle_of "$type" | grep -vFx "$first")
	cp "$(blob "$(jq -r '.layers[0].digest' "$(blob "$added")")")" "$dir/bundle"
	jq -r '.dsseEnvelope.signatures[0].sig' "$dir/bundle" | base64 -d >"$dir/der"
	openssl ts -query -data "$dir/der" -sha256 -cert -out "$dir/tsq"
	restamp tsa sha256
	succeeded
	restamp tsa sha1
	refused 4 'none of its 2 bundle signatures is good'
	restamp weak sha256
	refused 4 'none of its 2 bundle signatures is good'
}

@test "a statement must be there, by a key that counts, and say what is wanted" {
	rule '[k.pub]' >"$dir/policy.yaml" <<-YAML
		attestations:
		  - type: https://example.org/test
		    where: {result: PASSED, by.count: "3"}
	YAML
	verify
	refused 4 'wants an attestation https://example.org/test by one of its keys'
	statement https://example.org/test '{"result": "WARNED", "by": {"count": 3}}' \
		>"$dir/warned.json"
	posmedia sign oci:out/till:1 --key k --attest warned.json
	verify
	refused 4 'one says result: "WARNED", not "PASSED"'
	statement https://example.org/test '{"result": "PASSED", "by": {"count": 3}}' \
		>"$dir/passed.json"
	posmedia sign oci:out/till:1 --key other --attest passed.json
	verify
	refused 4 'one says result: "WARNED"'
	posmedia sign oci:out/till:1 --key k --attest passed.json
	verify
	succeeded
	[[ $output == *'attestation https://example.org/test by key '*'  result: PASSED'* ]]
}

@test "promotion: qa, then prod, of the same digest and name, and its history" {
	rule '[k.pub]' >"$dir/policy.yaml" <<<'stage: prod'
	verify
	refused 4 'is not promoted'
	posmedia promote oci:out/till:1 --to prod --key k
	refused 4 'is not promoted to qa'
	SOURCE_DATE_EPOCH=1893456000 posmedia promote oci:out/till:1 --to qa --key other
	succeeded
	posmedia promote oci:out/till:1 --to prod --key k --by other.pub
	succeeded
	verify
	refused 4 'no urn:posmedia:promotion:v1:qa'
	posmedia promote oci:out/till:1 --to qa --key k
	verify
	succeeded
	# what was let in under one name is not let in under another
	posmedia sign oci:out/till:1 --key k --identity localhost/till:2
	verify --identity localhost/till:2
	refused 4 'is not promoted'
	posmedia promote oci:out/till:1 --by k.pub --by other.pub
	succeeded
	[ "$(cut -d ' ' -f 2 <<<"$output" | sort | tr '\n' ' ')" = 'prod qa qa ' ]
	[[ $output == *'2030-01-01T00:00:00Z qa localhost/till:1 by key '* ]]
	posmedia promote oci:out/till:1 --by other.pub --json
	[ "$(jq -r '.[].stage' <<<"$output")" = qa ]
}

# Makes till:2, an image of its own, and hangs on it what is attested of till:1.
transplant() {
	local config manifest
	jq -c '.author = "another"' "$(blob "$(jq -r .config.digest "$(blob "$image")")")" \
		>"$dir/config"
	config=$(add_blob "$dir/config")
	jq -c --arg d "sha256:$config" --argjson n "$(stat -c %s "$dir/config")" \
		'.config += {digest: $d, size: $n}' "$(blob "$image")" >"$dir/manifest"
	manifest=$(add_blob "$dir/manifest")
	jq -c --arg d "sha256:$manifest" --argjson n "$(stat -c %s "$dir/manifest")" \
		--arg att "sha256-${image#*:}.att" --arg to "sha256-$manifest.att" '
		def name: .annotations["org.opencontainers.image.ref.name"];
		.manifests += [(.manifests[] | select(name == "1") |
			.digest = $d | .size = $n | name = "2"),
			(.manifests[] | select(name == $att) | name = $to)]' \
		"$dir/out/till/index.json" >"$dir/changed.json"
	cp "$dir/changed.json" "$dir/out/till/index.json"
}

add_blob() {
	local hex
	hex=$(sha256sum "$1" | cut -d ' ' -f 1)
	cp "$1" "$dir/out/till/blobs/sha256/$hex"
	echo "$hex"
}

@test "what is said of one image does not let another in" {
	rule '[k.pub]' >"$dir/policy.yaml" <<<'stage: prod'
	posmedia promote oci:out/till:1 --to qa --key k
	posmedia promote oci:out/till:1 --to prod --key k
	verify
	succeeded
	transplant
	posmedia sign oci:out/till:2 --key k --identity localhost/till:1
	succeeded
	posmedia verify oci:out/till:2 --policy policy.yaml --identity localhost/till:1
	refused 4 'is not promoted: no urn:posmedia:promotion:v1:qa'
	posmedia promote oci:out/till:2 --by k.pub
	[ "$output" = 'not promoted by any of the keys' ]
	[[ $stderr == *"does not count: it is not about sha256:"* ]]
	posmedia promote oci:out/till:2 --to prod --key k --identity localhost/till:1
	refused 4 'localhost/till:1 is not promoted to qa'
}

@test "a replayed tag: another image under the name that was signed" {
	rule '[k.pub]' >"$dir/policy.yaml" <<<''
	verify --identity localhost/till:2
	refused 4 'it is for localhost/till:1'
}

@test "a manifest, a layer, a configuration that were changed" {
	rule '[k.pub]' >"$dir/policy.yaml" <<<''
	manifest=$(blob "$image")
	layer=$(blob "$(jq -r '.layers[0].digest' "$manifest")")
	config=$(blob "$(jq -r '.config.digest' "$manifest")")
	for f in "$manifest" "$layer" "$config"; do
		flip "$f"
		verify
		flip "$f"
		[ "$status" -eq 4 ] || { echo "$f: $status $output"; false; }
	done
	# rewritten whole, with other layers that are right by themselves
	cp "$manifest" "$dir/saved"
	jq -cj '.layers[0:0] as $none | .layers = $none' "$dir/saved" >"$manifest"
	verify
	cp "$dir/saved" "$manifest"
	refused 4 'has the digest'
}
