#!/usr/bin/env bats
# The store's own verbs on stores that are right, wrong, in use and in the way.

bats_require_minimum_version 1.5.0
load lib

setup() {
	small_project
	in_project store list
	blobs=$dir/store/blobs/sha256
	good=$(put good)
}

teardown() {
	rm -rf "$dir"
}

# Puts a line into the store as a blob; prints its digest.
put() {
	local sha
	sha=$(sha256sum <<<"$1" | cut -c1-64)
	echo "$1" >"$blobs/$sha"
	echo "$sha"
}

# A lock of the fixtures that names one blob.
lock() {
	sed "s/1\{64\}/$1/" tests/fixtures/locks/small.lock >"$dir/recipes/small.lock"
}

@test "verify: right, then wrong, then repaired" {
	in_project store verify
	[ "$status" -eq 0 ]
	[[ $output == '1 blobs, '*' right; 0 wrong' ]]
	echo bad >"$blobs/$good"
	touch "$blobs/notes.txt"
	in_project store verify
	refused 4 '2 of its blobs wrong'
	refused 4 'hint: run posmedia store verify --repair'
	[[ $output == *"$good is sha256:"* && $output == *'notes.txt is no digest'* ]]
	in_project store verify --json
	refused 4 'wrong'
	[ "$(jq -c '[.blobs, (.wrong | length), .repaired]' <<<"$output")" = '[0,2,false]' ]
	in_project store verify --repair
	[ "$status" -eq 0 ]
	[ ! -e "$blobs/$good" ] && [ "$(cat "$dir/store/damaged/$good")" = bad ]
	in_project store verify
	[ "$status" -eq 0 ]
}

@test "gc: says what would go, then what went; a lock's blobs stay" {
	other=$(put other)
	lock "$good"
	in_project store gc --dry-run
	[ "$status" -eq 0 ]
	[[ $output == *'free: 1, 6 B' ]]
	[ -f "$blobs/$other" ]
	in_project store gc
	[[ $output == *'freed: 1, 6 B' ]]
	[ ! -e "$blobs/$other" ] && [ -f "$blobs/$good" ]
	in_project store list --json
	[ "$(jq -c '[.[] | .free.count] | add' <<<"$output")" = 0 ]
}

@test "gc without any lock would remove every package: it does not" {
	in_project store gc
	refused 2 'no lock here'
	[ -f "$blobs/$good" ]
	in_project store gc --lock recipes/gone.lock
	[ "$status" -ne 0 ]
	echo '{"packages": 1}' >"$dir/recipes/small.lock"
	in_project store gc
	refused 3 'recipes/small.lock'
	lock "$good"
	in_project store gc --layout nowhere
	[ "$status" -ne 0 ]
	[ -f "$blobs/$good" ]
}

@test "gc and repair while something is at work: exit 7; looking is free" {
	lock "$(put other)"
	exec 8>"$dir/store/cache/lock"
	flock -s 8
	in_project store gc 8>&-
	refused 7 'at work'
	in_project store verify --repair 8>&-
	refused 7 'at work'
	for v in list verify 'gc --dry-run'; do
		# shellcheck disable=SC2086 # two words
		in_project store $v 8>&-
		[ "$status" -eq 0 ]
	done
	[ -f "$blobs/$good" ]
	exec 8>&-
}

@test "an action that is not there, and options of another one" {
	in_project store clean
	refused 2 'store clean: no such action'
	in_project store verify --keep 3
	refused 2 'store verify: --keep is of no use here'
	in_project store gc --repair
	refused 2 '--repair'
	in_project store gc --keep many
	refused 2 '--keep'
}
