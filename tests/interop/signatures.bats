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
	sign_project "$(mktemp -d "${TMPDIR:-/var/tmp}/interop.XXXXXX")"
	certify k codeSigning
	cat "$dir/k.pem" "$dir/ca.pem" >"$dir/chain.pem"
	posmedia key new tsa
	certify tsa critical,timeStamping
	statement https://slsa.dev/provenance/v1 '{"buildDefinition": {"buildType":
		"https://example.org/b", "externalParameters": {}}, "runDetails": {"builder":
		{"id": "https://example.org/builder"}}}' >"$dir/provenance.json"
	start_registry "$dir/registry"
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
	[ -x "$OUT/tests/$3/usr/bin/$2" ] || flock "$OUT/tests.flock" tests/system/fetch-tool \
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

@test "cosign 3: a bundle by another's key alone makes it refuse, ours beside it does not" {
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
