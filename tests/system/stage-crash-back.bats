#!/usr/bin/env bats
# Death at every durable step of a stage that does not get well, and of the way back: what was
# before runs, with its sales.

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
