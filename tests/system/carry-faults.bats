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

@test "OCI-Subject by a registry that has no referrers API is not believed" {
	local digest
	digest=$(tests/lib/make-layout "$dir/image" 1 subject 1000)
	"$posmedia" key new "$dir/key"
	"$posmedia" sign "oci:$dir/image:1" --key "$dir/key" --identity localhost/subject:1
	serve_registry "$dir/reg"
	mkfifo "$dir/end"
	tests/lib/fault-proxy "$served" 1 subject <"$dir/end" >"$dir/port" 2>"$dir/faults" 3>&- &
	exec 4>"$dir/end"
	wait_for 10 test -s "$dir/port"
	"$posmedia" push "oci:$dir/image:1" "docker://127.0.0.1:$(<"$dir/port")/a:1" 4>&-
	exec 4>&-
	grep -q '^subject PUT' "$dir/faults"
	curl -sf -H 'Accept: application/vnd.oci.image.index.v1+json' \
		"http://$served/v2/a/manifests/${digest/:/-}" | jq -e '.manifests | length == 1'
	"$posmedia" pull "docker://$served/a:1" "oci:$dir/got:1"
	"$posmedia" verify "oci:$dir/got:1" --key "$dir/key.pub" --identity localhost/subject:1
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
