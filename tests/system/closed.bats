#!/usr/bin/env bats
# An instance that runs and lets nobody in, until it is opened: on an address of its own, on the
# site's, and on the engine's network; through restarts, kills and the loss of its engine's storage.

bats_require_minimum_version 1.5.0
load lib
load tiny
load engines
load stage
load life
load network

setup_file() {
	load lib
	flock "$OUT/tests.flock" make -s "OUT=$OUT/faults" VARIANT=faults all
	load tiny
	load stage
	stage_set_up_file
}

teardown_file() {
	rm -rf "$made"
}

setup() {
	stage_set_up
}

teardown() {
	stop_host
	rm -rf "$dir"
}

lan() {
	site dev "network: {interface: lan0, address: 192.0.2.9/24, gateway: 192.0.2.1}
health: [{name: web, tcp: 8080, within: 20s}]"
}

not() {
	! "$@" || { echo "this should fail: $*"; return 1; }
}

mark() {
	cat "$dir/srv/123/dev/.posmedia/closed"
}

# It is well from inside, may ask others, and who comes is told at once that it is closed.
is_closed() {
	instance curl -s -m 2 -o /dev/null http://127.0.0.1:8080/catalogue
	instance ping -c 1 -W 2 192.0.2.1
	branch ping -c 1 -W 2 "$1"
	# 7 is an answer, and 28 would be none
	run branch curl -s -m 5 -o /dev/null "http://$1:8080/catalogue"
	[ "$status" -eq 7 ] || { echo "curl ended with $status"; return 1; }
}

has() {
	local all
	all=$(instance ip -o -4 address show scope global | grep -o 'inet [^ ]*' || true)
	[ "$all" = "${1:+inet $1}" ]
}

# A server in the branch that the instance asks, and a connection to the instance that stays.
talks_out() {
	branch busybox httpd -f -p 8081 -h "$dir/root/usr2" 3>&- &
	listener=$!
	wait_for 5 branch curl -s -m 1 -o /dev/null http://192.0.2.1:8081/catalogue
	instance curl -s -m 2 -o /dev/null http://192.0.2.1:8081/catalogue
	kill "$listener"
	listener=
}

# The former owner of the address still has it, as before a cutover.
private() {
	lan
	branch ip address add 192.0.2.9/24 dev lan1
	stage recipes/sites/dev.yaml
	refused 3 'the address 192.0.2.9 is in use'
	stage --closed real recipes/sites/dev.yaml
	refused 3 'the address 192.0.2.9 is in use'
	stage --closed 192.0.2.77/24 recipes/sites/dev.yaml
	succeeded
	[[ $output == *'gave 192.0.2.77/24 to pos-123-dev-'* ]]
	[ "$(mark)" = 192.0.2.77/24 ]
	has 192.0.2.77/24
	is_closed 192.0.2.77
	talks_out
	stage recipes/sites/dev.yaml
	[[ $output == 'nothing changed'* ]]
	# opened it would take the site's address, which it may not have
	stage --open recipes/sites/dev.yaml
	refused 3 'the address 192.0.2.9 is in use'
	is_closed_again
	branch ip address del 192.0.2.9/24 dev lan1
}

# What was refused left it as it was, and closed.
is_closed_again() {
	stage --closed 192.0.2.77/24 recipes/sites/dev.yaml
	succeeded
	has 192.0.2.77/24
	is_closed 192.0.2.77
}

idle() {
	stage --closed private recipes/sites/dev.yaml
	succeeded
	has ''
	instance curl -s -m 2 -o /dev/null http://127.0.0.1:8080/catalogue
	verb status --json recipes/sites/dev.yaml
	jq -e '.[0].closed == "private" and .[0].checks[0].passes' <<<"$output"
}

real() {
	local first
	stage --closed real recipes/sites/dev.yaml
	succeeded
	has 192.0.2.9/24
	is_closed 192.0.2.9
	verb status
	[[ $output == *'123 dev: it is closed (real): nobody gets in'* ]]
	# a start, a generation and the way back: still closed
	verb stop recipes/sites/dev.yaml
	verb start recipes/sites/dev.yaml
	succeeded
	is_closed 192.0.2.9
	first=$(running)
	sed -i 's/within: 20s/within: 21s/' "$dir/recipes/sites/dev.yaml"
	stage recipes/sites/dev.yaml
	succeeded
	[ "$(running)" != "$first" ]
	is_closed 192.0.2.9
	stage --rollback recipes/sites/dev.yaml
	succeeded
	is_closed 192.0.2.9
	# what somebody takes away comes back
	instance nft delete table inet posmedia
	answers 192.0.2.9 8080
	stage recipes/sites/dev.yaml
	succeeded
	is_closed 192.0.2.9
}

opened() {
	local before
	before=$(ask "/containers/$(running)/json" | jq .State.StartedAt)
	stage --open --dry-run recipes/sites/dev.yaml
	[[ $output == *"would: opened pos-123-dev-"* ]]
	is_closed 192.0.2.9
	stage --open recipes/sites/dev.yaml
	succeeded
	[[ $output == "opened pos-123-dev-"* ]]
	[ ! -e "$dir/srv/123/dev/.posmedia/closed" ]
	answers 192.0.2.9 8080
	[ "$(ask "/containers/$(running)/json" | jq .State.StartedAt)" = "$before" ]
	stage --open recipes/sites/dev.yaml
	[[ $output == 'nothing changed'* ]]
	answers 192.0.2.9 8080
}

# A connection that somebody has when it is closed is cut off.
cuts_off() {
	mkfifo "$dir/talk"
	branch busybox nc 192.0.2.9 8080 <"$dir/talk" >"$dir/answer" 3>&- &
	listener=$!
	exec 9>"$dir/talk"
	printf 'GET /catalogue HTTP/1.1\r\n' >&9
	sleep 0.3
	stage --closed real recipes/sites/dev.yaml
	succeeded
	# who has it may find out that nobody reads any more
	(printf 'Host: x\r\n\r\n' >&9) || true
	sleep 1
	exec 9>&-
	kill "$listener" 2>/dev/null || true
	listener=
	[ ! -s "$dir/answer" ]
	is_closed 192.0.2.9
}

# Runs the verb so that it dies at a step.
dies() {
	local at=$1
	shift
	sed -i "s,\"[^\"]*posmedia\",\"$OUT/faults/posmedia\"," "$dir/posmedia"
	POSMEDIA_DIE_AT=$at stage "$@"
	sed -i "s,\"[^\"]*posmedia\",\"$OUT/posmedia\"," "$dir/posmedia"
	[ "$status" -eq 86 ] || { echo "status $status: $output $stderr"; return 1; }
	# who acts for the dead may be at it still
	flock -w 60 "$dir/srv/123/dev/.posmedia/lock" true
}

# A kill at every step leaves it closed, or open, and a second call mends it.
killed() {
	local at
	for at in 'closed: marked' 'closed: stopped'; do
		stage --open recipes/sites/dev.yaml
		succeeded
		dies "$at" --closed 192.0.2.77/24 recipes/sites/dev.yaml
		stage --closed 192.0.2.77/24 recipes/sites/dev.yaml
		succeeded
		has 192.0.2.77/24
		is_closed 192.0.2.77
	done
	stage --closed real recipes/sites/dev.yaml
	succeeded
	dies 'closed: unmarked' --open recipes/sites/dev.yaml
	is_closed 192.0.2.9
	stage --open recipes/sites/dev.yaml
	succeeded
	answers 192.0.2.9 8080
	echo 'half a mar' >"$dir/srv/123/dev/.posmedia/closed"
	verb stop recipes/sites/dev.yaml
	verb start recipes/sites/dev.yaml
	refused 4 'closed is damaged'
	[ -z "$(running)" ]
}

whole() {
	start_host "$1"
	private
	idle
	real
	opened
	cuts_off
	killed
}

# Another container of the engine would be let in by the engine's network.
bridged() {
	local at
	start_host "$1"
	site dev
	stage --closed private recipes/sites/dev.yaml
	succeeded
	at=$(ask "/containers/$(running)/json" |
		jq -r '[.NetworkSettings.Networks[].IPAddress, .NetworkSettings.IPAddress] |
			map(select(. != null and . != ""))[0]')
	instance curl -s -m 2 -o /dev/null http://127.0.0.1:8080/catalogue
	run host curl -s -m 5 -o /dev/null "http://$at:8080/catalogue"
	[ "$status" -eq 7 ]
	stage --open recipes/sites/dev.yaml
	succeeded
	host curl -s -m 5 -o /dev/null "http://$at:8080/catalogue"
	stage --closed real recipes/sites/dev.yaml
	succeeded
	at=$(ask "/containers/$(running)/json" |
		jq -r '[.NetworkSettings.Networks[].IPAddress, .NetworkSettings.IPAddress] |
			map(select(. != null and . != ""))[0]')
	run host curl -s -m 5 -o /dev/null "http://$at:8080/catalogue"
	[ "$status" -eq 7 ]
}

@test "dockerd: closed on an address of its own, on the site's, and opened" {
	whole docker
}

@test "podman: closed on an address of its own, on the site's, and opened" {
	whole podman
}

@test "dockerd: closed on the engine's network" {
	bridged docker
}

@test "podman: closed on the engine's network" {
	bridged podman
}
