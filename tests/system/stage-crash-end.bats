#!/usr/bin/env bats
# Death at every durable step of an end, a stop and a start: the sales are in their place, or kept.

bats_require_minimum_version 1.5.0
load lib
load tiny
load engines
load stage
load stage-crash

setup_file() {
	load lib
	load stage-crash
	stage_crash_set_up_file
}

setup() {
	stage_crash_set_up
}

teardown() {
	stage_crash_tear_down
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
