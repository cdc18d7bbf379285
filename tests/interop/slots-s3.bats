#!/usr/bin/env bats
# A medium in a bucket of Debian's radosgw, and updates of a disk with two slots from there: what is
# fetched, by the server's own count, and what happens when it is not what was signed.

bats_require_minimum_version 1.5.0
load ../system/lib
load ../system/slots

setup_file() {
	dir=$(mktemp -d /var/tmp/posmedia-slots-s3.XXXXXX)
	export dir POSMEDIA_STORE=$dir/store
	export AWS_ACCESS_KEY_ID=tester AWS_SECRET_ACCESS_KEY=sesame-sesame
	export AWS_EC2_METADATA_DISABLED=true
	AWS_ENDPOINT_URL=$(tests/interop/radosgw "$dir/rgw" "$(free_port)")
	export AWS_ENDPOINT_URL
	bucket media
	(cd "$dir" && "$posmedia" key new k) >/dev/null 2>&1
	slots_pair
	"$posmedia" push "$dir/new" s3://media/pos/till:2
}

teardown_file() {
	[ ! -e "$dir/rgw/pids" ] || xargs kill <"$dir/rgw/pids" 2>/dev/null || true
	sleep 1
	rm -rf "$dir"
}

setup() {
	cp --sparse=always "$dir/old" "$dir/disk"
}

# A bucket, by a stranger.
bucket() {
	curl -sf --aws-sigv4 aws:amz:us-east-1:s3 -u tester:sesame-sesame -X PUT \
		-H "x-amz-content-sha256: $(sha256sum </dev/null | cut -c 1-64)" \
		"$AWS_ENDPOINT_URL/$1"
}

update() {
	run --separate-stderr "$posmedia" machine update s3://media/pos/till:2 --key "$dir/k.pub" \
		--disk "$dir/disk" "$@"
}

@test "from a bucket only what is new is fetched, as the server counts it" {
	local fetched log="$dir/rgw/client.rgw.log" before
	before=$(stat -c %s "$log")
	update --json
	[ "$status" -eq 0 ] || { echo "$stderr"; false; }
	is_root_of "$dir/disk" b "$dir/new"
	cmp <(part "$dir/new" boot-a) <(part "$dir/disk" boot-b)
	fetched=$(jq .fetched <<<"$output")
	[ "$fetched" -lt 5000000 ]
	# beast: ... "GET /media/v2/... HTTP/1.1" 206 4096 ...
	tail -c "+$((before + 1))" "$log" >"$dir/asked"
	[ "$(perl -ne '$n += $1 if m{"GET /media/v2/pos/\S+ HTTP/1.1" \d+ (\d+) };
		END { print $n + 0 }' "$dir/asked")" -eq "$fetched" ] ||
		{ echo "$fetched"; grep -c GET "$dir/asked"; head -n 5 "$dir/asked"; false; }
	update
	[[ $output == *'is there already'* ]]
}

@test "a bucket that gives other parts than it was asked for leaves the old system" {
	local port
	coproc PROXY { tests/lib/fault-proxy "${AWS_ENDPOINT_URL#http://}" 7 range \
		2>"$dir/faults" 3>&-; }
	read -r port <&"${PROXY[0]}"
	AWS_ENDPOINT_URL=http://127.0.0.1:$port update
	[ "$status" -eq 5 ] || { echo "$status $stderr"; false; }
	[[ $stderr == *'got other bytes than were asked for'* ]]
	slots_is_old "$dir/old" "$dir/disk"
	eval "exec ${PROXY[1]}>&-"
	wait "$PROXY_PID" || true
	update
	[ "$status" -eq 0 ] || { echo "$status $stderr"; false; }
	is_root_of "$dir/disk" b "$dir/new"
}
