#!/usr/bin/env bats
# The way back behind a commit: the old server gets its shop again, with what was sold meanwhile.

bats_require_minimum_version 1.5.0
load ../system/lib
load ../system/tiny
load ../system/engines
load ../system/stage
load ../lib/cutover

setup_file() {
	load ../system/lib
	flock "$OUT/tests.flock" make -s "OUT=$OUT/faults" VARIANT=faults all
}

setup() {
	dir=$(mktemp -d)
	# shellcheck disable=SC2034 # the files above use them
	posmedia=$OUT/posmedia program=$OUT/faults/posmedia
	cutover_programs
	make_cutover_image
	make_old 5
}

teardown() {
	stop_cutover
	rm -rf "$dir"
}

cutover() {
	verb cutover "$@" recipes/sites/prod.yaml
}

# Both hosts, people who buy, and a shop that went over to the new one.
went_over() {
	lease=10s cutover_site
	start_shop
	start_old
	start_new podman
	verb stage recipes/sites/prod.yaml --closed 192.0.2.10/24
	succeeded
	start_sales 50
	cutover
	succeeded
	wait_for 10 serves new
}

# Every sale that somebody saw accepted is on the side that serves in the end, once.
ends_with() {
	sells "$1"
	stop_sales
	sales_are_whole "$1" >"$dir/whole" || { cat "$dir/whole"; return 1; }
	cat "$dir/whole" >&3
	jq -e '.lost == 0 and .twice == 0 and .stray == 0' "$dir/whole"
}

dies_at() {
	POSMEDIA_DIE_AT=$1 cutover "${@:2}"
	[ "$status" -eq 86 ] || { echo "$status, not dead at $1: $output $stderr"; return 1; }
}

# Nothing can write there, whatever is started.
old_is_held() {
	run in_old sh -c 'echo x >>/usr2/sales'
	[ "$status" -ne 0 ]
	run in_old /etc/init.d/pos start
	[ "$status" -ne 0 ]
	[ -z "$(at_old ip -o address show to 192.0.2.9)" ]
}

told() {
	[ "$(jq -r '[.state, .right, .reverse] | @text' <<<"$output")" = "$1" ]
}

# What was started again has another card.
new_reaches_old() {
	at_new ip neighbour flush dev lan0
	at_new ping -c 1 -W 1 192.0.2.5
}

@test "rehearsed, run back, and over again" {
	went_over
	sells new
	cutover --reverse --dry-run
	succeeded
	[[ $output == *'give back its data and its address'* ]]
	cutover --reverse --rehearse --json
	succeeded
	told '["rehearsed","new",true]'
	serves new
	old_is_held
	cutover --reverse --json
	succeeded
	told '["done","old",true]'
	[ "$(jq '."outage-ms"' <<<"$output")" -gt 0 ]
	wait_for 10 serves old
	sells old
	in_old /etc/init.d/pos status
	# the instance is out of work, whoever starts it
	verb start recipes/sites/prod.yaml
	refused 7 'went to another machine'
	verb stage recipes/sites/prod.yaml --open
	refused 7 'went to another machine'
	cutover --reverse
	refused 7 'nothing to reverse'
	# and the shop may go over once more
	verb stage recipes/sites/prod.yaml --closed 192.0.2.10/24
	succeeded
	cutover
	succeeded
	ends_with new
	old_is_held
}

@test "killed before its commit, and undone: the instance serves on, the old server is held" {
	local at
	went_over
	for at in 'cutover: new stopped' 'cutover: fenced' 'cutover: fetched' 'cutover: proven' \
		'cutover: held' 'cutover: commit'; do
		dies_at "$at" --reverse
		[ "$(who_serves)" = '' ]
		old_is_held
		cutover rollback
		succeeded
		wait_for 10 serves new
		old_is_held
	done
	ends_with new
}

@test "killed while it sends, and the old server loses its power: held, and resume ends it" {
	went_over
	dies_at 'cutover: fetched' --reverse
	# what it has now is neither what it had nor what it is to have
	kill_old
	cron_every=1000 start_old
	wait_for 10 old_is_held
	wait_for 10 new_reaches_old
	cutover --reverse
	refused 7 'not over'
	cutover resume
	succeeded
	wait_for 10 serves old
	ends_with old
}

@test "killed behind its commit: there is only the way on" {
	went_over
	dies_at 'cutover: committed' --reverse
	[ "$(who_serves)" = '' ]
	old_is_held
	cutover rollback
	refused 7 'no way back'
	cutover resume
	succeeded
	wait_for 10 serves old
	ends_with old
}

@test "a held server without cron boots, and what init starts there sells nothing" {
	went_over
	printf '%s\n' '#!/bin/bash' 'setsid /opt/till old /usr2 >>/var/log/in 2>&1 </dev/null &' \
		>"$dir/old/opt/inittab"
	chmod 755 "$dir/old/opt/inittab"
	kill_old
	rm "$dir/old/etc/cron.d/posmedia-cutover"
	cron_every=1000 start_old
	wait_for 5 old_is_held
	wait_for 10 new_reaches_old
	sells new
	cutover --reverse
	succeeded
	# what a boot of a held server begins with goes with the fence
	[ ! -e "$dir/old/etc/rc3.d/S00posmedia-cutover" ]
	ends_with old
}
