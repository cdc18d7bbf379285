#!/usr/bin/env bats
# What a cutover does on the old server, with a real sshd, real mounts and real processes.
# shellcheck disable=SC2034 # cutover.bash reads what a test sets

bats_require_minimum_version 1.5.0
load lib
load cutover

setup() {
	dir=$(mktemp -d)
	chmod 711 "$dir"
	old_start
	on_old "$dir/init.d/pos start"
	wait_for 10 sells
	before=$(picture)
}

teardown() {
	old_end
	[ ! -s "$dir/agent.err" ] || cat "$dir/agent.err"
	rm -rf "$dir"
}

is_fenced() {
	run sells
	[ "$status" -ne 0 ]
	run on_old "touch $data/x"
	[ "$status" -ne 0 ]
	run on_old "$dir/init.d/pos start"
	[ "$status" -ne 0 ]
}

has_address() {
	[[ $(on_old ip addr) == *192.0.2.9/* ]]
}

# As it has to be before it may be held.
hold() {
	ask yield
	ask hold
}

is_free() {
	ask status
	said '.state == "FREE"' >/dev/null
}

is_back() {
	wait_for 10 sells
	[ "$(picture)" = "$before" ] || diff <(echo "$before") <(picture)
	ask status
	said '.state == "FREE" and .fence == false and .trouble == []'
}

@test "fence, proof, hold, and a release gives all of it back" {
	old_login
	fence
	said '.ok and .state == "LEASED" and .complete and .left_ms > 50000'
	is_fenced
	# who comes meets somebody who says no
	has_address
	ask prove
	said '.ok and .weak == []'
	ask hold
	said '.kind == "unproven" and .error == "it has its address" and .state == "LEASED"'
	ask yield
	said '.ok and .state == "LEASED" and .left_ms > 50000'
	! has_address || false
	ask yield
	said .ok
	ask hold
	said '.ok and .state == "HELD"'
	ask hold
	said .ok
	is_fenced
	ask forget
	said '.kind == "refused"'
	ask release
	said '.ok and .state == "FREE" and .closed'
	is_back
	by_ssh=
	# no fence of that epoch can follow, and no older one; again is no error
	ask release
	said .ok
	fence
	said '.kind == "refused"'
	epoch=2 run_id=r2 fence
	said .ok
	epoch=1 ask renew
	said '.kind == "refused"'
	epoch=2 run_id=other ask release
	said '.kind == "refused"'
	epoch=3 run_id=r3 fence
	said '.kind == "refused"'
	epoch=2 run_id=r2 ask release
	is_back
	epoch=2 run_id=r2 ask forget
	said .ok
	[ ! -e "$state" ] && [ ! -e "$dir/cron/posmedia-cutover" ]
}

@test "services stop last first and start in their order, the start commands behind them" {
	local name want=$'app stop\nbase stop\nbase start\napp start\nbehind'
	for name in base app; do
		# shellcheck disable=SC2016 # the script expands it
		printf '#!/bin/sh\necho %s "$1" >>%s\n' "$name" "$dir/order" >"$dir/init.d/$name"
		chmod 755 "$dir/init.d/$name"
	done
	fence "$(jq -nc --arg order "$dir/order" --arg init "$dir/init.d/pos" '{
		services: ["base", "app"], stop: [{run: [$init, "stop"]}],
		start: [{run: ["/bin/sh", "-c", "echo behind >>\($order)"]},
			{run: [$init, "start"]}]}')"
	said .ok
	ask release
	is_back
	[ "$(cat "$dir/order")" = "$want" ] || diff <(echo "$want") "$dir/order"
}

@test "who still writes is ended: a stubborn one, an open deleted file, a mapping" {
	on_old "$dir/init.d/pos stop"
	echo 1 >"$dir/stubborn"
	on_old "$dir/init.d/pos start"
	on_old "perl -e 'open F, \">\", \"$data/gone\"; unlink \"$data/gone\"; sleep 900' \
		>/dev/null 2>&1 &"
	on_old "python3 -c 'import ctypes,os,time
f = os.open(\"$data/map\", os.O_RDWR | os.O_CREAT); os.write(f, b\"x\" * 4096)
ctypes.CDLL(None).mmap(None, 4096, 3, 1, f, 0); os.close(f); time.sleep(900)' >/dev/null 2>&1 &"
	wait_for 10 test -s "$data/map"
	ask holders "{\"plan\": $(plan)}"
	said '[.holders[].why] | any(test("gone .deleted")) and any(test("mapped .*map")) and
		any(test("sales|2001"))'
	before=$(picture)
	fence '{"holders": "report"}'
	said '.ok == false and .kind == "failed" and .state == "FREE" and (.holders | length) >= 2'
	[ "$(picture)" = "$before" ]
	wait_for 10 sells
	# what fell may have sold since
	fence
	said '.kind == "refused"'
	epoch=2 run_id=r2
	fence
	said '.ok and .complete'
	ask prove
	said .ok
	is_fenced
	ask release
	rm "$dir/stubborn"
	said .ok
}

@test "what is not as it should be is found" {
	fence
	said .ok
	on_old "nohup python3 -c 'import socket,time
s = socket.socket(); s.setsockopt(1, 2, 1); s.bind((\"\", 2001)); s.listen(); time.sleep(900)' \
		>/dev/null 2>&1 &"
	wait_for 10 on_old "exec 9<>/dev/tcp/127.0.0.1/2001"
	ask prove
	said '.kind == "unproven" and (.faults | any(test("port 2001")))'
	ask hold
	said '.kind == "unproven" and .state == "LEASED"'
	on_old "pkill -f '[s]etsockopt'"
	ask prove
	said .ok
	on_old "chmod +x $dir/init.d/pos"
	ask prove
	said '.kind == "unproven" and .error == "pos can be started"'
	ask release
	is_back
}

@test "a lease ends by itself, and one that is renewed does not" {
	fence
	ask renew
	said '.ok and .left_ms > 55000'
	echo 159.00 >"$dir/uptime"
	ask renew
	said '.ok and .left_ms > 55000'
	echo 200.00 >"$dir/uptime"
	sleep 1.5
	is_fenced
	echo 219.50 >"$dir/uptime"
	is_back
	ask hold
	said '.kind == "refused"'
	ask renew
	said '.kind == "refused"'
	ask status
	said '.why == "the lease is over"'
}

@test "after a boot a lease is over, and what was held is fenced again" {
	fence
	on_old "pkill -f '[a]gent watch'"
	echo boot-2 >"$dir/boot"
	echo 5.00 >"$dir/uptime"
	ask hold
	said '.kind == "refused"'
	tick
	is_back
	fence
	said '.kind == "refused"'
	epoch=2 run_id=r2
	fence
	hold
	said .ok
	wait_for 10 bash -c "! pgrep -f '$dir/agent [w]atch'"
	on_old "umount -l $data; ip addr add 192.0.2.9/24 dev v0"
	echo boot-3 >"$dir/boot"
	echo 999999.00 >"$dir/uptime"
	tick
	is_fenced
	! has_address || false
	ask prove
	said '.ok and .state == "HELD"'
	ask release
	said .ok
	wait_for 10 sells
}

@test "after a boot what gave its address away stays fenced until the lease is over for all" {
	fence
	ask yield
	said .ok
	on_old "pkill -f '[a]gent watch'; umount -l $data; ip addr add 192.0.2.9/24 dev v0"
	echo boot-2 >"$dir/boot"
	echo 5.00 >"$dir/uptime"
	ask hold
	said '.kind == "refused"'
	tick
	is_fenced
	! has_address || false
	# who looks after it is there again, and it sells before the last of it is undone
	echo 61.00 >"$dir/uptime"
	wait_for 10 is_free
	is_back
	has_address
}

@test "an agent that is killed at any step: a release, or the lease's end, puts all back" {
	local n=0 killed=0
	while :; do
		n=$((n + 1))
		epoch=$n
		run_id=r$n
		[ "$n" -lt 80 ]
		fence '' "POSMEDIA_CUTOVER_DIE_AT=$n"
		if [ -n "$answer" ]; then
			said '.ok and .complete'
			ask release
			is_back
			break
		fi
		killed=$((killed + 1))
		if [ $((n % 2)) -eq 0 ]; then
			ask release
			said .ok
		else
			echo "$(($(cut -d. -f1 "$dir/uptime") + 100)).00" >"$dir/uptime"
			tick
		fi
		is_back
	done
	echo "killed $killed times"
	[ "$killed" -ge 10 ]
}

@test "an agent that is stopped in the middle: who would undo it does, or the lease's end" {
	local by asking epoch=0 more='{"stop": [{"run": ["/bin/sleep", "777"], "within": 600}]}'
	for by in release lease; do
		epoch=$((epoch + 1))
		ask fence "{\"lease\": 60, \"plan\": $(plan | jq -c ". + $more")}" &
		asking=$!
		wait_for 10 on_old "pgrep -f '[s]leep 777'"
		on_old "pkill -STOP -f '^perl -w .*agent serve'"
		if [ "$by" = release ]; then
			ask release
			said '.ok and .state == "FREE"'
		else
			echo 300.00 >"$dir/uptime"
			wait_for 20 is_recorded FREE
		fi
		wait_for 10 sells
		run on_old "pgrep -f '[s]leep 777'"
		[ "$status" -ne 0 ]
		# nsenter(1) stops with its child
		pkill -CONT -f "^nsenter .*$dir/agent serve" || true
		wait "$asking" || true
	done
}

is_recorded() {
	[ "$(jq -r .state "$state/7/record")" = "$1" ]
}

@test "an agent that is killed while it yields the address: it comes back with the rest" {
	local n=0
	while :; do
		n=$((n + 1))
		epoch=$n
		run_id=r$n
		[ "$n" -lt 20 ]
		fence
		said .ok
		ask yield '' "POSMEDIA_CUTOVER_DIE_AT=$n"
		[ -z "$answer" ] || break
		ask release
		said .ok
		is_back
	done
	said .ok
	[ "$n" -ge 3 ]
	ask release
	is_back
}

@test "an agent that is killed while it takes a fence back: the next one goes on" {
	local n=0
	while :; do
		n=$((n + 1))
		epoch=$n
		run_id=r$n
		[ "$n" -lt 60 ]
		fence
		said .ok
		ask yield
		said .ok
		if [ $((n % 2)) -eq 0 ]; then
			ask hold
			said .ok
		fi
		ask release '' "POSMEDIA_CUTOVER_DIE_AT=$n"
		[ -z "$answer" ] || break
		# on its way back it can no longer be held
		ask hold
		[ "$(jq -r .kind <<<"$answer")" = refused ] || said '.state == "HELD"'
		tick
		ask release
		said .ok
		is_back
	done
	is_back
	[ "$n" -ge 5 ]
}

@test "the journal's copy: once, whole lines, and a committed epoch is not released" {
	fence
	ask witness '{"line": "{\"epoch\":1,\"phase\":\"fence\",\"event\":\"ok\"}"}'
	said '.lines == 1'
	ask witness '{"line": "{\"epoch\":1,\"phase\":\"fence\",\"event\":\"ok\"}"}'
	said '.lines == 1'
	printf '{"torn' >>"$state/7/journal"
	hold
	ask witness '{"line": "{\"epoch\":1,\"phase\":\"commit\",\"event\":\"ok\"}"}'
	said '.lines == 2'
	ask release
	said '.kind == "refused" and .state == "HELD"'
	is_fenced
	ask release '{"reversed": true}'
	is_back
}

@test "a list is what is there, with any name, and changes show" {
	local one two
	on_old "printf bytes >'$data/sub/'\$(printf '\\377\\376'); ln $data/catalogue $data/same"
	on_old "$dir/init.d/pos stop"
	ask prehash "{\"data\": [{\"at\": \"$data\"}]}"
	said .ok
	ask list "{\"data\": [{\"at\": \"$data\"}]}"
	said '.ok and .data[0].entries == 7'
	one=$(jq -r .data[0].root <<<"$answer")
	[ "$(sha256sum <"$state/7/listing-0")" = "$one  -" ]
	grep -q '^\./sub/a\\012b type=file .* sha256digest='"$(printf newline | sha256sum |
		cut -d' ' -f1)"'$' "$state/7/listing-0"
	grep -q '^\./same .* hardlink=\./catalogue$' "$state/7/listing-0"
	touch -r "$data/catalogue" "$dir/then"
	printf ORCHIDS | dd of="$data/catalogue" conv=notrunc status=none
	touch -r "$dir/then" "$data/catalogue"
	ask list "{\"data\": [{\"at\": \"$data\"}]}"
	two=$(jq -r .data[0].root <<<"$answer")
	[ "$one" != "$two" ]
	ask list "{\"data\": [{\"at\": \"$data\", \"exclude\": [\"/**/sub/**\"]}]}"
	said '.data[0].entries == 4'
}

@test "where no mount can be made read only, only root can enter the data" {
	fence '' POSMEDIA_CUTOVER_NO_RO=1
	said .ok
	[ "$(stat -c %a "$data")" = 0 ]
	ask prove
	said '.ok and (.weak | length) == 1'
	ask release
	is_back
}

@test "requests that are none" {
	local line
	for line in '' '[' '[]' '{"verb":"fence"}' '{"verb":"x"}' '{"id":-1}' \
		'{"verb":"run","argv":[],"within":1}' '{"verb":"run","argv":"id","within":1}' \
		'{"verb":"fence","epoch":1,"run":"a b","lease":9,"plan":{}}' \
		'{"verb":"list","data":[{"at":"relative"}]}' "$(printf '[%.0s' $(seq 1000))"; do
		answer=$(on_old "$(settings) perl -w $dir/agent serve 7" <<<"$line")
		said '.ok == false and (.kind == "usage" or .kind == "failed")'
	done
	ask run '{"argv": ["sleep", "30"], "within": 1}'
	said '.ok and .late and .ms < 5000'
	run on_old "$(settings) perl -w $dir/agent serve ../x"
	[ "$status" -ne 0 ]
	[ -z "$(cat "$dir/agent.err")" ]
}
