#!/usr/bin/env bats
# A customer's patch level: a lock of exactly the versions that a server's package list names, from
# the mirror, from snapshots of the past, and from what the store kept.

bats_require_minimum_version 1.5.0
load lib
load tiny
load repository

# Three states of one archive: 2024-01-10, 2024-03-10 and today, 2024-06-10.
setup_file() {
	load lib
	load tiny
	load repository
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/match.XXXXXX")
	export dir GNUPGHOME=$dir/gnupg
	mkdir -m 700 "$GNUPGHOME"
	mkdir -p "$dir/recipes"
	new_key ours
	new_key theirs
	gpg -q --export ours >"$dir/ours.gpg"
	mirror=$dir/past/20240110T000000Z state 2024-01-10 1.0 1.0
	mirror=$dir/past/20240310T060000Z state 2024-03-10 1.1 1.2
	mirror=$dir/mirror state 2024-06-10 1.1 2.0~rc1
}

# An archive of that day; till wants its library in the very version.
state() {
	package libtill "$3"
	package till "$3+t$2" "libtill (= $3)"
	package tools "$2"
	released=$1 publish ours
}

teardown_file() {
	gpgconf --kill all
	rm -rf "$dir"
}

setup() {
	work=$BATS_TEST_TMPDIR
	export POSMEDIA_STORE=$work/store
	recipe
	echo '/ snapshot' >"$work/rules"
	tests/lib/mirror "$dir/past" "$work/rules" "$work/log" "$work/port" 2>"$work/err" 3>&- &
	past=$!
	wait_for 10 test -s "$work/port"
	url=http://127.0.0.1:$(cat "$work/port")/
	export POSMEDIA_APT_SNAPSHOT="$url{time}/"
	rm -f "$dir/recipes/till.lock"
}

teardown() {
	kill "$past" 2>/dev/null || true
}

# The recipe, with more for base.apt.
recipe() {
	cat >"$dir/recipes/till.yaml" <<-YAML
		posmedia: 1
		name: till
		version: 1
		base:
		  apt:
		    suite: bookworm
		    keyring: ours.gpg
		    mirrors: ["${mirror_url:-file://$dir/mirror}"]
		    ${1-}
		packages: {install: [till], exclude: ["linux-*"]}
	YAML
}

manifest() {
	printf '%s\n' "$@" >"$work/manifest"
}

locked() {
	jq -r '[.packages[] | "\(.name)=\(.version) \(.repository)"] | join(", ")' \
		"$dir/recipes/till.lock"
}

@test "what the mirror has is locked in the server's versions, with all that is on the server" {
	unset POSMEDIA_APT_SNAPSHOT
	manifest 'libtill:amd64	2.0~rc1' 'till	2.0~rc1+t1.1' 'tools	1.1' 'linux-image-x	6.1'
	posmedia lock recipes/till.yaml --match "$work/manifest" --json
	succeeded
	[ "$(locked)" = 'libtill=2.0~rc1 bookworm, till=2.0~rc1+t1.1 bookworm, tools=1.1 bookworm' ]
	[ "$(jq -c .match <<<"$output")" = "{\"exact\":3,\"left-out\":[\"linux-image-x\"],$(:
		)\"manifest\":\"$work/manifest\",\"packages\":4,\"unavailable\":[]}" ]
	posmedia lock recipes/till.yaml
	[[ $output == *'up to date'* ]]
}

@test "what the mirror has no more is found in the past, by bisection" {
	manifest 'ii  libtill  1.2       all  a' 'ii  till     1.2+t1.1  all  b' \
		'ii  tools    1.0       all  c'
	posmedia lock recipes/till.yaml --match "$work/manifest"
	succeeded
	[[ $(locked) =~ ^libtill=1.2\ bookworm_2024[0-9]{4}T.*till=1.2.t1.1\ .*tools=1.0 ]]
	[ "$(jq -r '.repositories | length' "$dir/recipes/till.lock")" -ge 2 ]
	[ "$(jq -r '[.repositories[].mirror] | unique | join(" ")' "$dir/recipes/till.lock")" = \
		"file://$dir/mirror system" ]
	# no shell in it to run, but all is fetched
	posmedia build recipes/till.yaml -o "oci:$work/image:1" || true
	[ "$(find "$work/store/blobs/sha256" -type f | wc -l)" -ge 3 ]
}

@test "--snapshot takes all packages as they were" {
	posmedia lock recipes/till.yaml --snapshot 2024-03-11
	succeeded
	[ "$(locked)" = "libtill=1.2 bookworm_20240311T000000Z, $(:
		)till=1.2+t1.1 bookworm_20240311T000000Z" ]
	[ "$(jq -r .epoch "$dir/recipes/till.lock")" = "$(date -ud 2024-03-10 +%s)" ]
	posmedia lock recipes/till.yaml --snapshot 20230101T000000Z
	refused 3 'does not have a Release file'
	posmedia lock recipes/till.yaml --snapshot yesterday
	refused 2 '"yesterday" is no time'
	posmedia lock recipes/till.yaml --snapshot 2024-01-10 --snapshot 2024-03-10
	refused 2 'go with --match'
}

@test "the times that are given are the only ones" {
	manifest 'libtill=1.0' 'till=1.0+t1.0'
	posmedia lock recipes/till.yaml --match "$work/manifest" --snapshot 2024-03-10T12:00:00Z
	refused 1 '2 of 2 packages'
	posmedia lock recipes/till.yaml --match "$work/manifest" --snapshot 2024-02-01 \
		--snapshot 2024-03-11
	succeeded
	[[ $(locked) == libtill=1.0\ bookworm_20240201T000000Z* ]]
	! grep -v -e 20240201T000000Z -e 20240310T120000Z -e 20240311T000000Z "$work/log" ||
		return 1
}

@test "what the store kept of another lock is taken where nobody has it any more" {
	unset POSMEDIA_APT_SNAPSHOT
	local old=$dir/past/20240110T000000Z
	mirror_url=file://$old recipe
	posmedia lock recipes/till.yaml
	posmedia build recipes/till.yaml -o "oci:$work/image:1" || true
	recipe
	rm "$dir/recipes/till.lock"
	mv "$old" "$old.gone"
	manifest 'libtill 1.0 all' 'till 1.0+t1.0 all'
	posmedia lock recipes/till.yaml --match "$work/manifest"
	mv "$old.gone" "$old"
	succeeded
	[ "$(locked)" = "libtill=1.0 bookworm_stored-20240110T000000Z, $(:
		)till=1.0+t1.0 bookworm_stored-20240110T000000Z" ]
	[ "$(jq -r '.repositories[] | select(.id | contains("stored")).release' \
		"$dir/recipes/till.lock")" = \
		"$(sha256sum <"$old/dists/bookworm/InRelease" | cut -c1-64)" ]
}

@test "what other keys let into the store is not taken" {
	unset POSMEDIA_APT_SNAPSHOT
	mirror_url=file://$dir/past/20240110T000000Z recipe
	posmedia lock recipes/till.yaml
	posmedia build recipes/till.yaml -o "oci:$work/image:1" || true
	gpg -q --export ours theirs >"$dir/both.gpg"
	recipe
	sed -i 's/ours.gpg/both.gpg/' "$dir/recipes/till.yaml"
	rm "$dir/recipes/till.lock"
	manifest 'libtill 1.0 all' 'till 1.0+t1.0 all'
	posmedia lock recipes/till.yaml --match "$work/manifest"
	[ "$status" -eq 1 ]
	[ ! -e "$dir/recipes/till.lock" ]
}

@test "what cannot be had is listed with the nearest version, and taken with --nearest only" {
	manifest 'libtill|1.1|all' 'till|1.1+t1|all' 'tools|0.9|all' 'vendor-agent|7.0|amd64'
	posmedia lock recipes/till.yaml --match "$work/manifest"
	refused 1 "4 of 4 packages of $work/manifest cannot be had in its versions"
	[[ $stderr == *--nearest* ]]
	[ ! -e "$dir/recipes/till.lock" ]
	[[ $output == *'not to be had: libtill 1.1, nearest 1.2 in bookworm_'*'(newer)'* ]]
	[[ $output == *'not to be had: tools 0.9, nearest 1.0 in bookworm_'*'(newer)'* ]]
	[[ $output == *'not to be had: vendor-agent 7.0, nor any other version'* ]]
	posmedia lock recipes/till.yaml --match "$work/manifest" --json
	[ "$status" -eq 1 ]
	[ "$(jq -r '.match.unavailable | map("\(.package) \(.wanted) \(.nearest)") | join(", ")' \
		<<<"$output")" = \
		'libtill 1.1 1.2, till 1.1+t1 1.2+t1.1, tools 0.9 1.0, vendor-agent 7.0 null' ]
	posmedia lock recipes/till.yaml --match "$work/manifest" --nearest
	succeeded
	[[ $(locked) == libtill=1.2\ bookworm_*,\ till=1.2+t1.1\ *,\ tools=1.0\ * ]]
}

@test "versions that do not go together are refused in apt's own words" {
	manifest 'libtill 2.0~rc1 all' 'till 1.2+t1.1 all'
	posmedia lock recipes/till.yaml --match "$work/manifest"
	refused 3 'till : Depends: libtill (= 1.2)'
	[[ $stderr == *recipes/till.yaml:6:* ]]
}

@test "snapshots that another key signed, or that nobody serves, are refused" {
	recipe "snapshots: [\"$url{time}\"]"
	local old=$dir/past/20240110T000000Z
	released=2024-01-10 mirror=$old publish theirs
	manifest 'libtill 1.0 all' 'till 1.0+t1.0 all'
	posmedia lock recipes/till.yaml --match "$work/manifest"
	released=2024-01-10 mirror=$old publish ours
	refused 3 'NO_PUBKEY'
	kill "$past"
	posmedia lock recipes/till.yaml --match "$work/manifest"
	refused 5 'cannot be had'
}

@test "a manifest that is none, or of another distribution" {
	posmedia lock recipes/till.yaml --match "$work/nowhere"
	refused 1 "$work/nowhere"
	manifest 'till 1.0' 'till 1.1'
	posmedia lock recipes/till.yaml --match "$work/manifest"
	refused 3 "$work/manifest:2:1: till is in line 1 already"
	head -c 2000000 /dev/zero | tr '\0' x >"$work/manifest"
	posmedia lock recipes/till.yaml --match "$work/manifest"
	refused 3 "$work/manifest:1:1: a line of 2000000 bytes is no package"
	manifest bash-5.1.8-6.el9.x86_64
	posmedia lock recipes/till.yaml --match "$work/manifest"
	refused 3 'is a list of rpm, and the base of recipes/till.yaml is apt'
	posmedia lock recipes/till.yaml --nearest
	refused 2 '--nearest goes with --match'
}
