#!/usr/bin/env bats
# A server that is held takes its data back: whatever dies in between, it stays out of work until
# the commit of that run is shown to it.
# shellcheck disable=SC2034 # cutover.bash reads what a test sets

bats_require_minimum_version 1.5.0
load lib
load cutover

setup() {
	dir=$(mktemp -d)
	chmod 711 "$dir"
	old_start
	mknod "$data/device" c 1 3
	install -m 4755 /bin/true "$data/as-root"
	on_old "$dir/init.d/pos start"
	wait_for 10 sells
	before=$(picture)
	fence
	said '.ok'
	ask yield
	ask hold
	said '.ok and .state == "HELD"'
}

teardown() {
	old_end
	[ ! -s "$dir/agent.err" ] || cat "$dir/agent.err"
	rm -rf "$dir"
}

receive() {
	epoch=2 run_id=r2 ask receive "$(jq -nc --arg at "${1-$data}" --arg user "${2-root}" \
		'{data: [{at: $at}], users: ["root", $user]}')" "${3-}"
}

is_shut() {
	run on_old "touch $data/x"
	[ "$status" -ne 0 ]
	run on_old "$dir/init.d/pos start"
	[ "$status" -ne 0 ]
}

# The commit of the run that gives it back, and the release.
committed() {
	local line='{"epoch":2,"phase":"commit","event":"ok"}'
	epoch=2 run_id=r2 ask witness "$(jq -nc --arg line "$line" '{line: $line}')"
	said .ok
}
back() {
	epoch=2 run_id=r2 ask release '{"reversed": true}'
}

@test "received beside what is read only, shut, and given back for its commit only" {
	receive
	said ".ok and .devices == [\"$data/device\"] and .unknown == []"
	local view
	view=$(jq -r .view <<<"$answer")
	on_old "echo roses >$view$data/catalogue && chmod 755 $view$data/as-root"
	is_shut
	# nobody else's word, nor this run's without its commit, gives back what is not whole
	ask release
	said '.kind == "refused"'
	ask release '{"reversed": true}'
	said '.kind == "refused"'
	epoch=3 run_id=r3 ask release '{"reversed": true}'
	said '.kind == "refused"'
	back
	said '.kind == "refused" and (.error | contains("not whole"))'
	epoch=3 run_id=r3 fence
	said '.kind == "refused"'
	epoch=2 run_id=r2 ask status
	said '.state == "HELD" and .receives'
	# who still writes is ended, and nothing leads there any more
	on_old "cd $view$data && { sleep 900 >>catalogue & }"
	epoch=2 run_id=r2 ask shut
	said .ok
	run on_old "pgrep -x sleep -a | grep 900"
	[ "$status" -ne 0 ]
	[ "$(on_old "grep -c $state/7/view /proc/mounts")" = 0 ]
	run on_old "echo late >$view$data/catalogue"
	[ "$status" -ne 0 ]
	is_shut
	committed
	back
	said '.ok and .state == "FREE" and .closed'
	wait_for 10 sells
	[ "$(cat "$data/catalogue")" = roses ]
	# what a new host may not have it has again, where the file is what it was
	[ "$(stat -c %a "$data/as-root")" = 4755 ]
	[ -c "$data/device" ]
	[ "$(picture)" = "$before" ]
	back
	said '.ok and .state == "FREE"'
	receive
	said '.kind == "refused"'
}

@test "each time by another way, and after a boot it is read only before anything else" {
	receive
	local first
	first=$(jq -r .view <<<"$answer")
	receive
	said '.ok'
	[ "$(jq -r .view <<<"$answer")" != "$first" ]
	run on_old "echo late >$first$data/catalogue"
	[ "$status" -ne 0 ]
	on_old "umount -l $state/7/view/*$data; umount -l $data; echo boot-2 >$dir/boot"
	on_old "touch $data/x && rm $data/x"
	# another agent that is at the same is waited for
	on_old "pkill -f '[a]gent guard'
		{ flock $state/7/lock sleep 2 & } >$dir/other 2>&1
		sleep 0.3"
	on_old "$(settings) perl -w $dir/agent boot"
	is_shut
	on_old "pkill -f 'agent guard'"
	receive
	said '.ok'
	# other data than it was fenced with, and accounts that it has not got
	receive /etc
	said '.kind == "refused"'
	receive "$data" nobody-has-it
	said '.unknown == ["nobody-has-it"]'
}

@test "killed at each step of receiving: it stays held, and the next one goes on" {
	local at
	for at in record recorded view shut; do
		receive "$data" root "POSMEDIA_CUTOVER_DIE_AT=$at"
		[ -z "$answer" ]
		is_shut
		receive
		said .ok
		is_shut
	done
	committed
	for at in record undone down; do
		epoch=2 run_id=r2 ask release '{"reversed": true}' "POSMEDIA_CUTOVER_DIE_AT=$at"
		[ -z "$answer" ]
	done
	back
	said '.ok'
	wait_for 10 sells
	[ "$(picture)" = "$before" ]
}

@test "lists leave devices out and, of what came back, what would run as root" {
	ask list "{\"data\": [{\"at\": \"$data\"}]}"
	said '.data[0].devices == 1'
	grep -q 'as-root .*mode=4755' "$state/7/listing-0"
	run grep /device "$state/7/listing-0"
	[ "$status" -ne 0 ]
	ask list "{\"plain\": true, \"data\": [{\"at\": \"$data\"}]}"
	grep -q 'as-root .*mode=0755' "$state/7/listing-0"
}

# The fence comes first in the end of a trial, and the record of it last.
rests() {
	! on_old "$dir/init.d/pos status" && on_old "test -e $state/7/fence" &&
		jq -e '.trial == null' "$state/7/record"
}

# A moment of the old server's clock, so many seconds from now, as a request has it.
moment() {
	epoch=2 run_id=r2 ask status
	jq -c --argjson more "$1" \
		'{until: {boot: .boot, uptime_ms: (.uptime_ms + 1000 * $more)}}' <<<"$answer"
}

@test "tried without its address, and out of work again when that is over, or data comes" {
	epoch=2 run_id=r2 ask try "$(moment 600)"
	said '.kind == "refused" and (.error | contains("no data came back"))'
	receive
	epoch=2 run_id=r2 ask try "$(moment -1)"
	said '.kind == "refused" and (.error | contains("over"))'
	is_shut
	epoch=2 run_id=r2 ask try "$(moment 600)"
	said '.ok and .state == "HELD"'
	on_old "$dir/init.d/pos status"
	on_old "echo tried >>$data/catalogue"
	[ -z "$(on_old 'ip -o address show to 192.0.2.9')" ]
	# cron leaves it alone as long as it lasts
	tick
	on_old "$dir/init.d/pos status"
	epoch=2 run_id=r2 ask shut
	said .ok
	is_shut
	run on_old "$dir/init.d/pos status"
	[ "$status" -ne 0 ]
	epoch=2 run_id=r2 ask try "$(moment 600)"
	said .ok
	receive
	said .ok
	is_shut
	epoch=2 run_id=r2 ask try "$(moment 60)"
	said .ok
	echo 159.00 >"$dir/uptime"
	tick
	on_old "$dir/init.d/pos status"
	echo 160.00 >"$dir/uptime"
	wait_for 20 rests
	is_shut
	committed
	back
	said '.ok and .state == "FREE"'
	wait_for 10 sells
}

@test "a trial whose start hangs is over when its time is" {
	receive
	# its time passes while it starts
	printf '#!/bin/sh\necho x >>%s\necho 900.00 >%s\nexec sleep 300\n' "$dir/starts" \
		"$dir/uptime" >"$dir/hangs"
	chmod 755 "$dir/hangs"
	epoch=2 run_id=r2 ask try "$(moment 3)"
	said '.kind == "failed" and (.error | contains("took too long"))'
	[ "$(wc -l <"$dir/starts")" -eq 1 ]
	rm "$dir/hangs"
	is_shut
}

@test "a trial on a disk without room is over when its time is" {
	receive
	epoch=2 run_id=r2 ask try "$(moment 60)"
	said .ok
	on_old "$dir/init.d/pos status"
	# nothing can be written where the agent keeps what is its own
	mkdir "$state/7/fence.new" "$state/7/record.new"
	echo 160.00 >"$dir/uptime"
	wait_for 20 idle
	wait_for 20 cannot_write
	[ ! -e "$state/7/fence" ]
	rmdir "$state/7/fence.new" "$state/7/record.new"
	wait_for 20 test -e "$state/7/fence"
	wait_for 20 rests
	is_shut
}

idle() {
	! on_old "$dir/init.d/pos status"
}
cannot_write() {
	! on_old "touch $data/x"
}
