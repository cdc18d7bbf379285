#!/usr/bin/env bats
# What a build says of its image: five statements, signed with it, and cheap when nothing changed.

bats_require_minimum_version 1.5.0
load lib
load tiny
load sign

setup_file() {
	load lib
	load tiny
	load sign
	tiny_project "$(mktemp -d)"
	export dir POSMEDIA_STORE
	mkdir -p "$dir/recipes/profiles"
	cat >"$dir/recipes/profiles/small.yaml" <<-YAML
		posmedia-profile: 1
		id: small
		version: 1.0.0
		title: t
		controls:
		  - id: ONE
		    title: t
		    severity: high
		    sources: {pa-dss: ["1.1"]}
		    want: [{accounts: {rule: only-root-is-0}}]
	YAML
	printf 'hardening: {profiles: [small]}\n' >>"$dir/recipes/till.yaml"
	posmedia key new k
	posmedia key new other
	posmedia lock recipes/till.yaml
	succeeded
	posmedia build recipes/till.yaml -o oci:out/till:1 --key k --statements said
	succeeded
	image=${output##*@}
	export image
}

teardown_file() {
	rm -rf "$dir"
}

types=(https://slsa.dev/provenance/v1 https://spdx.dev/Document https://cyclonedx.org/bom
	urn:posmedia:scan:v1 https://in-toto.io/attestation/test-result/v0.1)

policy() {
	local type
	printf '%s\n' 'posmedia: 1' 'repositories:' '  - match: "localhost/*"' \
		"    keys: [$1.pub]" '    attestations:'
	for type in "${types[@]}"; do
		printf '      - type: "%s"\n' "$type"
	done
}

@test "the five statements of a build are attached, signed, and what a policy demands" {
	policy k >"$dir/policy.yaml"
	posmedia verify oci:out/till:1 --policy policy.yaml --json
	succeeded
	[ "$(jq '.checked | length' <<<"$output")" -ge 5 ]
	policy other >"$dir/policy.yaml"
	posmedia verify oci:out/till:1 --policy policy.yaml
	refused 4 ''
}

@test "the files are those of sbom and audit, and what is attached" {
	posmedia sbom oci:out/till:1 --output sbom
	succeeded
	posmedia audit oci:out/till:1 --profile recipes/profiles/small.yaml \
		--recipe recipes/till.yaml --verify-evidence said
	succeeded
	local f
	for f in "$dir"/sbom/*; do
		cmp "$f" "$dir/said/${f##*/}"
	done
	for f in "$dir"/said/*statement.json "$dir/said/statement.intoto.json"; do
		[ -f "$f" ] || continue
		posmedia verify oci:out/till:1 --key k.pub --attested "$f"
		succeeded
	done
}

@test "nothing is made again until something is another" {
	cp "$dir/out/till/index.json" "$dir/before"
	posmedia build recipes/till.yaml -o oci:out/till:1 --key k --statements said
	succeeded
	[[ $stderr == *'it was up to date'* && $stderr != *statements* ]]
	cmp "$dir/out/till/index.json" "$dir/before"
	# a file that is gone, another key, and signatures that were taken away
	rm "$dir/said/spdx.json"
	posmedia build recipes/till.yaml -o oci:out/till:1 --key k --statements said
	succeeded
	[ -f "$dir/said/spdx.json" ]
	posmedia build recipes/till.yaml -o oci:out/till:1 --key other --statements said
	succeeded
	[[ $stderr == *'signed and attached'* ]]
	policy other >"$dir/policy.yaml"
	posmedia verify oci:out/till:1 --policy policy.yaml
	succeeded
	jq -c '.manifests |=
		map(select(.annotations["org.opencontainers.image.ref.name"] == "1"))' \
		"$dir/before" >"$dir/out/till/index.json"
	posmedia verify oci:out/till:1 --key other.pub
	refused 4 ''
	posmedia build recipes/till.yaml -o oci:out/till:1 --key other --statements said
	succeeded
	posmedia verify oci:out/till:1 --policy policy.yaml
	succeeded
}

@test "without a key the statements are files, and nothing is signed" {
	posmedia build recipes/till.yaml -o oci:out/plain:1 --statements plain
	succeeded
	[ "$(find "$dir/plain" -name '*statement*.json' -o -name '*intoto*' | wc -l)" -eq 5 ]
	run ! grep -q sha256- "$dir/out/plain/index.json"
}

@test "bad news is not signed, and then neither is the image" {
	printf 'card 4539 1488 0343 6467\n' >"$dir/overlay/etc/motd"
	sed 's/profiles: .small./&, fail-on: never/' "$dir/recipes/till.yaml" \
		>"$dir/recipes/card.yaml"
	posmedia lock recipes/card.yaml
	succeeded
	posmedia build recipes/card.yaml -o oci:out/card:1 --key k
	refused 4 'scan.statement.json: says that the image failed'
	posmedia verify oci:out/card:1 --key k.pub
	refused 4 ''
	echo hello >"$dir/overlay/etc/motd"
}

@test "gzip and zstd in one index: both images are attested" {
	sed 's/^name: till/name: two/' "$dir/recipes/till.yaml" >"$dir/recipes/two.yaml"
	printf 'layers: {compression: both}\n' >>"$dir/recipes/two.yaml"
	posmedia lock recipes/two.yaml
	succeeded
	posmedia build recipes/two.yaml -o oci:out/two:1 --key k
	succeeded
	local digest index=${output##*@}
	policy k >"$dir/policy.yaml"
	posmedia verify oci:out/two:1 --policy policy.yaml
	succeeded
	for digest in $(jq -r '.manifests[].digest' "$dir/out/two/blobs/sha256/${index#*:}"); do
		# alone, as who pulls one of them has it
		jq -c --arg d "$digest" '.manifests += [{mediaType:
			"application/vnd.oci.image.manifest.v1+json", digest: $d,
			size: $size, annotations: {"org.opencontainers.image.ref.name": "one"}}]' \
			--argjson size "$(stat -c %s "$dir/out/two/blobs/sha256/${digest#*:}")" \
			"$dir/out/two/index.json" >"$dir/one.json"
		cp -r "$dir/out/two" "$dir/out/one"
		cp "$dir/one.json" "$dir/out/one/index.json"
		posmedia verify oci:out/one:one --policy policy.yaml --identity localhost/two:1
		succeeded
		rm -r "$dir/out/one"
	done
}

@test "what cannot be meant is refused before anything is built" {
	posmedia build recipes/till.yaml -o oci:out/none:1 --chain k.pem
	refused 2 '--chain wants --key'
	posmedia build recipes/till.yaml -o oci:out/none:1 --key missing
	refused 1 missing
	chmod 644 "$dir/other"
	posmedia build recipes/till.yaml -o oci:out/none:1 --key other
	refused 4 other
	[ ! -e "$dir/out/none" ]
}
