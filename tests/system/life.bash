#!/bin/bash
# What instances do in their lives: tests load this after stage.
# shellcheck disable=SC2154,SC2034 # those and the tests set and use the variables

# A till in $made and a dockerd for all tests of a file.
life_set_up_file() {
	export engine_dir engine_socket engine_pid
	stage_set_up_file
	engine_dir=$(mktemp -d)
	start_service "$engine_dir/docker" docker
}
life_tear_down_file() {
	stop_service "$engine_dir/docker"
	rm -rf "$made" "$engine_dir"
}

life_tear_down() {
	[ -z "$watcher" ] || { kill "$watcher" && wait "$watcher"; } 2>/dev/null
	[ -z "${listener-}" ] || kill "$listener"
	containers_end
	rm -rf "$dir"
}

# A site in an environment that runs, with a sale.
staged() {
	site "$1" "${2-health: [{name: web, tcp: 8080, within: 20s\}]}"
	stage "recipes/sites/$1.yaml"
	succeeded
	inside "echo sale >>/usr2/sales"
}

record() {
	jq -r "$1" "$dir/srv/123/dev/.posmedia/state.json"
}

# The supervisor of a site, as a unit runs it; sets watcher. What it tells systemd is in $dir/told.
watch() {
	[ -n "${listener-}" ] || {
		tests/system/notified "$dir/notify" "$dir/told" 3>&- &
		listener=$!
		wait_for 5 test -S "$dir/notify"
	}
	: >"$dir/told"
	(cd "$dir" && NOTIFY_SOCKET=$dir/notify exec "$posmedia" start --watch \
		--engine "$engine_socket" --state "$dir/srv" --runtime "$dir/run" \
		recipes/sites/dev.yaml) >"$dir/said" 2>&1 3>&- &
	watcher=$!
}

# Waits for the end of the supervisor; sets status.
watch_ends() {
	status=0
	wait_for 100 is_gone "$watcher"
	wait "$watcher" || status=$?
	watcher=
}
is_gone() {
	! kill -0 "$1" || grep -q '^State:.Z' "/proc/$1/status"
}

told() {
	grep -q "$1" "$dir/told"
}

# A site without tunnels, of shop $2, in $1.
plain_site() {
	site "$1" "${3-health: [{name: web, tcp: 8080, within: 20s\}]}"
	sed -i "/^vpn:/d; /^  {name: a, id: them/d; s/^shop: .*/shop: \"$2\"/" \
		"$dir/recipes/sites/$1.yaml"
	[ "$2" = 123 ] || mv "$dir/recipes/sites/$1.yaml" "$dir/recipes/sites/$2-$1.yaml"
}

# Says how things are: status, and one value of the first instance.
status_is() {
	verb status --json "${@:3}"
	[ "$status" -eq "$1" ] && jq -e "$2" <<<"$output" >/dev/null && return
	echo "status $status, not: $2"
	echo "$output"
	return 1
}

archive_of() {
	find "$dir/srv/.destroyed" -name "$1-*.tar.zst"
}
