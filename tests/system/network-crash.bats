#!/usr/bin/env bats
# Death at the steps by which an instance gets its network (base/fault.h): one instance runs
# afterwards, with its network, or the host has back what it gave.

bats_require_minimum_version 1.5.0
load lib
load tiny
load engines
load stage
load network

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
	program=$OUT/faults/posmedia start_host docker
}

teardown() {
	stop_host
	rm -rf "$dir"
}

card() {
	site dev "network: {interface: card0, mode: move, address: 198.51.100.7/24}
limits: {files: $1}"
}
lan() {
	site dev "network: {interface: lan0, address: 192.0.2.9/24}
limits: {files: $1}"
}

# Stages, and dies at that step; waits until whoever acts for the dead is done.
dies_at() {
	POSMEDIA_DIE_AT=$1 stage recipes/sites/dev.yaml
	[ "$status" -eq 86 ] || { echo "$1: $status $output $stderr"; return 1; }
	flock -w 60 "$dir/srv/123/dev/.posmedia/lock" true
}

# One runs, the one of the record, with that address.
whole() {
	[ "$(running | wc -l)" -eq 1 ] || { echo "runs: $(running)"; return 1; }
	jq -e --arg it "$(running)" '.current.container == $it' \
		"$dir/srv/123/dev/.posmedia/state.json" >/dev/null
	answers "$1" 8080
}

@test "a kill while an interface goes from one instance to the next" {
	local n=2000 at before
	before=$(card0)
	card "$n"
	stage recipes/sites/dev.yaml
	succeeded
	for at in 'network: restored' 'stage: up' 'network: held' 'network: there'; do
		n=$((n + 1))
		card "$n"
		dies_at "$at"
		whole 198.51.100.7 || { echo "dead at $at"; false; }
		stage recipes/sites/dev.yaml
		succeeded
		whole 198.51.100.7 || { echo "staged after $at"; false; }
	done
	site dev
	stage recipes/sites/dev.yaml
	succeeded
	[ "$(card0)" = "$before" ] || { diff <(echo "$before") <(card0); false; }
}

@test "a kill while an interface goes to the first that wants it, or comes back" {
	local before at
	before=$(card0)
	# nobody acts for a first one
	card 2000
	dies_at 'network: filtered'
	instance nft list chain inet posmedia input
	run ! instance ip link show card0
	dies_at 'network: there'
	stage recipes/sites/dev.yaml
	succeeded
	whole 198.51.100.7
	site dev
	dies_at 'network: brought'
	whole 198.51.100.7
	stage recipes/sites/dev.yaml
	succeeded
	[ "$(card0)" = "$before" ]
	card 2001
	for at in 'network: recorded' 'network: held' 'network: there'; do
		dies_at "$at"
		[ "$(running | wc -l)" -eq 1 ]
		[ "$(card0)" = "$before" ] || { echo "dead at $at: $(card0)"; false; }
	done
	lan 2002
	stage recipes/sites/dev.yaml
	succeeded
	whole 192.0.2.9
	lan 2003
	dies_at 'network: there'
	whole 192.0.2.9
	[ "$(card0)" = "$before" ]
}
