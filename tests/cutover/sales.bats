#!/usr/bin/env bats
# A shop goes from its old server to the new instance while its people sell: two hosts with sshd,
# rsync, an engine and a link of 20 Mbit/s and 20 ms between them. Every sale that somebody saw
# accepted is on the side that serves in the end, once; and nobody sells on both.

# shellcheck disable=SC2030,SC2031,SC2034 # each test has its own, and the library uses them
bats_require_minimum_version 1.5.0
load ../system/lib
load ../system/tiny
load ../system/engines
load ../system/stage
load ../lib/cutover

setup_file() {
	load ../system/lib
	load ../system/tiny
	load ../lib/cutover
	flock "$OUT/tests.flock" make -s "OUT=$OUT/faults" VARIANT=faults all
	export made
	made=$(mktemp -d)
	dir=$made
	cutover_programs
	make_cutover_image
	make_old 8
}

teardown_file() {
	rm -rf "$made"
}

setup() {
	dir=$(mktemp -d)
	cp -a "$made/." "$dir"
	export POSMEDIA_STORE=$dir/store
	cutover_programs made
	program=$OUT/faults/posmedia
}

teardown() {
	stop_cutover
	rm -rf "$dir"
}

# Both hosts, NEW with docker or podman ($1) and the instance staged there on an address of its
# own, and people who sell; the site's cutover has more lines ($2).
two_hosts() {
	start_shop
	start_old
	start_new "$1" 20000000 20
	cutover_site "${2-}"
	stage --closed 192.0.2.10/24 recipes/sites/prod.yaml
	succeeded
	start_sales 50
}

cutover() {
	verb cutover "$@" recipes/sites/prod.yaml
}

# The end of the load, and what became of it: $1 serves, who answered changed so often ($2).
over() {
	sells "$1"
	stop_sales
	sales_are_whole "$1" >"$dir/whole" || { cat "$dir/whole"; return 1; }
	cat "$dir/whole" >&3
	jq -e --argjson n "$2" '.switches == $n' "$dir/whole"
}

# The old server is out of work, and a boot does not change that.
old_is_locked() {
	run in_old /etc/init.d/pos start
	[ "$status" -ne 0 ]
	run in_old sh -c 'echo x >>/usr2/sales'
	[ "$status" -ne 0 ]
	[ -z "$(at_old ip -o address show to 192.0.2.9)" ]
	run in_old /etc/init.d/pos status
	[ "$status" -ne 0 ]
}

# It has its data as it was, and works.
old_works() {
	in_old test ! -e /var/lib/posmedia-cutover/123/fence
	in_old sh -c 'echo x >/usr2/w && rm /usr2/w'
	[ -n "$(at_old ip -o address show to 192.0.2.9)" ]
	in_old /etc/init.d/pos status
}

# Data but what the till writes is the same on both sides.
same_data() {
	run diff -r --exclude=sales --exclude=records "$dir/old/usr2" "$dir/srv/123/prod/usr2"
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
}

whole() {
	two_hosts "$1"
	cutover rehearse
	succeeded
	serves old
	# the next one carries over the link what changed, and not all of it again
	[ "$(cat "$dir"/srv/123/prod/.posmedia/restore/fetched/*/bbx/REC* | wc -c)" -gt 4000000 ]
	cutover --dry-run
	succeeded
	tests/lib/cutover-data change "$dir/old/usr2" 2 3
	cutover --json
	succeeded
	wait_for 30 serves new
	over new 1
	# who came meanwhile was told at once, and did not wait
	jq -e '.hung == 0 and .lost == 0 and .twice == 0 and .stray == 0' "$dir/whole"
	old_is_locked
	same_data
	cutover
	refused 7 ''
	kill_old
	start_old
	wait_for 20 old_is_locked
	serves new
}

@test "dockerd: rehearsed, run, and the old server stays out of work" {
	whole docker
}

@test "podman: rehearsed, run, and the old server stays out of work" {
	whole podman
}

@test "a smoke test that fails: the old server works on, with all it had" {
	two_hosts docker
	sed -i 's,run: \[/bin/testsale\],run: [/bin/busybox\, false],' \
		"$dir/recipes/sites/prod.yaml"
	cutover
	[ "$status" -ne 0 ]
	wait_for 30 serves old
	old_works
	over old 0
	# the instance waits for the next try where it was
	[ "$(cat "$dir/srv/123/prod/.posmedia/closed")" != real ]
}

# Dies at a step of the cutover.
dies() {
	POSMEDIA_DIE_AT=$1 cutover
	[ "$status" -eq 86 ] || { echo "status $status: $output $stderr"; return 1; }
}

@test "killed before the commit, and undone" {
	local at
	two_hosts docker
	for at in 'cutover: fenced' 'cutover: fetched' 'cutover: held'; do
		dies "$at"
		cutover rollback
		succeeded
		wait_for 30 serves old
		old_works
	done
	over old 0
}

@test "killed behind the fence, and gone on with" {
	two_hosts docker
	dies 'cutover: fetched'
	cutover resume
	succeeded
	wait_for 30 serves new
	over new 1
	old_is_locked
}

@test "killed between the commit and the opening: there is no way but on" {
	two_hosts podman
	dies 'cutover: committed'
	cutover rollback
	refused 7 ''
	cutover resume
	succeeded
	wait_for 30 serves new
	over new 1
	old_is_locked
}

@test "killed behind the fence, and nobody comes back: the lease gives the shop its old server" {
	lease=6s
	two_hosts docker
	dies 'cutover: fenced'
	wait_for 60 serves old
	old_works
	cutover resume
	[ "$status" -eq 0 ] || [ "$status" -eq 7 ] || { echo "$status $stderr"; false; }
	wait_for 30 serves old
	over old 0
}
