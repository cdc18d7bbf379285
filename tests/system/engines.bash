#!/bin/bash
# dockerd and podman's service as the tests' own, each with its files below $1 and a network of its
# own, so that nothing of the machine's is touched. Tests load this after lib.
# shellcheck disable=SC2034 # the tests use the variables

# Starts docker or podman ($2) below $1; sets engine_socket and engine_pid. With v2 as a third word
# it has the hierarchy of cgroup v2 where the host may have those of v1, in mounts of its own:
# engine_enter is what runs a program there. Controllers that v1 has are not in that hierarchy, and
# podman, unlike dockerd, asks its runtime for those nevertheless: it gets one that asks less.
start_service() {
	local base=$1 kind=$2 cgroups=${3-} conf=$1/containers.conf
	local own=(--net) ready='ip link set lo up' runtime=runc
	if [ "$cgroups" = v2 ]; then
		own+=(--mount)
		ready="mount -t cgroup2 none /sys/fs/cgroup && $ready"
		runtime=less
	fi
	engine_socket=$base/sock
	mkdir -p "$base"
	cp tests/system/runc-less "$base/less"
	cat >"$conf" <<-TOML
		[containers]
		default_ulimits = ["nofile=16384:16384", "nproc=4096:4096"]
		[engine]
		runtime = "$runtime"
		cgroup_manager = "cgroupfs"
		events_logger = "file"
		[engine.runtimes]
		less = ["$base/less"]
	TOML
	if [ "$kind" = docker ]; then
		set -- dockerd --data-root "$base/data" --exec-root "$base/exec" \
			--pidfile "$base/pid" -H "unix://$base/sock" --storage-driver overlay2
	else
		set -- podman --root "$base/data" --runroot "$base/exec" system service --time=0 \
			"unix://$base/sock"
	fi
	# conmon leaves a file `oom` in the directory that it was started in
	CONTAINERS_CONF=$conf unshare "${own[@]}" sh -c "$ready"' && exec "$@"' sh \
		env -C "$base" "$@" \
		>"$base/log" 2>&1 3>&- &
	engine_pid=$!
	engine_enter=()
	[ "$cgroups" != v2 ] || engine_enter=(nsenter -t "$engine_pid" -m -n)
	wait_for 60 ask /version || { tail -n 5 "$base/log"; return 1; }
}

# Asks the engine: PATH and what else curl takes.
ask() {
	local path=$1
	shift
	curl -sSf --unix-socket "$engine_socket" "http://engine/v1.41$path" "$@"
}

# Ends it with all that it runs.
stop_service() {
	local base=$1 id
	for id in $(ask '/containers/json?all=1' 2>/dev/null | jq -r '.[].Id' 2>/dev/null); do
		ask "/containers/$id?force=1" -X DELETE >/dev/null 2>&1 || true
	done
	{ kill "$engine_pid" && wait "$engine_pid"; } 2>/dev/null || true
	# podman has one wait five minutes for somebody to ask how an exec ended
	pkill -KILL -f "^/usr/bin/conmon .* -b $base/" || true
	# a podman that cleans up behind a container may mount its storage once more
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		awk -v at="$base/" 'index($5, at) == 1 { print $5 }' /proc/self/mountinfo |
			sort -r | xargs -r umount -l 2>/dev/null
		rm -rf "$base" 2>/dev/null && return
		sleep 0.2
	done
	rm -rf "$base"
}
