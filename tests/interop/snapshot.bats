#!/usr/bin/env bats
# Snapshots in a bucket of Debian's radosgw: put on condition, read in parts, pruned in two steps,
# and not at all where objects are locked.

bats_require_minimum_version 1.5.0
load ../system/lib
load ../system/transport

setup_file() {
	load ../system/lib
	load ../system/transport
	dir=$(mktemp -d /var/tmp/posmedia-snapshot-s3.XXXXXX)
	port=$(free_port)
	export dir
	export AWS_ACCESS_KEY_ID=tester AWS_SECRET_ACCESS_KEY=sesame-sesame
	export AWS_EC2_METADATA_DISABLED=true
	AWS_ENDPOINT_URL=$(tests/interop/radosgw "$dir/rgw" "$port")
	export AWS_ENDPOINT_URL
	s3 PUT kept -f
	s3 PUT locked -f -H 'x-amz-bucket-object-lock-enabled: true'
	(umask 077 && echo 'a secret that is long enough' >"$dir/secret")
	mkdir "$dir/tree"
	head -c 20000000 /dev/urandom >"$dir/tree/large"
	seq 100000 >"$dir/tree/numbers"
}

teardown_file() {
	[ ! -e "$dir/rgw/pids" ] || xargs kill <"$dir/rgw/pids" 2>/dev/null || true
	sleep 1
	rm -rf "$dir"
}

# A request by a stranger: curl.
s3() {
	local method=$1 path=$2 empty
	shift 2
	empty=$(printf '' | sha256sum | cut -c 1-64)
	curl -s --aws-sigv4 aws:amz:us-east-1:s3 -u tester:sesame-sesame -X "$method" "$@" \
		-H "x-amz-content-sha256: $empty" "$AWS_ENDPOINT_URL/$path"
}

snapshot() {
	run --separate-stderr "$posmedia" snapshot "$@" --secret-file "$dir/secret"
	[ "$status" -eq "${want:-0}" ] || { echo "$status: $output $stderr"; false; }
}

@test "made, listed and verified in a bucket" {
	snapshot "dir:$dir/tree" --to s3://kept/pos/a
	snapshot "dir:$dir/tree" --to s3://kept/pos/a --json
	[ "$(jq '.added' <<<"$output")" -eq 0 ]
	snapshot --list s3://kept/pos/a
	[ "${#lines[@]}" -eq 2 ]
	snapshot --verify --read s3://kept/pos/a
	[[ $output == '2 snapshots, 2 packs, '*' 0 faults, 0 files lost' ]]
	[ "$(s3 GET kept | grep -o '<Key>[^<]*' | cut -d/ -f1-2 | sort -u)" = '<Key>pos/a' ]
}

@test "a prefix beside it is another repository" {
	snapshot "dir:$dir/tree" --to s3://kept/pos/ab
	snapshot --list s3://kept/pos/a
	[ "${#lines[@]}" -eq 2 ]
}

@test "an object that is gone or changed is named" {
	snapshot "dir:$dir/tree" --to s3://kept/bad
	key=$(s3 GET 'kept?list-type=2&prefix=bad%2Fpacks%2F' | grep -o '<Key>[^<]*' | head -1)
	key=${key#<Key>}
	s3 DELETE "kept/$key"
	want=4 snapshot --verify s3://kept/bad
	[[ $output == *"fault: ${key#bad/}: is gone"* ]]
	# the next one heals it
	snapshot "dir:$dir/tree" --to s3://kept/bad
	run "$posmedia" snapshot --verify s3://kept/bad --secret-file "$dir/secret"
	[[ $output != *lost:*$'\n'*lost:* ]]
}

@test "a pruning of a bucket marks first, and removes a day later" {
	snapshot "dir:$dir/tree" --to s3://kept/prune
	cp -r "$dir/tree" "$dir/before"
	head -c 1000000 /dev/urandom >"$dir/tree/large"
	echo other >"$dir/tree/numbers"
	snapshot "dir:$dir/tree" --to s3://kept/prune
	snapshot --prune s3://kept/prune --keep 1 --json
	[ "$(jq -r '.packs' <<<"$output")" -eq 0 ]
	[ "$(jq -r '.waiting' <<<"$output")" -ge 1 ]
	snapshot --verify --read s3://kept/prune
	# what is marked is not made use of: the bytes come again
	snapshot "dir:$dir/before" --to s3://kept/prune --json
	[ "$(jq -r '.added' <<<"$output")" -gt 20000000 ]
	snapshot --prune s3://kept/prune --keep 1
	snapshot --verify --read s3://kept/prune
}

@test "nothing is removed from a bucket that locks its objects" {
	snapshot "dir:$dir/tree" --to s3://locked/a
	want=4 snapshot --prune s3://locked/a --keep 1
	[[ $stderr == *'the bucket locks its objects'* ]]
}

@test "a bucket that is not there, and one that may not be written" {
	want=5 snapshot "dir:$dir/tree" --to s3://nowhere/a
	AWS_SECRET_ACCESS_KEY=wrong-wrong want=5 snapshot --list s3://kept/pos/a
}
