#!/usr/bin/env bats
# A share of `make check-faults`, and a registry that is killed while it is pushed to.

bats_require_minimum_version 1.5.0
load lib
load transport

setup() {
	dir=$(mktemp -d)
	export POSMEDIA_STORE=$dir/store
}

teardown() {
	end_served
	rm -rf "$dir"
}

@test "thirty pushes, pulls and copies through a proxy that spoils them: none is lost" {
	run tests/lib/fault-runs "$posmedia" 30 7 8
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	[[ ${lines[-1]} == '30 runs, '*' 0 lost '* ]]
}

# Whether an upload is under way.
receives() {
	[ -n "$(find "$dir/reg/data" -path '*_uploads*' -name data)" ]
}

@test "a registry that is killed in a push is pushed to again, and has nothing by half" {
	local i pid status
	tests/lib/make-layout "$dir/image" 1 killed 30000000 30000000 30000000
	serve_registry "$dir/reg"
	for i in 1 2; do
		"$posmedia" push "oci:$dir/image:1" "docker://$served/a:$i" --parallel 2 \
			>"$dir/out" 2>&1 3>&- &
		pid=$!
		wait_for 20 receives
		kill -9 "$(tail -n 1 "$dir/served")"
		wait "$pid" && status=0 || status=$?
		[ "$status" -eq 0 ] || [ "$status" -eq 5 ] || { cat "$dir/out"; false; }
		docker-registry serve "$dir/reg/config.yml" >"$dir/reg/log" 2>&1 3>&- &
		echo $! >>"$dir/served"
		wait_for 20 curl -s "http://$served/v2/"
		curl -s -o /dev/null -w '%{http_code}' "http://$served/v2/a/manifests/$i" \
			>"$dir/code"
		[ "$status" -eq 0 ] || [ "$(<"$dir/code")" = 404 ]
		"$posmedia" push "oci:$dir/image:1" "docker://$served/a:$i"
		"$posmedia" pull "docker://$served/a:$i" "oci:$dir/got$i:1"
	done
}
