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
	lease=10s cutover_site "${1-}"
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
	jq -e --argjson hung "${2-0}" '.lost == 0 and .twice == 0 and .stray == 0 and
		(.hung == 0 or $hung == 1)' "$dir/whole"
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

# Nobody comes there, whatever runs.
old_is_shut() {
	[ -z "$(at_old ip -o address show to 192.0.2.9)" ]
}

told() {
	[ "$(jq -r '[.state, .right, .reverse] | @text' <<<"$output")" = "$1" ]
}

# The plan's check of PHASE, on OLD, is one that fails, or not any more.
plan_fails() {
	sed -i "s,phase: $1\, run: \[/bin/true\],phase: $1\, run: [/bin/false]," \
		"$dir/recipes/sites/prod.yaml"
}
plan_passes() {
	sed -i "s,phase: $1\, run: \[/bin/false\],phase: $1\, run: [/bin/true]," \
		"$dir/recipes/sites/prod.yaml"
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
	[[ $output == *'start the application, which nobody can reach'* ]]
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
		nobody_serves
		# from the trial on its application runs there, for nobody
		case $at in
		*held | *commit) old_is_shut && in_old /etc/init.d/pos status ;;
		*) old_is_held ;;
		esac
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
	nobody_serves
	old_is_shut
	# the trial ends by itself
	wait_for 20 old_is_held
	nobody_serves
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

@test "killed in the fence, and nobody comes back: the lease gives the shop the instance again" {
	local at
	went_over
	for at in 'cutover: at the door' 'leave: marked' 'cutover: fetched' 'cutover: started'; do
		dies_at "$at" --reverse
		[ "$at" = 'cutover: at the door' ] || [ "$at" = 'leave: marked' ] || nobody_serves
		wait_for 30 serves new
		# and who could still write on the other side does so no more
		wait_for 5 old_is_held
		cutover resume
		succeeded
		[[ $output == *'state: rolled-back'* ]] || [[ $output == *'state: done'* ]]
		[[ $output == *'state: rolled-back'* ]] || went_again
	done
	ends_with new
}

# One that could still be finished was, and the shop goes over once more.
went_again() {
	wait_for 10 serves old
	verb stage recipes/sites/prod.yaml --closed 192.0.2.10/24
	succeeded
	cutover
	succeeded
	wait_for 10 serves new
}

@test "an application that does not run there, or fails its trial, gets no shop" {
	went_over '    - {name: tried, on: old, phase: trial, run: [/bin/true]}'
	plan_fails trial
	cutover --reverse
	refused 6 'the check "tried"'
	wait_for 10 serves new
	old_is_held
	plan_passes trial
	cat >"$dir/old/opt/broken" <<-'SH'
		#!/bin/sh
		[ "$1" = start ] || exit 0
		echo broken
		exit 1
	SH
	chmod 755 "$dir/old/opt/broken"
	mv "$dir/old/etc/init.d/pos" "$dir/old/opt/pos"
	cp "$dir/old/opt/broken" "$dir/old/etc/init.d/pos"
	cutover --reverse
	[ "$status" -ne 0 ]
	[[ $stderr == *'not all of it started'* ]]
	wait_for 10 serves new
	cp "$dir/old/opt/pos" "$dir/old/etc/init.d/pos"
	cutover --reverse
	succeeded
	wait_for 10 serves old
	ends_with old
}

@test "what was announced, and done behind a cutover, is undone by a reverse" {
	went_over "$(
		cat <<-YAML
			    - {name: back, on: old, phase: returned, run: [/bin/true]}
			  announce:
			    - {on: new, run: [/bin/busybox, touch, /usr2/ends],
			       undo: [/bin/busybox, touch, /usr2/ends-not]}
			    - {run: [/usr/bin/touch, /tmp/ends]}
			  dns: {run: [/usr/bin/touch, $dir/dns], undo: [/bin/rm, $dir/dns]}
			  after:
			    - {name: one, on: control, run: [/usr/bin/touch, $dir/one],
			       undo: [/bin/mv, $dir/one, $dir/two-was]}
			    - {name: two, on: old, run: [/usr/bin/touch, /tmp/two],
			       undo: [/bin/mv, /tmp/two, /tmp/undone]}
			    - {name: three, on: new, run: [/bin/busybox, touch, /usr2/three],
			       undo: [/bin/busybox, rm, /usr2/three]}
		YAML
	)"
	[ -e "$dir/dns" ] && [ -e "$dir/one" ] && [ -e "$dir/old/tmp/two" ]
	[ -e "$dir/srv/123/prod/usr2/three" ] && [ -e "$dir/old/tmp/ends" ]
	[ ! -e "$dir/srv/123/prod/usr2/ends" ]
	dies_at 'cutover: new stopped' --reverse
	[ -e "$dir/srv/123/prod/usr2/ends" ]
	cutover rollback
	succeeded
	wait_for 10 serves new
	[ -e "$dir/srv/123/prod/usr2/ends-not" ] && [ -e "$dir/dns" ]
	setfattr -n user.colour -v red "$dir/srv/123/prod/usr2/three"
	cutover --reverse
	succeeded
	[ ! -e "$dir/dns" ] && [ ! -e "$dir/one" ] && [ -e "$dir/two-was" ]
	[ -e "$dir/old/tmp/undone" ] && [ ! -e "$dir/old/tmp/two" ]
	# of the instance there is nobody left to ask
	[ "$(getfattr --only-values -n user.colour "$dir/old/usr2/three")" = red ]
	wait_for 10 serves old
	ends_with old
}

@test "a reverse that is undone with an instance that is not well comes to its end" {
	local data
	went_over
	data=$dir/srv/123/prod/usr2
	dies_at 'cutover: fetched' --reverse
	mv "$data/records" "$dir/records"
	mkdir "$data/records"
	cutover rollback
	succeeded
	[[ $stderr == *'open again, and is not well: '* ]]
	[[ $output == *'state: rolled-back'* ]]
	# it is open, and whoever mends it starts it
	rmdir "$data/records"
	mv "$dir/records" "$data/records"
	verb start recipes/sites/prod.yaml
	succeeded
	wait_for 10 serves new
	ends_with new 1
}
