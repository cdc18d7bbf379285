#!/usr/bin/env bats
# Death at every durable step of posmedia stage (base/fault.h): one instance runs afterwards, the
# old one or the new one, with its sales, and the next run makes it whole.

bats_require_minimum_version 1.5.0
load lib
load tiny
load engines
load stage

setup_file() {
	load lib
	flock "$OUT/tests.flock" make -s "OUT=$OUT/faults" VARIANT=faults all
}

setup() {
	dir=$(mktemp -d)
	make_image
	posmedia sign oci:out/till:1 --key k
	succeeded
	install -m 600 /dev/null "$dir/token"
	echo 'the token of shop 123' >"$dir/token"
	start_service "$dir/engine" docker
	export posmedia=$OUT/faults/posmedia
	site dev
	stage recipes/sites/dev.yaml
	succeeded
	inside 'echo sale >>/usr2/sales'
}

teardown() {
	stop_service "$dir/engine"
	rm -rf "$dir"
}

# Waits until whoever acts for the dead is done: the lock is free.
lock_is_free() {
	flock -w 60 "$dir/srv/123/dev/.posmedia/lock" true
}

whole_with_sale() {
	lock_is_free
	[ "$(running | wc -l)" -eq 1 ] || { echo "step $1 with $2: runs $(running)"; false; }
	[ "$(inside 'cat /usr2/sales')" = sale ]
	local record=$dir/srv/123/dev/.posmedia/state.json
	jq -e --arg it "$(running)" '.current.container == $it' "$record" >/dev/null ||
		{ echo "step $1 with $2: runs $(running)"; cat "$record"; false; }
}

# What the ledger has of starts and ends: by turns, and the last is what is so, whoever died before
# he could tell. Looking at the instance tells it.
ledger_agrees() {
	local told now
	verb status recipes/sites/dev.yaml
	"$posmedia" report sql "SELECT kind FROM event WHERE kind IN ('start', 'stop', 'crash')
		ORDER BY id" --ledger "$dir/srv/.ledger" >"$dir/told"
	told=$(awk 'NR > 1 { if (($1 == "start") == on) { print "twice", $1; exit }
		on = $1 == "start" } END { print on + 0 }' "$dir/told")
	now=$(running | wc -l)
	[ "$told" = "$now" ] || { echo "step $1: $now run"; cat "$dir/told"; false; }
}

@test "a kill at each step of a change" {
	local n=0
	while :; do
		n=$((n + 1))
		[ "$n" -lt 120 ]
		site dev "limits: {files: $((2000 + n))}"
		POSMEDIA_DIE_AT=$n stage recipes/sites/dev.yaml
		[ "$status" -ne 0 ] || break
		[ "$status" -eq 86 ] || { echo "step $n: $status $stderr"; false; }
		whole_with_sale "$n" death
		ledger_agrees "$n"
		stage recipes/sites/dev.yaml
		succeeded
		whole_with_sale "$n" recovery
		[ "$(containers | wc -l)" -le 2 ]
	done
	echo "# $n steps" >&3
	[ "$n" -gt 6 ]
}

@test "a kill at each step of a change that does not get well" {
	local n=0 at
	at=$(running)
	site dev 'health: [{name: never, tcp: 9999, within: 300ms}]'
	while :; do
		n=$((n + 1))
		[ "$n" -lt 120 ]
		POSMEDIA_DIE_AT=$n stage recipes/sites/dev.yaml
		[ "$status" -ne 1 ] || break
		[ "$status" -eq 86 ] || { echo "step $n: $status $stderr"; false; }
		whole_with_sale "$n" death
		ledger_agrees "$n"
		[ "$(running)" = "$at" ]
	done
	echo "# $n steps" >&3
	[[ $stderr == *'what was before runs again'* ]]
	whole_with_sale "$n" end
	[ "$(containers)" = "$at" ]
	[ "$n" -gt 6 ]
}

@test "a kill at each step of the way back" {
	local n=0
	site dev 'limits: {files: 3000}'
	stage recipes/sites/dev.yaml
	succeeded
	while :; do
		n=$((n + 1))
		[ "$n" -lt 60 ]
		POSMEDIA_DIE_AT=$n stage --rollback recipes/sites/dev.yaml
		[ "$status" -ne 0 ] || break
		[ "$status" -eq 86 ] || { echo "step $n: $status $stderr"; false; }
		whole_with_sale "$n" death
		ledger_agrees "$n"
	done
	echo "# $n steps" >&3
	whole_with_sale "$n" end
	[ "$n" -gt 2 ]
}

# All of the sale is in its place, or in an archive.
sale_is_kept() {
	local file
	[ "$(cat "$dir/srv/123/dev/usr2/sales" 2>/dev/null)" = sale ] && return
	for file in "$dir/srv/.destroyed"/123-dev-*.tar.zst; do
		[ "$(tar --zstd -xOf "$file" usr2/sales 2>/dev/null)" = sale ] && return
	done
	echo "step $1: no sale"
	ls -lR "$dir/srv"
	return 1
}

@test "a kill at each step of an end" {
	local n=0
	while :; do
		n=$((n + 1))
		[ "$n" -lt 40 ]
		POSMEDIA_DIE_AT=$n verb destroy --confirm 123 recipes/sites/dev.yaml
		[ "$status" -ne 0 ] || break
		[ "$status" -eq 86 ] || { echo "step $n: $status $stderr"; false; }
		sale_is_kept "$n"
		# from the start each time, but for the last steps, which only go on
		[ ! -e "$dir/srv/123/dev" ] || continue
		verb destroy --confirm 123 recipes/sites/dev.yaml
		succeeded
		sale_is_kept "$n"
		[ -z "$(containers)" ] && [ ! -e "$dir/srv/123" ] && [ ! -e "$dir/run/123-dev" ]
		[ -z "$(find "$dir/srv/.destroyed" -name '.*' -type d -mindepth 1)" ]
		rm -rf "$dir/srv/.destroyed"
		stage recipes/sites/dev.yaml
		succeeded
		inside 'echo sale >>/usr2/sales'
	done
	echo "# $n steps" >&3
	sale_is_kept "$n"
	[ -z "$(containers)" ]
	[ "$n" -gt 8 ]
}

@test "a kill at each step of a stop, and of the start after it" {
	local n=0 verb
	local -A turn=([stop]=start [start]=stop)
	for verb in stop start; do
		n=0
		while :; do
			n=$((n + 1))
			[ "$n" -lt 40 ]
			POSMEDIA_DIE_AT=$n verb "$verb" recipes/sites/dev.yaml
			[ "$status" -ne 0 ] || break
			[ "$status" -eq 86 ] || { echo "step $n: $status $stderr"; false; }
			ledger_agrees "$n"
			# the other way, so that each step is one of a whole turn
			verb "${turn[$verb]}" recipes/sites/dev.yaml
			succeeded
			ledger_agrees "$n"
		done
		ledger_agrees "$n"
		echo "# $verb: $n steps" >&3
		[ "$n" -gt 6 ]
	done
	whole_with_sale "$n" end
}
