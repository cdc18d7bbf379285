#!/usr/bin/env bats
# The units of a host: what systemd makes of them, and what comes back after a reboot when they are
# run as it would.

bats_require_minimum_version 1.5.0
load lib
load tiny
load engines
load stage

setup() {
	dir=$(mktemp -d)
	watcher=
}

teardown() {
	[ -z "$watcher" ] || { kill "$watcher" && wait "$watcher"; } 2>/dev/null
	[ ! -e "$dir/engine" ] || stop_service "$dir/engine"
	rm -rf "$dir"
}

@test "systemd takes the units as they are" {
	local file
	mkdir "$dir/units"
	for file in recipes/hosts/units/*; do
		sed "s,/usr/bin/posmedia,$posmedia," "$file" >"$dir/units/${file##*/}"
	done
	# those that they come after
	for file in docker strongswan; do
		printf '[Service]\nExecStart=/bin/true\n' >"$dir/units/$file.service"
	done
	run systemd-analyze verify --man=no "$dir/units/posmedia@rti-1-prod.service" \
		"$dir/units/posmedia.target"
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	[ -z "$output" ] || { echo "$output"; false; }
	# what would give it mounts of its own
	run ! grep -E '^(PrivateMounts|PrivateTmp|PrivateDevices|Protect|ReadWrite|ReadOnly)' \
		recipes/hosts/units/posmedia@.service
	# arping, for a site with an address of its own
	[[ " $(unit RestrictAddressFamilies) " == *' AF_PACKET '* ]]
	echo 'Colour=red' >>"$dir/units/posmedia.target"
	run systemd-analyze verify --man=no "$dir/units/posmedia.target"
	[[ $output == *Colour* ]]
}

# The value of a key of the unit; those of several lines are joined.
unit() {
	sed -n "s/^$1=//p" recipes/hosts/units/posmedia@.service | xargs
}

# Runs the unit of site dev with what systemd would leave it of root's powers; sets watcher.
run_unit() {
	local command bounds
	command=$(unit ExecStart)
	command=${command//%i/dev}
	bounds=$(unit CapabilityBoundingSet | sed 's/CAP_/,+/g; s/ //g')
	bounds=-all${bounds,,}
	# shellcheck disable=SC2086 # words
	set -- ${command#/usr/bin/posmedia }
	: >"$dir/said"
	(cd "$dir" && exec setpriv --bounding-set "$bounds" --inh-caps "$bounds" --no-new-privs \
		"$posmedia" "$@" --engine "$dir/engine/sock" --state "$dir/srv" \
		--runtime "$dir/run") >"$dir/said" 2>&1 3>&- &
	watcher=$!
}

# The power goes: the engine, what it ran, and all in /run; then the engine comes up.
reboot() {
	local id pid pids=()
	for id in $(ask /containers/json | jq -r '.[].Id'); do
		pid=$(ask "/containers/$id/json" | jq .State.Pid)
		# and the one that looks after it
		pids+=("$pid" "$(awk '/^PPid:/ { print $2 }' "/proc/$pid/status")")
	done
	kill -KILL "$engine_pid" "$watcher" "$(cat "$dir/engine/exec/containerd/containerd.pid")" \
		"${pids[@]}"
	wait "$engine_pid" "$watcher" || true
	awk -v at="$dir/engine/" 'index($5, at) == 1 { print $5 }' /proc/self/mountinfo |
		sort -r | xargs -r umount -l
	rm -rf "$dir/run" "$dir/engine/exec" "$dir/engine/pid" "$dir/engine/sock"
	start_service "$dir/engine" docker
}

said() {
	grep -q "$1" "$dir/said"
}

@test "a reboot brings back what ran, with sales and secrets, and not what was stopped" {
	local at
	make_image
	posmedia sign oci:out/till:1 --key k
	succeeded
	install -m 600 /dev/null "$dir/token"
	echo 'the token of shop 123' >"$dir/token"
	start_service "$dir/engine" docker
	site dev
	stage recipes/sites/dev.yaml
	succeeded
	at=$(running)
	inside 'echo sale >>/usr2/sales'
	run_unit
	wait_for 20 said "$at runs"
	reboot
	# nothing comes up without its secrets
	[ -z "$(running)" ]
	[ "$(containers)" = "$at" ]
	run_unit
	wait_for 20 said "$at runs"
	[ "$(running)" = "$at" ]
	[ "$(inside 'cat /usr2/sales /run/host/credentials/token')" = \
		$'sale\nthe token of shop 123' ]
	verb status --json --vici "unix://$dir/none"
	jq -e '.[0] | .state == "runs" and .restarts == 0 and .checks[0].passes' <<<"$output"
	verb stop recipes/sites/dev.yaml
	succeeded
	reboot
	run_unit
	wait_for 20 said 'stopped on purpose'
	[ -z "$(running)" ]
	verb start recipes/sites/dev.yaml
	succeeded
	[ "$(inside 'cat /usr2/sales')" = sale ]
	kill -TERM "$watcher"
	wait "$watcher" || { echo "ends with $?"; cat "$dir/said"; false; }
	watcher=
	[ -z "$(running)" ]
}
