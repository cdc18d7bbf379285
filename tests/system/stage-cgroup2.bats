#!/usr/bin/env bats
# Instances on engines that have the one hierarchy of cgroup v2: a till, and a systemd where that
# can run. What this machine's kernel has of controllers in it does not matter to them.

bats_require_minimum_version 1.5.0
load lib
load tiny
load engines
load stage

setup_file() {
	load lib
	load tiny
	load stage
	stage_set_up_file unsigned
	need_demo
	copy_demo "$dir/out/rti"
	for app in till:1 rti:0.1.0; do
		posmedia sign "oci:out/$app" --key k
		succeeded
	done
	sed -i 's,localhost/till,localhost/*,' "$dir/signing/policy.yaml"
}

teardown_file() {
	rm -rf "$made"
}

setup() {
	stage_set_up shared
}

teardown() {
	stop_service "$dir/engine"
	rm -rf "$dir/srv" "$dir/run"
}

# As the engine sees the machine.
posmedia() {
	run --separate-stderr "${engine_enter[@]}" env -C "$dir" "$posmedia" "$@"
}

# A site of the demo's image, which starts systemd.
systemd_site() {
	site dev "health: [{name: web, tcp: 2001, within: 60s}]"
	sed -i 's/"123"/"456"/; s,out/till:1,out/rti:0.1.0,' "$dir/recipes/sites/dev.yaml"
}

# The cgroup mounts of an instance's process: where, whether writable, and of which version.
cgroups_of() {
	awk '/ - cgroup/ { print $5, substr($6, 1, 2), / - cgroup2 / ? 2 : 1 }' \
		"/proc/$1/mountinfo"
}

till() {
	local pid first
	start_service "$dir/engine" "$1" v2
	[ "$(ask /info | jq -r .CgroupVersion)" = 2 ]
	site dev
	stage recipes/sites/dev.yaml
	succeeded
	first=$(running)
	pid=$(ask "/containers/$first/json" | jq .State.Pid)
	run cgroups_of "$pid"
	[ "$output" = '/sys/fs/cgroup ro 2' ] || { echo "$output"; false; }
	# its group is in that hierarchy, and it sees none above
	grep -qE '^0::/(docker|libpod_parent)/' "/proc/$pid/cgroup"
	[ "$(readlink "/proc/$pid/ns/cgroup")" != "$(readlink /proc/self/ns/cgroup)" ]
	stage recipes/sites/dev.yaml
	succeeded
	[[ $output == 'nothing changed'* ]]
	inside 'echo sale >/usr2/sales'
	verb status --controls recipes/sites/dev.yaml
	[[ $output == *'OCI-05: passes: its limits are read-only'* && $output != *': fails: '* ]]
	site dev 'limits: {files: 2000}'
	stage recipes/sites/dev.yaml
	succeeded
	[ "$(running)" != "$first" ]
	stage --rollback recipes/sites/dev.yaml
	succeeded
	[ "$(running)" = "$first" ]
	[ "$(inside 'cat /usr2/sales')" = sale ]
}

@test "dockerd with cgroup v2: a till; a systemd is refused before anything is done" {
	local before
	till docker
	before=$(containers)
	systemd_site
	# whatever is mounted for who asks: the engine's cgroups count
	engine_enter=()
	stage recipes/sites/dev.yaml
	refused 5 'Docker/20.10'
	[[ $stderr == *'gives no instance cgroups of version 2'*'hint: dockerd does so from'* ]]
	[ "$(containers)" = "$before" ]
	stage --dry-run recipes/sites/dev.yaml
	refused 5 'gives no instance cgroups of version 2'
	[ ! -e "$dir/srv/456/dev/usr2" ]
}

@test "podman with cgroup v2: a till, and a systemd" {
	local pid
	till podman
	systemd_site
	# a shop that is not new: nothing to unpack
	mkdir -p "$dir"/srv/456/dev/{usr2,log}
	stage recipes/sites/dev.yaml
	succeeded
	pid=$(ask "/containers/$(running | grep 456)/json" | jq .State.Pid)
	[ "$(cgroups_of "$pid")" = '/sys/fs/cgroup rw 2' ]
	wait_for 30 nsenter -t "$pid" -m -u -i -n -p -r -w \
		timeout 90 systemctl is-system-running --wait
	# its services have groups in its own
	grep -q '^0::/libpod_parent/.*/init.scope$' "/proc/$pid/cgroup"
	verb status --controls recipes/sites/dev.yaml
	[[ $output == *'OCI-05: passes: its limits are read-only'* && $output != *': fails: '* ]]
	verb stop recipes/sites/dev.yaml
	succeeded
	[ "$(running | grep -c 456)" -eq 0 ]
}
