#!/usr/bin/env bats
# What an image is made of, against what is in it: dpkg's database, every file, the lock; as
# statements that are signed and demanded.

bats_require_minimum_version 1.5.0
load lib
load tiny
load sign

setup_file() {
	load lib
	load tiny
	load sign
	sign_project "$(mktemp -d)"
	export dir POSMEDIA_STORE
	posmedia sbom oci:out/till:1 --output said
	succeeded
	mkdir "$dir/root"
	jq -r '.layers[].digest' "$(blob "$image")" | while read -r layer; do
		bsdtar -xf "$(blob "$layer")" -C "$dir/root"
	done
}

teardown_file() {
	rm -rf "$dir"
}

@test "packages are those of dpkg's database, with the files of the lock" {
	dpkg-query --admindir="$dir/root/var/lib/dpkg" -W \
		-f '${db:Status-Status} ${Package} ${Version} ${Architecture}\n' |
		sed -n 's/^installed //p' | LC_ALL=C sort >"$dir/dpkg"
	jq -r '.packages[] | select(.SPDXID | startswith("SPDXRef-package-")) |
		"\(.name) \(.versionInfo) " + (.externalRefs[0].referenceLocator |
		sub(".*arch="; ""))' \
		"$dir/said/spdx.json" | LC_ALL=C sort >"$dir/spdx"
	diff "$dir/dpkg" "$dir/spdx"
	[ -s "$dir/spdx" ]
	jq -r '.components[] | select(.type == "library") |
		"\(.name) \(.version) \(.purl | sub(".*arch="; ""))"' \
		"$dir/said/cyclonedx.json" | LC_ALL=C sort | diff "$dir/dpkg" -
	jq -r '.packages[] | "\(.name) \(.sha256)"' "$dir/recipes/till.lock" | LC_ALL=C sort \
		>"$dir/locked"
	jq -r '.components[] | select(.type == "library") | "\(.name) \(.hashes[0].content)"' \
		"$dir/said/cyclonedx.json" | LC_ALL=C sort | diff "$dir/locked" -
}

@test "every file is a package's or listed with its sum" {
	(cd "$dir/root" && find . ! -type d | LC_ALL=C sort) >"$dir/all"
	# /lib and its like lead into /usr
	cat "$dir/root"/var/lib/dpkg/info/*.list |
		sed -E 's,^/(bin|sbin|lib|lib64)/,/usr/\1/,; s,^/,./,' |
		LC_ALL=C sort -u >"$dir/owned"
	jq -r '.files[].fileName' "$dir/said/spdx.json" | LC_ALL=C sort >"$dir/listed"
	# nothing is both, nothing is neither
	[ -z "$(comm -12 "$dir/owned" "$dir/listed")" ]
	comm -23 "$dir/all" "$dir/owned" | comm -3 - "$dir/listed" >"$dir/neither"
	[ ! -s "$dir/neither" ] || { cat "$dir/neither"; false; }
	grep -qx ./etc/motd "$dir/listed"
	jq -r '.files[] | select(.comment == null) | "\(.checksums[] | select(.algorithm ==
		"SHA256").checksumValue)  \(.fileName)"' "$dir/said/spdx.json" >"$dir/sums"
	(cd "$dir/root" && sha256sum --quiet -c "$dir/sums")
	jq -r '.files[] | select(.comment == null) | "\(.checksums[] | select(.algorithm ==
		"SHA1").checksumValue)  \(.fileName)"' "$dir/said/spdx.json" >"$dir/sums"
	(cd "$dir/root" && sha1sum --quiet -c "$dir/sums")
}

@test "the same image says the same" {
	posmedia sbom oci:out/till:1 --output again
	diff -r "$dir/said" "$dir/again"
}

@test "provenance names every input by its digest" {
	jq -e --arg hex "${image#*:}" '.subject[0].digest.sha256 == $hex and
		.predicateType == "https://slsa.dev/provenance/v1" and
		.predicate.runDetails.builder.id == "urn:posmedia:builder:local"' \
		"$dir/said/provenance.statement.json"
	jq -r '.packages[].sha256' "$dir/recipes/till.lock" >"$dir/wanted"
	jq -r '.config.digest' "$(blob "$image")" >"$dir/config"
	jq -r '.config.Labels | .["org.posmedia.lock"]' "$(blob "$(cat "$dir/config")")" |
		sed 's/.*://' >>"$dir/wanted"
	jq -r '.predicate.buildDefinition.resolvedDependencies[].digest.sha256' \
		"$dir/said/provenance.statement.json" | LC_ALL=C sort >"$dir/named"
	LC_ALL=C sort "$dir/wanted" | comm -23 - "$dir/named" >"$dir/missing"
	[ ! -s "$dir/missing" ]
}

@test "all are signed at once and demanded by a policy; a failed scan is not signed" {
	statements=()
	for what in provenance spdx cyclonedx scan; do
		statements+=(--attest "said/$what.statement.json")
	done
	posmedia sign oci:out/till:1 --key k "${statements[@]}"
	succeeded
	cat >"$dir/policy.yaml" <<-YAML
		posmedia: 1
		repositories:
		  - match: "localhost/till"
		    keys: [k.pub]
		    attestations:
		      - type: https://slsa.dev/provenance/v1
		        where: {runDetails.builder.id: "urn:posmedia:builder:local"}
		      - {type: "https://spdx.dev/Document"}
		      - type: https://cyclonedx.org/bom
		        where: {specVersion: "1.6"}
		      - type: "urn:posmedia:scan:v1"
		        where: {result: PASSED}
	YAML
	posmedia verify oci:out/till:1 --policy policy.yaml
	succeeded
	jq '.predicate.result = "FAILED"' "$dir/said/scan.statement.json" >"$dir/failed.json"
	posmedia sign oci:out/till:1 --key k --attest failed.json
	refused 4 'says that the image failed'
}

@test "a card number in the image is a scan that failed" {
	printf 'card 4539 1488 0343 6467\n' >"$dir/overlay/etc/motd"
	printf 'hardening: {fail-on: never}\n' >>"$dir/recipes/till.yaml"
	posmedia lock recipes/till.yaml
	succeeded
	posmedia build recipes/till.yaml -o oci:out/card:1
	succeeded
	posmedia sbom oci:out/card:1 --output card
	succeeded
	[ "$(jq -r .predicate.result "$dir/card/scan.statement.json")" = FAILED ]
}
