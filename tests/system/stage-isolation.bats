#!/usr/bin/env bats
# Two customers on one host: what one does to itself the other does not notice.

bats_require_minimum_version 1.5.0
load lib
load tiny
load engines
load stage

setup_file() {
	load lib
	load tiny
	load stage
	stage_set_up_file
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

of() {
	jq -r .current.container "$dir/srv/$1/dev/.posmedia/state.json"
}
# Runs a script in the instance of a shop, within its limits.
runs() {
	local id
	id=$(ask "/containers/$(of "$1")/exec" -H 'Content-Type: application/json' -d "$(jq -n \
		--arg s "$2" '{AttachStdout: true, AttachStderr: true,
			Cmd: ["/bin/busybox", "sh", "-c", $s]}')" | jq -r .Id)
	ask "/exec/$id/start" -H 'Content-Type: application/json' -d '{"Detach": false}' |
		tr -d '\000-\010' || true
	ask "/exec/$id/json" | jq .ExitCode >"$dir/exit"
}
# All of the other's that could change: its image, its process, its data, its answer.
state_of() {
	local pid
	ask "/containers/$(of "$1")/json" | jq -c '[.Image, .State.Pid, .State.StartedAt]'
	(cd "$dir/srv/$1" && find . -path ./dev/.posmedia -prune -o -type f -print0 | sort -z |
		xargs -0 sha256sum)
	pid=$(ask "/containers/$(of "$1")/json" | jq .State.Pid)
	nsenter -t "$pid" -n curl -sS http://127.0.0.1:8080/catalogue
}

whole() {
	local before
	start_service "$dir/engine" "$1"
	site dev 'limits: {memory: 64M, processes: 64, files: 64}'
	stage recipes/sites/dev.yaml
	succeeded
	site dev
	sed -i 's/shop: "123"/shop: "456"/' "$dir/recipes/sites/dev.yaml"
	stage recipes/sites/dev.yaml
	succeeded
	runs 456 'echo sale >/usr2/sales'
	before=$(state_of 456)
	[[ $before == *sales* && $before == *roses ]]
	# processes, memory and open files end where the site says
	runs 123 'for i in 1 2 3 4 5 6 7 8 9; do for k in 1 2 3 4 5 6 7 8 9; do
		/bin/busybox sleep 20 & done; done' >"$dir/said"
	grep -qi 'fork' "$dir/said" || { cat "$dir/said"; false; }
	[ "$(state_of 456)" = "$before" ]
	ask "/containers/$(of 123)/restart?t=1" -X POST
	runs 123 '/bin/busybox dd if=/dev/zero of=/dev/null bs=200M count=1; exit $?'
	[ "$(cat "$dir/exit")" -ne 0 ]
	[ "$(state_of 456)" = "$before" ]
	# neither sees the other's files, processes or ports
	run runs 123 '/bin/busybox ls /proc /srv; /bin/busybox netstat -tln'
	[[ $output != *sales* ]]
	[ "$(runs 123 '/bin/busybox ls /usr2')" != "$(runs 456 '/bin/busybox ls /usr2')" ]
	[ "$(stat -c '%a %u' "$dir"/srv/123 "$dir"/srv/456 | sort -u)" = '700 0' ]
	# it dies, and takes nobody with it
	kill -KILL "$(ask "/containers/$(of 123)/json" | jq .State.Pid)"
	[ "$(state_of 456)" = "$before" ]
}

@test "dockerd: one of two customers runs full and dies" {
	whole docker
}

@test "podman: one of two customers runs full and dies" {
	whole podman
}
