#!/usr/bin/env bats
# What may go of a bucket of Debian's radosgw: the same as of a registry (tests/system/retain.bats).

bats_require_minimum_version 1.5.0
load ../system/lib

setup_file() {
	load ../system/lib
	dir=$(mktemp -d /var/tmp/posmedia-retain.XXXXXX)
	export dir POSMEDIA_STORE=$dir/store POSMEDIA_LEDGER=$dir/ledger
	export AWS_ACCESS_KEY_ID=tester AWS_SECRET_ACCESS_KEY=sesame-sesame
	export AWS_EC2_METADATA_DISABLED=true
	AWS_ENDPOINT_URL=$(tests/interop/radosgw "$dir/rgw" "$(free_port)")
	export AWS_ENDPOINT_URL
	curl -sf --aws-sigv4 aws:amz:us-east-1:s3 -u tester:sesame-sesame -X PUT \
		-H "x-amz-content-sha256: $(printf '' | sha256sum | cut -c 1-64)" \
		"$AWS_ENDPOINT_URL/retain"
	"$posmedia" key new "$dir/key"
	local day
	for day in 1 2 3 4 5; do
		CREATED=2026-01-0${day}T00:00:00Z tests/lib/make-layout "$dir/layout" "1-$day" \
			"$day" 100 | sed 's/^\(sha256:\)\?/sha256:/' >"$dir/digest.$day"
		"$posmedia" sign -q "oci:$dir/layout:1-$day" --key "$dir/key" \
			--identity "retain/till:1-$day" >/dev/null
		"$posmedia" push -q "oci:$dir/layout:1-$day" "s3://retain/till:1-$day" >/dev/null
	done
}

teardown_file() {
	[ ! -e "$dir/rgw/pids" ] || xargs kill <"$dir/rgw/pids" 2>/dev/null || true
	sleep 1
	rm -rf "$dir"
}

tags() {
	"$posmedia" tags s3://retain/till | tr '\n' ' '
}

@test "a bucket: nothing goes before it is said so, and what is promoted or held stays" {
	printf '%s case 2026/17\n' "$(cat "$dir/digest.1")" >"$dir/holds"
	"$posmedia" promote "oci:$dir/layout:1-2" --to qa --key "$dir/key" \
		--identity retain/till:1-2
	"$posmedia" push -q "oci:$dir/layout:1-2" s3://retain/till:1-2
	run --separate-stderr "$posmedia" retain s3://retain/till --keep 2 --hold "$dir/holds"
	[ "$status" -eq 0 ] || { echo "$stderr"; false; }
	[[ $output == *'would go 1-3'*'1 tag'* ]]
	[ "$(tags)" = '1-1 1-2 1-3 1-4 1-5 ' ]
	run --separate-stderr "$posmedia" retain s3://retain/till --keep 2 --hold "$dir/holds" \
		--remove
	[ "$status" -eq 0 ] || { echo "$stderr"; false; }
	[ "$(tags)" = '1-1 1-2 1-4 1-5 ' ]
	run -5 "$posmedia" pull s3://retain/till:1-3 "oci:$dir/gone:1"
	for day in 1 2 4 5; do
		"$posmedia" pull -q "s3://retain/till:1-$day" "oci:$dir/back:1-$day"
		"$posmedia" verify -q "oci:$dir/back:1-$day" --key "$dir/key.pub" \
			--identity "retain/till:1-$day"
	done
}
