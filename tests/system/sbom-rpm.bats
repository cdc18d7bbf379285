#!/usr/bin/env bats
# What an image of rpm packages is made of, against rpm's own database.

bats_require_minimum_version 1.5.0
load lib
load tiny
load rpm

setup_file() {
	load lib
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/sbom-rpm.XXXXXX")
	export dir
	chmod 755 "$dir"
	rpm_repo "$dir"
	export POSMEDIA_STORE=$dir/store POSMEDIA_DNF_MIRROR=file://$dir/rpm/mirror
	mkdir -p "$dir/recipes" "$dir/overlay/etc" "$dir/root"
	echo hello >"$dir/overlay/etc/motd"
	cat >"$dir/recipes/till.yaml" <<-YAML
		posmedia: 1
		name: till
		version: 1
		base:
		  dnf:
		    release: "9"
		    repos: [{name: base, url: base, gpgkey: rpm/key.asc}]
		packages: {install: ["@^shop", "bulk-1*"], docs: false, langs: [de]}
		overlays: [{from: overlay, to: /}]
	YAML
	posmedia lock recipes/till.yaml
	succeeded
	posmedia build recipes/till.yaml -o oci:out/till:1 --statements said
	succeeded
	local layer manifest=${output##*@sha256:}
	jq -r '.layers[].digest[7:]' "$dir/out/till/blobs/sha256/$manifest" |
		while read -r layer; do
			bsdtar -xpf "$dir/out/till/blobs/sha256/$layer" -C "$dir/root"
		done
}

teardown_file() {
	rm -rf "$dir"
}

# rpm on the image's own database.
query() {
	rpm --root "$dir/root" --dbpath "$(cd "$dir/root" && find usr var -name rpmdb.sqlite \
		-printf '/%h\n' | head -n 1)" "$@"
}

@test "packages are those of rpm's database, with the files of the lock" {
	query -qa --qf '%{NAME} %{EVR} %{ARCH}\n' | grep -v '^gpg-pubkey ' | LC_ALL=C sort \
		>"$dir/rpm.list"
	[ -s "$dir/rpm.list" ]
	jq -r '.packages[] | select(.SPDXID | startswith("SPDXRef-package-")) |
		"\(.name) \(.versionInfo) " + (.externalRefs[0].referenceLocator |
		sub(".*arch="; "") | sub("&.*"; ""))' "$dir/said/spdx.json" | LC_ALL=C sort |
		diff "$dir/rpm.list" -
	jq -r '.components[] | select(.type == "library") | "\(.name) \(.hashes[0].content)"' \
		"$dir/said/cyclonedx.json" | LC_ALL=C sort >"$dir/said.list"
	jq -r '.packages[] | "\(.name) \(.sha256)"' "$dir/recipes/till.lock" | LC_ALL=C sort |
		diff - "$dir/said.list"
	jq -e 'all(.components[] | select(.type == "library").purl; startswith("pkg:rpm/"))' \
		"$dir/said/cyclonedx.json"
}

@test "every file is a package's or listed with its sum" {
	(cd "$dir/root" && find . ! -type d | LC_ALL=C sort) >"$dir/all"
	query -qal | sed -E 's,^/(bin|sbin|lib|lib64)/,/usr/\1/,; s,^/,./,' | LC_ALL=C sort -u \
		>"$dir/owned"
	jq -r '.files[].fileName' "$dir/said/spdx.json" | LC_ALL=C sort >"$dir/listed"
	comm -12 "$dir/owned" "$dir/listed" >"$dir/both"
	[ ! -s "$dir/both" ] || { cat "$dir/both"; false; }
	comm -23 "$dir/all" "$dir/owned" | comm -3 - "$dir/listed" >"$dir/neither"
	[ ! -s "$dir/neither" ] || { cat "$dir/neither"; false; }
	grep -qx ./etc/motd "$dir/listed"
	jq -r '.files[] | select(.comment == null) | "\(.checksums[] | select(.algorithm ==
		"SHA256").checksumValue)  \(.fileName)"' "$dir/said/spdx.json" >"$dir/sums"
	(cd "$dir/root" && sha256sum --quiet -c "$dir/sums")
}

@test "provenance names every package, the recipe and the lock by their digests" {
	jq -r '.packages[].sha256' "$dir/recipes/till.lock" | LC_ALL=C sort >"$dir/wanted"
	jq -r '.predicate.buildDefinition.resolvedDependencies[].digest.sha256' \
		"$dir/said/provenance.statement.json" | LC_ALL=C sort |
		comm -13 - "$dir/wanted" >"$dir/missing"
	[ ! -s "$dir/missing" ]
}
