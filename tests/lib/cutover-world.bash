#!/bin/bash
# A world of tests/lib/cutover-runs: a shop with both hosts, small and in memory, each of which can
# lose its power, its disk's room, its clock and its link. Load this behind cutover.bash.
# shellcheck disable=SC2154,SC2034 # that and cutover-runs set and use the variables

# What all worlds have, made once in $dir.
make_world() {
	gcc -std=gnu17 -D_GNU_SOURCE -O2 -shared -fPIC -o "$dir/clock.so" tests/lib/cutover-clock.c
	gcc -std=gnu17 -D_GNU_SOURCE -O2 -o "$dir/writers" tests/lib/cutover-writers.c
	cutover_programs
	make_cutover_image
	make_old 4
	cp "$dir/clock.so" "$dir/old/opt/"
	echo /opt/clock.so >"$dir/old/etc/ld.so.preload"
	head -c 8 /dev/zero >"$dir/old/etc/cutover-clock"
	mkdir "$dir/old/opt/steps" "$dir/steps"
	make_step /opt/steps >"$dir/old/opt/step"
	make_step "$dir/steps" >"$dir/step"
	chmod 755 "$dir/old/opt/step" "$dir/step"
	mv "$dir/old" "$dir/old.made"
}

# A step of the plan, which does what the file of its name in $1 says; the last one before the fence
# writes a record of a large file in place.
make_step() {
	cat <<-SH
		#!/bin/sh
		large=/usr2/bbx/REC0.4
		[ "\$1" != announce ] || [ ! -w "\$large" ] || echo "\$\$" |
			dd of="\$large" bs=4096 seek=\$((\$\$ % 300)) conv=notrunc 2>/dev/null
		read -r what 2>/dev/null <"$1/\$1"
		case \$what in
		fail) echo "it fails" >&2; exit 1 ;;
		hang) exec sleep 600 ;;
		esac
		exit 0
	SH
}

# The site of a run, whose steps may take $1.
world_site() {
	local run="run: [/opt/step" here="run: [$dir/step" at="within: $1"
	lease=6s cutover_site "$(
		cat <<-YAML
			    - {name: before, on: old, phase: preflight, $run, preflight], $at}
			    - {name: print, on: control, phase: smoke, $here, smoke], $at}
			    - {name: look, on: control, phase: after, $here, look], $at}
			    - {name: back, on: old, phase: reverse, $run, reverse], $at}
			    - {name: tried, on: old, phase: trial, $run, trial], $at}
			    - {name: returned, on: old, phase: returned, $run, returned], $at}
			  budget: {outage: 90s, fence: 12s, last-pass: 20s, verify: 12s,
			    start: 15s, smoke: 10s, hold: 10s}
			  announce: [{$run, announce], $at}, {on: control, $here, announce], $at}]
			  after: [{name: backups, on: old, $run, after], undo: [/opt/step, after],
			    $at}]
			  dns: {$here, open], undo: [$dir/step, open], $at}
		YAML
	)"
	sed -i -e "s|stop: \[|&{$run, stop], $at}, |" -e "s|start: \[|&{$run, start], $at}, |" \
		"$dir/recipes/sites/prod.yaml"
}

# The disks of both hosts, which are as large as that.
world_disks() {
	mkdir -p "$dir/old" "$dir/srv"
	mount -t tmpfs -o size=48m,mode=755 posmedia-old "$dir/old"
	mount -t tmpfs -o size=48m,mode=755 posmedia-new "$dir/srv"
}

fill_disk() {
	local used
	used=$(df --output=used -k "$dir/$1" | tail -n 1)
	mount -o "remount,size=$((used + ${2-0}))k" "$dir/$1"
}
free_disk() {
	mount -o remount,size=48m "$dir/$1"
}

# Seconds that a host's clock is off.
set_clock() {
	local file=$dir/new-clock
	[ "$1" = new ] || file=$dir/old/etc/cutover-clock
	perl -e 'open my $f, "+<", $ARGV[0] or die; print $f pack "q", $ARGV[1] * 1e9' \
		"$file" "$2"
}

# Boots NEW: its engine, its addresses, and, as its unit has it, its instance.
boot_new() {
	cat /proc/sys/kernel/random/uuid >"$dir/new-boot"
	rm -rf "$dir/run" "$dir/engine/exec" "$dir/engine/sock" "$dir/engine/pid"
	mkdir -p "$dir/engine" "$dir/run"
	engine_socket=$dir/engine/sock
	# shellcheck disable=SC2016 # expanded inside
	unshare --net --pid --mount --fork --kill-child bash -ec '
		mount -t proc proc /proc
		mount --bind "$0/new-boot" /proc/sys/kernel/random/boot_id
		mount -t tmpfs none /run
		mkdir /run/lock
		ip link set lo up
		cd "$0/engine"
		exec dockerd --data-root "$0/engine/data" --exec-root "$0/engine/exec" \
			--pidfile "$0/engine/pid" -H "unix://$0/engine/sock" \
			--storage-driver overlay2' "$dir" >>"$dir/engine.log" 2>&1 3>&- &
	new_outer=$!
	wait_for 5 new_init
	engine_pid=$(new_init)
	shop ip link add new0 type veth peer name lan0 address 02:00:c0:00:02:06 \
		netns "$engine_pid"
	shop ip link set new0 master br0 up
	at_new ip -batch - <<-'LINES'
		link set lan0 up
		address add 192.0.2.6/24 brd + dev lan0
	LINES
	wait_for 60 ask /version
}

new_init() {
	pgrep -P "$new_outer" '^(bash|dockerd)$'
}

kill_new() {
	kill -KILL "$engine_pid" 2>/dev/null || true
	wait "$new_outer" 2>/dev/null || true
	shop ip link del new0 2>/dev/null || true
}

# The unit of an instance starts it when it may be.
start_instance() {
	verb start recipes/sites/prod.yaml
}

# posmedia of NEW, with its clock.
world_program() {
	head -c 8 /dev/zero >"$dir/new-clock"
	cat >"$dir/posmedia" <<-SH
		#!/bin/sh
		exec nsenter -t "\$(cat "$dir/new-pid")" -m -n -p env -C "\$PWD" \\
			LD_PRELOAD="$dir/clock.so" CUTOVER_CLOCK="$dir/new-clock" \\
			"$program" "\$@"
	SH
	chmod 755 "$dir/posmedia"
	posmedia=$dir/posmedia
}

# The link of a host ("old" or "new") to the shop carries nothing, or all again.
cut_port() {
	shop bridge link set dev "${1}0" state 0
}
mend_port() {
	shop bridge link set dev "${1}0" state 3 2>/dev/null || true
}

# Both hosts as they are before a first cutover.
fresh_world() {
	old_data_fresh
	start_old
	boot_new
	echo "$engine_pid" >"$dir/new-pid"
	set_clock new 0
	world_site 2s
	verb stage --closed 192.0.2.10/24 recipes/sites/prod.yaml
	succeeded
}

old_data_fresh() {
	find "$dir/old" "$dir/srv" -mindepth 1 -maxdepth 1 -exec rm -rf {} +
	cp -a "$dir/old.made/." "$dir/old"
}

# The end of it, before a fresh one.
end_world() {
	local id
	for id in $(ask '/containers/json?all=1' 2>/dev/null | jq -r '.[].Id'); do
		ask "/containers/$id?force=1" -X DELETE >/dev/null 2>&1 || true
	done
	kill_old
	kill_new
}
