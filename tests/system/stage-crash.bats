#!/usr/bin/env bats
# Death at every durable step of posmedia stage (base/fault.h): one instance runs afterwards, the
# old one or the new one, with its sales, and the next run makes it whole.

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
