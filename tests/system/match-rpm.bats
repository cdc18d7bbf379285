#!/usr/bin/env bats
# The patch level of a server of rpm packages: what rpm -qa says is locked in these versions, from
# the repositories and from what the store kept, and the image has nothing else.

bats_require_minimum_version 1.5.0
load lib
load tiny
load rpm

setup_file() {
	load lib
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/match-rpm.XXXXXX")
	export dir
	chmod 755 "$dir"
	rpm_repo "$dir"
	export POSMEDIA_STORE=$dir/store POSMEDIA_DNF_MIRROR=file://$dir/rpm/mirror
	mkdir -p "$dir/recipes"
	recipe base updates
}

teardown_file() {
	rm -rf "$dir"
}

recipe() {
	local r
	{
		printf '%s\n' 'posmedia: 1' 'name: till' 'version: 1' 'base:' '  dnf:' \
			'    release: "9"' '    repos:'
		for r; do
			echo "      - {name: $r, url: $r, gpgkey: rpm/key.asc}"
		done
		echo 'packages: {install: [till-app], exclude: ["kernel*"]}'
	} >"$dir/recipes/till.yaml"
}

# A signed repository $1 of these packages.
repository() {
	local to=$dir/rpm/mirror/$1
	mkdir -p "$to"
	cp "${@:2}" "$to/"
	createrepo_c -q "$to" >/dev/null
	GNUPGHOME=$dir/rpm/gpg gpg --batch --quiet --yes --armor --detach-sign \
		--local-user till@example.invalid "$to/repodata/repomd.xml"
	gpgconf --homedir "$dir/rpm/gpg" --kill all
}

setup() {
	rm -f "$dir/recipes/till.lock"
}

manifest() {
	printf '%s\n' "$@" >"$dir/manifest"
}

locked() {
	jq -r '[.packages[] | "\(.name)-\(.version) \(.repository)"] | join(", ")' \
		"$dir/recipes/till.lock"
}

@test "older versions than the newest, as rpm -qa lists them" {
	manifest till-filesystem-1-1.noarch till-app-1-1.x86_64 till-shell-1-1.x86_64 \
		kernel-5.14.0-70.el9.x86_64 gpg-pubkey-8483c65d-5ccc5b19
	posmedia lock recipes/till.yaml --match manifest --json
	succeeded
	[[ $(locked) == *'till-app-1-1 base'* ]]
	[ "$(jq -c '[.match.exact, .match."left-out", .match.unavailable]' <<<"$output")" = \
		'[3,["kernel"],[]]' ]
	posmedia build recipes/till.yaml -o oci:out/till:1
	succeeded
	posmedia diff oci:out/till:1 manifest:manifest --json
	succeeded
	[ "$(jq -c '.packages | map([.name, .note])' <<<"$output")" = '[["kernel","missing"]]' ]
}

@test "what no repository has is listed with the nearest, and taken with --nearest" {
	manifest 'till-app|(none)|1.5|1|x86_64' 'vendor-agent|(none)|7.0|1.el9|x86_64'
	posmedia lock recipes/till.yaml --match manifest
	refused 1 '2 of 2 packages of manifest cannot be had in its versions'
	[[ $output == *'not to be had: till-app 1.5-1, nearest 2-1 in updates (newer)'* ]]
	[[ $output == *'not to be had: vendor-agent 7.0-1.el9, nor any other version'* ]]
	posmedia lock recipes/till.yaml --match manifest --nearest
	succeeded
	[[ $(locked) == *'till-app-2-1 updates'* ]]
}

@test "what the store kept of another lock" {
	recipe base
	posmedia lock recipes/till.yaml
	succeeded
	posmedia build recipes/till.yaml -o oci:out/old:1
	succeeded
	rm "$dir/recipes/till.lock"
	repository today "$dir"/rpm/mirror/base/till-[fs]*.rpm
	recipe today
	manifest till-app-1-1.x86_64
	posmedia lock recipes/till.yaml --match manifest
	succeeded
	[[ $(locked) == *"till-app-1-1 base_stored-20231114T221320Z"* ]]
	posmedia build recipes/till.yaml -o oci:out/new:1
	succeeded
	recipe base updates
}

@test "what a dated tree of the mirror still has" {
	local dated=$dir/rpm/dated/20240115T000000Z
	mkdir -p "$dated"
	cp -al "$dir/rpm/mirror/base" "$dated/moved"
	repository moved "$dir"/rpm/mirror/base/till-[fs]*.rpm \
		"$dir"/rpm/mirror/updates/till-app*.rpm
	recipe moved
	manifest till-app-1-1.x86_64 till-shell-1-1.x86_64
	# a store that has kept nothing
	export POSMEDIA_STORE=$dir/store2 POSMEDIA_DNF_SNAPSHOT="file://$dir/rpm/dated/{time}"
	posmedia lock recipes/till.yaml --match manifest
	refused 1 '1 of 2 packages of manifest cannot be had in its versions'
	[[ $output == *'not to be had: till-app 1-1, nearest 2-1 in moved (newer)'* ]]
	posmedia lock recipes/till.yaml --match manifest --snapshot 2024-01-15
	succeeded
	[[ $(locked) == *'till-app-1-1 moved_20240115T000000Z'* ]]
	[[ $(locked) == *'till-shell-1-1 moved'* ]]
	posmedia build recipes/till.yaml -o oci:out/dated:1
	succeeded
	posmedia diff oci:out/dated:1 manifest:manifest --json
	succeeded
	[ "$(jq -c '.packages | map(.name) | contains(["till-app"])' <<<"$output")" = false ]
	recipe base updates
}

@test "lists of dpkg, and times of which nothing is known, are refused" {
	manifest 'till-app	1-1	amd64'
	posmedia lock recipes/till.yaml --match manifest
	refused 3 'is a list of dpkg, and the base of recipes/till.yaml is dnf'
	posmedia lock recipes/till.yaml --snapshot 2024-01-01
	refused 3 'no snapshots are known of these repositories'
}
