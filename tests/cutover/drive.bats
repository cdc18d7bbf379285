#!/usr/bin/env bats
# A cutover of two hosts under a load of sales: rehearsed, run, killed and taken up again, undone.

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

# Both hosts, with more lines of the plan, and people who buy.
hosts() {
	lease=10s cutover_site "${1-}"
	start_shop
	start_old
	start_new podman
	verb stage recipes/sites/prod.yaml --closed 192.0.2.10/24
	succeeded
	start_sales 50
}

cutover() {
	verb cutover "$@"
}

journal() {
	echo "$dir/srv/123/prod/.posmedia/cutover/journal"
}

# It dies at a step of that name, before it could tell anybody.
dies_at() {
	POSMEDIA_DIE_AT=$1 cutover recipes/sites/prod.yaml
	[ "$status" -eq 86 ] || { echo "status $status, not dead at $1: $stderr"; return 1; }
}

served_by() {
	[ "$(who_serves)" = "$1" ]
}

ends_with() {
	sleep 1
	[ "$(who_serves)" = "$1" ] || { echo "$(who_serves) serves, and not $1"; return 1; }
	stop_sales
	sales_are_whole "$1"
}

# Keys of this run are gone with it.
no_keys() {
	[ ! -e "$dir/run/cutover-123-prod" ] || { ls -lR "$dir/run"; return 1; }
	run grep -rq 'OPENSSH PRIVATE KEY' "$dir/run" "$dir/srv/123/prod/.posmedia"
	[ "$status" -eq 1 ]
}

@test "rehearsed, run, and told of" {
	rehearsal=true hosts
	cutover recipes/sites/prod.yaml
	refused 7 'was never rehearsed'
	cutover rehearse recipes/sites/prod.yaml --json
	succeeded
	[ "$(jq -r .state <<<"$output")" = rehearsed ]
	[ "$(jq '.estimates.start' <<<"$output")" -gt 0 ]
	[ "$(who_serves)" = old ]
	cutover recipes/sites/prod.yaml --dry-run
	succeeded
	[[ $output == *'estimated start: '* ]]
	cutover recipes/sites/prod.yaml --json
	succeeded
	[ "$(jq -r '[.state, ."checks-passed", ."checks-failed"] | @text' <<<"$output")" = \
		'["done",2,0]' ]
	[ "$(jq '."outage-ms"' <<<"$output")" -ge "$(jq '."smoke-ms"' <<<"$output")" ]
	no_keys
	ends_with new
	# nothing that a second one, or a way back, could take for its own
	cutover recipes/sites/prod.yaml
	refused 7 'was cut over'
	cutover rollback recipes/sites/prod.yaml
	refused 7 'no way back'
	grep -q '"what":"cutover"' "$dir/srv/123/prod/.posmedia/ledger.jsonl"
	grep -q '<svg' "$(dirname "$(journal)")/report-3.html"
	run in_old /etc/init.d/pos start
	[ "$status" -ne 0 ]
}

# As the last thing before the fence: records in place, one file with the times of before, one
# longer.
change_large() {
	cat >"$dir/old/opt/change" <<-'SH'
		#!/bin/bash
		cd /usr2/bbx || exit
		touch -r REC0.4 /opt/then
		for at in 3 4 300; do
			printf other | dd of=REC0.4 bs=4096 seek="$at" conv=notrunc status=none
		done
		touch -r /opt/then REC0.4
		printf 'a record more' >>REC0.2
	SH
	chmod 755 "$dir/old/opt/change"
}
same_large() {
	cmp "$dir/old/usr2/bbx/$1" "$dir/srv/123/prod/usr2/bbx/$1"
	[ "$(stat -c %y "$dir/old/usr2/bbx/$1")" = \
		"$(stat -c %y "$dir/srv/123/prod/usr2/bbx/$1")" ]
}

@test "what changed within large files comes ahead, also with their times put back" {
	change_large
	hosts '  announce: [{run: [/opt/change]}]'
	cutover recipes/sites/prod.yaml --verbose
	succeeded
	# three blocks and the last of the longer one
	[[ $stderr == *' bytes of 2 large files came ahead'* ]] || { echo "$stderr"; return 1; }
	[[ $stderr != *'all of it is read again'* ]]
	same_large REC0.4
	same_large REC0.2
	ends_with new
}

# The agent there is another one before it is asked for the blocks: what $1 makes of it.
hosts_with_agent() {
	change_large
	cat >"$dir/old/opt/wrong" <<-SH
		#!/bin/bash
		perl -pi -e '$1' /var/lib/posmedia-cutover/agent
		/opt/change
	SH
	chmod 755 "$dir/old/opt/wrong"
	hosts '  announce: [{run: [/opt/wrong]}]'
}

@test "blocks that break off: rsync compares what was begun" {
	hosts_with_agent 's/ENDS .i /AT 1 /'
	cutover recipes/sites/prod.yaml --verbose
	succeeded
	[[ $stderr == *'blocks are none'* ]] || { echo "$stderr"; return 1; }
	# its time is that of before, and is not what it has here
	[[ $stderr != *'all of it is read again'* ]]
	same_large REC0.4
	same_large REC0.2
	ends_with new
}

@test "blocks that break off: what was begun has no time that the old server could have" {
	hosts_with_agent 's/ENDS .i /AT 1 /'
	dies_at 'cutover: ahead'
	run find "$dir/srv" -path '*/bbx/REC0.*' ! -newermt 1970-01-02
	[ "${#lines[@]}" -ge 1 ]
	cutover rollback recipes/sites/prod.yaml
	succeeded
	ends_with old
}

@test "blocks that are not what they should be: the proof finds it, and all is read" {
	# all sums are right
	hosts_with_agent 's/Digest::MD5::md5.*? eq substr/substr/'
	cutover recipes/sites/prod.yaml --verbose
	succeeded
	[[ $stderr == *'all of it is read again'* ]] || { echo "$stderr"; return 1; }
	same_large REC0.4
	same_large REC0.2
	ends_with new
}

@test "killed behind the fence, at its proof and at HOLD, and undone" {
	local at
	hosts
	for at in 'cutover: fenced' 'cutover: proven' 'cutover: held' 'cutover: commit'; do
		dies_at "$at"
		[ "$(who_serves)" = '' ]
		cutover rollback recipes/sites/prod.yaml
		succeeded
		[ "$(who_serves)" = old ]
	done
	ends_with old
}

@test "killed behind the proof, and taken up again" {
	hosts
	dies_at 'cutover: proven'
	cutover recipes/sites/prod.yaml
	refused 7 'not over'
	cutover resume recipes/sites/prod.yaml
	succeeded
	ends_with new
}

@test "killed behind COMMIT: there is only the way forward" {
	hosts
	dies_at 'cutover: committed'
	[ "$(who_serves)" = '' ]
	cutover rollback recipes/sites/prod.yaml
	refused 7 'no way back'
	cutover resume recipes/sites/prod.yaml
	succeeded
	ends_with new
}

@test "a lease that lapsed gives the old server back, and is not taken up again" {
	hosts
	dies_at 'cutover: proven'
	wait_for 30 served_by old
	cutover resume recipes/sites/prod.yaml
	succeeded
	[[ $output == *'state: rolled-back'* ]]
	ends_with old
}

# The cards that answer for the shop's address.
cards() {
	{ shop arping -c 3 -w 4 -I br0 192.0.2.9 || true; } |
		grep -o '[[][0-9A-Fa-f:]*]' | tr -d '[]' | tr A-F a-f | sort -u
}

@test "killed once the instance is up: it lets go of the address before the old server has it" {
	local old
	hosts
	old=$(at_old ip -o link show eth0 | grep -o 'ether [^ ]*' | cut -d' ' -f2)
	dies_at 'cutover: started'
	[ -n "$(cards)" ] && [ "$(cards)" != "$old" ]
	wait_for 30 served_by old
	[ "$(cards)" = "$old" ]
	# nor is it started on it, whoever tries
	verb stop recipes/sites/prod.yaml
	succeeded
	verb start recipes/sites/prod.yaml
	refused 7 'is over'
	[ "$(cards)" = "$old" ]
	cutover resume recipes/sites/prod.yaml
	succeeded
	[[ $output == *'state: rolled-back'* ]]
	ends_with old
}

@test "a check that fails, and one that takes longer than its budget, are undone" {
	hosts '  budget: {outage: 60s, smoke: 3s}'
	sed -i 's,/bin/testsale\],/bin/busybox\, "false"],' "$dir/recipes/sites/prod.yaml"
	cutover recipes/sites/prod.yaml
	refused 6 'the check "sale"'
	# neighbours that heard the new card a moment ago are told again after a second
	wait_for 5 served_by old
	sed -i 's,/bin/busybox\, "false"\],/bin/busybox\, sleep\, "20"],' \
		"$dir/recipes/sites/prod.yaml"
	cutover recipes/sites/prod.yaml
	refused 1 'smoke took more than the 3000 ms'
	ends_with old
}

@test "a rehearsal of another site is none, and what was announced is taken back" {
	local at='run: [/usr/bin/touch, /tmp/ends], undo: [/usr/bin/touch, /tmp/ends-not]'
	rehearsal=true hosts "  announce: [{$at}]"
	cutover rehearse recipes/sites/prod.yaml
	succeeded
	sed -i 's,/bin/testsale\],/bin/busybox\, "false"],' "$dir/recipes/sites/prod.yaml"
	cutover recipes/sites/prod.yaml
	refused 7 'another since its rehearsal'
	[ ! -e "$dir/old/tmp/ends" ]
	sed -i 's,require-rehearsal: true,require-rehearsal: false,' "$dir/recipes/sites/prod.yaml"
	cutover recipes/sites/prod.yaml
	refused 6 'the check "sale"'
	[ -e "$dir/old/tmp/ends" ] && [ -e "$dir/old/tmp/ends-not" ]
	no_keys
	wait_for 5 served_by old
	ends_with old
}

@test "killed at HOLD for longer than the lease: it has the address again" {
	hosts
	dies_at 'cutover: held'
	[ -n "$(cards)" ]
	# what was lent is over, and the kernel of the new host has taken it away
	wait_for 20 no_cards
	[ "$(who_serves)" = '' ]
	cutover resume recipes/sites/prod.yaml
	succeeded
	ends_with new
}

@test "killed behind HOLD for longer than the lease: who comes is refused, and does not hang" {
	hosts
	dies_at 'cutover: committed'
	nobody_serves
	# nobody lends it any more, and nobody takes it back
	[ ! -e "$dir/srv/123/prod/.posmedia/closed-until" ]
	sleep 12
	nobody_serves
	cutover resume recipes/sites/prod.yaml
	succeeded
	ends_with new
	[ "$(jq -s 'map(select(.hung > 0)) | length' <(sales_are_whole new))" = 0 ]
}

no_cards() {
	[ -z "$(cards)" ]
}

@test "a COMMIT that could not be written is no abort: the journal says what is right" {
	local n log
	hosts
	log=$(journal)
	dies_at 'cutover: commit'
	n=$(wc -l <"$log")
	cutover rollback recipes/sites/prod.yaml
	succeeded
	gcc -std=gnu17 -D_GNU_SOURCE -O2 -shared -fPIC -o "$dir/shim.so" tests/lib/fault-shim.c -ldl
	# the next run writes as many before its own
	n="FAULT_SHIM='eio write $((n + 1)) $log'"
	sed -i "s,net \",net env LD_PRELOAD=$dir/shim.so $n \"," "$dir/posmedia"
	cutover recipes/sites/prod.yaml
	[ "$status" -ne 0 ]
	[[ $stderr == *'whether it is committed'* || $stderr == *'Whether it is committed'* ]]
	[ "$(jq -r .phase "$log" | tail -n 1)" = hold ]
	[ "$(who_serves)" = '' ]
	sed -i 's,env LD_PRELOAD.* "\(/.*posmedia\)","\1",' "$dir/posmedia"
	cutover resume recipes/sites/prod.yaml
	succeeded
	ends_with new
}
