#!/usr/bin/env bats
# A snapshot of a shop that is open: its instance stands still for the last look at its data, and
# goes on afterwards, whatever happens to the program.

bats_require_minimum_version 1.5.0
load lib
load tiny
load engines
load stage
load restore

setup_file() {
	load lib
	load tiny
	load engines
	load stage
	load restore
	make_faults
	restore_setup_file
}

teardown_file() {
	restore_teardown_file
}

setup() {
	restore_setup
	stage_till dev
	install -m 600 /dev/null "$dir/pass"
	echo 'a long passphrase' >"$dir/pass"
	# two files that are of the same moment, give or take one
	# shellcheck disable=SC2016 # of the instance
	in_cgroup 'i=0; while :; do i=$((i + 1)); echo $i >/usr2/a; echo $i >/usr2/b; done'
}

teardown() {
	restore_teardown
}

# A script that stands still when the container does: what nsenter starts does not.
in_cgroup() {
	local body id
	body=$(jq -n --arg s "$1" '{Cmd: ["/bin/busybox", "sh", "-c", $s]}')
	id=$(ask "/containers/$(running)/exec" -H 'Content-Type: application/json' -d "$body" |
		jq -r .Id)
	ask "/exec/$id/start" -H 'Content-Type: application/json' -d '{"Detach": true}'
	wait_for 10 test -e "$(live dev)/usr2/b"
}

snapshot() {
	verb snapshot recipes/sites/dev.yaml --to "dir:$dir/repo" --secret-file "$dir/pass" "$@"
}

paused() {
	ask "/containers/$(containers)/json" | jq .State.Paused
}

another_time() {
	[ "$(stat -c %y "$(live dev)/usr2/a")" != "$1" ]
}

goes_on() {
	local before
	[ "$(paused)" = false ] && [ ! -e "$(live dev)/.posmedia/held" ] || return
	before=$(stat -c %y "$(live dev)/usr2/a")
	wait_for 10 another_time "$before"
}

@test "what is kept is of one moment" {
	local a b
	inside ': >/usr2/fix-me'
	snapshot --pause --json
	succeeded
	jq -e '.paused_milliseconds > 0 and .again == 0' <<<"$output"
	goes_on
	verb restore --from "snapshot:dir:$dir/repo" --secret-file "$dir/pass" \
		recipes/sites/dev.yaml
	succeeded
	a=$(cat "$(live dev)/usr2/a") b=$(cat "$(live dev)/usr2/b")
	# each is cut to nothing before it is written to
	[ $((${a:-b + 1} - ${b:-a - 1})) -le 1 ]
	# what was known before is read while it runs
	snapshot --pause
	succeeded
	[[ $output == *'stood still for 0.'* ]]
	posmedia snapshot --list "dir:$dir/repo" --secret-file "$dir/pass"
	[ "${#lines[@]}" -eq 2 ]
}

@test "an instance that does not run need not stand still, and a tree cannot" {
	verb stop recipes/sites/dev.yaml
	snapshot --pause --json
	succeeded
	jq -e '.paused_milliseconds == 0' <<<"$output"
	posmedia snapshot "dir:$dir/srv" --pause --to "dir:$dir/repo" --secret-file "$dir/pass"
	refused 2 '--pause is for a site'
}

@test "it goes on when the program fails, or is killed" {
	local point
	export posmedia=$OUT/faults/posmedia
	for point in 'held: marked' 'held: stands still' 'snapshot body' 'held: goes on'; do
		POSMEDIA_DIE_AT=$point snapshot --pause
		[ "$status" -eq 86 ] || { echo "$point: $status $stderr"; false; }
		wait_for 10 goes_on
	done
	# nothing that is put is there any more
	chmod 500 "$dir/repo/snapshots"
	chattr +i "$dir/repo/snapshots"
	snapshot --pause
	chattr -i "$dir/repo/snapshots"
	[ "$status" -eq 1 ]
	goes_on
	# the child that looks after it was killed, too
	printf %s "$(containers)" >"$(live dev)/.posmedia/held"
	ask "/containers/$(containers)/pause" -X POST
	verb start recipes/sites/dev.yaml
	succeeded
	goes_on
	# and what somebody else made stand still stays so
	ask "/containers/$(containers)/pause" -X POST
	snapshot --pause
	refused 7 'is paused'
	[ "$(paused)" = true ]
	ask "/containers/$(containers)/unpause" -X POST
}
