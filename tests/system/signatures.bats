#!/usr/bin/env bats
# Signatures in all forms on one image and on files; two who sign at once; what is no signature.
# Strangers' verifiers of them are in tests/interop/signatures.bats, but for Debian's own.

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
	# each test has its own index of the same blobs
	cp "$dir/out/till/index.json" "$dir/index.json"
}

teardown() {
	cp "$dir/index.json" "$dir/out/till/index.json"
	[ -z "${registry_pid-}" ] || stop_registry
}

@test "one key, every form, and verify says what it found" {
	posmedia verify oci:out/till:1 --key k.pub --json
	succeeded
	[ "$(jq -r '[.signatures[].form] | join(" ")' <<<"$output")" = 'openpgp cosign bundle' ]
	posmedia verify oci:out/till:1 --key other.pub
	refused 4 'signatures is good'
}

@test "provenance by the right key is no signature" {
	statement https://slsa.dev/provenance/v1 '{}' >"$dir/provenance.json"
	posmedia sign oci:out/till:1 --key k --attest provenance.json
	succeeded
	only_bundle https://slsa.dev/provenance/v1
	cat >"$dir/policy.yaml" <<-YAML
		posmedia: 1
		repositories:
		  - match: "localhost/till"
		    keys: [k.pub]
		    forms: [bundle]
	YAML
	posmedia verify oci:out/till:1 --policy policy.yaml
	refused 4 'none of its 1 bundle signatures is good'
	posmedia verify oci:out/till:1 --key k.pub
	refused 4 'no OpenPGP signature'
}

@test "sixteen who sign at once lose nothing" {
	for i in {1..8}; do
		(cd "$dir" && exec "$posmedia" sign oci:out/till:1 --key k \
			--identity "localhost/till:a$i" >/dev/null 3>&-) &
		statement "https://example.org/$i" '{}' >"$dir/s$i.json"
		(cd "$dir" && exec "$posmedia" sign oci:out/till:1 --key k \
			--attest "s$i.json" >/dev/null 3>&-) &
	done
	wait
	for i in {1..8}; do
		posmedia verify oci:out/till:1 --key k.pub --identity "localhost/till:a$i"
		succeeded
		posmedia verify oci:out/till:1 --key k.pub --attested "s$i.json"
		succeeded
	done
	posmedia store verify
	[ "$(bundle_of https://sigstore.dev/cosign/sign/v1 | wc -l)" = 9 ]
}

@test "they sign at once in a registry, and it lists every bundle" {
	start_registry "$dir/registry"
	posmedia push oci:out/till:1 "docker://$registry/pos/till:1"
	succeeded
	for i in {1..6}; do
		(cd "$dir" && exec "$posmedia" sign "docker://$registry/pos/till:1" --key k \
			--identity "$registry/pos/till:a$i" >/dev/null 3>&-) &
		pids="${pids-} $!"
	done
	# shellcheck disable=SC2086 # several
	wait $pids
	for i in {1..6}; do
		posmedia verify "docker://$registry/pos/till:1" --key k.pub \
			--identity "$registry/pos/till:a$i"
		succeeded
	done
	curl -sf "http://$registry/v2/pos/till/manifests/sha256-${image#*:}" \
		-H 'Accept: application/vnd.oci.image.index.v1+json' >"$dir/list"
	[ "$(jq '[.manifests[].artifactType] | unique | length' "$dir/list")" = 1 ]
	# that of the layout, and six more
	[ "$(jq '.manifests | length' "$dir/list")" = 7 ]
	stop_registry
}

@test "files: gpg and openssl agree, and one flipped bit is noticed in each" {
	head -c 300000 /dev/urandom >"$dir/medium.iso"
	posmedia sign medium.iso --key k
	succeeded
	posmedia verify medium.iso --key k.pub
	succeeded
	mkdir -m 700 "$dir/gnupg"
	gpg --homedir "$dir/gnupg" --no-autostart --no-default-keyring --keyring "$dir/k.gpg" \
		--verify "$dir/medium.iso.pgp" "$dir/medium.iso"
	base64 -d "$dir/medium.iso.sig" >"$dir/der"
	openssl dgst -sha256 -verify "$dir/k.pub" -signature "$dir/der" "$dir/medium.iso"
	for f in medium.iso medium.iso.pgp medium.iso.sig medium.iso.sigstore.json; do
		cp "$dir/$f" "$dir/saved"
		flip "$dir/$f"
		posmedia verify medium.iso --key k.pub
		[ "$status" -eq 4 ] || { echo "$f: $status $output"; false; }
		mv "$dir/saved" "$dir/$f"
	done
	posmedia verify medium.iso --key other.pub
	refused 4 'does not fit'
	rm "$dir/medium.iso.sig"
	posmedia verify medium.iso --key k.pub
	refused 4 'medium.iso.sig is not there'
}

@test "an authority's stamp and the key's certificates" {
	posmedia key new tsa
	certify tsa critical,timeStamping
	certify k codeSigning
	cat "$dir/k.pem" "$dir/ca.pem" >"$dir/chain.pem"
	posmedia sign oci:out/till:1 --key k --identity localhost/till:stamped --tsa-key tsa \
		--tsa-cert tsa.pem --chain chain.pem
	succeeded
	bundle_of https://sigstore.dev/cosign/sign/v1 >"$dir/bundles"
	bundle=$(jq -r '.layers[0].digest' "$(blob "$(tail -n 1 "$dir/bundles")")")
	jq -r '.verificationMaterial.timestampVerificationData |
		.rfc3161Timestamps[0].signedTimestamp' "$(blob "$bundle")" |
		base64 -d >"$dir/stamp.tsr"
	jq -r '.dsseEnvelope.signatures[0].sig' "$(blob "$bundle")" | base64 -d >"$dir/der"
	openssl ts -verify -in "$dir/stamp.tsr" -data "$dir/der" -CAfile "$dir/ca.pem" \
		-untrusted "$dir/tsa.pem"
	posmedia sign oci:out/till:1 --key other --chain chain.pem
	refused 4 "the first certificate is not the key's"
	posmedia sign oci:out/till:1 --key k --tsa-key tsa --tsa-cert k.pem
	refused 4 'is not a certificate for time stamps'
}

@test "another program signs; its crash, its hang and its garbage are errors" {
	cat >"$dir/signer" <<-'SH'
		#!/bin/bash
		# signs with the key in $1 what it is asked on standard input
		read -r hex
		case ${2-} in
		crash) kill -SEGV $$ ;;
		hang) exec sleep 300 ;;
		garbage) head -c 70 /dev/urandom ;;
		pin) read -r pin; [ "$pin" = 1234 ] || exit 3 ;;
		no) echo "no such token" >&2; exit 1 ;;
		esac
		perl -e 'print pack "H*", shift' "$hex" >"${0%/*}/asked"
		openssl pkeyutl -sign -inkey "$1" -in "${0%/*}/asked"
	SH
	chmod +x "$dir/signer"
	mkdir "$dir/public"
	cp "$dir/k.pub" "$dir/k.json" "$dir/public/"
	posmedia sign oci:out/till:1 --key public/k --identity localhost/till:outside \
		--signer "$dir/signer" --signer-arg "$dir/k"
	succeeded
	posmedia verify oci:out/till:1 --key k.pub --identity localhost/till:outside
	succeeded
	echo 1234 >"$dir/pin"
	posmedia sign oci:out/till:1 --key public/k --identity localhost/till:pin \
		--signer "$dir/signer" --signer-arg "$dir/k" --signer-arg pin --passphrase-file pin
	succeeded
	for how in crash garbage no; do
		posmedia sign oci:out/till:1 --key public/k --identity "localhost/till:$how" \
			--signer "$dir/signer" --signer-arg "$dir/k" --signer-arg "$how"
		refused 1 signer
	done
	[[ $stderr == *'no such token'* ]]
	local began=$SECONDS
	posmedia sign oci:out/till:1 --key public/k --identity localhost/till:hang \
		--signer "$dir/signer" --signer-arg "$dir/k" --signer-arg hang --signer-timeout 1
	refused 1 signer
	[ $((SECONDS - began)) -lt 90 ]
	run ! pgrep -f "$dir/signer"
	posmedia verify oci:out/till:1 --key k.pub --identity localhost/till:hang
	refused 4 ''
	posmedia sign oci:out/till:1 --key k --signer-timeout 3
	refused 2 '--signer-timeout wants --signer'
	posmedia sign oci:out/till:1 --key public/k --identity localhost/till:other \
		--signer "$dir/signer" --signer-arg "$dir/other"
	refused 1 'no signature by the key'
	posmedia sign oci:out/till:1 --key public/k --signer "$dir/nowhere" \
		--identity localhost/till:nowhere
	refused 1 nowhere
}
