#!/usr/bin/env bats
# The objects of a bucket of Debian's radosgw as a tree.

bats_require_minimum_version 1.5.0
load ../system/lib

setup() {
	dir=$(mktemp -d /var/tmp/posmedia-restore-s3.XXXXXX)
	export AWS_ACCESS_KEY_ID=tester AWS_SECRET_ACCESS_KEY=sesame-sesame
	export AWS_EC2_METADATA_DISABLED=true
	AWS_ENDPOINT_URL=$("$BATS_TEST_DIRNAME/radosgw" "$dir/rgw" "$(free_port)")
	export AWS_ENDPOINT_URL
	ask PUT shops
}

teardown() {
	[ ! -e "$dir/rgw/pids" ] || xargs kill <"$dir/rgw/pids" 2>/dev/null || true
	sleep 1
	rm -rf "$dir"
}

# A request ($1) for a path of the server ($2), with what else curl takes.
ask() {
	local method=$1 path=$2
	shift 2
	curl -sf --path-as-is --aws-sigv4 aws:amz:us-east-1:s3 -u tester:sesame-sesame \
		-X "$method" -H "x-amz-content-sha256: UNSIGNED-PAYLOAD" "$@" \
		"$AWS_ENDPOINT_URL/$path"
}

restore() {
	run --separate-stderr "$posmedia" restore --from s3://shops/123 --to "dir:$dir/to" "$@"
	[ "$status" -eq 0 ] || { echo "$status: $output $stderr"; false; }
}

@test "a bucket's prefix to a tree, and again after a day" {
	local i
	for i in $(seq 1100); do
		echo "--next"
		echo "url = \"$AWS_ENDPOINT_URL/shops/123/usr2/many/$i\""
		echo 'data-binary = "order"'
		echo 'request = PUT'
		echo 'aws-sigv4 = "aws:amz:us-east-1:s3"'
		echo 'user = "tester:sesame-sesame"'
		echo 'header = "x-amz-content-sha256: UNSIGNED-PAYLOAD"'
	done | sed 's/^--next/next/' >"$dir/puts"
	curl -sf -o /dev/null -K "$dir/puts"
	seq 1000000 >"$dir/big"
	ask PUT shops/123/usr2/bbx/CUSTMST --data-binary "@$dir/big"
	ask PUT shops/123/usr2/a%20b%3F --data-binary roses
	ask PUT shops/1234/other --data-binary another
	restore --verify --json
	jq -e '.files == 1102' <<<"$output"
	cmp "$dir/big" "$dir/to/usr2/bbx/CUSTMST"
	[ "$(cat "$dir/to/usr2/a b?")" = roses ]
	[ "$(find "$dir/to/usr2/many" -type f | wc -l)" -eq 1100 ]
	[ ! -e "$dir/to/other" ]
	ask DELETE shops/123/usr2/many/7
	ask PUT shops/123/usr2/many/8 --data-binary other
	ask PUT shops/123/usr2/CCXF01 --data-binary x
	restore --environment qa --json
	jq -e '[.excluded[] | select(.count > 0).paths[]] == ["/usr2/CCXF01"]' <<<"$output"
	[ ! -e "$dir/to/usr2/many/7" ] && [ "$(cat "$dir/to/usr2/many/8")" = other ]
	[ ! -e "$dir/to/usr2/CCXF01" ] && [ ! -e "$dir/.to.restore/fetched/usr2/CCXF01" ]
}
