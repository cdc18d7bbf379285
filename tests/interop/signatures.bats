#!/usr/bin/env bats
# Strangers verify our signatures, good and bad: cosign 2 and 3, notation, npm's sigstore packages,
# Debian's skopeo and podman. posmedia-signatures(7) has the table; what is said here is in it.

bats_require_minimum_version 1.5.0
load ../system/lib
load ../system/tiny
load ../system/sign

setup_file() {
	load ../system/lib
	load ../system/tiny
	load ../system/sign
	tool trixie cosign cosign
	tool sid cosign cosign3
	tool sid notation notation
	tool trixie "skopeo libc6 libgpgme11t64 libassuan9 libgpg-error0 libsubid5 libsqlite3-0
		libdevmapper1.02.1 libseccomp2 libselinux1 libudev1 libcap2 libpcre2-8-0 libaudit1
		libcap-ng0 libpam0g libattr1 libacl1 libcrypt1" skopeo
	sign_project "$(mktemp -d "${TMPDIR:-/var/tmp}/interop.XXXXXX")"
	certify k codeSigning
	cat "$dir/k.pem" "$dir/ca.pem" >"$dir/chain.pem"
	posmedia key new tsa
	certify tsa critical,timeStamping
	statement https://slsa.dev/provenance/v1 '{"buildDefinition": {"buildType":
		"https://example.org/b", "externalParameters": {}}, "runDetails": {"builder":
		{"id": "https://example.org/builder"}}}' >"$dir/provenance.json"
	start_registry "$dir/registry"
	cp -r "$dir/out/till" "$dir/plain"
	posmedia sign oci:out/till:1 --key k --identity "$registry/pos/till:1" \
		--chain chain.pem --tsa-key tsa --tsa-cert tsa.pem --attest provenance.json
	succeeded
	posmedia push oci:out/till:1 "docker://$registry/pos/till:1" --lookaside lookaside
	succeeded
	head -c 100000 /dev/urandom >"$dir/medium.iso"
	posmedia sign medium.iso --key k
	echo '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1",
		"tlogs":[],"certificateAuthorities":[],"ctlogs":[],"timestampAuthorities":[]}' \
		>"$dir/empty.json"
	export dir POSMEDIA_STORE registry registry_pid
}

teardown_file() {
	stop_registry
	rm -rf "$dir"
}

setup() {
	export HOME=$dir/home
	mkdir -p "$HOME"
	cosign=$OUT/tests/cosign/usr/bin/cosign
	cosign3=$OUT/tests/cosign3/usr/bin/cosign
	notation=$OUT/tests/notation/usr/bin/notation
	at=$registry/pos/till:1
	digested=$registry/pos/till@$image
}

# The program of package $2 of suite $1, unpacked in out/tests/$3.
tool() {
	[ -d "$OUT/tests/$3/usr" ] || flock "$OUT/tests.flock" tests/system/fetch-tool \
		"$1" "$2" "$OUT/tests/$3" >"$OUT/tests-$3.log" 2>&1 || true
}

need_tool() {
	[ -x "$1" ] || skip "no ${1#"$OUT/tests/"}: the machine's mirror has it not"
}

good() {
	[ "$status" -eq 0 ] || { echo "$output"; false; }
}

@test "cosign 2: .sig, good and with another key" {
	need_tool "$cosign"
	for key in k other; do
		run "$cosign" verify --key "$dir/$key.pub" --insecure-ignore-tlog=true \
			--allow-http-registry "$at"
		[ "$key" = other ] || good
	done
	[ "$status" -ne 0 ]
}

@test "cosign 2: attestations in .att, by type and key" {
	need_tool "$cosign"
	run "$cosign" verify-attestation --key "$dir/k.pub" --insecure-ignore-tlog=true \
		--allow-http-registry --type slsaprovenance1 "$at"
	good
	run "$cosign" verify-attestation --key "$dir/other.pub" --insecure-ignore-tlog=true \
		--allow-http-registry --type slsaprovenance1 "$at"
	[ "$status" -ne 0 ]
	run "$cosign" verify-attestation --key "$dir/k.pub" --insecure-ignore-tlog=true \
		--allow-http-registry --type spdxjson "$at"
	[ "$status" -ne 0 ]
}

@test "cosign 2: a bundle of an attestation, and of a file" {
	need_tool "$cosign"
	run "$cosign" verify-attestation --key "$dir/k.pub" --insecure-ignore-tlog=true \
		--allow-http-registry --new-bundle-format --trusted-root "$dir/empty.json" \
		--type slsaprovenance1 "$at"
	good
	run "$cosign" verify-attestation --key "$dir/other.pub" --insecure-ignore-tlog=true \
		--allow-http-registry --new-bundle-format --trusted-root "$dir/empty.json" \
		--type slsaprovenance1 "$at"
	[ "$status" -ne 0 ]
	run "$cosign" verify-blob --key "$dir/other.pub" --insecure-ignore-tlog=true \
		--new-bundle-format --trusted-root "$dir/empty.json" \
		--bundle "$dir/medium.iso.sigstore.json" "$dir/medium.iso"
	[ "$status" -ne 0 ]
	run "$cosign" verify-blob --key "$dir/k.pub" --insecure-ignore-tlog=true \
		--new-bundle-format --trusted-root "$dir/empty.json" \
		--bundle "$dir/medium.iso.sigstore.json" "$dir/medium.iso"
	good
	run "$cosign" verify-blob --key "$dir/k.pub" --insecure-ignore-tlog=true \
		--signature "$dir/medium.iso.sig" "$dir/medium.iso"
	good
	run "$cosign" verify-blob --key "$dir/k.pub" --insecure-ignore-tlog=true \
		--signature "$dir/medium.iso.sig" "$dir/k.pub"
	[ "$status" -ne 0 ]
}

@test "cosign 3: bundles of the image, its attestations and of a file" {
	need_tool "$cosign3"
	run "$cosign3" verify --key "$dir/k.pub" --insecure-ignore-tlog=true \
		--allow-http-registry "$at"
	good
	[[ $output == *"$image"* ]]
	run "$cosign3" verify-attestation --key "$dir/k.pub" --insecure-ignore-tlog=true \
		--allow-http-registry --type slsaprovenance1 "$at"
	good
	for verb in verify 'verify-attestation --type slsaprovenance1'; do
		# shellcheck disable=SC2086 # words
		run "$cosign3" $verb --key "$dir/other.pub" --insecure-ignore-tlog=true \
			--allow-http-registry "$at"
		[ "$status" -ne 0 ]
	done
	run "$cosign3" verify-blob --key "$dir/k.pub" --insecure-ignore-tlog=true \
		--bundle "$dir/medium.iso.sigstore.json" "$dir/medium.iso"
	good
	run "$cosign3" verify-blob --key "$dir/k.pub" --insecure-ignore-tlog=true \
		--bundle "$dir/medium.iso.sigstore.json" "$dir/k.pub"
	[ "$status" -ne 0 ]
}

@test "cosign 3: a bundle by another's key beside ours changes nothing" {
	need_tool "$cosign3"
	posmedia push oci:out/till:1 "docker://$registry/two/till:1"
	posmedia sign "docker://$registry/two/till:1" --key other
	succeeded
	run "$cosign3" verify --key "$dir/k.pub" --insecure-ignore-tlog=true \
		--allow-http-registry "$registry/two/till:1"
	good
}

@test "notation: under a strict policy, and not with another authority" {
	need_tool "$notation"
	config=$HOME/.config/notation
	mkdir -p "$config/truststore/x509/ca/ours" "$config/truststore/x509/ca/theirs"
	cp "$dir/ca.pem" "$config/truststore/x509/ca/ours/ca.pem"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/x.key" \
		-out "$config/truststore/x509/ca/theirs/ca.pem" -subj /C=DE/ST=B/O=X/CN=x \
		-addext basicConstraints=critical,CA:TRUE \
		-addext keyUsage=critical,keyCertSign 2>/dev/null
	for store in ours theirs; do
		jq -n --arg store "ca:$store" '{version: "1.0", trustPolicies: [{name: "pos",
			registryScopes: ["*"], trustStores: [$store], trustedIdentities: ["*"],
			signatureVerification: {level: "strict",
			override: {revocation: "skip"}}}]}' \
			>"$config/trustpolicy.json"
		run "$notation" verify --insecure-registry "$digested"
		[ "$store" = theirs ] || good
	done
	[ "$status" -ne 0 ]
}

# The image at $at under a policy that trusts the certificate $1.
by_notation() {
	printf '%s\n' 'posmedia: 1' 'repositories:' "  - match: \"$registry/*/*\"" \
		"    notation: {trust: $1}" >"$dir/notation.yaml"
	posmedia verify "docker://$registry/theirs/till:1" --policy notation.yaml
}

@test "what notation signs is believed by its certificate, until it expires" {
	need_tool "$notation"
	config=$HOME/.config/notation
	mkdir -p "$config"
	openssl pkcs8 -topk8 -nocrypt -in "$dir/k" -out "$dir/k.pkcs8"
	jq -n --arg k "$dir/k.pkcs8" --arg c "$dir/chain.pem" '{default: "pos", keys:
		[{name: "pos", keyPath: $k, certPath: $c}]}' >"$config/signingkeys.json"
	posmedia copy oci:plain:1 "docker://$registry/theirs/till:1"
	succeeded
	by_notation ca.pem
	refused 4 'it has no notation signature'
	run "$notation" sign --insecure-registry --signature-format cose --key pos \
		"$registry/theirs/till@$image"
	good
	by_notation ca.pem
	refused 4 'is not one JWS envelope'
	run "$notation" sign --insecure-registry --signature-format jws --key pos --expiry 20s \
		"$registry/theirs/till@$image"
	good
	by_notation ca.pem
	succeeded
	[[ $output == *'notation: by CN=k'* ]]
	by_notation tsa.pem
	refused 4 'lead to none that is trusted'
	sleep 21
	by_notation ca.pem
	refused 4 'expired at'
	run "$notation" sign --insecure-registry --signature-format jws --key pos \
		--user-metadata note=x "$registry/theirs/till@$image"
	good
	by_notation ca.pem
	succeeded
}

@test "npm's @sigstore/verify: image, file, tampered, another key, a key past its time" {
	command -v npm >/dev/null || skip 'no npm'
	npm=$OUT/tests/npm
	[ -d "$npm/node_modules/@sigstore/verify" ] || (mkdir -p "$npm" && cd "$npm" &&
		npm install --silent --no-fund @sigstore/verify @sigstore/bundle \
			@sigstore/protobuf-specs) || skip 'no packages'
	signature=$(bundle_of https://sigstore.dev/cosign/sign/v1)
	bundle=$(blob "$(jq -r '.layers[0].digest' "$(blob "$signature")")")
	cp tests/interop/sigstore.js "$npm/"
	ask=(node "$npm/sigstore.js")
	authority=("$dir/tsa.pem" "$dir/ca.pem")
	run "${ask[@]}" "$bundle" "$dir/k.pub" 2000-01-01 2100-01-01 "${authority[@]}"
	good
	run "${ask[@]}" "$bundle" "$dir/other.pub" 2000-01-01 2100-01-01 "${authority[@]}"
	[ "$status" -ne 0 ]
	# the stamp makes the end of a key's time count, and must be by an authority that is known
	run "${ask[@]}" "$bundle" "$dir/k.pub" 2000-01-01 2001-01-01 "${authority[@]}"
	[ "$status" -ne 0 ]
	run "${ask[@]}" "$bundle" "$dir/k.pub" 2000-01-01 2100-01-01
	[[ $output == *'timestamp could not be verified'* ]]
	run "${ask[@]}" "$dir/medium.iso.sigstore.json" "$dir/k.pub" 2000-01-01 2100-01-01 '' '' \
		"$dir/medium.iso"
	good
	run "${ask[@]}" "$dir/medium.iso.sigstore.json" "$dir/k.pub" 2000-01-01 2100-01-01 '' '' \
		"$dir/k.pub"
	[ "$status" -ne 0 ]
}

@test "Debian's skopeo and podman: OpenPGP, two of two, and another's key" {
	mkdir -p "$dir/registries.d"
	cat >"$dir/registries.d/pos.yaml" <<-YAML
		docker:
		  $registry/pos:
		    lookaside: file://$dir/lookaside
	YAML
	for keys in k other 'k other'; do
		jq -n --arg scope "$registry/pos" --arg dir "$dir" --arg keys "$keys" '{default:
			[{type: "reject"}], transports: {docker: {($scope): [$keys | split(" ")[] |
			{type: "signedBy", keyType: "GPGKeys", keyPath: "\($dir)/\(.).gpg"}]}}}' \
			>"$dir/policy.json"
		run skopeo --policy "$dir/policy.json" --registries.d "$dir/registries.d" copy -q \
			--remove-signatures --src-tls-verify=false "docker://$at" "oci:$dir/got:1"
		if [ "$keys" = k ]; then
			good
		else
			[[ $output == *'Source image rejected'* ]]
		fi
	done
	posmedia sign oci:out/till:1 --key other --identity "$at"
	posmedia push oci:out/till:1 "docker://$at" --lookaside lookaside
	succeeded
	run skopeo --policy "$dir/policy.json" --registries.d "$dir/registries.d" copy -q \
		--remove-signatures --src-tls-verify=false "docker://$at" "oci:$dir/got:2"
	good
}

# skopeo of Debian 13, with the libraries that it is made for.
newer_skopeo() {
	local lib=$OUT/tests/skopeo/usr/lib/x86_64-linux-gnu
	"$lib/ld-linux-x86-64.so.2" --library-path "$lib" "$OUT/tests/skopeo/usr/bin/skopeo" "$@"
}

@test "a newer skopeo: OpenPGP and sigstore attachments, and another's key" {
	need_tool "$OUT/tests/skopeo/usr/bin/skopeo"
	posmedia key new third --uid 'Third <third@example.org>'
	succeeded
	mkdir -p "$dir/newer.d"
	cat >"$dir/newer.d/pos.yaml" <<-YAML
		docker:
		  $registry/pos:
		    lookaside: file://$dir/lookaside
		    use-sigstore-attachments: true
	YAML
	for key in k third; do
		jq -n --arg scope "$registry/pos" --arg key "$dir/$key" '{default:
			[{type: "reject"}], transports: {docker: {($scope): [
			{type: "signedBy", keyType: "GPGKeys", keyPath: "\($key).gpg"},
			{type: "sigstoreSigned", keyPath: "\($key).pub"}]}}}' >"$dir/$key.policy"
		jq 'del(.transports.docker[][0])' "$dir/$key.policy" >"$dir/$key.sigstore"
		jq 'del(.transports.docker[][1])' "$dir/$key.policy" >"$dir/$key.openpgp"
	done
	for policy in k.policy k.sigstore k.openpgp third.sigstore third.openpgp; do
		run newer_skopeo --policy "$dir/$policy" --registries.d "$dir/newer.d" copy -q \
			--remove-signatures --src-tls-verify=false "docker://$at" "oci:$dir/newer:1"
		if [[ $policy == third* ]]; then
			[ "$status" -ne 0 ] && [[ $output == *'Source image rejected'* ]]
		else
			good
		fi
	done
}

@test "SoftHSM2: a key that cannot be read signs; a wrong PIN and no token are errors" {
	module=/usr/lib/softhsm/libsofthsm2.so
	export SOFTHSM2_CONF=$dir/softhsm.conf
	mkdir "$dir/tokens" "$dir/hsm"
	echo "directories.tokendir = $dir/tokens" >"$SOFTHSM2_CONF"
	softhsm2-util --init-token --free --label pos --pin 1234 --so-pin 5678
	cp "$dir/k.json" "$dir/hsm/k.json"
	pkcs11-tool --module "$module" --token-label pos --login --pin 1234 --keypairgen \
		--key-type EC:prime256v1 --label release
	pkcs11-tool --module "$module" --token-label pos --read-object --type pubkey \
		--label release --output-file "$dir/hsm/k.der"
	openssl pkey -pubin -inform DER -in "$dir/hsm/k.der" -out "$dir/hsm/k.pub"
	cat >"$dir/signer" <<-SH
		#!/bin/sh
		SOFTHSM2_CONF=$SOFTHSM2_CONF exec $PWD/tests/interop/pkcs11-signer "\$@"
	SH
	chmod +x "$dir/signer"
	ask=(--key hsm/k --signer "$dir/signer" --signer-arg "$module" --signer-arg pos
		--signer-arg release --passphrase-file pin)
	echo 1234 >"$dir/pin"
	posmedia sign oci:out/till:1 --identity localhost/till:hsm "${ask[@]}"
	succeeded
	posmedia verify oci:out/till:1 --identity localhost/till:hsm --key hsm/k.pub
	succeeded
	echo 4321 >"$dir/pin"
	posmedia sign oci:out/till:1 --identity localhost/till:pin "${ask[@]}"
	refused 1 signer
	rm -rf "$dir/tokens"
	mkdir "$dir/tokens"
	posmedia sign oci:out/till:1 --identity localhost/till:none "${ask[@]}"
	refused 1 signer
}

@test "SPDX and CycloneDX: the validators say valid, and notice a fault" {
	tool sid python3-spdx-tools spdx
	tool sid python3-beartype beartype
	[ -d "$OUT/tests/spdx/usr" ] || skip "the machine's mirror has no python3-spdx-tools"
	[ -d "$OUT/tests/npm/node_modules/@cyclonedx" ] || (mkdir -p "$OUT/tests/npm" &&
		cd "$OUT/tests/npm" && npm install --silent --no-fund @cyclonedx/cyclonedx-library \
			ajv ajv-formats ajv-formats-draft2019) || skip 'no packages'
	posmedia sbom oci:out/till:1 --output said
	succeeded
	packages=usr/lib/python3/dist-packages
	export PYTHONPATH=$OUT/tests/spdx/$packages:$OUT/tests/beartype/$packages
	spdx=(/usr/bin/python3 -m spdx_tools.spdx.clitools.pyspdxtools -i)
	run "${spdx[@]}" "$dir/said/spdx.json"
	good
	jq 'del(.relationships[0])' "$dir/said/spdx.json" >"$dir/bad.spdx.json"
	run "${spdx[@]}" "$dir/bad.spdx.json"
	[ "$status" -ne 0 ]
	cp tests/interop/cyclonedx.js "$OUT/tests/npm/"
	run node "$OUT/tests/npm/cyclonedx.js" "$dir/said/cyclonedx.json"
	good
	jq '.components[0].type = "thing"' "$dir/said/cyclonedx.json" >"$dir/bad.json"
	run node "$OUT/tests/npm/cyclonedx.js" "$dir/bad.json"
	[ "$status" -ne 0 ]
}
