#!/usr/bin/env bats
# Locking and fetching against a small repository of our own making, right and wrong: what is not
# signed by the recipe's key is not used, and what is not the locked bytes is not kept.

bats_require_minimum_version 1.5.0
load lib
load tiny
load repository

setup() {
	dir=$(mktemp -d)
	export POSMEDIA_STORE=$dir/store GNUPGHOME=$dir/gnupg
	mkdir -m 700 "$GNUPGHOME"
	new_key ours
	new_key theirs
	mkdir -p "$dir/recipes"
	gpg -q --export ours >"$dir/ours.gpg"
	cat >"$dir/recipes/till.yaml" <<-YAML
		posmedia: 1
		name: till
		version: 1
		base:
		  apt: {suite: bookworm, keyring: ours.gpg, mirrors: ["file://$dir/mirror"]}
		packages: {install: [till]}
	YAML
	package libtill 1.0
	package till 1.0 libtill
	publish ours
}

teardown() {
	gpgconf --kill all
	rm -rf "$dir"
}

@test "a signed repository gives a lock, and the same lock again" {
	posmedia lock recipes/till.yaml
	[ "$status" -eq 0 ] || { echo "$stderr"; false; }
	[ "$(jq -c '[.packages[] | [.name, .version]]' "$dir/recipes/till.lock")" = \
		'[["libtill","1.0"],["till","1.0"]]' ]
	cp "$dir/recipes/till.lock" "$dir/first"
	posmedia lock recipes/till.yaml
	[[ $output == *'up to date'* ]]
	publish ours
	posmedia lock recipes/till.yaml --update
	cmp "$dir/first" "$dir/recipes/till.lock"
}

@test "a newer version is named, and locked only when asked for" {
	posmedia lock recipes/till.yaml
	package libtill 1.1
	publish ours
	posmedia lock recipes/till.yaml
	[[ $output == *'up to date'* ]]
	posmedia lock recipes/till.yaml --update --dry-run
	[[ $output == *'libtill 1.0 -> 1.1'* ]]
	[ "$(jq -r '.packages[0].version' "$dir/recipes/till.lock")" = 1.0 ]
	posmedia lock recipes/till.yaml --update
	[[ $output == *'libtill 1.0 -> 1.1'* ]]
	[ "$(jq -r '.packages[0].version' "$dir/recipes/till.lock")" = 1.1 ]
}

@test "a repository without a signature is refused at its place in the recipe" {
	publish ''
	posmedia lock recipes/till.yaml
	refused 3 'recipes/till.yaml:5:'
	[ ! -e "$dir/recipes/till.lock" ]
}

@test "a repository signed by another key is refused" {
	publish theirs
	posmedia lock recipes/till.yaml
	refused 3 'recipes/till.yaml:5:'
	[ ! -e "$dir/recipes/till.lock" ]
}

@test "a signature over other bytes is refused" {
	local dist=$dir/mirror/dists/bookworm
	sed -i 's/^Components: main/Components: main contrib/' "$dist/InRelease"
	posmedia lock recipes/till.yaml
	refused 3 'recipes/till.yaml:5:'
	[ ! -e "$dir/recipes/till.lock" ]
}

@test "an index that is not the signed one is refused" {
	local dist=$dir/mirror/dists/bookworm
	sed -i 's/^Version: 1.0/Version: 6.6/' "$dist/main/binary-amd64/Packages"
	posmedia lock recipes/till.yaml
	refused 4 'not the one that was signed'
	[ ! -e "$dir/recipes/till.lock" ]
}

@test "a package that does not exist is named" {
	sed -i 's/install: .till/install: [tyll/' "$dir/recipes/till.yaml"
	posmedia lock recipes/till.yaml
	refused 3 tyll
}

@test "a dependency that does not exist is named" {
	package till 1.2 nonesuch
	publish ours
	posmedia lock recipes/till.yaml
	refused 3 nonesuch
}

@test "a package whose bytes changed is refused, and nothing is kept of it" {
	posmedia lock recipes/till.yaml
	flip "$dir/mirror/pool/libtill_1.0_all.deb"
	posmedia build recipes/till.yaml
	refused 4 libtill
	[ ! -e "$dir/out/till/index.json" ]
	[ ! -e "$dir/store/blobs/sha256/$(sha256sum <"$dir/mirror/pool/libtill_1.0_all.deb" |
		cut -c1-64)" ]
}

@test "a package that was cut short is refused" {
	posmedia lock recipes/till.yaml
	truncate -s -100 "$dir/mirror/pool/libtill_1.0_all.deb"
	posmedia build recipes/till.yaml
	[[ $status =~ ^[45]$ ]] || { echo "$status $stderr"; false; }
	[[ $stderr == *libtill* ]]
	[ ! -e "$dir/out/till/index.json" ]
}

@test "a version that the mirror has no more is named, and locking anew says what changed" {
	posmedia lock recipes/till.yaml
	package libtill 1.1
	publish ours
	posmedia build recipes/till.yaml
	refused 5 'libtill'
	refused 5 'posmedia lock'
	posmedia lock recipes/till.yaml --update
	[ "$status" -eq 0 ]
	[[ $output == *'libtill 1.0 -> 1.1'* ]]
}

@test "a lock of another recipe is refused" {
	posmedia lock recipes/till.yaml
	echo 'run: {entrypoint: [/bin/true]}' >>"$dir/recipes/till.yaml"
	posmedia build recipes/till.yaml
	refused 3 'posmedia lock'
}

# The file of the locked package libtill in the store.
stored() {
	echo "$dir/store/blobs/sha256/$(jq -r '.packages[] | select(.name == "libtill").sha256' \
		"$dir/recipes/till.lock")"
}

@test "a package that is damaged in the store is found, put aside and fetched again" {
	posmedia lock recipes/till.yaml
	posmedia build recipes/till.yaml # there is no dpkg in it, but the packages were fetched
	flip "$(stored)"
	posmedia store verify
	refused 4 '1 of its blobs wrong'
	posmedia build recipes/till.yaml
	[[ $stderr == *"package libtill 1.0: the store's copy was damaged; it is fetched again"* ]]
	cmp "$(stored)" "$dir/mirror/pool/libtill_1.0_all.deb"
	[ -f "$dir/store/damaged/$(basename "$(stored)")" ]
	posmedia store verify
	[ "$status" -eq 0 ]
}

@test "a package that is damaged in the store and that no mirror has any more: exit 5" {
	posmedia lock recipes/till.yaml
	posmedia build recipes/till.yaml
	flip "$(stored)"
	rm "$dir/mirror/pool/libtill_1.0_all.deb"
	posmedia build recipes/till.yaml
	refused 5 "package libtill 1.0: the store's copy was damaged"
	refused 5 'package libtill 1.0: neither the store nor a mirror has it any more'
	[ ! -e "$(stored)" ]
}

@test "store gc keeps the locked packages and removes others" {
	posmedia lock recipes/till.yaml
	posmedia build recipes/till.yaml
	local old
	old=$(stored)
	package libtill 1.1
	publish ours
	posmedia lock recipes/till.yaml --update
	posmedia build recipes/till.yaml
	posmedia store gc --remember 1 --dry-run --json
	[ "$(jq -c '[.packages.needed.count, .packages.free.count]' <<<"$output")" = '[2,1]' ]
	[ -f "$old" ]
	posmedia store gc --remember 1
	[ "$status" -eq 0 ]
	# with the old lock, and what was decompressed of it, if there was time for that
	[[ $output =~ freed:\ [23],\  ]]
	[ ! -e "$old" ] && [ -f "$(stored)" ]
}
